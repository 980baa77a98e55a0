"""How good detections are: average precision at an overlap of half, and what hiding them would hide. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.anchors import areas, iou_matrix, shared_areas

HIT = 0.5
"""Least overlap over union of a right detection."""

GROWN = 1.15
"""What is hidden is this much longer and wider than the box that was found."""

HIDDEN = 0.9
"""Least share of an object's box that must be covered."""

MASK_STEP = 4
"""Pixels of the picture per pixel of the masks that areas are counted on."""


@dataclass(frozen=True)
class Truth:
    """What is in one picture, in the pixels that the model saw: boxes (m, 4), classes (m,), ignored boxes (k, 4)."""

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    ignore: NDArray[np.float32]
    height: int
    width: int


@dataclass(frozen=True)
class Detected:
    """What was found in one picture: boxes (n, 4), scores (n,), classes (n,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class Hits:
    """Scores of detections with whether each is right, and how many objects there were to find."""

    scores: NDArray[np.float32]
    right: NDArray[np.bool_]
    objects: int


def match(truth: Truth, detected: Detected, least: float = 0, most: float = np.inf) -> Hits:
    """Pair detections with objects, best score first; all of one class or group.

    Detections of nothing count as wrong unless they lie mostly in an ignored box or (with a size range) outside it.

    Args:
        truth: objects of the class.
        detected: detections of the class.
        least, most: heights of the objects that count, in pixels; others are ignored.
    """
    heights = truth.boxes[:, 3] - truth.boxes[:, 1]
    counts = (heights >= least) & (heights < most)
    order = np.argsort(-detected.scores, kind="stable")
    boxes, scores = detected.boxes[order], detected.scores[order]
    overlaps = iou_matrix(boxes, truth.boxes)
    free = np.ones(len(truth.boxes), bool)
    right, told = np.zeros(len(boxes), bool), np.ones(len(boxes), bool)
    own_heights = boxes[:, 3] - boxes[:, 1]
    for index, row in enumerate(overlaps):
        candidates = np.flatnonzero((row >= HIT) & free)
        if len(candidates):
            # An object that counts is preferred to one that does not.
            best = max(candidates, key=lambda one: (counts[one], row[one]))
            free[best] = False
            right[index] = told[index] = counts[best]
        else:
            told[index] = least <= own_heights[index] < most
    inside = shared_areas(boxes, truth.ignore) / np.maximum(areas(boxes), 1e-6)[:, None]
    told &= right | (inside.max(axis=1, initial=0) < 0.5)
    return Hits(scores[told], right[told], int(counts.sum()))


def touch(truth: Truth, detected: Detected) -> Hits:
    """Tell of each detection whether it lies on an object, however many others do; all of one class or group.

    What is hidden twice is hidden rightly twice: this is what a score promises, where `match` counts for precision.
    Detections of nothing that lie mostly in an ignored box are left out.
    """
    right = iou_matrix(detected.boxes, truth.boxes).max(axis=1, initial=0) >= HIT
    inside = shared_areas(detected.boxes, truth.ignore) / np.maximum(areas(detected.boxes), 1e-6)[:, None]
    told = right | (inside.max(axis=1, initial=0) < 0.5)
    return Hits(detected.scores[told], right[told], len(truth.boxes))


def join(parts: list[Hits]) -> Hits:
    """Return the hits of many pictures as one."""
    return Hits(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.right for part in parts]),
        sum(part.objects for part in parts),
    )


def average_precision(hits: Hits) -> float:
    """Return the area under the curve of precision over recall, each precision the best at this recall or more."""
    if not hits.objects:
        return float("nan")
    order = np.argsort(-hits.scores, kind="stable")
    right = np.cumsum(hits.right[order])
    precision = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * hits.right[order]).sum() / hits.objects)


def recall_at(hits: Hits, score: float) -> float:
    """Return the share of objects found with at least this score."""
    return float((hits.right & (hits.scores >= score)).sum() / hits.objects) if hits.objects else float("nan")


def cover(truth: Truth, detected: Detected, thresholds: list[float]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which objects are hidden at each threshold (t, m), and which share of the picture is so in vain (t,)."""
    shape = (-(-truth.height // MASK_STEP), -(-truth.width // MASK_STEP))
    known = _mask(np.concatenate([truth.boxes, truth.ignore]), shape, 1.5)
    hidden = np.zeros((len(thresholds), len(truth.boxes)), bool)
    vain = np.zeros(len(thresholds))
    for row, threshold in enumerate(thresholds):
        mask = _mask(detected.boxes[detected.scores >= threshold], shape, GROWN)
        vain[row] = (mask & ~known).mean()
        for column, box in enumerate(truth.boxes):
            x0, y0, x1, y1 = _cells(box, shape)
            hidden[row, column] = mask[y0:y1, x0:x1].mean() >= HIDDEN
    return hidden, vain


def _mask(boxes: NDArray[np.float32], shape: tuple[int, int], grown: float) -> NDArray[np.bool_]:
    """Return the union of the boxes, grown, on the mask's grid."""
    mask = np.zeros(shape, bool)
    middles, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * grown
    for box in np.concatenate([middles - halves, middles + halves], axis=1):
        x0, y0, x1, y1 = _cells(box, shape)
        mask[y0:y1, x0:x1] = True
    return mask


def _cells(box: NDArray[np.float32], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return first and past-the-last column and row of a box, at least one cell inside the mask."""
    x0, y0 = (int(np.clip(value // MASK_STEP, 0, limit - 1)) for value, limit in zip(box[:2], shape[::-1], strict=True))
    x1, y1 = (int(np.clip(-(-value // MASK_STEP), 0, limit)) for value, limit in zip(box[2:], shape[::-1], strict=True))
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)
