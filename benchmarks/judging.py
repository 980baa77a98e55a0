"""How much of what should be hidden a set of boxes hides, and how much else: measured in directions, without pictures.

An object is *hidden* when enough of its box is covered by boxes of any class, each enlarged as the program enlarges
it. So every object becomes hidden at one score, and every place of the picture is covered up to one score: both are
found once for all thresholds.

Written anew for measuring: of the package only `SphereQuad` (what a box is) and the axes are used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pii_blur.sphere.axes import Floats, angles_from_directions, rotation_matrix, unit
from pii_blur.sphere.extent import PanoExtent
from pii_blur.sphere.quad import SphereQuad

PEOPLE = ("person",)
VEHICLES = ("car", "truck", "bus")
FLAGS = ("ignore", "depiction", "ego")

# What the independent judge asks for: nine tenths of a box, less where the boxes themselves are loose.
HIDDEN = 0.9
LOOSE_DEGREES, LOOSE_HIDDEN = 85.0, 0.6
# Boxes reach past their object: what lies in one enlarged by this is not called elsewhere.
NEAR = 1.35

SAMPLES = 20  # along each side of an object's box
NOWHERE = np.zeros(0, np.int32)  # the footprint of a box that covers none of the places
GRID = (256, 512)  # rows and columns of the places at which false area is measured


@dataclass(frozen=True, slots=True, eq=False)
class KnownObject:
    """One marked object: the box of `width` x `height` degrees in the view that looks straight at it.

    Attributes:
        photo: stem of the photo's file name.
        kind: class, as in the file.
        yaw, pitch, width, height: degrees.
        height_px: height in pixels of the panorama.
        counts: False for what was flagged: it is neither hit nor miss.
    """

    photo: str
    kind: str
    yaw: float
    pitch: float
    width: float
    height: float
    height_px: float
    counts: bool

    @property
    def needed(self) -> float:
        """Share of the box that must be covered."""
        return LOOSE_HIDDEN if max(self.width, self.height) > LOOSE_DEGREES else HIDDEN

    @property
    def place(self) -> str:
        """``seam``, ``poles`` (some of it lies within 45 degrees of one) or ``horizon``."""
        yaw, pitch = angles_from_directions(self.samples())
        if np.ptp(yaw) > 180.0 and abs(pitch).max() < 85.0:
            return "seam"
        return "poles" if abs(self.pitch) > 45.0 else "horizon"

    @property
    def reach(self) -> tuple[float, float]:
        """Half width and half height in the tangent plane."""
        return math.tan(math.radians(self.width / 2.0)), math.tan(math.radians(self.height / 2.0))

    def corners(self) -> Floats:
        """Return (4, 3) directions of the box's corners, clockwise from the top left."""
        x, y = self.reach
        local = np.array([[-x, -y, 1.0], [x, -y, 1.0], [x, y, 1.0], [-x, y, 1.0]])
        return unit(local @ rotation_matrix(self.yaw, self.pitch).T)

    def samples(self) -> Floats:
        """Return (SAMPLES * SAMPLES, 3) directions spread evenly over the box in its tangent plane."""
        x, y = self.reach
        ticks = (np.arange(SAMPLES) + 0.5) / SAMPLES * 2.0 - 1.0
        across, down = np.meshgrid(ticks * x, ticks * y)
        local = np.stack([across, down, np.ones_like(across)], axis=-1).reshape(-1, 3)
        return unit(local @ rotation_matrix(self.yaw, self.pitch).T)

    def is_near(self, directions: Floats) -> NDArray[np.bool_]:
        """Return for (..., 3) directions whether they lie in the box enlarged by `NEAR`."""
        x, y = self.reach
        local = directions @ rotation_matrix(self.yaw, self.pitch)
        depth = local[..., 2]
        inside = (np.abs(local[..., 0]) <= NEAR * x * depth) & (np.abs(local[..., 1]) <= NEAR * y * depth)
        return np.asarray((depth > 0) & inside)


def read_objects(file: Path) -> list[KnownObject]:
    """Return all objects of an annotation file, flagged ones too; its form is that of `known_object`."""
    annotations = json.loads(file.read_text(encoding="utf-8"))
    return [
        known_object(entry, Path(annotations["file"]).stem, annotations["height"]) for entry in annotations["objects"]
    ]


def known_object(entry: dict[str, Any], photo: str, picture_height: int) -> KnownObject:
    """Return one object of an annotation: `cls`, `yaw`, `pitch`, `w`, `h` in degrees, perhaps flags."""
    return KnownObject(
        photo=photo,
        kind=entry["cls"],
        yaw=entry["yaw"],
        pitch=entry["pitch"],
        width=entry["w"],
        height=entry["h"],
        height_px=entry["h"] / 180.0 * picture_height,
        counts=entry["cls"] in PEOPLE + VEHICLES and not any(entry.get(flag) for flag in FLAGS),
    )


class Scene:
    """The places of one panorama at which coverage is measured: samples of its objects, and a grid of all of it."""

    def __init__(self, objects: Sequence[KnownObject], grid: tuple[int, int] = GRID) -> None:
        """Lay out the places for `objects`, flagged ones included; `grid` is (rows, columns)."""
        self.objects = [entry for entry in objects if entry.counts]
        self._extent = PanoExtent.full(grid[1], grid[0])
        columns, rows = np.meshgrid(np.arange(grid[1]) + 0.5, np.arange(grid[0]) + 0.5)
        self._grid = self._extent.to_directions(np.stack([columns, rows], axis=-1))
        self._samples = np.array([entry.samples() for entry in self.objects]).reshape(-1, SAMPLES**2, 3)
        self.is_elsewhere = np.ones(grid, bool)
        for entry in objects:
            self.is_elsewhere &= ~entry.is_near(self._grid)

    @cached_property
    def _reaches(self) -> tuple[Floats, Floats]:
        """Middle of each object, and the cosine of the furthest sample from it."""
        middles = unit(self._samples.mean(axis=1)) if len(self.objects) else np.zeros((0, 3))
        return middles, np.einsum("nsk,nk->ns", self._samples, middles).min(axis=1, initial=1.0)

    def footprint(self, quad: SphereQuad) -> NDArray[np.int32]:
        """Return the numbers of the places inside `quad`: samples of objects first, then cells of the grid."""
        parts = []
        middles, reaches = self._reaches
        # Angles add up: a box further from an object's middle than both reach touches none of its samples.
        reach = np.arccos(np.clip((quad.corners @ quad.centre).min(), -1, 1))
        near = np.flatnonzero(np.arccos(np.clip(middles @ quad.centre, -1, 1)) <= reach + np.arccos(reaches))
        for number in near:
            parts.append(np.flatnonzero(quad.contains(self._samples[number])) + number * SAMPLES**2)
        first = len(self.objects) * SAMPLES**2
        for window in quad.windows(self._extent):
            rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
            row, column = np.nonzero(quad.contains(self._grid[rows, columns]))
            parts.append(first + (row + window.top) * self._extent.width + column + window.left)
        return np.unique(np.concatenate(parts)).astype(np.int32) if parts else NOWHERE

    def judge(self, footprints: Footprints, scores: NDArray[np.floating[Any]]) -> Judgement:
        """Return what boxes with these places and scores hide."""
        count = len(self.objects) * SAMPLES**2
        best = footprints.best(scores, count + self.is_elsewhere.size)
        covered = np.sort(best[:count].reshape(-1, SAMPLES**2), axis=1)[:, ::-1]
        needed = np.array([math.ceil(entry.needed * SAMPLES**2 - 1e-9) for entry in self.objects], np.intp)
        return Judgement(
            self.objects,
            covered[np.arange(len(self.objects)), needed - 1] if count else np.zeros(0),
            best[count:].reshape(self.is_elsewhere.shape),
            self.is_elsewhere,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Footprints:
    """Which places each of many boxes covers.

    Attributes:
        places: int32, of the first box, of the second, and so on, as `Scene.footprint` gives them.
        counts: (n,) how many of them are each box's.
    """

    places: NDArray[np.int32]
    counts: NDArray[np.intp]

    @classmethod
    def of(cls, parts: Sequence[NDArray[np.int32]]) -> Footprints:
        """Join what `Scene.footprint` gave for each box."""
        return cls(np.concatenate([NOWHERE, *parts]), np.array([len(part) for part in parts], np.intp))

    def best(self, scores: NDArray[np.floating[Any]], count: int) -> Floats:
        """Return (count,) the highest of the boxes' `scores` at every place; 0 where there is no box."""
        best = np.zeros(count)
        np.maximum.at(best, self.places, np.repeat(scores, self.counts))
        return best


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What boxes hide in one panorama, for all thresholds.

    Attributes:
        objects: those that count.
        hidden_at: (n,) the highest threshold at which each object is still hidden; 0 for never.
        covered_at: (rows, columns) the highest threshold at which each cell is still covered.
        is_elsewhere: (rows, columns) cells far from every object.
    """

    objects: Sequence[KnownObject]
    hidden_at: Floats
    covered_at: Floats
    is_elsewhere: NDArray[np.bool_]

    def false_area(self, threshold: float, weights: Floats | None = None) -> float:
        """Return how much of what lies far from every object is covered, as a share of it.

        Args:
            threshold: of the score.
            weights: (rows, columns), how much each cell counts, e.g. for its detail; without, all count the same.
        """
        covered = (self.covered_at >= threshold) & self.is_elsewhere
        weights = np.ones(covered.shape) if weights is None else weights
        return float(weights[covered].sum() / max(weights[self.is_elsewhere].sum(), 1e-9))


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `count`, with Wilson's 95 % interval (JASA 22, 1927), which is sound for few and for all hits."""

    hits: int
    count: int

    @property
    def share(self) -> float:
        """Hits by count; not a number where there is nothing to count."""
        return self.hits / self.count if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the interval."""
        if not self.count:
            return 0.0, 1.0
        z = 1.959964
        middle = (self.hits + z * z / 2) / (self.count + z * z)
        half = z / (self.count + z * z) * math.sqrt(self.hits * (self.count - self.hits) / self.count + z * z / 4)
        return max(middle - half, 0.0), min(middle + half, 1.0)


def hidden(judgements: Iterable[Judgement], threshold: float, group: Group) -> Share:
    """Return how many objects of a group are hidden at a threshold of the score."""
    hits = [
        at >= threshold
        for one in judgements
        for entry, at in zip(one.objects, one.hidden_at, strict=True)
        if group.has(entry)
    ]
    return Share(sum(hits), len(hits))


@dataclass(frozen=True, slots=True)
class Group:
    """Objects that are counted together.

    Attributes:
        kinds: classes.
        low, high: height in panorama pixels, `high` excluded.
        place: see `KnownObject.place`; empty for all.
    """

    kinds: tuple[str, ...]
    low: float = 24.0
    high: float = math.inf
    place: str = ""

    def has(self, entry: KnownObject) -> bool:
        """Return whether an object belongs to it."""
        return entry.kind in self.kinds and self.low <= entry.height_px < self.high and self.place in ("", entry.place)


def false_area(judgements: Sequence[Judgement], threshold: float) -> float:
    """Return the mean over all photos of `Judgement.false_area`."""
    return float(np.mean([one.false_area(threshold) for one in judgements]))


def threshold_for(judgements: Sequence[Judgement], area: float) -> float:
    """Return the lowest threshold (to a millionth) at which the false area is at most `area`, 0 to 1.

    It never grows with the threshold, so halving finds it.
    """
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2.0
        low, high = (low, middle) if false_area(judgements, middle) <= area else (middle, high)
    return high
