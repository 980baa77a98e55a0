"""The boxes that a RetinaNet starts from, in the order in which its heads answer: level, row, column, shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pii_blur.weights.families import Family

LEVELS = (3, 4, 5, 6, 7)
_SCALES = 2.0 ** (np.arange(3) / 3)
_RATIOS = np.array([0.5, 1.0, 2.0])  # height over width


def make_anchors(family: Family, size: int) -> NDArray[np.float32]:
    """Return float32 (n, 4) boxes x0 y0 x1 y1 in pixels for a square picture of `size` pixels."""
    levels = [
        _one_level(family, size, 2.0 ** (level + 2), grid, 2**level)
        for level, grid in zip(LEVELS, grids(size), strict=True)
    ]
    return np.concatenate(levels).astype(np.float32)


def grids(size: int) -> list[int]:
    """Return how many cells a side of each level has."""
    sides = [size // 8, size // 16, size // 32]
    for _ in range(2):  # P6 and P7 halve by a convolution of stride 2, which rounds up
        sides.append((sides[-1] + 1) // 2)
    return sides


def _one_level(family: Family, size: int, base: float, grid: int, stride: int) -> NDArray[np.float64]:
    if family.is_anchor_centred:
        shapes = _shapes(base * _SCALES)
        cells = (np.arange(grid) + 0.5) * stride
    else:
        # torchvision truncates the sizes, rounds the shapes, and takes for the stride what the sizes of picture and
        # level say: at 800 px that is 61 for P6, not 64 (`AnchorGenerator`, `_default_anchorgen`).
        shapes = np.round(_shapes(np.floor(base * _SCALES)))
        cells = np.arange(grid) * float(size // grid)
    y, x = np.meshgrid(cells, cells, indexing="ij")
    corners = np.stack([x, y, x, y], axis=-1)
    return (corners[:, :, None, :] + shapes).reshape(-1, 4)


def _shapes(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (9, 4) boxes about the origin: for each ratio all sizes, each of the same area."""
    roots = np.sqrt(_RATIOS)[:, None]
    widths, heights = (sizes / roots).ravel(), (sizes * roots).ravel()
    return np.stack([-widths, -heights, widths, heights], axis=1) / 2
