"""A picture in the depth and with the channels that its file gives it, and the 8-bit RGB that is searched and hidden.

Knows no file format. Everything that is no JPEG goes through here: the search sees 8 bits and three colours, whatever
the file has, and what was hidden is put back into the file's own samples, of which all others stay the bits they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Samples = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Raster:
    """A picture as stored in its file, without any turning.

    Attributes:
        samples: uint8 or uint16 (h, w, channels), read-only. Channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and
            alpha. 0 is black, and transparent.
        bits: how many bits of a sample are in use: white is 2 ** bits - 1. Many a 16-bit file holds 12.
    """

    samples: Samples
    bits: int = 8

    def __post_init__(self) -> None:
        if self.samples.ndim != 3 or not 1 <= self.samples.shape[2] <= 4:
            raise ValueError(f"samples must be (height, width, 1 to 4), not {self.samples.shape}")
        self.samples.setflags(write=False)

    @classmethod
    def of(cls, samples: Samples) -> Raster:
        """Wrap samples; of 16-bit ones it is looked up how many bits they use, at least 8.

        PRIVACY: a 12-bit picture in 16-bit samples would be black to the detector if white were taken to be 65535.
        """
        if samples.dtype == np.uint8:
            return cls(samples)
        colours = samples[..., : 3 if samples.shape[2] >= 3 else 1]
        return cls(samples, max(int(colours.max()).bit_length(), 8))

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel says how opaque a pixel is."""
        return self.samples.shape[2] in (2, 4)

    @property
    def colours(self) -> int:
        """Number of channels without alpha: 1 or 3."""
        return 3 if self.samples.shape[2] >= 3 else 1

    def to_rgb(self) -> Pixels:
        """Return uint8 (h, w, 3) RGB, alpha left out: what lies under transparent pixels is searched like the rest."""
        samples = self.samples[..., : self.colours]
        pixels = np.asarray(samples if samples.dtype == np.uint8 else samples >> (self.bits - 8), dtype=np.uint8)
        return np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if self.colours == 1 else pixels)

    def with_hidden(self, pixels: Pixels, mask: NDArray[np.uint8]) -> Raster:
        """Return the picture with new colours wherever something was hidden; alpha stays, and so do all other samples.

        Args:
            pixels: uint8 (h, w, 3) RGB, as stored.
            mask: uint8 (h, w), nonzero where `pixels` counts.
        """
        samples = self.samples.copy()
        # Grey pixels have three equal channels, before and after hiding.
        hidden = pixels[mask != 0][:, : self.colours]
        if samples.dtype != np.uint8:
            # PRIVACY: scaled from 8 bits, never mixed with the source's lower bits, in which it would show through.
            scale = ((1 << self.bits) - 1) / 255
            hidden = np.rint(hidden * scale).astype(np.uint16)
        samples[..., : self.colours][mask != 0] = hidden
        return Raster(samples, self.bits)

    def differs_from(self, other: Raster) -> NDArray[np.bool_]:
        """Return bool (h, w): the pixels of which any sample is another. Sizes and channels must be the same."""
        return np.asarray((self.samples != other.samples).any(axis=2), dtype=np.bool_)


def from_bgr(samples: Samples) -> Samples:
    """Return OpenCV's channel order as ours: (h, w), (h, w, 3) BGR or (h, w, 4) BGRA to (h, w, channels)."""
    if samples.ndim == 2:
        return samples[..., np.newaxis]
    code = cv2.COLOR_BGR2RGB if samples.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return as_samples(cv2.cvtColor(samples, code))


def to_bgr(samples: Samples) -> Samples:
    """Undo `from_bgr`; not for grey and alpha, which OpenCV does not have."""
    if samples.shape[2] == 1:
        return samples[..., 0]
    code = cv2.COLOR_RGB2BGR if samples.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    return as_samples(cv2.cvtColor(samples, code))


def as_samples(array: object) -> Samples:
    """Return an array whose type NumPy's own types do not tell: uint16 if it is that, else uint8."""
    whole = np.asarray(array)
    return np.asarray(whole, dtype=np.uint16) if whole.dtype == np.uint16 else np.asarray(whole, dtype=np.uint8)
