"""Objects from hand-labelled pictures put into tiles of panoramas, and pieces of background put there the same way.

The decoys keep the network from learning that whatever was pasted is an object.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.anchors import areas, iou_matrix, shared_areas
from training.augment import Sample
from training.pictures import Picture

HAND_LABELLED = ("highway", "coco128", "vehicles_openimages")
MARGIN = 0.12
"""Of the box, on every side: some of the object's own surroundings, faded out."""

PERSON_HEIGHTS, VEHICLE_WIDTHS = (14, 240), (20, 300)
"""Pixels of the tile."""


@dataclass(frozen=True)
class Piece:
    """One whole object of one picture."""

    picture: Picture
    box: NDArray[np.float32]
    label: int


def find_pieces(pictures: list[Picture]) -> tuple[list[Piece], list[Piece]]:
    """Return people and vehicles that stand free: not cut by the edge, not small, not overlapping another object."""
    people, vehicles = [], []
    for picture in pictures:
        if picture.origin not in HAND_LABELLED or not len(picture.boxes):
            continue
        edge = np.array([picture.width, picture.height]) - 2
        overlaps = iou_matrix(picture.boxes, picture.boxes)
        np.fill_diagonal(overlaps, 0)
        for box, label, crowd in zip(picture.boxes, picture.classes, overlaps.max(axis=1), strict=True):
            width, height = box[2:] - box[:2]
            free = crowd < 0.05 and box[:2].min() > 2 and (box[2:] < edge).all()
            if label == 0 and free and height >= 40 and 1.5 < height / width < 4:
                people.append(Piece(picture, box, int(label)))
            if label > 0 and free and width >= 48 and 0.4 < height / width < 2.5:
                vehicles.append(Piece(picture, box, int(label)))
    return people, vehicles


def paste(rng: np.random.Generator, sample: Sample, people: list[Piece], vehicles: list[Piece], count: int) -> Sample:
    """Return the tile with up to `count` pieces pasted around its middle height, some of them decoys."""
    pixels, boxes, classes = sample.pixels.copy(), sample.boxes, sample.classes
    for _ in range(count):
        pieces = people if rng.random() < 0.7 else vehicles
        piece = pieces[rng.integers(len(pieces))]
        decoy = rng.random() < 0.3
        source = piece.picture.pixels()
        cut = _background(rng, piece, source.shape) if decoy else piece.box
        if cut is None:
            continue
        patch, margin = _patch(rng, source, cut, piece.label)
        rows, columns = patch.shape[:2]
        height, width = pixels.shape[:2]
        if rows >= height or columns >= width:
            continue
        x = int(rng.integers(0, width - columns))
        y = int(np.clip(rng.normal(0.55, 0.15) * height - rows / 2, 0, height - rows - 1))
        place = np.array([[x, y, x + columns, y + rows]], np.float32)
        others = np.concatenate([boxes, sample.ignore])
        if len(others) and (shared_areas(place, others) > 0.05 * np.minimum(areas(place)[0], areas(others))).any():
            continue
        _blend(pixels[y : y + rows, x : x + columns], patch, margin)
        if not decoy:
            inner = place + np.array([margin[0], margin[1], -margin[0], -margin[1]], np.float32)
            boxes, classes = np.concatenate([boxes, inner]), np.append(classes, piece.label)
    return Sample(pixels, boxes, classes, sample.ignore)


def _background(rng: np.random.Generator, piece: Piece, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """Return a box of the piece's size that touches no object of its picture, or None if there is no room."""
    size = piece.box[2:] - piece.box[:2]
    room = np.array([shape[1], shape[0]]) - size
    others = np.concatenate([piece.picture.boxes, piece.picture.ignore])
    for _ in range(8):
        corner = rng.uniform(0, np.maximum(room, 1))
        box = np.concatenate([corner, corner + size]).astype(np.float32)
        if shared_areas(box[None], others).max(initial=0) == 0:
            return box
    return None


def _patch(
    rng: np.random.Generator, source: NDArray[np.uint8], box: NDArray[np.float32], label: int
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Return the piece with its margin at a random size, perhaps mirrored, and the margin in pixels (x, y)."""
    width, height = box[2:] - box[:2]
    own, (low, high) = (height, PERSON_HEIGHTS) if label == 0 else (width, VEHICLE_WIDTHS)
    scale = min(float(np.exp(rng.uniform(np.log(low), np.log(high)))) / own, 1.2)
    grow = np.array([width, height]) * MARGIN
    limit = np.array([source.shape[1], source.shape[0]])
    start = np.maximum(box[:2] - grow, 0).round().astype(int)
    stop = np.minimum(box[2:] + grow, limit).round().astype(int)
    piece = source[start[1] : stop[1], start[0] : stop[0]]
    size = (max(round(piece.shape[1] * scale), 4), max(round(piece.shape[0] * scale), 4))
    small = cv2.resize(piece, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        small = small[:, ::-1]
    return np.ascontiguousarray(small), (float(grow[0] * scale), float(grow[1] * scale))


def _blend(target: NDArray[np.uint8], patch: NDArray[np.uint8], margin: tuple[float, float]) -> None:
    """Write the patch into the view `target`, half way to its brightness, fading out over the margin."""
    rows, columns = patch.shape[:2]
    y = np.minimum(np.arange(rows) + 0.5, rows - np.arange(rows) - 0.5) / max(margin[1], 1)
    x = np.minimum(np.arange(columns) + 0.5, columns - np.arange(columns) - 0.5) / max(margin[0], 1)
    alpha = (np.clip(y, 0, 1)[:, None] * np.clip(x, 0, 1)[None])[..., None]
    gain = float(np.clip(((target.mean() + 16) / (patch.mean() + 16)) ** 0.5, 0.6, 1.5))
    target[:] = np.clip(patch * gain * alpha + target * (1 - alpha), 0, 255).astype(np.uint8)
