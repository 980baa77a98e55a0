"""Turns a JPEG upright for programs that do not look at the orientation in its Exif block."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pii_blur.photo.encode import encode_like, facts_of
from pii_blur.photo.jpeg_frame import read_frame
from pii_blur.photo.jpeg_segments import Jpeg, Segment, assemble, exif_of, split_jpeg
from pii_blur.photo.jpegtran import turn
from pii_blur.photo.orientation import find_orientation, read_orientation
from pii_blur.photo.read import read_photo

_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)[2-8]")


def turned_upright(path: Path, max_pixels: int) -> bytes | None:
    """Return a JPEG file turned upright, its orientation set to 1; None where it needs no turning.

    Without loss where the picture is made of whole blocks and jpegtran is installed, else coded anew with its tables.

    Args:
        path: the file; it stays as it is.
        max_pixels: larger pictures are refused.

    Raises:
        PhotoFailure: the file cannot be read; see `read_photo`.
    """
    data = path.read_bytes()
    if data[:2] != b"\xff\xd8" or read_orientation(exif_of(split_jpeg(data).segments)) == 1:
        return None
    photo = read_photo(path, max_pixels=max_pixels)  # nothing is spent on a file that will be refused
    facts = facts_of(photo)
    if facts.orientation == 1:
        return None
    source = split_jpeg(facts.data)
    turned = None if facts.damage else turn(source.to_bytes(), facts.orientation)
    if turned is not None:
        result = split_jpeg(turned)
        return Jpeg(tuple(_as_upright(result.segments)), result.coded).to_bytes()
    picture = encode_like(read_frame(source.to_bytes()), photo.pixels)
    return assemble(_as_upright(source.segments), picture, is_recoded=True)


def _as_upright(segments: Iterable[Segment]) -> Iterable[Segment]:
    """Yield segments with their orientation set to 1, every other byte as it is."""
    for segment in segments:
        payload = _XMP_ORIENTATION.sub(rb"\g<1>1", segment.payload)
        exif = exif_of([segment])
        entry = find_orientation(exif)
        if entry:
            start = payload.index(exif) + entry + 8
            one = (1).to_bytes(2, "little" if exif[:1] == b"I" else "big")
            payload = payload[:start] + one + payload[start + 2 :]
        yield replace(segment, payload=payload)
