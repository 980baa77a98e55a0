"""Which anchor learns which object: adaptive training sample selection (ATSS, Zhang et al., CVPR 2020). numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.anchors import ANCHOR_STRIDES, anchor_grid, areas, iou_matrix

BACKGROUND = -1
LEFT_OUT = -2
CANDIDATES = 9
"""Anchors nearest to an object's centre, on each level, that may learn it."""

IGNORE_REACH = 2.0
"""An anchor is left out inside an ignored box only if it is at most this many times as long as that box."""


@dataclass(frozen=True)
class Anchors:
    """All anchors of a crop of one size."""

    centres: NDArray[np.float32]
    strides: NDArray[np.float32]
    levels: NDArray[np.int64]

    @classmethod
    def of(cls, height: int, width: int) -> Anchors:
        """Return the anchors of a crop of this size in pixels."""
        return cls(*anchor_grid(height, width))

    @property
    def boxes(self) -> NDArray[np.float32]:
        """float32 (n, 4), x0 y0 x1 y1."""
        half = (self.strides * (ANCHOR_STRIDES / 2))[:, None]
        return np.concatenate([self.centres - half, self.centres + half], axis=1)


def assign(anchors: Anchors, boxes: NDArray[np.float32], ignore: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each anchor the index of the box it learns, `BACKGROUND` or `LEFT_OUT`.

    An object takes those of its candidates whose overlap reaches the mean plus the standard deviation of all its
    candidates, and whose centre lies inside it; one too small to hold a centre takes the nearest anchor of the finest
    level. An anchor wanted by several objects goes to the one it overlaps most.

    Args:
        anchors: of the crop.
        boxes: float32 (m, 4) objects, pixels of the crop.
        ignore: float32 (k, 4) where nothing is known.
    """
    assigned = np.full(len(anchors.centres), BACKGROUND, np.int64)
    assigned[_unknown(anchors, ignore)] = LEFT_OUT
    if not len(boxes):
        return assigned
    overlap = iou_matrix(boxes, anchors.boxes)
    claim = np.where(_learners(anchors, boxes, overlap), overlap, -1)
    # Of two objects with the same claim the smaller wins: the larger has other anchors.
    order = np.argsort(areas(boxes), kind="stable")
    best = order[np.argmax(claim[order], axis=0)]
    taken = (claim >= 0).any(axis=0)
    assigned[taken] = best[taken]
    return assigned


def _learners(anchors: Anchors, boxes: NDArray[np.float32], overlap: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which anchors may learn each object, (m, anchors)."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance = np.square(anchors.centres[None] - middles[:, None]).sum(axis=2)
    candidates = []
    for level in range(int(anchors.levels[-1]) + 1):
        of_level = np.flatnonzero(anchors.levels == level)
        nearest = np.argsort(distance[:, of_level], axis=1, kind="stable")[:, :CANDIDATES]
        candidates.append(of_level[nearest])
    chosen = np.concatenate(candidates, axis=1)
    overlaps = np.take_along_axis(overlap, chosen, axis=1)
    threshold = overlaps.mean(axis=1) + overlaps.std(axis=1)
    centres = anchors.centres[chosen]
    inside = ((centres > boxes[:, None, :2]) & (centres < boxes[:, None, 2:])).all(axis=2)
    learns = inside & (overlaps >= threshold[:, None])
    wanted = np.zeros(overlap.shape, bool)
    np.put_along_axis(wanted, chosen, learns, axis=1)
    without = np.flatnonzero(~learns.any(axis=1))
    wanted[without, candidates[0][without, 0]] = True
    return wanted


def _unknown(anchors: Anchors, ignore: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which anchors stand for something that an ignored box may hold."""
    if not len(ignore):
        return np.zeros(len(anchors.centres), bool)
    inside = (anchors.centres[:, None] >= ignore[None, :, :2]).all(axis=2)
    inside &= (anchors.centres[:, None] <= ignore[None, :, 2:]).all(axis=2)
    longest = (ignore[:, 2:] - ignore[:, :2]).max(axis=1)
    # A speck that nobody could name says nothing about whether the large anchor over it holds a bus.
    small_enough = anchors.strides[:, None] * ANCHOR_STRIDES <= IGNORE_REACH * np.maximum(longest, 32)[None]
    return (inside & small_enough).any(axis=1)
