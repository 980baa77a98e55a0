"""Boxes of views lifted onto the sphere. All of them are hidden; merging them only counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pii_blur.detect.detections import Detections
from pii_blur.labels import Label
from pii_blur.sphere.extent import Extent
from pii_blur.sphere.quad import SphereQuad
from pii_blur.sphere.views import View

# Boxes that share more than this of the smaller one are counted as one thing.
SAME_THING = 0.5

# How far past its view a box is believed, in view sizes: what a detector guesses beyond the crop is a guess, but
# cutting the box at the edge would cut a person whose feet lie just outside.
BEYOND_VIEW = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Something to hide.

    Attributes:
        quad: the box itself, not yet grown.
        label: what it holds.
        score: calibrated, 0 to 1.
        view_id: the view in which it was found; empty when it comes from elsewhere.
        origin: ``detector`` or ``reviewer`` (a person drew or edited it).
    """

    quad: SphereQuad
    label: Label
    score: float
    view_id: str = ""
    origin: str = "detector"

    def share(self, extent: Extent) -> float:
        """Return how much of a picture it covers, 0 to 1."""
        return self.quad.solid_angle() / extent.solid_angle


def lift(view: View, detections: Detections) -> list[Region]:
    """Return the boxes of one view as regions on the sphere, in the same order."""
    if not len(detections):
        return []
    low, high = -BEYOND_VIEW * view.size, (1 + BEYOND_VIEW) * view.size
    x0, y0, x1, y1 = np.clip(detections.boxes_xyxy.astype(np.float64), low, high).T
    corners = np.stack([np.stack(pair, axis=-1) for pair in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], axis=1)
    wide = (x1 - x0 > 0) & (y1 - y0 > 0)  # a box wholly beyond the limit shows nothing of this view
    return [
        Region(SphereQuad(view.to_directions(corners[k])), Label(int(label)), float(score), view.id)
        for k, (label, score) in enumerate(zip(detections.labels, detections.scores, strict=True))
        if wide[k]
    ]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many distinct things the regions hold."""

    people: int
    vehicles: int


def count_things(regions: Sequence[Region]) -> Counts:
    """Count distinct people and vehicles: boxes of several views that overlap by more than half count once."""
    people = [region.quad for region in regions if not region.label.is_vehicle]
    vehicles = [region.quad for region in regions if region.label.is_vehicle]
    return Counts(_distinct(people), _distinct(vehicles))


def _distinct(quads: list[SphereQuad]) -> int:
    """Return the number of groups of overlapping quads, taking the largest first."""
    order = sorted(quads, key=SphereQuad.longest_side, reverse=True)
    centres = np.array([quad.centre for quad in order]).reshape(-1, 3)
    reaches = np.array([np.arccos(np.clip((quad.corners @ quad.centre).min(), -1, 1)) for quad in order])
    seeds: list[int] = []
    for k, quad in enumerate(order):
        apart = np.arccos(np.clip(centres[seeds] @ centres[k], -1, 1))
        near = np.flatnonzero(apart <= reaches[seeds] + reaches[k])
        if not any(order[seeds[index]].overlap(quad) > SAME_THING for index in near):
            seeds.append(k)
    return len(seeds)
