"""Random crops of labelled pictures: where to cut, how to bend, how a camera could have spoilt them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

GREY = 127
LEAST_VISIBLE = 0.25
"""Of an object cut by the edge less than this share is too little to name: the rest becomes `ignore`."""

LEAST_SIDE = 7.0
"""Objects whose longer side is shorter, in pixels, become `ignore`."""


@dataclass(frozen=True)
class Sample:
    """Pixels uint8 RGB (height, width, 3), boxes float32 (m, 4), classes int64 (m,), ignored boxes float32 (k, 4)."""

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    ignore: NDArray[np.float32]


TURNED = 0.1
"""Share of the crops that are turned by a right angle: in a view that looks straight down nobody stands upright."""


def quarter_turns(sample: Sample, turns: int) -> Sample:
    """Turn a picture by right angles, anticlockwise; boxes stay exact."""
    for _ in range(turns % 4):
        width = sample.pixels.shape[1]

        def turn(boxes: NDArray[np.float32], width: int = width) -> NDArray[np.float32]:
            return np.stack([boxes[:, 1], width - boxes[:, 2], boxes[:, 3], width - boxes[:, 0]], axis=1)

        pixels = np.ascontiguousarray(np.rot90(sample.pixels))
        sample = Sample(pixels, turn(sample.boxes), sample.classes, turn(sample.ignore))
    return sample


def random_crop(rng: np.random.Generator, sample: Sample, height: int, width: int) -> Sample:
    """Return a crop of this size, scaled, turned, perhaps mirrored; one in three zooms on one object."""
    if rng.random() < TURNED:
        sample = quarter_turns(sample, int(rng.integers(1, 4)))
    rows, columns = sample.pixels.shape[:2]
    side = max(height, width)
    # A view of the product shows about as much as a whole picture: a large crop is mostly the picture enlarged.
    scale = float(np.exp(rng.uniform(np.log(0.6), np.log(2.0)))) * (side / 416 if side > 416 else 1.0)
    focus = np.array([_coordinate(rng, columns, width / scale), _coordinate(rng, rows, height / scale)])
    if len(sample.boxes) and rng.random() < 1 / 3:
        box = sample.boxes[rng.integers(len(sample.boxes))]
        longest = max(float((box[2:] - box[:2]).max()), 1.0)
        scale = float(np.exp(rng.uniform(np.log(16), np.log(side)))) / longest
        scale = float(np.clip(scale, max(0.4, 0.6 * side / max(rows, columns)), 3.5))
        focus = (box[:2] + box[2:]) / 2 + rng.uniform(-0.4, 0.4, 2) * np.array([width, height]) / scale
    aspect = float(np.exp(rng.uniform(-0.14, 0.14)) ** 0.5)
    mirrored = -1.0 if rng.random() < 0.5 else 1.0
    angle = np.deg2rad(rng.uniform(-3, 3))
    return _warp(sample, focus, (scale * aspect, scale / aspect), mirrored, angle, (height, width))


def _coordinate(rng: np.random.Generator, length: int, seen: float) -> float:
    """Return where to look along one side: inside the picture, with little beyond its edge."""
    low, high = sorted((seen / 2, length - seen / 2))
    return float(rng.uniform(low, high))


def _warp(
    sample: Sample,
    focus: NDArray[np.float64],
    scale: tuple[float, float],
    mirrored: float,
    angle: float,
    size: tuple[int, int],
) -> Sample:
    """Cut a crop centred on `focus`; boxes are scaled and moved but not turned, so that they stay tight."""
    height, width = size
    pixels, shrunk = sample.pixels, 1.0
    if min(scale) < 0.6:  # the warp samples four pixels only; without this small objects would flicker
        pixels, shrunk = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 0.5
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag([scale[0] * mirrored, scale[1]])
    middle = np.array([width, height]) / 2
    # In OpenCV the centre of the first pixel is 0, in boxes it is 0.5.
    offset = middle - matrix @ focus + matrix @ np.full(2, 0.5 / shrunk) - 0.5
    affine = np.concatenate([matrix / shrunk, offset[:, None]], axis=1)
    warped = cv2.warpAffine(pixels, affine, (width, height), flags=cv2.INTER_LINEAR, borderValue=(GREY,) * 3)

    def move(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        centres = ((boxes[:, :2] + boxes[:, 2:]) / 2 - focus) @ matrix.T + middle
        halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * np.array(scale)
        return np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)

    return clip(Sample(np.asarray(warped, np.uint8), move(sample.boxes), sample.classes, move(sample.ignore)))


def clip(sample: Sample) -> Sample:
    """Cut the boxes at the picture's edge; what is too small or mostly outside becomes `ignore`."""
    height, width = sample.pixels.shape[:2]
    limit = np.array([width, height, width, height], np.float32)
    boxes, ignore = np.clip(sample.boxes, 0, limit), np.clip(sample.ignore, 0, limit)
    left = _products(boxes)
    visible = left > 0
    clear = visible & (left >= LEAST_VISIBLE * _products(sample.boxes))
    clear &= (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) >= LEAST_SIDE
    ignore = np.concatenate([ignore[_products(ignore) > 0], boxes[visible & ~clear]])
    return Sample(sample.pixels, boxes[clear], sample.classes[clear], ignore)


def _products(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def spoil(rng: np.random.Generator, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Change light and colour; now and then blur, enlarge, add noise, pack as a poor JPEG."""
    gain, offset = np.exp(rng.uniform(-0.4, 0.35)), rng.uniform(-25, 25)
    gamma = np.exp(rng.uniform(-0.25, 0.25))
    cast = np.exp(rng.uniform(-0.1, 0.1, 3))
    ramp = np.linspace(0, 1, 256)[:, None] ** gamma * 255
    table = np.clip((ramp - GREY) * gain * cast + GREY * cast + offset, 0, 255).astype(np.uint8)
    out = np.asarray(cv2.LUT(pixels, table[:, None, :]), np.uint8)
    height, width = out.shape[:2]
    if rng.random() < 0.06:
        out = np.repeat(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.15:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.6)), np.uint8)
    if rng.random() < 0.2:  # a small panorama, enlarged by the view
        less = rng.uniform(1.3, 3.0)
        small = cv2.resize(out, (round(width / less), round(height / less)), interpolation=cv2.INTER_AREA)
        out = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.12:
        noise = rng.standard_normal(out.shape, np.float32) * rng.uniform(2, 10)
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        _, packed = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        out = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return out
