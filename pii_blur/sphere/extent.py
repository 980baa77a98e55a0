"""Which directions the pixels of a picture show: a full or cropped equirectangular panorama, or a flat photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pii_blur.sphere.axes import Floats, angles_from_directions, directions_from_angles, unit


@dataclass(frozen=True, slots=True)
class PanoExtent:
    """An equirectangular picture that shows all or a rectangle of the full panorama (GPano's cropped area).

    Attributes:
        full_width, full_height: size in pixels of the panorama of the whole sphere, 360 x 180 degrees.
        left, top: where the picture's first pixel lies in it.
        width, height: the picture's own size in pixels.

    Raises:
        ValueError: a size that is not positive, or a picture that sticks out of its panorama.
    """

    full_width: int
    full_height: int
    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.full_width, self.full_height, self.width, self.height) < 1:
            raise ValueError("a panorama needs a positive size")
        if self.left < 0 or self.top < 0 or self.top + self.height > self.full_height or self.width > self.full_width:
            raise ValueError("the cropped area lies outside the full panorama")

    @classmethod
    def full(cls, width: int, height: int) -> PanoExtent:
        """Return the extent of a picture that shows the whole sphere."""
        return cls(width, height, 0, 0, width, height)

    @property
    def wraps(self) -> bool:
        """Whether the right edge continues at the left edge."""
        return self.width == self.full_width

    @property
    def is_full(self) -> bool:
        """Whether every direction is shown."""
        return self.wraps and self.height == self.full_height

    @property
    def pixels_per_degree(self) -> float:
        """Vertical resolution, which does not change over the sphere."""
        return self.full_height / 180.0

    @property
    def solid_angle(self) -> float:
        """Steradians that the picture shows; 4 pi for a full panorama."""
        top, bottom = (np.cos(np.pi * row / self.full_height) for row in (self.top, self.top + self.height))
        return float(2.0 * np.pi * self.width / self.full_width * (top - bottom))

    def to_directions(self, points: ArrayLike) -> Floats:
        """Return (..., 3) directions of (..., 2) points (u, v) in picture pixels."""
        uv = np.asarray(points, dtype=np.float64)
        yaw = ((uv[..., 0] + self.left) / self.full_width - 0.5) * 360.0
        pitch = (0.5 - (uv[..., 1] + self.top) / self.full_height) * 180.0
        return directions_from_angles(yaw, pitch)

    def to_points(self, directions: ArrayLike) -> Floats:
        """Return (..., 2) points (u, v) of (..., 3) directions.

        u lies in [0, full_width); where it is at or beyond `width`, and where v lies outside [0, height), the picture
        does not show that direction.
        """
        yaw, pitch = angles_from_directions(directions)
        u = ((yaw / 360.0 + 0.5) * self.full_width - self.left) % self.full_width
        v = (0.5 - pitch / 180.0) * self.full_height - self.top
        return np.stack([u, v], axis=-1)


# A flat photo is taken for a pinhole picture of this width, near a 28 mm lens. Only directions in reports depend on
# it: boxes are found and hidden in pixels, and the mapping is exact there and back whatever the true lens was.
NOMINAL_HFOV = 65.0


@dataclass(frozen=True, slots=True)
class FlatExtent:
    """An ordinary photo, not a panorama: the pinhole picture of a camera that looks along yaw 0, pitch 0.

    Attributes:
        width, height: size in pixels.
        hfov: degrees across the longer side.
    """

    width: int
    height: int
    hfov: float = NOMINAL_HFOV

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1:
            raise ValueError("a photo needs a positive size")
        if not 0 < self.hfov < 180:
            raise ValueError("hfov lies between 0 and 180 degrees")

    @property
    def wraps(self) -> bool:
        """A flat photo never wraps."""
        return False

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return float(max(self.width, self.height) / 2.0 / np.tan(np.radians(self.hfov) / 2.0))

    @property
    def pixels_per_degree(self) -> float:
        """Resolution in the middle of the picture."""
        return float(self.focal_px * np.pi / 180.0)

    @property
    def solid_angle(self) -> float:
        """Steradians that the picture shows, if its lens is the nominal one."""
        x, y = self.width / 2.0 / self.focal_px, self.height / 2.0 / self.focal_px
        return float(4.0 * np.arctan(x * y / np.sqrt(1.0 + x * x + y * y)))

    def to_directions(self, points: ArrayLike) -> Floats:
        """Return (..., 3) directions of (..., 2) points (u, v) in picture pixels."""
        uv = np.asarray(points, dtype=np.float64)
        x = (uv[..., 0] - self.width / 2.0) / self.focal_px
        y = (uv[..., 1] - self.height / 2.0) / self.focal_px
        return unit(np.stack([x, y, np.ones_like(x)], axis=-1))

    def to_points(self, directions: ArrayLike) -> Floats:
        """Return (..., 2) points (u, v) of (..., 3) directions; not a number for those behind the camera."""
        vectors = np.asarray(directions, dtype=np.float64)
        depth = np.where(vectors[..., 2] > 1e-9, vectors[..., 2], np.nan)
        u = vectors[..., 0] / depth * self.focal_px + self.width / 2.0
        v = vectors[..., 1] / depth * self.focal_px + self.height / 2.0
        return np.stack([u, v], axis=-1)


Extent = PanoExtent | FlatExtent
