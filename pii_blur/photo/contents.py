"""What every picture format but JPEG gives when it is read, and what comes out when it is written.

A format is one module with four functions, listed in `formats.py`:

    read(data, max_pixels) -> Contents            check the headers, then decode
    write(data, raster, mask, cleaner) -> Built   the source's file with another picture in it
    strip(data, cleaner) -> Built                 the source's file without what nobody examined
    carry(data) -> bytes, suffix                  its metadata round no picture, for exiftool to read

Knows no format itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pii_blur.errors import PhotoFailure
from pii_blur.photo.raster import Raster

_LONGEST_SIDE = 32_766  # pixels: what OpenCV can sample from (SHRT_MAX - 1), and the views and the hiding with it
_BYTES_PER_PIXEL = 4  # of the largest picture that is opened; deeper ones must be smaller


@dataclass(frozen=True, slots=True)
class Contents:
    """A file, read.

    Attributes:
        raster: the picture, as stored.
        blocks: name and bytes of all metadata, unpacked, to be searched for pictures.
        exif: the Exif block (a TIFF structure), empty if there is none.
        xmp: the XMP packet, empty if there is none.
        orientation: EXIF orientation 1 to 8 by which the picture is to be turned.
        strays: in words, what else the file holds that may show something: further pictures, bytes that nothing refers
            to. Our own files have none.
        is_exact: whether `write` keeps every sample outside the hidden regions as it is.
    """

    raster: Raster
    blocks: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    exif: bytes = field(default=b"", repr=False)
    xmp: bytes = field(default=b"", repr=False)
    orientation: int = 1
    strays: tuple[str, ...] = ()
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Built:
    """A finished file: its bytes, the way it was made, and in words what was taken out; see `write.Written`."""

    data: bytes = field(repr=False)
    way: str
    removed: tuple[str, ...] = ()


def check_size(width: int, height: int, max_pixels: int, *, bytes_per_pixel: int = 1) -> None:
    """Refuse a picture by what its header claims, before anything is allocated by it.

    Raises:
        PhotoFailure: code ``too_large`` or ``damaged``.
    """
    most = max_pixels * _BYTES_PER_PIXEL // max(bytes_per_pixel, _BYTES_PER_PIXEL)
    if width * height > most:
        size = f"{width} x {height} pixels"
        raise PhotoFailure(f"the picture claims {size}; the most is {most / 1e6:g} million; scale it down", "too_large")
    if max(width, height) > _LONGEST_SIDE:
        why = f"the picture is {width} x {height} pixels; no side may be longer than {_LONGEST_SIDE}"
        raise PhotoFailure(f"{why}; scale it down or cut it into parts", "too_large")
    if width < 1 or height < 1:
        raise PhotoFailure("the picture has no pixels", "damaged")
