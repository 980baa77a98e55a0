"""What the mask of a hidden photo says about each pixel: untouched, faded, or hidden and how strongly.

Written where things are hidden, read where the finished file is examined; the two know nothing else of each other.
"""

from __future__ import annotations

import math

UNTOUCHED = 0
RIM = 1  # between hidden and untouched: a share of the photo shows through
UNMEASURED = 2  # hidden wholly, by something that is no Gaussian blur of a known width: pixels made large
UNKNOWN = 255  # hidden wholly, nobody says how

_FIRST, _LAST = 3, 254
_STEPS = 16  # levels per doubling
_FIRST_SIGMA_PX = 0.5


def level_of(sigma_px: float) -> int:
    """Return the mask's value for pixels hidden by a Gaussian blur.

    Args:
        sigma_px: its standard deviation in picture pixels, measured from top to bottom; infinite for plain colour.

    Returns:
        3 to 254: rounded down, so that `sigma_of` never claims more than was done.
    """
    if sigma_px <= _FIRST_SIGMA_PX:
        return UNMEASURED if sigma_px < _FIRST_SIGMA_PX else _FIRST
    if math.isinf(sigma_px):
        return _LAST
    return min(_FIRST + math.floor(_STEPS * math.log2(sigma_px / _FIRST_SIGMA_PX)), _LAST)


def sigma_of(level: int) -> float:
    """Return the standard deviation in pixels that a mask's value promises; 0 where it promises none."""
    if not _FIRST <= level <= _LAST:
        return 0.0
    return float(_FIRST_SIGMA_PX * 2 ** ((level - _FIRST) / _STEPS))
