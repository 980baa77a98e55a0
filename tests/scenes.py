"""Synthetic panoramas with things of one colour painted at known places, and a detector that finds that colour.

They make views, seam, poles, hiding and writing testable from end to end without a neural network.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.detect.detections import Detections
from pii_blur.labels import Label
from pii_blur.sphere.extent import Extent
from pii_blur.sphere.quad import SphereQuad

# A colour that the background never has, in two shades that alternate so that the thing has detail to lose.
PERSON_COLOURS = ((250, 0, 250), (160, 0, 160))


def background(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return uint8 (height, width, 3): green-grey noise, so that every change shows."""
    noise = np.random.default_rng(seed).integers(60, 200, (height, width, 1), dtype=np.uint8)
    return np.concatenate([noise // 2, noise, noise // 2], axis=-1)


def grid_directions(extent: Extent) -> NDArray[np.float64]:
    """Return the directions (height, width, 3) of all pixel centres."""
    u, v = np.meshgrid(np.arange(extent.width) + 0.5, np.arange(extent.height) + 0.5)
    return extent.to_directions(np.stack([u, v], axis=-1))


def draw_people(pixels: NDArray[np.uint8], extent: Extent, quads: list[SphereQuad]) -> NDArray[np.uint8]:
    """Return a copy with every quadrilateral filled by a checkerboard in the person's two colours."""
    drawn = pixels.copy()
    directions = grid_directions(extent)
    for quad in quads:
        inside = quad.contains(directions)
        local = directions[inside] @ quad.axes()
        cells = np.floor(local[:, :2] / local[:, 2:] * 60).astype(int).sum(axis=1) % 2
        drawn[inside] = np.array(PERSON_COLOURS, dtype=np.uint8)[cells]
    return drawn


class ColourDetector:
    """Finds everything that has the person's colour: one box for each connected patch."""

    size = 320
    name = "colour detector 1"
    sha256 = "0" * 64
    score = 0.9

    def detect(self, crop: NDArray[np.uint8], thresholds: Mapping[Label, float]) -> Detections:
        """Return the boxes round all patches whose red and blue are well above their green."""
        values = crop.astype(int)
        found = (values[..., 0] - values[..., 1] > 60) & (values[..., 2] - values[..., 1] > 60)
        if Label.PERSON not in thresholds or not found.any():
            return Detections.none()
        patches = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=8)[2][1:]
        boxes = np.stack(
            [patches[:, 0], patches[:, 1], patches[:, 0] + patches[:, 2], patches[:, 1] + patches[:, 3]], 1
        )
        count = len(boxes)
        return Detections(boxes.astype(np.float32), np.full(count, self.score, np.float32), np.zeros(count, np.int16))

    def rest(self) -> None:
        """There is no memory to give back."""


def person_colour_left(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return (height, width): where a pixel still has one of the exact colours of a person."""
    return np.any([(pixels == np.array(colour)).all(axis=-1) for colour in PERSON_COLOURS], axis=0)
