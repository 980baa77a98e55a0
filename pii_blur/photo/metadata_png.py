"""Metadata of a PNG, and of all formats that are cleaned by way of one: what stays and what goes; see `metadata.py`."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence, Set
from dataclasses import dataclass

from PIL import Image

from pii_blur.photo.by_name import edit_by_name, refuse_changes
from pii_blur.photo.embedded import blank_pictures, without_pictures
from pii_blur.photo.exif_ifd import blank_uncompressed
from pii_blur.photo.exiftool import ExifTool
from pii_blur.photo.metadata import Mark, restored
from pii_blur.photo.png_chunks import Chunk, assemble_png, is_xmp, split_png, xmp_chunk
from pii_blur.photo.spared import (
    EXIF_BLOCK,
    XMP_BLOCK,
    check_blanked,
    check_spared,
    edit_what_can_be,
    salvage_exif,
)

_PNG_EXIF = b"eXIf"


@dataclass(frozen=True, slots=True)
class CleanChunks:
    """Metadata of a PNG without pictures, and the names of what was taken out."""

    chunks: tuple[Chunk, ...]
    removed: tuple[str, ...]


def clean_chunks(
    chunks: Sequence[Chunk], exiftool: ExifTool, *, thumbnail: bytes = b"", mark: Mark | None = None
) -> CleanChunks:
    """Take every picture out of a PNG's metadata; a chunk in which one is left after exiftool goes as a whole, but XMP.

    Lost besides: what only the source's coding of the pixels gave a meaning (palette, background, significant bits),
    and the further frames of an animation.

    Raises:
        PhotoFailure: see `clean_segments`.
    """
    present = {kind for chunk in chunks if (kind := _kind_of_chunk(chunk))}

    def attempt(spared: Set[str]) -> tuple[tuple[bytes, list[str]], list[str]]:
        carrier = assemble_png([chunk for chunk in chunks if _kind_of_chunk(chunk) not in spared], tiny_png())
        marking = mark.arguments() if mark and XMP_BLOCK not in spared else ()
        edited, names, changed = edit_by_name(carrier, ".png", exiftool, thumbnail, marking)
        return (edited, names), changed

    (edited, names), spared = edit_what_can_be(present, attempt)
    held: list[Chunk] = []
    removed: list[str] = []
    for chunk in (chunk for chunk in chunks if _kind_of_chunk(chunk) in spared):
        if is_xmp(chunk):
            held.append(chunk)
        else:
            salvaged, lost = salvage_exif(chunk.payload)
            held += [Chunk(_PNG_EXIF, salvaged)] * bool(salvaged)
            removed += lost
    if spared:
        after = assemble_png((*held, *split_png(edited).metadata), tiny_png())
        old_exif, new_exif = (
            next((one.payload for one in some if one.type == _PNG_EXIF), b"") for some in (chunks, held)
        )
        refuse_changes(assemble_png(chunks, tiny_png()), after, ".png", exiftool, old_exif, new_exif)
    kept, removed, fresh = [], [*removed, *names], thumbnail
    for chunk in (*held, *split_png(edited).metadata):
        content, kinds = blank_uncompressed(chunk.content)
        blanked, found = blank_pictures(without_pictures(content, (fresh,)))
        kinds += found
        check_blanked(chunk.type.decode("ascii", "replace"), blanked if is_xmp(chunk) or not kinds else b"")
        if is_xmp(chunk) and XMP_BLOCK in spared:
            check_spared(XMP_BLOCK, blanked)
        removed += [f"{kind} in {chunk.type.decode('ascii', 'replace')}" for kind in kinds]
        if not kinds:
            kept.append(chunk)
        elif is_xmp(chunk):
            kept.append(xmp_chunk(blanked))
        elif chunk.type == _PNG_EXIF:
            kept.append(Chunk(_PNG_EXIF, restored(blanked, chunk.payload, (fresh,))))
        if fresh and fresh in chunk.payload:
            fresh = b""  # exiftool puts it into every Exif block of a photo; one is enough
    return CleanChunks(tuple(kept), tuple(dict.fromkeys(removed)))


def _kind_of_chunk(chunk: Chunk) -> str:
    """Return the kind of block that a chunk is, if it can be spared."""
    return XMP_BLOCK if is_xmp(chunk) else EXIF_BLOCK if chunk.type == _PNG_EXIF else ""


@functools.cache
def tiny_png() -> bytes:
    """Return an 8x8 grey picture, round which PNG's metadata are put."""
    file = io.BytesIO()
    Image.new("L", (8, 8), 128).save(file, "PNG")
    return file.getvalue()
