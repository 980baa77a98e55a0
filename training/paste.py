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

NEAR, NEAR_HEIGHTS = 0.15, (240, 720)
"""Share of the people who stand close to the camera, and their heights: most of them are cut by the tile's edge."""

NEAR_SOURCE = 90
"""Least height in their own picture: of smaller ones nothing but blur would be left."""

MOST_ENLARGED, MOST_ENLARGED_NEAR = 1.2, 4.0


@dataclass(frozen=True)
class Piece:
    """One whole object of one picture."""

    picture: Picture
    box: NDArray[np.float32]
    label: int

    @property
    def height(self) -> float:
        """Pixels of its picture."""
        return float(self.box[3] - self.box[1])


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
    """Return the tile with up to `count` pieces pasted into it, most at the middle height, some close, some decoys."""
    pixels, boxes, classes = sample.pixels.copy(), sample.boxes, sample.classes
    for _ in range(count):
        pieces = people if rng.random() < 0.7 else vehicles
        piece = pieces[rng.integers(len(pieces))]
        near = piece.label == 0 and piece.height >= NEAR_SOURCE and rng.random() < NEAR
        decoy = rng.random() < 0.3
        source = piece.picture.pixels()
        cut = _background(rng, piece, source.shape) if decoy else piece.box
        if cut is None:
            continue
        patch, margin = _patch(rng, source, cut, piece.label, near)
        height, width = pixels.shape[:2]
        corner = (_near_corner if near else _corner)(rng, patch, (height, width))
        if corner is None:
            continue
        (x, y), (rows, columns) = corner, patch.shape[:2]
        whole = np.array([[x, y, x + columns, y + rows]], np.float32)
        limit = np.array([width, height, width, height], np.float32)
        place = np.clip(whole, 0, limit)
        others = np.concatenate([boxes, sample.ignore])
        if len(others) and (shared_areas(place, others) > 0.05 * np.minimum(areas(place)[0], areas(others))).any():
            continue
        _blend(pixels, patch, margin, (x, y))
        if not decoy:
            inner = whole + np.array([margin[0], margin[1], -margin[0], -margin[1]], np.float32)
            boxes = np.concatenate([boxes, np.clip(inner, 0, limit)])
            classes = np.append(classes, piece.label)
    return Sample(pixels, boxes, classes, sample.ignore)


def _corner(rng: np.random.Generator, patch: NDArray[np.uint8], size: tuple[int, int]) -> tuple[int, int] | None:
    """Return where a whole piece goes (x, y), around the middle height, or None if it is too large."""
    (rows, columns), (height, width) = patch.shape[:2], size
    if rows >= height or columns >= width:
        return None
    y = int(np.clip(rng.normal(0.55, 0.15) * height - rows / 2, 0, height - rows - 1))
    return int(rng.integers(0, width - columns)), y


def _near_corner(rng: np.random.Generator, patch: NDArray[np.uint8], size: tuple[int, int]) -> tuple[int, int]:
    """Return where somebody close goes (x, y): head or shoulders in the tile, half of the width at least."""
    (_, columns), (height, width) = patch.shape[:2], size
    x = int(rng.integers(-columns // 2, max(width - columns // 2, 1)))
    return x, int(rng.uniform(-0.1, 0.6) * height)


def _background(rng: np.random.Generator, piece: Piece, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """Return a box of the piece's size; no object lies in it or its margin. None if there is no room."""
    size = piece.box[2:] - piece.box[:2]
    margin = size * MARGIN + 1
    room = np.array([shape[1], shape[0]]) - size
    others = np.concatenate([piece.picture.boxes, piece.picture.ignore])
    for _ in range(8):
        corner = rng.uniform(0, np.maximum(room, 1))
        box = np.concatenate([corner, corner + size]).astype(np.float32)
        seen = np.concatenate([box[:2] - margin, box[2:] + margin])[None]
        if shared_areas(seen, others).max(initial=0) == 0:
            return box
    return None


def _patch(
    rng: np.random.Generator, source: NDArray[np.uint8], box: NDArray[np.float32], label: int, near: bool
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Return the piece with its margin at a random size, perhaps mirrored, and the margin in pixels (x, y)."""
    width, height = box[2:] - box[:2]
    own, (low, high) = (height, PERSON_HEIGHTS) if label == 0 else (width, VEHICLE_WIDTHS)
    if near:
        low, high = NEAR_HEIGHTS
    most = MOST_ENLARGED_NEAR if near else MOST_ENLARGED
    scale = min(float(np.exp(rng.uniform(np.log(low), np.log(high)))) / own, most)
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


def _blend(
    pixels: NDArray[np.uint8], patch: NDArray[np.uint8], margin: tuple[float, float], corner: tuple[int, int]
) -> None:
    """Write what of the patch lies in the picture, half way to its brightness, fading out over the margin."""
    rows, columns = patch.shape[:2]
    y = np.minimum(np.arange(rows) + 0.5, rows - np.arange(rows) - 0.5) / max(margin[1], 1)
    x = np.minimum(np.arange(columns) + 0.5, columns - np.arange(columns) - 0.5) / max(margin[0], 1)
    alpha = (np.clip(y, 0, 1)[:, None] * np.clip(x, 0, 1)[None])[..., None]
    left, top = max(corner[0], 0), max(corner[1], 0)
    target = pixels[top : max(corner[1] + rows, 0), left : max(corner[0] + columns, 0)]
    part = np.s_[top - corner[1] :, left - corner[0] :]
    patch, alpha = (whole[part][: target.shape[0], : target.shape[1]] for whole in (patch, alpha))
    gain = float(np.clip(((target.mean() + 16) / (patch.mean() + 16)) ** 0.5, 0.6, 1.5))
    target[:] = np.clip(patch * gain * alpha + target * (1 - alpha), 0, 255).astype(np.uint8)
