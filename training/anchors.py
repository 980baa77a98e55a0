"""Anchors and boxes of the network, in pixels of the crop: one square anchor in every cell of five levels.

numpy only, so that assignment and tests need no torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32, 64, 128)
"""Pixels between two cells of P3 to P7."""

ANCHOR_STRIDES = 8
"""Side of an anchor in strides."""


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return rows and columns of each level for a crop of this size in pixels (multiples of 32)."""
    return [(-(-height // stride), -(-width // stride)) for stride in STRIDES]


def anchor_grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Return centres (n, 2) as x, y, strides (n,) and level numbers (n,) of all anchors, level by level, row by row."""
    centres, strides, levels = [], [], []
    for level, (stride, (rows, columns)) in enumerate(zip(STRIDES, level_sizes(height, width), strict=True)):
        y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
        centres.append((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride)
        strides.append(np.full(rows * columns, stride, np.float32))
        levels.append(np.full(rows * columns, level, np.int64))
    return np.concatenate(centres), np.concatenate(strides), np.concatenate(levels)


def areas(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the areas of (n, 4) boxes; a box turned inside out has none."""
    return np.prod(np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0), axis=1)


def iou_matrix(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the overlap over the union, (n, m), of boxes `a` (n, 4) with boxes `b` (m, 4)."""
    shared = shared_areas(a, b)
    union = areas(a)[:, None] + areas(b)[None] - shared
    return shared / np.maximum(union, 1e-9)


def shared_areas(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the shared areas, (n, m), of boxes `a` (n, 4) with boxes `b` (m, 4)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=2)
