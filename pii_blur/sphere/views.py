"""Which views a picture is searched in: perspective crops that together cover the sphere, or tiles of a flat photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from pii_blur.sphere.axes import Floats, rotation_matrix, unit
from pii_blur.sphere.extent import Extent, FlatExtent, PanoExtent


def level_from_picture(pose_pitch: float, pose_roll: float) -> Floats:
    """Return the (3, 3) matrix that turns directions of a tilted picture (GPano, degrees) into the levelled frame.

    PosePitch is the pitch of the picture's centre above the horizon, and with growing PoseRoll the horizon turns
    counter-clockwise in the picture, so the camera turned clockwise: level = Rx(pitch) Rz(roll) picture.
    """
    return rotation_matrix(0.0, pose_pitch, pose_roll)


class View(Protocol):
    """A flat crop in which a detector looks: `size` x `size` pixels, square."""

    @property
    def id(self) -> str:
        """Short name for reports, unique within a plan."""

    @property
    def size(self) -> int:
        """Side in pixels."""

    def to_directions(self, points: ArrayLike) -> Floats:
        """Return (..., 3) vectors in the picture's frame, of any length, for (..., 2) points (x, y) in view pixels."""

    def to_points(self, directions: ArrayLike) -> Floats:
        """Return (..., 2) points (x, y) in view pixels of (..., 3) directions; not a number for those behind it."""


@dataclass(frozen=True)
class PerspectiveView:
    """A square pinhole view into a panorama.

    Attributes:
        yaw, pitch: degrees, where its centre looks in the levelled frame.
        hfov: degrees across, 0 < hfov <= 120.
        size: side in pixels.
        pose_pitch, pose_roll: degrees by which the picture's frame is tilted against the levelled one (GPano).

    Raises:
        ValueError: hfov out of range.
    """

    yaw: float
    pitch: float
    hfov: float
    size: int
    pose_pitch: float = 0.0
    pose_roll: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.hfov <= 120:
            raise ValueError(f"hfov lies between 0 and 120 degrees, not {self.hfov:g}")

    @property
    def id(self) -> str:
        """E.g. ``y+030p-12f50``."""
        return f"y{self.yaw:+04.0f}p{self.pitch:+03.0f}f{self.hfov:.0f}"

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return float(self.size / 2.0 / np.tan(np.radians(self.hfov) / 2.0))

    @property
    def rotation(self) -> Floats:
        """(3, 3) matrix from the view's axes to directions in the picture's frame."""
        matrix: Floats = level_from_picture(self.pose_pitch, self.pose_roll).T @ rotation_matrix(self.yaw, self.pitch)
        return matrix

    def to_directions(self, points: ArrayLike) -> Floats:
        """Return (..., 3) directions of (..., 2) points; they may lie outside the view."""
        xy = (np.asarray(points, dtype=np.float64) - self.size / 2.0) / self.focal_px
        rays = np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1)
        directions: Floats = rays @ self.rotation.T
        return directions

    def to_points(self, directions: ArrayLike) -> Floats:
        """Return (..., 2) points of (..., 3) directions; not a number for those behind the view."""
        local = np.asarray(directions, dtype=np.float64) @ self.rotation
        depth = np.where(local[..., 2:] > 1e-9, local[..., 2:], np.nan)
        points: Floats = local[..., :2] / depth * self.focal_px + self.size / 2.0
        return points

    def margin(self, directions: ArrayLike) -> Floats:
        """Return by how many degrees (..., 3) directions lie inside the nearest edge; negative outside."""
        local = unit(directions) @ self.rotation
        half_rad = np.radians(self.hfov) / 2.0
        # The plane through the camera and one edge has the inward unit normal (-+cos(half), 0, sin(half)); its dot
        # product with a direction is the sine of the angle between them. The same holds for y.
        nearest = np.abs(local[..., :2]).max(axis=-1)
        sines = np.sin(half_rad) * local[..., 2] - np.cos(half_rad) * nearest
        margins: Floats = np.degrees(np.arcsin(np.clip(sines, -1.0, 1.0)))
        return margins


@dataclass(frozen=True)
class Tile:
    """A square crop of a flat photo, scaled to `size`; it may stick out of a photo that is smaller.

    Attributes:
        left, top, side: of the crop, in photo pixels.
        size: side in pixels of what the detector sees.
        extent: of the photo.
    """

    left: float
    top: float
    side: float
    size: int
    extent: FlatExtent

    @property
    def id(self) -> str:
        """E.g. ``x0y480s640``."""
        return f"x{self.left:.0f}y{self.top:.0f}s{self.side:.0f}"

    def to_directions(self, points: ArrayLike) -> Floats:
        """Return (..., 3) directions of (..., 2) points in tile pixels."""
        uv = np.asarray(points, dtype=np.float64) * (self.side / self.size) + (self.left, self.top)
        return self.extent.to_directions(uv)

    def to_points(self, directions: ArrayLike) -> Floats:
        """Return (..., 2) points in tile pixels of (..., 3) directions; not a number for those behind the camera."""
        points: Floats = (self.extent.to_points(directions) - (self.left, self.top)) * (self.size / self.side)
        return points


@dataclass(frozen=True, slots=True)
class Ring:
    """Views of one width side by side round the sphere: `count` of them at `pitch`, the first at yaw `start`."""

    pitch: float
    hfov: float
    count: int
    start: float = 0.0

    def views(self, size: int, pose_pitch: float, pose_roll: float) -> list[PerspectiveView]:
        """Lay the ring."""
        yaws = [(self.start + k * 360.0 / self.count + 180.0) % 360.0 - 180.0 for k in range(self.count)]
        return [PerspectiveView(yaw, self.pitch, self.hfov, size, pose_pitch, pose_roll) for yaw in yaws]


_POLES = (Ring(90, 90, 1), Ring(-90, 90, 1))
# What is near fills a wide view. The two rings are turned against each other, so that what the edge of one cuts lies in
# the middle of the other.
_NEAR = (Ring(-30, 90, 8, 22.5), Ring(20, 90, 8), *_POLES)
# What is far stands near the horizon, or below it on a slope.
_FAR = (Ring(-4, 32, 18), Ring(-12, 50, 12, 15))

# Each plan covers every direction by the margin that tests/property/test_geometry.py asserts. Recall, false area
# and time of each: docs/quality.md. People and vehicles stand on the ground, so the rings sit below the horizon.
PLANS: dict[str, tuple[Ring, ...]] = {
    "fast": (Ring(-10, 50, 10), Ring(-40, 100, 4), Ring(35, 100, 4, 45), *_POLES),
    "balanced": (*_FAR, *_NEAR),
    "thorough": (*_FAR, Ring(18, 50, 12, 15), Ring(-45, 60, 8, 22.5), *_NEAR),
}

# A flat photo is searched whole, and then in square tiles half as large, and so on until they are no larger than this
# share of its shorter side: a long strip needs small tiles as much as a square does.
SMALLEST_TILE: dict[str, float] = {"fast": 1.5, "balanced": 0.75, "thorough": 0.375}
TILE_OVERLAP = 0.25


def plan_views(
    extent: Extent, plan: str, size: int, *, pose_pitch: float = 0.0, pose_roll: float = 0.0
) -> Sequence[PerspectiveView | Tile]:
    """Return the views of `plan` that show some of the picture.

    Args:
        extent: what the picture shows.
        plan: a key of `PLANS`.
        size: side of the detector's input in pixels.
        pose_pitch, pose_roll: degrees; views of a panorama are laid in the levelled frame.
    """
    if isinstance(extent, FlatExtent):
        return [tile for side in _tile_sides(extent, plan, size) for tile in _tiles(extent, side, size)]
    views = [view for ring in PLANS[plan] for view in ring.views(size, pose_pitch, pose_roll)]
    return views if extent.is_full else [view for view in views if _shows(view, extent)]


def _shows(view: PerspectiveView, extent: PanoExtent) -> bool:
    """Return whether any of a partial panorama falls into `view` (checked on a grid of half a degree at hfov 90)."""
    ticks = np.linspace(0.0, view.size, 181)
    points = extent.to_points(view.to_directions(np.stack(np.meshgrid(ticks, ticks), axis=-1)))
    inside = (points[..., 0] < extent.width) & (points[..., 1] >= 0) & (points[..., 1] < extent.height)
    return bool(inside.any())


def _tile_sides(extent: FlatExtent, plan: str, size: int) -> list[float]:
    """Return the sides in photo pixels of the tiles of each scale, the whole photo first."""
    sides = [float(max(extent.width, extent.height))]
    # Enlarging a tile more than twice shows a detector nothing new.
    while sides[-1] > SMALLEST_TILE[plan] * min(extent.width, extent.height) and sides[-1] >= size:
        sides.append(sides[-1] / 2)
    return sides


def _tiles(extent: FlatExtent, side: float, size: int) -> list[Tile]:
    """Cover a photo with square tiles of `side`, the last of a row shifted inwards so that none is thin."""
    return [
        Tile(left, top, side, size, extent)
        for top in _starts(extent.height, side)
        for left in _starts(extent.width, side)
    ]


def _starts(length: float, side: float) -> list[float]:
    """Return where tiles of `side` begin so that they cover `length` and overlap by at least `TILE_OVERLAP`."""
    if length <= side:
        return [0.0]
    count = int(np.ceil((length - side) / (side * (1 - TILE_OVERLAP)))) + 1
    return [float(start) for start in np.linspace(0.0, length - side, count)]
