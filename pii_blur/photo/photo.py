"""A photo in memory: upright pixels, where on the sphere they lie, and what must be remembered of the file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pii_blur.claim import Claim
from pii_blur.photo.contents import Contents
from pii_blur.sphere.extent import Extent, FlatExtent, PanoExtent

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What the file said about itself.

    Attributes:
        format: ``JPEG`` or the name of one of `formats.FORMATS`.
        data: the whole file as read, so that nothing is read twice and a file that changes under way cannot mix.
        sha256: of `data`, hex.
        orientation: EXIF orientation 1 to 8; `Photo.pixels` is already turned upright by it.
        projection: how the picture was understood and why, one short phrase for log and report.
        claim: what the file says that this program has hidden in it already; None if it says nothing.
        damage: what the decoder complained of; empty for a sound file. Other decoders may show a damaged picture
            differently, so it is always encoded anew, never copied.
        contents: what was read of a file that is no JPEG: its picture in full depth, and its metadata.
    """

    format: str
    data: bytes = field(repr=False)
    sha256: str
    orientation: int = 1
    projection: str = ""
    claim: Claim | None = None
    damage: str = ""
    contents: Contents | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo.

    Attributes:
        pixels: uint8 (height, width, 3), RGB, upright, read-only.
        extent: which directions the pixels show.
        pose_pitch, pose_roll: degrees by which the camera was tilted (GPano); 0 for a levelled picture.
        facts: what the file said; None for a picture that never was a file.
    """

    pixels: Pixels
    extent: Extent
    pose_pitch: float = 0.0
    pose_roll: float = 0.0
    facts: PhotoFacts | None = None

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(f"pixels must be uint8 (height, width, 3), not {self.pixels.dtype} {self.pixels.shape}")
        if self.pixels.shape[:2] != (self.extent.height, self.extent.width):
            raise ValueError("pixels and extent differ in size")
        self.pixels.setflags(write=False)

    @classmethod
    def from_pixels(cls, pixels: Pixels, *, is_panorama: bool | None = None) -> Photo:
        """Wrap an RGB array (height, width, 3).

        Args:
            pixels: uint8; made read-only.
            is_panorama: whether it shows the whole sphere; by default, whether it is twice as wide as high.
        """
        height, width = pixels.shape[:2]
        if is_panorama is None:
            is_panorama = width == 2 * height
        return cls(pixels, PanoExtent.full(width, height) if is_panorama else FlatExtent(width, height))


@dataclass(frozen=True, slots=True)
class HiddenPhoto:
    """The outcome of hiding, in the frame of `Photo.pixels`.

    Attributes:
        pixels: uint8 (height, width, 3), RGB, upright.
        mask: uint8 (height, width): 0 where `pixels` equals the photo's, else one of the values of `pii_blur.mask`:
            how strongly the pixel is hidden.
    """

    pixels: Pixels
    mask: NDArray[np.uint8]
