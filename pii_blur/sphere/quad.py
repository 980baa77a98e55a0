"""A box as a convex quadrilateral on the sphere: exact across the seam, at the poles and under any tilt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pii_blur.sphere.axes import Floats, angles_from_directions, directions_from_angles, rotation_matrix, unit
from pii_blur.sphere.extent import Extent


class Window(NamedTuple):
    """A rectangle of picture pixels: rows top to bottom, columns left to right, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True, slots=True, eq=False)
class SphereQuad:
    """Four directions joined by great-circle arcs.

    A box in a perspective view is exactly this: the edges of the box and the camera span planes, which cut the sphere
    in great circles.

    Attributes:
        corners: float64 (4, 3) unit vectors, clockwise as seen from the camera: top left, top right, bottom right,
            bottom left of the box.

    Raises:
        ValueError: corners that are not finite, not convex in that order, or not within one hemisphere.
    """

    corners: Floats

    def __post_init__(self) -> None:
        corners = np.array(self.corners, dtype=np.float64)
        if corners.shape != (4, 3) or not np.isfinite(corners).all() or not corners.any(axis=1).all():
            raise ValueError("a quadrilateral has four corners, none of them infinite or zero")
        corners = unit(corners)
        object.__setattr__(self, "corners", corners)
        if (corners @ self.centre).min() < 0.02:
            raise ValueError("a quadrilateral must fit into one hemisphere")
        if np.linalg.norm(np.cross(corners, np.roll(corners, -1, axis=0)), axis=1).min() < 1e-9:
            raise ValueError("two corners of a quadrilateral are the same")
        turns = np.einsum("ij,ij->i", self.edge_normals, np.roll(corners, -2, axis=0))
        if turns.min() <= 0:
            raise ValueError("a quadrilateral must be convex, its corners clockwise as seen from the camera")
        corners.setflags(write=False)

    @classmethod
    def from_angles(cls, yaw: float, pitch: float, width: float, height: float) -> SphereQuad:
        """Return the box of `width` x `height` degrees, without roll, centred at yaw and pitch.

        It spans +-tan(width/2) and +-tan(height/2) in the tangent plane of its centre.
        """
        x, y = np.tan(np.radians([width / 2.0, height / 2.0]))
        local = np.array([[-x, -y, 1.0], [x, -y, 1.0], [x, y, 1.0], [-x, y, 1.0]])
        return cls(local @ rotation_matrix(yaw, pitch).T)

    @classmethod
    def around(cls, directions: ArrayLike) -> SphereQuad:
        """Return the upright box that contains all (n, 3) `directions`, which lie within one hemisphere."""
        vectors = unit(directions)
        yaw, pitch = angles_from_directions(vectors.mean(axis=0))
        axes = rotation_matrix(float(yaw), float(pitch))
        local = vectors @ axes
        if local[:, 2].min() < 0.02:
            raise ValueError("the directions do not fit into one hemisphere")
        flat = local[:, :2] / local[:, 2:]
        (x0, y0), (x1, y1) = flat.min(axis=0) - 1e-6, flat.max(axis=0) + 1e-6
        return cls(np.array([[x0, y0, 1.0], [x1, y0, 1.0], [x1, y1, 1.0], [x0, y1, 1.0]]) @ axes.T)

    @property
    def centre(self) -> Floats:
        """Unit vector to the middle."""
        return unit(self.corners.sum(axis=0))

    @property
    def edge_normals(self) -> Floats:
        """(4, 3) inward unit normals of the planes through each edge and the camera."""
        return unit(np.cross(self.corners, np.roll(self.corners, -1, axis=0)))

    def contains(self, directions: ArrayLike) -> NDArray[np.bool_]:
        """Return for (..., 3) directions whether they lie inside; the border counts."""
        heights = np.asarray(directions, dtype=np.float64) @ self.edge_normals.T
        return np.asarray((heights >= -1e-12).all(axis=-1))

    def axes(self) -> Floats:
        """(3, 3) matrix from the upright tangent frame at the centre to directions: columns right, down, forward."""
        yaw, pitch = angles_from_directions(self.centre)
        return rotation_matrix(float(yaw), float(pitch))

    def flat_corners(self) -> Floats:
        """(4, 2) corners in the tangent plane at the centre, in units of the distance to it (about radians)."""
        local = self.corners @ self.axes()
        flat: Floats = local[:, :2] / local[:, 2:]
        return flat

    def longest_side(self) -> float:
        """Angular length in degrees of the longest of the four sides."""
        cosines = np.einsum("ij,ij->i", self.corners, np.roll(self.corners, -1, axis=0))
        return float(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))).max())

    def grown(self, factor: float) -> SphereQuad:
        """Return the quadrilateral enlarged by `factor` about its centre, in the tangent plane there.

        A box so wide that it would leave the hemisphere grows only as far as fits.
        """
        flat = self.flat_corners()
        factor = max(min(factor, 45.0 / float(np.linalg.norm(flat, axis=1).max())), 1.0)
        local = np.concatenate([flat * factor, np.ones((4, 1))], axis=1)
        return SphereQuad(local @ self.axes().T)

    def solid_angle(self) -> float:
        """Steradians: by how much the four angles between its edges exceed those of a flat quadrilateral (Girard)."""
        normals = self.edge_normals
        cosines = np.einsum("ij,ij->i", normals, np.roll(normals, -1, axis=0))
        return float(2.0 * np.pi - np.arccos(np.clip(cosines, -1.0, 1.0)).sum())

    def outline(self, points_per_edge: int = 32) -> Floats:
        """Return (4 * points_per_edge, 3) directions along the border."""
        share = np.linspace(0.0, 1.0, points_per_edge, endpoint=False)[:, None]
        ends = np.roll(self.corners, -1, axis=0)
        return unit(np.concatenate([a * (1 - share) + b * share for a, b in zip(self.corners, ends, strict=True)]))

    def windows(self, extent: Extent) -> list[Window]:
        """Return the pixel rectangles of a picture that hold all of this: none, one, or two across the seam."""
        points = extent.to_points(self.outline())
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return []
        slack = 2.0 + 0.05 * extent.pixels_per_degree  # arcs bulge a little between the sampled points
        poles = self.contains(directions_from_angles(0.0, np.array([90.0, -90.0])))
        top = 0.0 if poles[0] else float(points[:, 1].min() - slack)
        bottom = float(extent.height) if poles[1] else float(points[:, 1].max() + slack)
        top_row, bottom_row = max(int(np.floor(top)), 0), min(int(np.ceil(bottom)), extent.height)
        if top_row >= bottom_row:
            return []
        return [Window(top_row, bottom_row, *columns) for columns in self._columns(points[:, 0], extent, slack, poles)]

    def _columns(self, u: Floats, extent: Extent, slack: float, poles: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """Return the ranges of columns that hold points `u` of the outline."""
        full_width = getattr(extent, "full_width", None)
        if full_width is None:
            left, right = max(int(np.floor(u.min() - slack)), 0), min(int(np.ceil(u.max() + slack)), extent.width)
            return [(left, right)] if left < right else []
        middle = float(extent.to_points(self.centre)[0])
        around = (u - middle + full_width / 2.0) % full_width - full_width / 2.0
        left_end, right_end = middle + float(around.min()) - slack, middle + float(around.max()) + slack
        if poles.any() or right_end - left_end >= full_width:
            return [(0, extent.width)]
        pieces = []
        for shift in (-full_width, 0, full_width):
            left = max(int(np.floor(left_end)) + shift, 0)
            right = min(int(np.ceil(right_end)) + shift, extent.width)
            if left < right:
                pieces.append((left, right))
        return pieces

    def overlap(self, other: SphereQuad) -> float:
        """Return the share, 0 to 1, of the smaller one that lies inside the other, measured in a tangent plane."""
        if float(self.centre @ other.centre) < 0.1:
            return 0.0
        axes = self.axes()
        first, second = (corners @ axes for corners in (self.corners, other.corners))
        if min(first[:, 2].min(), second[:, 2].min()) < 0.02:
            return 0.0
        one, two = first[:, :2] / first[:, 2:], second[:, :2] / second[:, 2:]
        return _area(_clip(one, two)) / max(min(_area(one), _area(two)), 1e-12)


def _area(polygon: Floats) -> float:
    """Return the area of a convex (n, 2) polygon; 0 for fewer than three points."""
    if len(polygon) < 3:
        return 0.0
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2.0)


def _clip(subject: Floats, clip: Floats) -> Floats:
    """Return the part of convex polygon `subject` inside convex polygon `clip` (Sutherland and Hodgman, CACM 1974)."""
    for a, b in zip(clip, np.roll(clip, -1, axis=0), strict=True):
        edge = b - a
        heights = edge[0] * (subject[:, 1] - a[1]) - edge[1] * (subject[:, 0] - a[0])
        kept: list[Floats] = []
        for k in range(len(subject)):
            here, there = heights[k - 1], heights[k]
            if (here >= 0) != (there >= 0):
                share = here / (here - there)
                kept.append(subject[k - 1] + share * (subject[k] - subject[k - 1]))
            if there >= 0:
                kept.append(subject[k])
        if not kept:
            return np.zeros((0, 2))
        subject = np.array(kept)
    return subject
