"""WHICH metadata stays and which goes. Knows tags, nothing of pixels.

Everything stays as it is, byte for byte where exiftool need not touch it, but for what shows, or may show, a picture:
the blurring did not reach it. To that end the metadata is put round a tiny grey picture (the carrier), exiftool deletes
the pictures from that by name and writes the fresh thumbnail and our mark, and what no name was known for is found by
its looks and overwritten. The photo itself is never given to exiftool, and nothing unblurred ever lies under OUTPUT.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from pii_blur.photo.embedded import blank_pictures, join_blocks, put_back, without_pictures
from pii_blur.photo.exif_ifd import blank_uncompressed, has_thumbnail, metadata_only, orientation_only
from pii_blur.photo.exiftool import ExifTool, ExifToolRefusal
from pii_blur.photo.flir import blank_thermal
from pii_blur.photo.jpeg_segments import APP0, APP1, EXIF, EXTENDED_XMP, JFXX, Jpeg, Segment, split_jpeg
from pii_blur.photo.png_chunks import Chunk, assemble_png, is_xmp, split_png, xmp_chunk
from pii_blur.photo.tags import EXIF_THUMBNAIL, picture_names

MARK_NAMESPACE = b"https://pii-blur.example/ns/1.0/"
_PNG_EXIF = b"eXIf"

# PRIVACY: every tag known to hold a picture, film or sound. MEASURED: over 41 files with hidden pictures this list left
# none but a JFXX thumbnail (dropped below); plain deletion of ThumbnailImage leaves those in XMP.
_THUMBNAIL = ("-IFD1:all=", "-IFD2:all=")
_PICTURES = (
    "-MPF:all=",
    "-PhotoshopThumbnail=",
    "-XMP-xmp:Thumbnails=",
    "-XMP-xmp:ThumbnailImage=",
    "-XMP-xmp:PageInfo=",
    "-XMP-GImage:all=",
    "-XMP-GDepth:all=",
    "-XMP-GAudio:all=",
    "-PreviewImage=",
    "-JpgFromRaw=",
    "-OtherImage=",
    "-FlashPix:all=",
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What is written into a blurred photo.

    Attributes:
        version: of this program.
        model: name of the model.
        min_score: 0 to 1.
        regions: how many boxes were hidden.
    """

    version: str
    model: str
    min_score: float
    regions: int

    def arguments(self) -> list[str]:
        """Return exiftool's arguments that write it; see `.ExifTool_Config`."""
        values = {
            "ToolVersion": self.version,
            "Model": "".join(letter if letter.isprintable() else "?" for letter in self.model),
            "MinScore": f"{100 * self.min_score:g}",
            "Regions": str(self.regions),
        }
        return [f"-XMP-PiiBlur:{name}={value}" for name, value in values.items()]


@dataclass(frozen=True, slots=True)
class CleanSegments:
    """Metadata of a JPEG without pictures, and the names of what was taken out."""

    segments: tuple[Segment, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CleanChunks:
    """Metadata of a PNG without pictures, and the names of what was taken out."""

    chunks: tuple[Chunk, ...]
    removed: tuple[str, ...]


def has_mark(blocks: Iterable[bytes]) -> bool:
    """Whether one of some metadata blocks carries our mark."""
    return any(MARK_NAMESPACE in block for block in blocks)


def clean_segments(
    segments: Sequence[Segment],
    exiftool: ExifTool,
    *,
    thumbnail: bytes = b"",
    mark: Mark | None = None,
    keep: Sequence[bytes] = (),
) -> CleanSegments:
    """Take every picture, film and sound out of a JPEG's metadata.

    Args:
        segments: as in the source.
        exiftool: does the work.
        thumbnail: a JPEG to put in place of the EXIF thumbnail, if there is one.
        mark: written where given.
        keep: pictures that may stay, byte for byte as they are. If there are any, the EXIF thumbnail is not deleted by
            name, only overwritten if it is none of them.

    Raises:
        PhotoFailure: exiftool cannot do it (code ``exiftool``).
    """
    plain = [one for one in segments if not (one.marker == APP0 and one.payload.startswith(JFXX))]
    removed = ["JFXX thumbnail"] * (len(plain) < len(segments))
    for block in join_blocks(plain):
        without_heat, found = blank_thermal(block.data) if block.name.startswith("APP1 FLIR") else (b"", [])
        if found:
            plain = put_back(plain, block, without_heat)
            removed += found
    try:
        edited, names = _edit(_carrier(plain), ".jpg", exiftool, thumbnail, mark, keeps_thumbnail=bool(keep))
        before, plain = plain, list(split_jpeg(edited).segments)
        names = names or _vanished(before, plain)
    except ExifToolRefusal:
        # A damaged Exif block, mostly: of that what is certain stays, and exiftool sees to the rest.
        held = [one for one in plain if one.marker == APP1 and one.payload.startswith(EXIF)]
        if not held:
            raise
        others = [one for one in plain if one not in held]
        edited, names = _edit(_carrier(others), ".jpg", exiftool, thumbnail, mark)
        (block,) = join_blocks(held)
        salvaged, lost = _salvaged(block.data)
        whole = len(salvaged) == len(block.data)
        held = put_back(held, block, salvaged) if whole else [Segment(APP1, salvaged)] if salvaged else []
        plain, names = [*held, *split_jpeg(edited).segments], [*lost, *names]
    cleaned, kinds = _blank_rest(plain, (thumbnail, *keep))
    return CleanSegments(tuple(cleaned), _in_order([*removed, *names, *kinds]))


def clean_chunks(
    chunks: Sequence[Chunk], exiftool: ExifTool, *, thumbnail: bytes = b"", mark: Mark | None = None
) -> CleanChunks:
    """Take every picture out of a PNG's metadata; a chunk in which one is left after exiftool goes as a whole, but XMP.

    Lost besides: what only the source's coding of the pixels gave a meaning (palette, background, significant bits),
    and the further frames of an animation.

    Raises:
        PhotoFailure: exiftool cannot do it (code ``exiftool``).
    """
    carrier = assemble_png(chunks, tiny_png())
    held: list[Chunk] = []
    removed: list[str] = []
    try:
        edited, names = _edit(carrier, ".png", exiftool, thumbnail, mark)
    except ExifToolRefusal:
        damaged = [chunk for chunk in chunks if chunk.type == _PNG_EXIF]
        if not damaged:
            raise
        others = [chunk for chunk in chunks if chunk not in damaged]
        edited, names = _edit(assemble_png(others, tiny_png()), ".png", exiftool, thumbnail, mark)
        for chunk in damaged:
            salvaged, lost = _salvaged(chunk.payload)
            held += [Chunk(_PNG_EXIF, salvaged)] * bool(salvaged)
            removed += lost
    kept, removed = [], [*removed, *names]
    for chunk in (*held, *split_png(edited).metadata):
        content, kinds = blank_uncompressed(chunk.content)
        blanked, found = blank_pictures(without_pictures(content, (thumbnail,)))
        kinds += found
        removed += [f"{kind} in {chunk.type.decode('ascii', 'replace')}" for kind in kinds]
        if not kinds:
            kept.append(chunk)
        elif is_xmp(chunk):
            kept.append(xmp_chunk(blanked))
        elif chunk.type == _PNG_EXIF:
            kept.append(Chunk(_PNG_EXIF, _restored(blanked, chunk.payload, (thumbnail,))))
    return CleanChunks(tuple(kept), _in_order(removed))


def _salvaged(exif: bytes) -> tuple[bytes, list[str]]:
    """Return what may stay of an Exif block that exiftool refuses, and in words what may not."""
    # PRIVACY: a thumbnail of bare pixels cannot be told by its looks; in doubt the whole block goes.
    kept = metadata_only(exif)
    if kept is None:
        return orientation_only(exif), ["damaged EXIF block"]
    return kept, [EXIF_THUMBNAIL] * has_thumbnail(exif)


def _vanished(before: Sequence[Segment], after: Sequence[Segment]) -> list[str]:
    """Return the blocks that exiftool took out though it could tell no tag in them."""
    left = {block.name for block in join_blocks(after)}
    return [
        block.name
        for block in join_blocks(before)
        if block.name not in left and not block.data.startswith(EXTENDED_XMP)  # which may have become one with the rest
    ]


def _carrier(segments: Sequence[Segment]) -> bytes:
    """Put segments round a tiny picture."""
    return Jpeg(tuple(segments), _tiny().coded).to_bytes()


def _edit(
    carrier: bytes,
    suffix: str,
    exiftool: ExifTool,
    thumbnail: bytes,
    mark: Mark | None,
    *,
    keeps_thumbnail: bool = False,
) -> tuple[bytes, list[str]]:
    """Return the carrier without what exiftool can delete by name, and the names."""
    before = exiftool.read_tags(carrier, suffix)
    had_thumbnail = "IFD1:ThumbnailImage" in before
    arguments = [*_PICTURES, *([] if keeps_thumbnail else _THUMBNAIL), *(mark.arguments() if mark else [])]
    attached = {}
    if thumbnail and had_thumbnail:
        arguments.append("-IFD1:ThumbnailImage<={thumbnail.jpg}")
        attached["thumbnail.jpg"] = thumbnail
    edited = exiftool.edit(carrier, suffix, arguments, attached)
    after = exiftool.read_tags(edited, suffix)
    return edited, picture_names(before, after, has_new_thumbnail=bool(attached))


def _blank_rest(segments: Sequence[Segment], keep: Sequence[bytes]) -> tuple[list[Segment], list[str]]:
    """Overwrite pictures that exiftool has no name for, or cannot delete: some previews in maker notes."""
    cleaned, kinds = list(segments), []
    for block in join_blocks(segments):
        data, bare = blank_uncompressed(block.data)
        blanked, found = blank_pictures(without_pictures(data, keep))
        found = bare + found
        if found:
            cleaned = put_back(cleaned, block, _restored(blanked, block.data, keep))
            kinds += [f"{kind} in {block.name}" for kind in found]
    return cleaned, kinds


def _restored(blanked: bytes, original: bytes, keep: Sequence[bytes]) -> bytes:
    """Put the pictures that may stay back where they were."""
    result = bytearray(blanked)
    for picture in filter(None, keep):
        start = original.find(picture)
        while start >= 0:
            result[start : start + len(picture)] = picture
            start = original.find(picture, start + len(picture))
    return bytes(result)


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


@functools.cache
def _tiny() -> Jpeg:
    """Return an 8x8 grey picture, the smallest that exiftool takes for a photo."""
    file = io.BytesIO()
    Image.new("L", (8, 8), 128).save(file, "JPEG")
    return split_jpeg(file.getvalue())


@functools.cache
def tiny_png() -> bytes:
    """Return an 8x8 grey picture, round which PNG's metadata are put."""
    file = io.BytesIO()
    Image.new("L", (8, 8), 128).save(file, "PNG")
    return file.getvalue()
