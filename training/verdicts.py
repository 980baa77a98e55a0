"""What becomes of a tile's labels when somebody has looked at each: `tile_verdicts.json`, applied by `relabel`.

A detector labelled the tiles, several views of each panorama, and its boxes were merged on the sphere. Many of the
larger ones are loose, doubled, shifted between views, or on chairs, statues and posters; and what it was unsure of is
often a person plain to see. Learnt from as they are, such labels teach a network to hide furniture and to pass over
people close to the camera.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from training.anchors import iou_matrix
from training.pictures import CLASSES

VERDICTS = Path(__file__).with_name("tile_verdicts.json")

SAME = 0.6
"""Boxes of one group that overlap so much mean the same object."""

SETTLED = 0.4
"""A doubt that overlaps an object so much is no doubt any more."""


def read_verdicts(file: Path = VERDICTS) -> dict[str, dict[str, Any]]:
    """Return the verdicts by tile: a dict with any of these keys.

    - `wrong`, `unsure`: numbers of labels that are on nothing, and of those that fit badly or cannot be told.
    - a class's name, `nothing`: numbers of ignored boxes that show such an object, or none of any class.
    - `drawn`: [x0, y0, x1, y1, class] of objects that nobody had labelled; `doubt`: [x0, y0, x1, y1] to ignore.
    """
    tiles: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["tiles"]
    return tiles


def check_labels(labels: bytes, file: Path = VERDICTS) -> None:
    """Make sure that the verdicts are on these labels, for they name them by number.

    Raises:
        ValueError: they are on others.
    """
    meant = json.loads(file.read_text(encoding="utf-8"))["labels_sha256"]
    if hashlib.sha256(labels).hexdigest() != meant:
        raise ValueError(f"{file.name} is about a labels.jsonl with the SHA-256 {meant}, not about this one")


def apply(line: dict[str, Any], verdict: dict[str, Any]) -> dict[str, Any]:
    """Return a line of the label file as the verdict on its tile wants it."""
    not_learnt = {*verdict.get("wrong", []), *verdict.get("unsure", [])}
    boxes = list(verdict.get("drawn", []))
    boxes += [box for number, box in enumerate(line["boxes"]) if number not in not_learnt]
    settled = set(verdict.get("nothing", []))
    for label, name in enumerate(CLASSES):
        for number in verdict.get(name, []):
            boxes.append([*line["ignore"][number][:4], label])
            settled.add(number)
    doubts = [line["boxes"][number][:4] for number in verdict.get("unsure", [])]
    doubts += [box[:4] for number, box in enumerate(line["ignore"]) if number not in settled]
    doubts += verdict.get("doubt", [])
    boxes = _once(boxes)
    return {**line, "boxes": boxes, "ignore": _open(doubts, boxes)}


def _once(boxes: list[list[float]]) -> list[list[float]]:
    """Return the boxes without those that repeat an earlier one of their group, people or vehicles."""
    kept: list[list[float]] = []
    for box in boxes:
        same = [other[:4] for other in kept if (other[4] > 0) == (box[4] > 0)]
        if _overlap([box], same) < SAME:
            kept.append(box)
    return kept


def _open(doubts: list[list[float]], boxes: list[list[float]]) -> list[list[float]]:
    """Return the doubts that no object settles."""
    return [doubt for doubt in doubts if _overlap([doubt], boxes) < SETTLED]


def _overlap(some: list[list[float]], others: list[list[float]]) -> float:
    """Return the highest intersection over union."""
    first, second = (np.array([box[:4] for box in boxes], np.float32).reshape(-1, 4) for boxes in (some, others))
    return float(iou_matrix(first, second).max(initial=0))
