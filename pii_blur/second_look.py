"""The second look: what was found is looked at once more, each in a view of its own, three times as large.

In a view of the plan a thing stands anywhere, of any size, perhaps cut by the edge. In a view of its own it stands in
the middle at a size the detector knows well: what only looked like somebody is mostly not found again. The score is
then the geometric mean of the odds of both looks. A few candidates share one crop, so that all of them cost less than a
third of the search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pii_blur.detect.detector import Detector
from pii_blur.labels import Label
from pii_blur.regions import Region
from pii_blur.sphere.axes import Floats, angles_from_directions, rotation_matrix
from pii_blur.sphere.project import NOTHING
from pii_blur.sphere.quad import SphereQuad
from pii_blur.sphere.views import PerspectiveView, Tile

Pixels = NDArray[np.uint8]
CloseUp = PerspectiveView | Tile

TIMES = 3.0  # the side of a view of its own, in longer sides of the box
PER_SIDE = 3  # views along each side of a crop
VIEWS_PER_CROP = 4  # of the plan for each crop of the second look: a quarter of the search

# Less is not worth a look.
WORTH = 0.15
# Boxes that share so much of their union are one candidate, and are what was found again.
SAME_IOU = 0.5
# What is not found again counts as found with the lower of these; and no look is so sure that the other says nothing.
LOWEST, HIGHEST = 0.05, 0.98


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Regions that are taken for one thing: `members` are their numbers, the best one first."""

    quad: SphereQuad
    is_vehicle: bool
    members: NDArray[np.intp]


def look_again(
    regions: Sequence[Region],
    detector: Detector,
    labels: Sequence[Label],
    *,
    most_crops: int,
    close_up: Callable[[SphereQuad, float, int], CloseUp],
    render: Callable[[CloseUp], Pixels],
    threads: int,
) -> list[Region]:
    """Return the regions in the same order, those that were looked at again with their new scores.

    Args:
        regions: as found in the views of a plan.
        detector: looks at a crop.
        labels: what is looked for.
        most_crops: how many crops may be looked at; the best candidates come first, the others keep their scores.
        close_up: gives the view of its own for a box, how many times as large, and the side of the view in pixels.
        render: shows a view.
        threads: how many crops are looked at at a time.
    """
    found = candidates(regions)[: most_crops * PER_SIDE**2]
    groups = [found[start : start + PER_SIDE**2] for start in range(0, len(found), PER_SIDE**2)]
    side = detector.size // PER_SIDE
    thresholds = dict.fromkeys(labels, LOWEST)

    def look(group: Sequence[Candidate]) -> list[float]:
        views = [close_up(candidate.quad, TIMES, side) for candidate in group]
        seen = detector.detect(_crop([render(view) for view in views], detector.size), thresholds)
        is_vehicle = seen.labels != Label.PERSON
        return [
            _found_again(
                _box_in(view, candidate.quad) + np.tile(_corner(number, side), 2),
                seen.boxes_xyxy[is_vehicle == candidate.is_vehicle],
                seen.scores[is_vehicle == candidate.is_vehicle],
            )
            for number, (candidate, view) in enumerate(zip(group, views, strict=True))
        ]

    looked = list(regions)
    with ThreadPoolExecutor(threads) as pool:
        scores = [score for group in pool.map(look, groups) for score in group]
    for candidate, score in zip(found, scores, strict=True):
        for member in candidate.members:
            looked[member] = replace(looked[member], score=fuse(looked[member].score, score))
    return looked


def candidates(regions: Sequence[Region]) -> list[Candidate]:
    """Group the regions that are worth a second look, the best first."""
    scores = np.array([region.score for region in regions])
    is_vehicle = np.array([region.label.is_vehicle for region in regions], bool)
    centres = np.array([region.quad.centre for region in regions]).reshape(-1, 3)
    halves = np.array([np.ptp(region.quad.flat_corners(), axis=0) / 2.0 for region in regions]).reshape(-1, 2)
    is_free = scores >= WORTH
    found = []
    for best in np.argsort(-scores, kind="stable"):
        if not is_free[best]:
            continue
        same = is_free & (is_vehicle == is_vehicle[best]) & (_ious(best, centres, halves) >= SAME_IOU)
        same[best] = False
        members = np.concatenate([[best], np.flatnonzero(same)])
        is_free[members] = False
        found.append(Candidate(regions[best].quad, bool(is_vehicle[best]), members))
    return found


def fuse(first: float, second: float) -> float:
    """Return the score whose odds are the geometric mean of those of two looks."""
    limited = np.clip([first, second], LOWEST, HIGHEST)
    odds = float(np.sqrt(np.prod(limited / (1.0 - limited))))
    return odds / (1.0 + odds)


def _ious(one: int, centres: Floats, halves: Floats) -> Floats:
    """Return (n,) overlaps of boxes with one of them, each taken for upright in the plane that touches there."""
    yaw, pitch = angles_from_directions(centres[one])
    local = centres @ rotation_matrix(float(yaw), float(pitch))
    depth = np.where(local[:, 2] > 0.1, local[:, 2], np.nan)
    middles = local[:, :2] / depth[:, None]
    sizes = np.minimum(halves[one], middles + halves) - np.maximum(-halves[one], middles - halves)
    shared = np.clip(np.nan_to_num(sizes), 0.0, None).prod(axis=1)
    areas = 4.0 * halves.prod(axis=1)
    ious: Floats = shared / (areas + areas[one] - shared)
    return ious


def _crop(pictures: Sequence[Pixels], size: int) -> Pixels:
    """Lay square pictures side by side in a crop of the detector's size, row by row; nothing is in the rest."""
    crop: Pixels = np.full((size, size, 3), NOTHING, np.uint8)
    for number, picture in enumerate(pictures):
        column, row = _corner(number, len(picture))
        crop[row : row + len(picture), column : column + len(picture)] = picture
    return crop


def _corner(number: int, side: int) -> tuple[int, int]:
    """Return column and row at which a view lies in its crop."""
    return number % PER_SIDE * side, number // PER_SIDE * side


def _box_in(view: CloseUp, quad: SphereQuad) -> Floats:
    """Return x0 y0 x1 y1 of what a view shows of a box in its middle."""
    points = np.clip(view.to_points(quad.corners), 0, view.size)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _found_again(box: Floats, boxes_xyxy: NDArray[np.float32], scores: NDArray[np.float32]) -> float:
    """Return the best score among the boxes that overlap a box enough, or `LOWEST`."""
    sizes = np.minimum(boxes_xyxy[:, 2:], box[2:]) - np.maximum(boxes_xyxy[:, :2], box[:2])
    shared = np.clip(sizes, 0.0, None).prod(axis=1)
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return float(scores[shared >= SAME_IOU * (areas - shared)].max(initial=LOWEST))
