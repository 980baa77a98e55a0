"""What every picture format but JPEG gives when it is read, and what it is given when it is written.

A format is one module with three functions, listed in `formats.py`:

    read(data, max_pixels) -> Contents          check the headers, then decode
    write(data, raster, cleaner) -> Built       the source's file with another picture in it
    strip(data, cleaner) -> Built               the source's file without what nobody examined

Knows no format itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from pii_blur.errors import PhotoFailure
from pii_blur.photo.embedded import find_pictures
from pii_blur.photo.exiftool import ExifTool
from pii_blur.photo.metadata import Mark, clean_chunks
from pii_blur.photo.png_chunks import Chunk, exif_of_png, xmp_chunk, xmp_of_png
from pii_blur.photo.raster import Raster

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

    @property
    def has_pictures(self) -> bool:
        """Whether a picture or film stands in the metadata."""
        return any(find_pictures(block) for _, block in self.blocks)


@dataclass(frozen=True, slots=True)
class Built:
    """A finished file: its bytes, the way it was made, and in words what was taken out; see `write.Written`."""

    data: bytes = field(repr=False)
    way: str
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tags:
    """The three blocks that most formats carry as they are: Exif (a TIFF structure), XMP packet, ICC profile."""

    exif: bytes = field(default=b"", repr=False)
    xmp: bytes = field(default=b"", repr=False)
    icc: bytes = field(default=b"", repr=False)

    def blocks(self) -> tuple[tuple[str, bytes], ...]:
        """Return name and bytes of those that there are."""
        named = (("Exif", self.exif), ("XMP", self.xmp), ("ICC", self.icc))
        return tuple((name, block) for name, block in named if block)


@dataclass(frozen=True, slots=True)
class Cleaner:
    """Takes pictures out of metadata.

    Attributes:
        exiftool: does the work.
        thumbnail: a JPEG of the hidden picture, to put in place of an EXIF thumbnail.
        mark: written where given.
    """

    exiftool: ExifTool
    thumbnail: bytes = field(default=b"", repr=False)
    mark: Mark | None = None

    def clean_chunks(self, chunks: Sequence[Chunk]) -> tuple[tuple[Chunk, ...], tuple[str, ...]]:
        """Return PNG chunks without pictures, and in words what was taken out."""
        cleaned = clean_chunks(chunks, self.exiftool, thumbnail=self.thumbnail, mark=self.mark)
        return cleaned.chunks, cleaned.removed

    def clean_tags(self, tags: Tags) -> tuple[Tags, tuple[str, ...]]:
        """Return blocks without pictures, and in words what was taken out.

        They travel as chunks of a tiny PNG, the only container in which exiftool bounds none of them in length. What
        exiftool need not change it leaves byte for byte.
        """
        chunks = [Chunk(b"iCCP", b"icc\0\0" + zlib.compress(tags.icc))] if tags.icc else []
        chunks += [Chunk(b"eXIf", tags.exif)] if tags.exif else []
        chunks += [xmp_chunk(tags.xmp)] if tags.xmp else []
        cleaned, removed = self.clean_chunks(chunks)
        icc = next((chunk.content for chunk in cleaned if chunk.type == b"iCCP"), b"")
        for chunk, word in (("iCCP", "ICC"), ("eXIf", "Exif"), ("iTXt", "XMP")):
            removed = tuple(what.replace(f" in {chunk}", f" in {word}") for what in removed)
        return Tags(exif_of_png(cleaned), xmp_of_png(cleaned), icc), removed


def check_size(width: int, height: int, max_pixels: int, *, bytes_per_pixel: int = 1) -> None:
    """Refuse a picture by what its header claims, before anything is allocated by it.

    Raises:
        PhotoFailure: code ``too_large`` or ``damaged``.
    """
    most = max_pixels * _BYTES_PER_PIXEL // max(bytes_per_pixel, _BYTES_PER_PIXEL)
    if width * height > most:
        size = f"{width} x {height} pixels"
        raise PhotoFailure(f"the picture claims {size}; the most is {most / 1e6:g} million", "too_large")
    if width < 1 or height < 1:
        raise PhotoFailure("the picture has no pixels", "damaged")
