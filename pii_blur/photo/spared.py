"""Metadata that exiftool would not give back as it was, and so never gets: which blocks, and what becomes of them.

Exiftool rewrites a block as a whole: what is damaged or unusual in it is repaired, left out, moved, or refused. Such a
block is spared: it stays as it stands, byte for byte, and pictures are taken out of it in place. Where pictures might
stand in it that cannot be told by their looks, the photo is refused: see `PhotoFailure` code ``metadata``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence, Set
from typing import TypeVar

from pii_blur.errors import PhotoFailure
from pii_blur.photo.embedded import find_pictures, join_blocks, put_back
from pii_blur.photo.exif_ifd import has_thumbnail, metadata_only, orientation_only
from pii_blur.photo.exiftool import ExifToolRefusal
from pii_blur.photo.jpeg_segments import APP0, APP1, APP2, EXIF, EXTENDED_XMP, XMP, Segment
from pii_blur.photo.openable import anything_openable
from pii_blur.photo.tags import EXIF_THUMBNAIL

# Kinds of blocks that can be spared.
EXIF_BLOCK, XMP_BLOCK, PHOTOSHOP_BLOCK = "Exif", "XMP", "Photoshop"

PHOTOSHOP = b"Photoshop 3.0\0"
_APP3, _APP13, _APP14, _APP15 = 0xE3, 0xED, 0xEE, 0xEF
# What exiftool changes for us, by marker and beginning. Everything else is spared always: it would join the parts of a
# colour profile in its own way, or take a block for Exif that only looks like it.
_FOR_EXIFTOOL = (
    *((APP0, b""), (APP1, EXIF), (APP1, XMP), (APP1, EXTENDED_XMP), (APP2, b"MPF\0"), (APP2, b"FPXR\0"), (_APP3, b"")),
    *((_APP13, PHOTOSHOP), (_APP14, b"")),
)
_KINDS = {EXIF_BLOCK: (EXIF,), XMP_BLOCK: (XMP, EXTENDED_XMP), PHOTOSHOP_BLOCK: (PHOTOSHOP,)}
_STAND_IN = b"pii-blur spares segment "

# Pictures and sounds in XMP whose coding nobody prescribes, by the namespace of their tags (https://developer.android.com
# /media/camera/camera2/dynamic-depth), and thumbnails of Photoshop's, which may be bare pixels (Photoshop file formats,
# image resources 1033 and 1036).
_IN_ANY_CODING = {
    XMP_BLOCK: re.compile(rb"ns\.google\.com/photos/1\.0/(?:image|depthmap|audio)/"),
    PHOTOSHOP_BLOCK: re.compile(rb"(?:8BIM|PHUT|AgHg|DCSR|MeSa)\x04[\x09\x0c]"),
}

T = TypeVar("T")


def edit_what_can_be(
    present: Set[str], attempt: Callable[[Set[str]], tuple[T, Sequence[str]]]
) -> tuple[T, frozenset[str]]:
    """Let exiftool edit metadata, sparing ever more of it until nothing else changes.

    Args:
        present: kinds of blocks that there are.
        attempt: edits without the kinds that it is given; returns the result and the tags that changed and should not.

    Returns:
        The first result in which all is well, and what was spared for it.

    Raises:
        PhotoFailure: none is (code ``metadata``), or exiftool cannot do it at all (``exiftool``).
    """
    spared: frozenset[str] = frozenset()
    while True:
        try:
            result, changed = attempt(spared)
            spoilt = {_kind_of(tag) for tag in changed}
        except ExifToolRefusal as refusal:
            is_photoshop = any(word in refusal.message for word in ("Photoshop", "APP13", "IPTC"))
            spoilt, changed = {PHOTOSHOP_BLOCK if is_photoshop else EXIF_BLOCK}, ()
            if not spoilt <= present - spared:
                raise
        if not spoilt:
            return result, spared
        if not spoilt & (present - spared):
            raise would_change(changed)
        spared |= spoilt


def would_change(tags: Iterable[str]) -> PhotoFailure:
    """Return the refusal of a photo whose metadata cannot be cleaned without changing some tags."""
    named = ", ".join(list(tags)[:5])
    return _refusal(f"its metadata is damaged, and cleaning it would change {named}")


def kinds_in(segments: Iterable[Segment]) -> set[str]:
    """Return the kinds of blocks that a JPEG has and that can be spared."""
    return {kind for one in segments if (kind := _kind_of_segment(one))}


def has_lookalikes(segments: Iterable[Segment]) -> bool:
    """Whether exiftool may read a segment that it does not get: Exif or XMP with a damaged beginning."""
    others = (one for one in segments if one.marker == APP1 and not _kind_of_segment(one))
    return any(not one.payload.startswith(b"FLIR\0") for one in others)


def with_stand_ins(segments: Sequence[Segment], spared: Set[str]) -> list[Segment]:
    """Return segments for exiftool, in the same order: for each that it must not touch, one that it will not."""
    return [
        one
        if one.payload.startswith(tuple(start for marker, start in _FOR_EXIFTOOL if marker == one.marker))
        and _kind_of_segment(one) not in spared
        else Segment(_APP15, _STAND_IN + str(number).encode())
        for number, one in enumerate(segments)
    ]


def without_stand_ins(edited: Iterable[Segment], segments: Sequence[Segment]) -> list[Segment]:
    """Return what exiftool made of `with_stand_ins(segments, ...)`, with the spared segments at their places."""
    return [
        segments[int(one.payload.removeprefix(_STAND_IN))]
        if one.marker == _APP15 and one.payload.startswith(_STAND_IN)
        else one
        for one in edited
    ]


def salvage_segments(segments: Sequence[Segment]) -> tuple[list[Segment], list[str]]:
    """Return a JPEG's segments with what may stay of a spared Exif block, and in words what may not."""
    changed: list[Segment | None] = list(segments)
    names: list[str] = []
    for block in join_blocks(segments):
        first = block.places[0][0]
        if _kind_of_segment(segments[first]) == EXIF_BLOCK:
            salvaged, lost = salvage_exif(block.data)
            names += lost
            is_whole = len(salvaged) == len(block.data)
            whole = put_back(segments, block, salvaged) if is_whole else []
            for index, _ in block.places:
                changed[index] = whole[index] if is_whole else None
            if salvaged and not is_whole:
                changed[first] = Segment(APP1, salvaged)
    return [one for one in changed if one is not None], names


def salvage_exif(exif: bytes) -> tuple[bytes, list[str]]:
    """Return what may stay of a spared Exif block, and in words what may not."""
    # PRIVACY: a thumbnail of bare pixels cannot be told by its looks; in doubt the whole block goes.
    kept = metadata_only(exif)
    if kept is None:
        return orientation_only(exif), ["damaged EXIF block"]
    return kept, [EXIF_THUMBNAIL] * has_thumbnail(exif)


def check_blanked(name: str, data: bytes) -> None:
    """Make sure that nothing in a block opens as a picture after all that was found in it has been blanked.

    Raises:
        PhotoFailure: code ``metadata``.
    """
    # PRIVACY: what only begins like a picture cannot be taken out, as nobody can say where it ends.
    if what := anything_openable(data):
        raise _refusal(f"its block {name} may hold a picture that cannot be taken out by itself ({what})")


def check_spared(kind: str, data: bytes) -> None:
    """Make sure that pictures in a spared block, after those that were found are gone, could be told by their looks.

    Args:
        kind: of the block.
        data: of the block; XMP without what stands before the packet.

    Raises:
        PhotoFailure: code ``metadata``.
    """
    in_any_coding = _IN_ANY_CODING.get(kind)
    is_hard_to_read = kind == XMP_BLOCK and bool(find_pictures(_unescaped(data)))
    if is_hard_to_read or (in_any_coding and in_any_coding.search(data)):
        raise _refusal(f"its {kind} block is damaged and may hold pictures that cannot be told from other data")


def check_spared_segments(segments: Sequence[Segment], spared: Set[str]) -> None:
    """Do so for all spared blocks of a JPEG; see `check_spared`."""
    for block in join_blocks(segments):
        kind = _kind_of_segment(segments[block.places[0][0]])
        if kind in spared and kind != EXIF_BLOCK:
            start = next(start for start in _KINDS[kind] if block.data.startswith(start))
            header = len(EXTENDED_XMP) + 40 if start == EXTENDED_XMP else len(start)
            check_spared(kind, block.data[header:])


def _refusal(why: str) -> PhotoFailure:
    # The command is the one of exiftool's FAQ 20.
    how = "exiftool -all= -tagsfromfile @ -all:all -unsafe -icc_profile COPY"
    return PhotoFailure(f"{why}; repair a copy with '{how}', look at it, and run again with that", "metadata")


def _kind_of(tag: str) -> str:
    """Return the kind of block in which a tag stands, by the beginning of its name in exiftool's answers."""
    if tag.startswith("XMP-") or tag == "PNG:XMP":
        return XMP_BLOCK
    return PHOTOSHOP_BLOCK if tag.startswith(("Photoshop:", "IPTC")) else EXIF_BLOCK


def _kind_of_segment(segment: Segment) -> str:
    """Return the kind of block to which a segment belongs; empty if exiftool never gets it, or always."""
    marker = _APP13 if segment.payload.startswith(PHOTOSHOP) else APP1
    known = (kind for kind, starts in _KINDS.items() if segment.payload.startswith(starts))
    return next(known, "") if segment.marker == marker else ""


def _unescaped(packet: bytes) -> bytes:
    """Return an XMP packet with letters in place of all references to them, and ASCII where it was UTF-16 or UTF-32."""
    return html.unescape(packet.replace(b"\0", b"").decode("latin-1")).encode("latin-1", "replace")
