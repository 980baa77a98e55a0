"""WHICH metadata stays and which goes. Knows tags, nothing of pixels.

Everything stays as it is, byte for byte where exiftool need not touch it, but for what shows, or may show, a picture:
the blurring did not reach it. To that end the metadata is put round a tiny grey picture (the carrier), exiftool deletes
the pictures from that by name and writes the fresh thumbnail and our mark, and what no name was known for is found by
its looks and overwritten. The photo itself is never given to exiftool, and nothing unblurred ever lies under OUTPUT.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace

from PIL import Image

from pii_blur.claim import Claim
from pii_blur.photo.by_name import edit_by_name, refuse_changes
from pii_blur.photo.embedded import blank_pictures, join_blocks, put_back, without_pictures
from pii_blur.photo.exif_ifd import blank_uncompressed
from pii_blur.photo.exiftool import ExifTool
from pii_blur.photo.flir import blank_thermal
from pii_blur.photo.jpeg_segments import APP0, EXIF, EXTENDED_XMP, JFXX, Jpeg, Segment, exif_of, split_jpeg
from pii_blur.photo.orientation import read_orientation
from pii_blur.photo.spared import (
    EXIF_BLOCK,
    XMP_BLOCK,
    check_blanked,
    check_spared_segments,
    edit_what_can_be,
    has_lookalikes,
    kinds_in,
    salvage_segments,
    with_stand_ins,
    without_stand_ins,
    would_change,
)

MARK_NAMESPACE = b"https://pii-blur.example/ns/1.0/"

# As exiftool writes it, with `.ExifTool_Config`; in any other form it is not believed.
_CLAIM = re.compile(rb"(<PiiBlur:Hidden>)([^<]*)(</PiiBlur:Hidden>)")


@dataclass(frozen=True, slots=True)
class Mark:
    """What is written into a blurred photo.

    Attributes:
        version: of this program.
        model: name of the model.
        min_score: 0 to 1.
        regions: how many boxes were hidden.
        claim: what no longer needs to be looked for; None where nothing is vouched for.
    """

    version: str
    model: str
    min_score: float
    regions: int
    claim: Claim | None = None

    def arguments(self) -> list[str]:
        """Return exiftool's arguments that write it; see `.ExifTool_Config`."""
        values = {
            "ToolVersion": self.version,
            "Model": "".join(letter if letter.isprintable() else "?" for letter in self.model),
            "MinScore": f"{100 * self.min_score:g}",
            "Regions": str(self.regions),
            "Hidden": "" if self.claim is None else str(self.claim),  # nothing takes an older one out
        }
        return [f"-XMP-PiiBlur:{name}={value}" for name, value in values.items()]


@dataclass(frozen=True, slots=True)
class CleanSegments:
    """Metadata of a JPEG without pictures, and the names of what was taken out."""

    segments: tuple[Segment, ...]
    removed: tuple[str, ...]


def claim_in(blocks: Iterable[bytes]) -> Claim | None:
    """Return what our mark in some metadata blocks vouches for; None if there is none, or no single one."""
    texts = {found[2] for block in blocks if MARK_NAMESPACE in block for found in _CLAIM.finditer(block)}
    return Claim.from_text(texts.pop().decode("ascii", "replace")) if len(texts) == 1 else None


def without_claim(segment: Segment) -> Segment:
    """Return a segment of the same length whose mark, if it holds one, vouches for nothing any more."""
    if MARK_NAMESPACE not in segment.payload:
        return segment
    payload = _CLAIM.sub(lambda found: found[1] + b" " * len(found[2]) + found[3], segment.payload)
    return replace(segment, payload=payload)


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
        PhotoFailure: exiftool cannot do it (code ``exiftool``), or not without changing what is damaged (``metadata``).
    """
    plain = [one for one in segments if not (one.marker == APP0 and one.payload.startswith(JFXX))]
    removed = ["JFXX thumbnail"] * (len(plain) < len(segments))
    for block in join_blocks(plain):
        without_heat, found = blank_thermal(block.data) if block.name.startswith("APP1 FLIR") else (b"", [])
        if found:
            plain = put_back(plain, block, without_heat)
            removed += found
    plain, names, spared = _edit_segments(plain, exiftool, thumbnail, mark, keeps_thumbnail=bool(keep))
    cleaned, kinds = _blank_rest(_only_once(plain, thumbnail), (thumbnail, *keep))
    check_spared_segments(cleaned, spared)
    return CleanSegments(tuple(cleaned), _in_order([*removed, *names, *kinds]))


def _edit_segments(
    segments: Sequence[Segment], exiftool: ExifTool, thumbnail: bytes, mark: Mark | None, *, keeps_thumbnail: bool
) -> tuple[list[Segment], list[str], frozenset[str]]:
    """Return a JPEG's segments without what exiftool can delete by name, the names, and the blocks it did not get."""

    def attempt(spared: Set[str]) -> tuple[tuple[list[Segment], list[str]], list[str]]:
        given = with_stand_ins(segments, spared)
        # A second packet would be against the standard.
        marking = mark.arguments() if mark and XMP_BLOCK not in spared else ()
        edited, names, changed = edit_by_name(
            _carrier(given), ".jpg", exiftool, thumbnail, marking, keeps_thumbnail=keeps_thumbnail
        )
        after = split_jpeg(edited).segments
        names = names or _vanished(given, after)
        if read_orientation(exif_of(given)) != read_orientation(exif_of(after)):
            changed.append("IFD0:Orientation")
        return (without_stand_ins(after, segments), names), changed

    (edited, names), spared = edit_what_can_be(kinds_in(segments), attempt)
    if EXIF_BLOCK in spared:
        edited, lost = salvage_segments(edited)
        names = [*lost, *names]
    if spared or has_lookalikes(segments):
        # Blocks that exiftool never saw side by side may mean something else to it now.
        carriers = _carrier(segments), _carrier(edited)
        refuse_changes(*carriers, ".jpg", exiftool, _exif_in(segments), _exif_in(edited))
        if read_orientation(exif_of(segments)) != read_orientation(exif_of(edited)):
            raise would_change(["IFD0:Orientation"])
    return edited, names, spared


def _exif_in(segments: Sequence[Segment]) -> bytes:
    """Return the first Exif block, joined from its parts; empty if there is none."""
    return next((block.data for block in join_blocks(segments) if block.data.startswith(EXIF)), b"")


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


def _blank_rest(segments: Sequence[Segment], keep: Sequence[bytes]) -> tuple[list[Segment], list[str]]:
    """Overwrite pictures that exiftool has no name for, or cannot delete: some previews in maker notes."""
    cleaned, kinds = list(segments), []
    for block in join_blocks(segments):
        data, bare = blank_uncompressed(block.data)
        blanked, found = blank_pictures(without_pictures(data, keep))
        found = bare + found
        check_blanked(block.name, blanked)
        if found:
            cleaned = put_back(cleaned, block, restored(blanked, block.data, keep))
            kinds += [f"{kind} in {block.name}" for kind in found]
    return cleaned, kinds


def _only_once(segments: Sequence[Segment], thumbnail: bytes) -> list[Segment]:
    """Blank a fresh thumbnail but where it stands first: exiftool puts it into every Exif block of a photo."""
    changed, is_there = list(segments), False
    for block in join_blocks(segments) if thumbnail else ():
        first = block.data.find(thumbnail) + len(thumbnail) if not is_there and thumbnail in block.data else 0
        rest = without_pictures(block.data[first:], (thumbnail,))
        is_there |= first > 0
        if rest != block.data[first:]:
            changed = put_back(changed, block, block.data[:first] + rest)
    return changed


def restored(blanked: bytes, original: bytes, keep: Sequence[bytes]) -> bytes:
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
