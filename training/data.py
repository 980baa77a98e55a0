"""Batches for training: batch `step` is the same in every run with the same seed, so a run can stop and go on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.assign import Anchors, assign
from training.augment import Sample, random_crop, spoil
from training.paste import find_pieces, paste
from training.pictures import TILES, Picture

WEIGHTS = {
    TILES: 3.0,
    "coco128": 2.0,
    "highway": 1.0,
    "vehicles_openimages": 1.0,
    "vehicle_utebm": 0.5,
    "hyzity_trucks": 0.4,
    "atl": 0.5,
    "cars_abcd": 0.3,
}
"""How often a picture of each set is drawn, against one of `highway`."""

KINDS = ((16, 320), (4, 640), (16, 320), (16, 320), (4, 640))
"""Crops and their side, in turn; all cost the same. The large ones teach P6 and P7 what is not an object."""

PASTED = 0.3
"""Share of the tiles that get pieces of other pictures."""

COLLAGES = 0.4
"""Share of the large crops that are put together from four small ones."""


@dataclass(frozen=True)
class Batch:
    """Crops with what their anchors shall learn."""

    images: Tensor
    """uint8 (n, side, side, 3)."""
    assigned: Tensor
    """int64 (n, anchors), see `assign`; object numbers count through the whole batch."""
    boxes: Tensor
    classes: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        parts = (self.images, self.assigned, self.boxes, self.classes)
        return Batch(*[part.to(device, non_blocking=True) for part in parts])


class Batches(Dataset[Batch]):
    """Batch number -> batch."""

    def __init__(self, pictures: list[Picture], seed: int, times: float = 1, rank: int = 0) -> None:
        """Draw from `pictures`; a batch is `times` as large as `KINDS` says; each rank of a run gets its own."""
        self._pictures = pictures
        self._seed = (seed, rank)
        self._times = times
        weights = np.array([WEIGHTS[picture.origin] for picture in pictures])
        self._shares = np.cumsum(weights / weights.sum())
        self._people, self._vehicles = find_pieces(pictures)
        self._anchors = {side: Anchors.of(side, side) for _, side in KINDS}

    def __getitem__(self, step: int) -> Batch:
        """Return batch number `step`."""
        rng = np.random.default_rng([*self._seed, step])
        count, side = KINDS[step % len(KINDS)]
        images, assigned, boxes, classes, before = [], [], [], [], 0
        for _ in range(round(count * self._times)):
            collage = side > 416 and rng.random() < COLLAGES
            sample = self._collage(rng, side) if collage else self._crop(rng, side, side)
            learns = assign(self._anchors[side], sample.boxes, sample.ignore)
            images.append(spoil(rng, sample.pixels))
            assigned.append(np.where(learns >= 0, learns + before, learns))
            boxes.append(sample.boxes)
            classes.append(sample.classes)
            before += len(sample.boxes)
        return Batch(
            torch.from_numpy(np.stack(images)),
            torch.from_numpy(np.stack(assigned)),
            torch.from_numpy(np.concatenate(boxes)),
            torch.from_numpy(np.concatenate(classes)),
        )

    def _crop(self, rng: np.random.Generator, height: int, width: int) -> Sample:
        """Return a crop of a random picture."""
        picture = self._pictures[int(np.searchsorted(self._shares, rng.random()))]
        sample = Sample(picture.pixels(), picture.boxes, picture.classes, picture.ignore)
        if picture.origin == TILES and rng.random() < PASTED:
            sample = paste(rng, sample, self._people, self._vehicles, int(rng.integers(1, 4)))
        return random_crop(rng, sample, height, width)

    def _collage(self, rng: np.random.Generator, side: int) -> Sample:
        """Return four crops side by side."""
        x, y = (round(side * rng.uniform(0.35, 0.65)) for _ in range(2))
        pixels = np.empty((side, side, 3), np.uint8)
        boxes, classes, ignore = [], [], []
        for left, top, right, bottom in ((0, 0, x, y), (x, 0, side, y), (0, y, x, side), (x, y, side, side)):
            part = self._crop(rng, bottom - top, right - left)
            pixels[top:bottom, left:right] = part.pixels
            shift = np.array([left, top, left, top], np.float32)
            boxes.append(part.boxes + shift)
            classes.append(part.classes)
            ignore.append(part.ignore + shift)
        return Sample(pixels, np.concatenate(boxes), np.concatenate(classes), np.concatenate(ignore))
