"""How sure the search must be before a box is hidden: of large boxes PROB is asked, of small ones less.

A box that is hidden for nothing costs the share of the picture that it covers; one that is not hidden costs somebody's
privacy, however small they are in the picture. So the odds that are asked grow with the box, up to those of PROB: it is
never asked for more. Measured in docs/quality.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# The share of the picture from which on PROB is asked in full: in a panorama a box of 29 x 29 degrees, somebody as
# near as the camera's own carrier.
FULL_SHARE = 0.02

# The odds asked of the smallest boxes, as a part of PROB's: those of less than an eighth of a per cent of the picture.
LEAST_PART = 0.25


def least_asked(prob: float) -> float:
    """Return the lowest score, 0 to 1, at which any box is hidden when `prob` is wanted."""
    return float(_scaled(prob, LEAST_PART))


def asked(prob: float, share: ArrayLike) -> Floats:
    """Return the score, 0 to 1, from which on boxes are hidden.

    Args:
        prob: PROB / 100 of their class.
        share: how much of the picture each box covers, 0 to 1; any shape.
    """
    return _scaled(prob, _part(share))


def highest_prob(score: ArrayLike, share: ArrayLike) -> Floats:
    """Return the highest `prob` at which boxes are hidden: the reverse of `asked`."""
    return _scaled(score, 1.0 / _part(share))


def _part(share: ArrayLike) -> Floats:
    """Return by what the odds of PROB are multiplied for boxes of a size: with the side, as the root of the area."""
    return np.clip(np.sqrt(np.asarray(share, np.float64) / FULL_SHARE), LEAST_PART, 1.0)


def _scaled(probability: ArrayLike, factor: ArrayLike) -> Floats:
    """Return a probability whose odds are `factor` times those of `probability`; 1 remains 1."""
    p, f = np.asarray(probability, np.float64), np.asarray(factor, np.float64)
    scaled: Floats = p * f / (1.0 - p + p * f)
    return scaled
