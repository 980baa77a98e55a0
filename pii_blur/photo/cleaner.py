"""Takes pictures out of the metadata of every format but JPEG, by way of a tiny PNG. Knows no format's container."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from pii_blur.photo.exiftool import ExifTool
from pii_blur.photo.metadata import Mark
from pii_blur.photo.metadata_png import clean_chunks, tiny_png
from pii_blur.photo.png_chunks import Chunk, assemble_png, exif_of_png, xmp_chunk, xmp_of_png


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

        What exiftool need not change it leaves byte for byte.
        """
        cleaned, removed = self.clean_chunks(_chunks(tags))
        icc = next((chunk.content for chunk in cleaned if chunk.type == b"iCCP"), b"")
        for chunk, word in (("iCCP", "ICC"), ("eXIf", "Exif"), ("iTXt", "XMP")):
            removed = tuple(what.replace(f" in {chunk}", f" in {word}") for what in removed)
        return Tags(exif_of_png(cleaned), xmp_of_png(cleaned), icc), removed


def carry_tags(tags: Tags) -> tuple[bytes, str]:
    """Return a tiny PNG with some blocks, for exiftool to read, and the ending of its name."""
    return assemble_png(_chunks(tags), tiny_png()), ".png"


def _chunks(tags: Tags) -> tuple[Chunk, ...]:
    """Return the blocks as chunks of a PNG, the only container in which exiftool bounds none of them in length."""
    chunks = [Chunk(b"iCCP", b"icc\0\0" + zlib.compress(tags.icc))] if tags.icc else []
    chunks += [Chunk(b"eXIf", tags.exif)] if tags.exif else []
    return (*chunks, xmp_chunk(tags.xmp)) if tags.xmp else tuple(chunks)
