"""Rising curves from scores to probabilities. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 16
"""Points of a curve; more would follow chance."""


def isotonic(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rising sequence nearest to `values` by weighted squares (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        block = (float(value), float(weight), 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, mass, length = blocks.pop()
            total = mass + block[1]
            block = ((mean * mass + block[0] * block[1]) / total, total, length + block[2])
        blocks.append(block)
    return np.repeat([mean for mean, _, _ in blocks], [length for _, _, length in blocks])


def fit(
    scores: NDArray[np.float32], right: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> dict[str, list[float]]:
    """Return the curve as points `raw` -> `probability`, both rising from 0 to 1.

    The scores are put into bins of equal width first, so that the rare high scores keep points of their own.

    Args:
        scores: (n,).
        right: (n,).
        weights: (n,), how much each counts, about 1.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    edges = np.linspace(scores.min(), 1, BINS + 1)
    place = np.clip(np.digitize(scores, edges) - 1, 0, BINS - 1)
    used = np.bincount(place, minlength=BINS) >= 5
    counts = np.bincount(place, weights, BINS)[used]
    raw = np.bincount(place, scores * weights, BINS)[used] / counts
    # One imagined hit and miss a bin: nobody should read "surely right" out of five boxes.
    share = (np.bincount(place, right * weights, BINS)[used] + 1) / (counts + 2)
    rising = isotonic(share, counts)
    points = [0.0, *raw.round(4).tolist(), 1.0]
    return {"raw": points, "probability": [0.0, *rising.round(4).tolist(), 1.0]}
