"""Does a score mean what it says? Of the boxes with a calibrated score of s, a share of about s should be right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.judging import PEOPLE, VEHICLES, KnownObject, Share
from benchmarks.searching import Search
from pii_blur.labels import Label
from pii_blur.sphere.views import PerspectiveView

# As in the fitting of the cards: a box is right if it shares half of the union with an object of its group.
RIGHT_IOU = 0.5
BINS = np.linspace(0.0, 1.0, 11)


def verdicts(search: Search, objects: Sequence[KnownObject]) -> NDArray[np.int8]:
    """Return for every box 1 (right), 0 (wrong) or -1 (on something flagged: neither).

    An object's box in a view is the upright rectangle round it, cut at the edge, as a labelled flat picture would have
    it.
    """
    result = np.zeros(len(search.raw), np.int8)
    is_vehicle = search.labels != Label.PERSON
    for number, view in enumerate(search.views):
        here = np.flatnonzero(search.view == number)
        for entry in objects:
            rectangle = _in_view(entry, view)
            if rectangle is None or not len(here):
                continue
            matches = here[_iou(search.boxes[here], rectangle) >= RIGHT_IOU]
            if entry.counts:
                group = PEOPLE if entry.kind in PEOPLE else VEHICLES
                result[matches[is_vehicle[matches] == (group == VEHICLES)]] = 1
            else:
                result[matches[result[matches] == 0]] = -1
    return result


def reliability(scores: NDArray[np.float32], right: NDArray[np.int8]) -> list[tuple[float, Share]]:
    """Return (mean score, share that was right) of the boxes in each bin of the score that has any."""
    counted = right >= 0
    bins = np.digitize(scores, BINS[1:-1])
    rows = []
    for number in range(len(BINS) - 1):
        mine = counted & (bins == number)
        if mine.any():
            rows.append((float(scores[mine].mean()), Share(int((right[mine] == 1).sum()), int(mine.sum()))))
    return rows


def _in_view(entry: KnownObject, view: PerspectiveView) -> NDArray[np.float64] | None:
    """Return x0 y0 x1 y1 of what a view shows of an object, or None."""
    local = np.concatenate([entry.corners(), entry.samples()]) @ view.rotation
    local = local[local[:, 2] > 0.05]
    if not len(local):
        return None
    points = local[:, :2] / local[:, 2:] * view.focal_px + view.size / 2.0
    x0, y0 = np.clip(points.min(axis=0), 0, view.size)
    x1, y1 = np.clip(points.max(axis=0), 0, view.size)
    return np.array([x0, y0, x1, y1]) if x1 > x0 and y1 > y0 else None


def _iou(boxes: NDArray[np.float32], one: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shared part of the union of each of (n, 4) boxes with one box."""
    size = np.minimum(boxes[:, 2:], one[2:]) - np.maximum(boxes[:, :2], one[:2])
    shared = np.clip(size, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (one[2:] - one[:2]).prod()
    result: NDArray[np.float64] = shared / (areas - shared)
    return result
