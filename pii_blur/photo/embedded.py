"""Finds pictures and films inside metadata by what they look like, whatever tag or maker's block they hide in.

Knows signatures, no tags: what exiftool does not know is found here as well. A signature counts only with enough
structure behind it that random bytes of a colour profile or a maker note practically never have it (one in 2^40 and
rarer): a JPEG is recognised by its frame header, without which no decoder can show it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pii_blur.photo.jpeg_segments import APP1, EXIF, EXTENDED_XMP, XMP, Segment

# SOF0 to SOF15 without DHT, JPG, DAC; length and number of components agree; each component: id, sampling, table.
_FRAME = re.compile(
    rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]\x00"
    rb"(?:\x0b[\x02-\x10].{4}\x01(?:.[\x11-\x14\x21-\x24\x31-\x34\x41-\x44][\x00-\x03])"
    rb"|\x11[\x02-\x10].{4}\x03(?:.[\x11-\x14\x21-\x24\x31-\x34\x41-\x44][\x00-\x03]){3}"
    rb"|\x14[\x02-\x10].{4}\x04(?:.[\x11-\x14\x21-\x24\x31-\x34\x41-\x44][\x00-\x03]){4})",
    re.DOTALL,
)
_SIGNATURES = {
    "PNG": re.compile(rb"[\x89\x8a][PM]NG\r\n\x1a\n"),
    "WebP, WAV or AVI": re.compile(rb"RIFF.{4}(?:WEBPVP8[ LX]|WAVEfmt |AVI LIST)", re.DOTALL),
    # With a palette, or with none and a block of its own behind the header; the name alone stands in texts.
    "GIF": re.compile(rb"GIF8[79]a.{4}(?:[\x00\x80-\xff]|[\x01-\x7f]..[!,])", re.DOTALL),
    "film or HEIF": re.compile(rb"\x00\x00\x00[\x08-\xff]ftyp[ -~]{4}"),
    "JPEG 2000": re.compile(rb"\xff\x4f\xff\x51\x00[\x29-\xff]"),
    "JPEG XL": re.compile(rb"\x00\x00\x00\x0cJXL \r\n\x87\n"),
}
_NESTED = 8  # how many SOIs are tried: those of thumbnails inside thumbnails lie in between
_LONGEST_HEADER = 1 << 20  # bytes from SOI to frame header that are looked through, and
_MOST_SEGMENTS = 1000  # how many segments: what is damaged, or means harm, must not cost hours
_FLOOD = 250  # beginnings of one kind in one block; no camera hides a tenth as many
_END_OF_PNG = b"IEND\xae\x42\x60\x82"

# The same in base64, as XMP holds it: the first letters of each signature, then enough base64, with the line breaks
# that XML allows in it, to be more than a chance. Never going back in it (`+` behind a quantifier) saves the memory to.
_BASE64 = re.compile(
    rb"(?:/9j/|iVBORw0K|UklGR|R0lGODl|AAAA[A-Za-z0-9+/]{2}Z0eX|/0//UQ)"
    rb"(?:[A-Za-z0-9+/=\s\\]++|&#[xX]?[0-9A-Fa-f]{1,4};)*+"
)
_LEAST_BASE64 = 64
_NOT_BASE64 = re.compile(rb"&#[xX]?[0-9A-Fa-f]{1,4};|[^A-Za-z0-9+/]")

_FLIR = b"FLIR\0"
_TIFF = (b"II*\0", b"MM\0*")

# Bytes of a segment's payload that repeat in each part of a block that is spread over several segments.
_PART_HEADERS = {
    (APP1, EXIF): len(EXIF),
    (APP1, EXTENDED_XMP): len(EXTENDED_XMP) + 32 + 4 + 4,
    (APP1, _FLIR): 8,
    (0xE2, b"ICC_PROFILE\0"): 14,
    (0xE2, b"FPXR\0"): 13,
    (0xEB, b"JP"): 16,
    (0xED, b"Photoshop 3.0\0"): 14,
}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture or film found in `data[start:end]`; `kind` names its format. `encoded`: it stands there in base64."""

    start: int
    end: int
    kind: str
    encoded: bool = False


def find_pictures(data: bytes) -> list[Embedded]:
    """Return every picture and film in a block of bytes, in order; they may lie inside one another.

    Where there are more beginnings than any camera writes, all that follows counts as one.
    """
    found = list(_at_most(_FLOOD, _jpegs(data), len(data)))
    for kind, signature in _SIGNATURES.items():
        found += _at_most(_FLOOD, _signed(data, kind, signature), len(data))
    found.extend(
        Embedded(match.start(), match.end(), "picture in base64", encoded=True)
        for match in _BASE64.finditer(data)
        if match.end() - match.start() >= _LEAST_BASE64 and _is_picture(_decoded(match.group()))
    )
    return sorted(found, key=lambda one: (one.start, one.end))


def blank_pictures(data: bytes) -> tuple[bytes, list[str]]:
    """Overwrite every picture and film in a block of bytes, so that nothing around them moves.

    Returns:
        A block of the same length, and the kinds of what was overwritten.
    """
    kinds: list[str] = []
    blanked = bytearray(data)
    # Once more for what a picture had inside it, and for what only shows when something else is gone.
    while found := find_pictures(bytes(blanked)):
        done = 0
        for one in found:
            kinds.append(one.kind)
            start = max(one.start, done)
            if start < one.end:
                blanked[start : one.end] = (b"A" if one.encoded else b"\0") * (one.end - start)
                done = one.end
    return bytes(blanked), kinds


def without_pictures(data: bytes, pictures: Iterable[bytes]) -> bytes:
    """Return a block in which every occurrence of some known pictures is blanked, so that they are not found."""
    for picture in filter(None, pictures):
        data = data.replace(picture, bytes(len(picture)))
    return data


@dataclass(frozen=True, slots=True)
class Block:
    """A metadata block, joined from the segments it is spread over.

    Attributes:
        name: of the block, e.g. ``APP1 Exif``.
        places: for each part: number of its segment, bytes of header left out in front of it.
        data: the parts in a row, without the headers that would interrupt it.
    """

    name: str
    places: tuple[tuple[int, int], ...]
    data: bytes


def join_blocks(segments: Sequence[Segment]) -> Iterator[Block]:
    """Join what belongs together: a picture may be cut anywhere, also in the middle of its signature."""
    groups: dict[tuple[int, bytes, int], list[tuple[int, int]]] = {}
    number = 0
    for index, segment in enumerate(segments):
        (marker, identifier), header = _identify(segment)
        # A segment of Exif that begins like a whole block goes on with no other.
        number += identifier == EXIF and segment.payload[header : header + 4] in _TIFF
        groups.setdefault((marker, identifier, number * (identifier == EXIF)), []).append((index, header))
    for (marker, identifier, _), places in groups.items():
        if identifier == EXTENDED_XMP:  # the parts may stand in any order; each says where it belongs
            places.sort(key=lambda place: segments[place[0]].payload[place[1] - 4 : place[1]])
        if identifier != _FLIR:  # whose block begins behind the header; elsewhere the first one is searched as well
            places[0] = (places[0][0], 0)
        data = b"".join(segments[index].payload[header:] for index, header in places)
        yield Block(_name(marker, identifier), tuple(places), data)


def put_back(segments: Sequence[Segment], block: Block, data: bytes) -> list[Segment]:
    """Return segments whose `block` holds `data`, which has the same length as before."""
    changed = list(segments)
    position = 0
    for index, header in block.places:
        payload = segments[index].payload
        size = len(payload) - header
        changed[index] = Segment(segments[index].marker, payload[:header] + data[position : position + size])
        position += size
    return changed


def _identify(segment: Segment) -> tuple[tuple[int, bytes], int]:
    """Return what a segment's block is known by, and the length of the header of each of its parts."""
    for (marker, identifier), header in _PART_HEADERS.items():
        if segment.marker == marker and segment.payload.startswith(identifier) and len(segment.payload) >= header:
            return (marker, identifier), header
    name = XMP if segment.payload.startswith(XMP) else segment.payload[:24].split(b"\0")[0]
    return (segment.marker, name), 0


def _name(marker: int, identifier: bytes) -> str:
    readable = identifier.rstrip(b"\0").decode("ascii", "replace").removeprefix("http://ns.adobe.com/")
    word = {0xFE: "COM"}.get(marker, f"APP{marker - 0xE0}")
    return f"{word} {readable}" if readable.isprintable() and readable.isascii() else word


def _has_size(data: bytes, frame: int) -> bool:
    return data[frame + 5 : frame + 7] != b"\0\0" and data[frame + 7 : frame + 9] != b"\0\0"


def _jpegs(data: bytes) -> Iterator[Embedded]:
    """Yield the JPEG that each frame header belongs to: from the SOI before it to the EOI behind it."""
    end = 0
    for match in _FRAME.finditer(data):
        if _has_size(data, match.start()):
            if end < match.end() + 2:  # else the one that was found before is the next one still
                found = data.find(b"\xff\xd9", match.end())
                end = len(data) if found < 0 else found + 2
            yield Embedded(_start_of(data, match.start()), end, "JPEG")


def _signed(data: bytes, kind: str, signature: re.Pattern[bytes]) -> Iterator[Embedded]:
    """Yield everything that begins with a signature; what has no end of its own ends with the block."""
    for match in signature.finditer(data):
        end = data.find(_END_OF_PNG, match.end()) + len(_END_OF_PNG) if kind == "PNG" else 0
        yield Embedded(match.start(), end if end > match.end() else len(data), kind)


def _at_most(count: int, found: Iterable[Embedded], size: int) -> Iterator[Embedded]:
    """Yield what was found up to a number, then one that takes in the rest: nothing found is ever left out."""
    for number, one in enumerate(found, start=1):
        if number == count:
            yield replace(one, end=size)
            return
        yield one


def _start_of(data: bytes, frame: int) -> int:
    """Return where the SOI stands from which segments lead up to a frame header.

    Some cameras spoil it (Minolta's first byte is wrong): then the picture is taken to begin at its frame header,
    rather than at some chance SOI far in front.
    """
    first = max(frame - _LONGEST_HEADER, 0)
    start = data.rfind(b"\xff\xd8", first, frame)
    for _ in range(_NESTED):
        if start < 0:
            break
        position = start + 2
        for _ in range(_MOST_SEGMENTS):
            if position >= frame or data[position] != 0xFF:
                break
            position += 2 + int.from_bytes(data[position + 2 : position + 4])
        if position == frame:
            return start
        start = data.rfind(b"\xff\xd8", first, start)
    return frame


def _decoded(text: bytes) -> bytes:
    letters = _NOT_BASE64.sub(b"", text)
    try:
        return base64.b64decode(letters[: len(letters) // 4 * 4])
    except binascii.Error:
        return b""


def _is_picture(data: bytes) -> bool:
    return data.startswith(b"\xff\xd8\xff") or any(one.match(data) for one in _SIGNATURES.values())
