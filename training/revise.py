"""What becomes of a tile's labels when a model and somebody's eyes have looked at them; the arithmetic of `relabel`.

A detector labelled the tiles, several views of each panorama, and its boxes were merged on the sphere. Small boxes came
out well; large ones are often loose, doubled, shifted between views, or on nothing at all. Learnt from as they are,
they teach a network to hide large areas for nothing. A model that learnt from them repeats their mistakes, so on them
somebody's eyes decide (`tile_audit.json`). Needs no torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.anchors import areas, iou_matrix, shared_areas
from training.pictures import panorama_of

LEAST_SCORE, NMS_IOU = 0.15, 0.6

SMALL, LARGE = 60.0, 150.0
"""Longer sides in pixels: labels under `SMALL` need no second opinion, those over `LARGE` count
only where the audit trusts them."""

AUDIT = Path(__file__).with_name("tile_audit.json")


@dataclass(frozen=True)
class Found:
    """What the model found in one picture, in its pixels: boxes (n, 4), scores (n,), vehicle or person (n,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    vehicle: NDArray[np.bool_]


def found_from_rows(rows: NDArray[np.float32]) -> Found:
    """Return boxes and scores from rows of x0 y0 x1 y1 and the scores of all classes, repeats dropped."""
    scores = rows[:, 4:].max(axis=1)
    rectangles = np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2]], axis=1)
    kept = np.array(cv2.dnn.NMSBoxes(rectangles.tolist(), scores.tolist(), LEAST_SCORE, NMS_IOU), int).ravel()
    return Found(rows[kept, :4], scores[kept], rows[kept, 4:].argmax(axis=1) > 0)


@dataclass(frozen=True)
class Audit:
    """What eyes said about the large labels: panorama -> `person` or `vehicle`."""

    trusted: dict[str, str]
    nothing: dict[str, str]

    @classmethod
    def read(cls) -> Audit:
        """Read the file beside this one."""
        stored = json.loads(AUDIT.read_text(encoding="utf-8"))
        return cls(stored["trusted"], stored["nothing"])

    def says(self, verdicts: dict[str, str], file: str, vehicle: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which labels of one tile a list of verdicts is about."""
        group = verdicts.get(panorama_of(file))
        return np.full(len(vehicle), group is not None) & (vehicle == (group == "vehicle"))


def revise(line: dict[str, Any], found: Found, audit: Audit) -> dict[str, Any]:
    """Return a line of the label file with the labels of one tile revised."""
    labels = np.array(line["boxes"], np.float32).reshape(-1, 5)
    ignore = np.array([box[:4] for box in line["ignore"]], np.float32).reshape(-1, 4)
    boxes, vehicle = labels[:, :4], labels[:, 4] > 0
    longest = _longest(boxes)
    same = vehicle[:, None] == found.vehicle[None]
    overlap = np.where(same, iou_matrix(boxes, found.boxes), 0)
    support = np.where(overlap >= 0.5, found.scores[None], 0).max(axis=1, initial=0)
    large = longest >= LARGE
    nothing = large & audit.says(audit.nothing, line["file"], vehicle)
    keep = (longest < SMALL) | (~large & (support >= 0.3))
    keep |= large & (support >= 0.5) & audit.says(audit.trusted, line["file"], vehicle)
    keep &= ~_doubled(boxes, vehicle, support)
    # A large doubt that the model does not share is background.
    doubt = iou_matrix(ignore, found.boxes)
    shared = np.where(doubt >= 0.4, found.scores[None], 0).max(axis=1, initial=0)
    told_nothing = panorama_of(line["file"]) in audit.nothing
    ignore = ignore[(_longest(ignore) < LARGE) | ((shared >= 0.3) & (not told_nothing))]
    missed = (found.scores >= 0.6) & (_longest(found.boxes) < LARGE)
    missed &= iou_matrix(found.boxes, boxes).max(axis=1, initial=0) < 0.3
    unsure = np.concatenate([ignore, boxes[~keep & ~nothing], found.boxes[missed]]).astype(float).round(1)
    sure = [[*map(float, box.round(1)), int(label)] for box, label in zip(boxes[keep], labels[keep, 4], strict=True)]
    return {**line, "boxes": sure, "ignore": unsure.tolist()}


def _doubled(boxes: NDArray[np.float32], vehicle: NDArray[np.bool_], support: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which labels overlap a better supported one so much that both must mean the same object."""
    if not len(boxes):
        return np.zeros(0, bool)
    covered = shared_areas(boxes, boxes) / np.maximum(areas(boxes), 1)[:, None]
    repeats = (iou_matrix(boxes, boxes) > 0.45) | (covered > 0.8)
    better = (support[None] > support[:, None]) & (vehicle[:, None] == vehicle[None])
    return (repeats & better).any(axis=1)


def _longest(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
