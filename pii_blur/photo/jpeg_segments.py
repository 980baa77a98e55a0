"""A JPEG file as its parts: metadata segments, coded picture, whatever follows it. Decodes nothing.

libjpeg's rules decide what a marker is, so that the parts found here are the ones every decoder sees: fill bytes and
junk between segments are skipped, markers without a length carry nothing. One pass, each byte looked at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pii_blur.errors import PhotoFailure

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
APP0, APP1, APP2, APP14, COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
LARGEST_PAYLOAD = 0xFFFF - 2

EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
JFXX = b"JFXX\0"
_ADOBE = b"Adobe"

# Between segments: anything but a stuffed zero and a fill byte makes 0xFF a marker (libjpeg, jdmarker.c, next_marker).
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
# Inside a scan the restart markers belong to the picture as well.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SOS, _SOI, _EOI = 0xDA, 0xD8, 0xD9
_MOST_MARKERS = 50_000  # a progressive photo has about a hundred; each costs a step of a slow loop
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(frozen=True, slots=True)
class Segment:
    """One APPn or COM segment.

    Attributes:
        marker: second byte of the marker, e.g. 0xE1 for APP1.
        payload: what stands after the length.
    """

    marker: int
    payload: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the segment as it stands in a file."""
        return b"\xff" + bytes([self.marker]) + (len(self.payload) + 2).to_bytes(2) + self.payload


@dataclass(frozen=True, slots=True)
class Jpeg:
    """The parts of a JPEG file.

    Attributes:
        segments: every APPn and COM segment, in order; those between scans, which are rare, come last.
        coded: tables, frame and scans with their markers, verbatim; neither SOI nor EOI.
        trailer: all bytes after EOI.
        is_tidy: nothing but segments stood between SOI and EOI; else there was junk, and `to_bytes` leaves it out.
    """

    segments: tuple[Segment, ...]
    coded: bytes = field(repr=False)
    trailer: bytes = field(repr=False, default=b"")
    is_tidy: bool = True

    def to_bytes(self) -> bytes:
        """Return a file of segments and picture, without trailer."""
        return b"".join([SOI, *(segment.to_bytes() for segment in self.segments), self.coded, EOI])


def split_jpeg(data: bytes) -> Jpeg:
    """Take a JPEG file apart.

    Raises:
        PhotoFailure: it is empty (code ``empty``), no JPEG (``not_an_image``), cut off (``truncated``) or so damaged
            that its parts cannot be told (``damaged``). The message names no file: the caller knows it.
    """
    if not data:
        raise PhotoFailure("the file is empty", "empty")
    if data[:2] != SOI:
        raise PhotoFailure("the file is no JPEG", "not_an_image")
    segments: list[Segment] = []
    coded: list[bytes] = []
    position, is_tidy, has_scan = 2, True, False
    for _ in range(_MOST_MARKERS):
        found = _MARKER.search(data, position)
        if found is None:
            raise PhotoFailure("the file is cut off: its picture does not end", "truncated")
        is_tidy &= data[position : found.start()].strip(b"\xff") == b""
        marker, position = data[found.end() - 1], found.end()
        if marker == _EOI:
            break
        if marker == _SOI:
            raise PhotoFailure("the file is damaged: a second picture begins inside the first", "damaged")
        if marker in _WITHOUT_LENGTH:
            is_tidy = False
            continue
        end = _end_of_segment(data, marker, position)
        if APP0 <= marker <= 0xEF or marker == COM:
            segments.append(Segment(marker, data[position + 2 : end]))
        else:
            has_scan |= marker == _SOS
            coded.append(b"\xff" + data[position - 1 : end])
        position = end
    else:
        raise PhotoFailure("the file is damaged: it has more markers than any photo", "damaged")
    if not has_scan:
        raise PhotoFailure("the file holds no picture", "truncated")
    return Jpeg(tuple(segments), b"".join(coded), data[position:], is_tidy)


def assemble(segments: Iterable[Segment], picture: bytes, *, is_recoded: bool) -> bytes:
    """Put metadata segments round the picture of another JPEG, whose own segments are dropped.

    Args:
        segments: to stand in front.
        picture: a whole JPEG file.
        is_recoded: `picture` was encoded anew, as grey or YCbCr, whatever the segments' own picture was. An Adobe
            segment then says so; without this, decoders would take YCbCr for the RGB or CMYK of the source. JFIF always
            means grey or YCbCr and needs no change.
    """
    kept = tuple(_as_ycbcr(segment) if is_recoded else segment for segment in segments)
    return replace(split_jpeg(picture), segments=kept, trailer=b"").to_bytes()


def exif_of(segments: Iterable[Segment]) -> bytes:
    """Return the first Exif block (a TIFF structure), empty if there is none."""
    for segment in segments:
        if segment.marker == APP1 and segment.payload.startswith(EXIF):
            return segment.payload[len(EXIF) :]
    return b""


def xmp_of(segments: Iterable[Segment]) -> bytes:
    """Return the main XMP packet (XML), empty if there is none."""
    for segment in segments:
        if segment.marker == APP1 and segment.payload.startswith(XMP):
            return segment.payload[len(XMP) :]
    return b""


def _end_of_segment(data: bytes, marker: int, start: int) -> int:
    """Return where a segment ends whose length stands at `start`; a scan header's segment includes its scan."""
    end = start + int.from_bytes(data[start : start + 2])
    if end < start + 2 or end > len(data):
        raise PhotoFailure("the file is cut off, or damaged: a segment is longer than the file", "truncated")
    if marker != _SOS:
        return end
    following = _END_OF_SCAN.search(data, end)
    if following is None:
        raise PhotoFailure("the file is cut off: its picture does not end", "truncated")
    return following.start()


def _as_ycbcr(segment: Segment) -> Segment:
    """Set the transform of an Adobe segment to 1, YCbCr (Adobe TN 5116, section 18); grey pictures ignore it."""
    payload = segment.payload
    if segment.marker != APP14 or not payload.startswith(_ADOBE) or len(payload) < 12:
        return segment
    return replace(segment, payload=payload[:11] + b"\x01" + payload[12:])
