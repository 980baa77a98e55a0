"""Whether a finished file carries a picture or film besides its own, and whether its thumbnail shows what it shows.

Knows no tags, and not what the cleaning did: blocks of metadata are searched by what pictures look like, then once more
by trying to open whatever begins like one.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pii_blur.photo.embedded import find_pictures
from pii_blur.photo.exif_ifd import uncompressed_pictures

Luma = NDArray[np.uint8]

_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"RIFF", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"BM")
_OPENABLE = ("JPEG", "PNG", "GIF", "WEBP", "JPEG2000", "BMP")
_FILM = re.compile(rb"\0\0\0[\x08-\x80](?:ftyp|moov|mdat|JXL )|RIFF.{4}(?:AVI |WAVE|WEBP)", re.DOTALL)
_LONG_BASE64 = re.compile(rb"[A-Za-z0-9+/]{16}(?:[A-Za-z0-9+/=\s\\]|&#[xX]?[0-9A-Fa-f]{1,4};){200,}")
_NOT_BASE64 = re.compile(rb"&#[xX]?[0-9A-Fa-f]{1,4};|[^A-Za-z0-9+/]")
_HEXADECIMAL = re.compile(rb"\b(?:[0-9A-Fa-f]{2}){30,}\b")
# What Pillow raises at bytes that only begin like a picture.
_NO_PICTURE = (OSError, EOFError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError, struct.error)
_MOST_TRIED = 1000  # places that begin like a picture; more would be an attack on our time

# A thumbnail is a small version if nothing in it differs by more than sharpening and coarse coding do.
_LARGEST = 320
_CELLS = 16
_MOST_DIFFERENCE = 32.0  # grey levels, mean over a cell
# Where hiding changed the small version, the thumbnail must look like the result, not like the source.
_LEAST_CHANGE = 6.0  # grey levels, mean over a patch
_PATCH = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """What a thumbnail may show.

    Attributes:
        result: uint8 (h, w) brightness of the finished file, small.
        source: the same of the source; None where nothing was hidden.
        most: how many small pictures there may be.
    """

    result: Luma
    source: Luma | None = None
    most: int = 1


def foreign_pictures(blocks: Iterable[tuple[str, bytes]], expected: Expected) -> str:
    """Look for pictures in metadata.

    Args:
        blocks: (name, bytes) of each block of metadata, joined from its parts.
        expected: what a thumbnail may show.

    Returns:
        What was found that must not be there, in words; empty if nothing.
    """
    thumbnails = 0
    for name, data in blocks:
        if uncompressed_pictures(data):
            return f"uncompressed picture in {name}"
        rest = data
        for one in find_pictures(data):
            if one.kind != "JPEG" or one.encoded:
                return f"{one.kind} in {name}"
            picture = data[one.start : one.end]
            if thumbnails >= expected.most or picture.count(b"\xff\xd8\xff") != 1:
                return f"second {one.kind} in {name}"
            if why := _is_no_thumbnail(picture, expected):
                return f"{why} in {name}"
            thumbnails += 1
            rest = rest.replace(picture, bytes(len(picture)))
        if what := _anything_openable(rest):
            return f"{what} in {name}"
    return ""


def holds_picture(value: object) -> bool:
    """Whether what exiftool says of a tag (with ``-b``) is, or contains, a picture or film."""
    text = value if isinstance(value, str) else json.dumps(value)
    data = text.encode("utf-8", "replace")
    parts = [data, binascii.unhexlify(b"".join(_HEXADECIMAL.findall(data)))]
    if text.startswith("base64:"):
        parts.append(base64.b64decode(text.removeprefix("base64:")))
    return any(find_pictures(part) or _anything_openable(part) for part in parts)


def _anything_openable(data: bytes) -> str:
    """Say what picture or film begins somewhere in a block, as it stands or in base64."""
    for part in (data, *_decoded(data)):
        if film := _FILM.search(part):
            return f"film or sound ({film.group()[:12]!r})"
        for number, start in enumerate(_places(part)):
            if number >= _MOST_TRIED:
                return "more beginnings of pictures than any photo has"
            if kind := _opened_as(part[start:]):
                return kind
    return ""


def _places(data: bytes) -> Iterator[int]:
    for beginning in _BEGINNINGS:
        start = data.find(beginning)
        while start >= 0:
            yield start
            start = data.find(beginning, start + 1)


def _opened_as(data: bytes) -> str:
    try:
        with Image.open(io.BytesIO(data), formats=_OPENABLE) as picture:
            return str(picture.format) if min(picture.size) > 1 else ""
    except Image.DecompressionBombError:
        return "outsized picture"
    except _NO_PICTURE:
        return ""


def _decoded(data: bytes) -> Iterator[bytes]:
    for match in _LONG_BASE64.finditer(data):
        letters = _NOT_BASE64.sub(b"", match.group())
        for shift in range(4):  # it may follow letters of something else
            whole = letters[shift:]
            yield base64.b64decode(whole[: len(whole) // 4 * 4])


def _is_no_thumbnail(picture: bytes, expected: Expected) -> str:
    """Say in what way a picture is no small version of the result; empty if it is one."""
    try:
        with Image.open(io.BytesIO(picture), formats=("JPEG",)) as opened:
            if max(opened.size) > _LARGEST:
                return "a second picture"
            small = np.asarray(opened.convert("L"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError):
        return "a picture that does not open"
    small = _without_bars(small, expected.result.shape)
    # As large as the smaller of the two.
    size = (min(small.shape[1], expected.result.shape[1]), min(small.shape[0], expected.result.shape[0]))
    shown, result = (
        cv2.resize(one, size, interpolation=cv2.INTER_AREA).astype(np.float32) for one in (small, expected.result)
    )
    # Cells of three pixels and more, or a shift by part of a pixel counts as another picture.
    cells = (min(2 * _CELLS, max(size[0] // 3, 1)), min(_CELLS, max(size[1] // 3, 1)))
    if np.abs(cv2.resize(shown - result, cells, interpolation=cv2.INTER_AREA)).max() > _MOST_DIFFERENCE:
        return "a thumbnail of something else"
    if expected.source is None:
        return ""
    # PRIVACY: a thumbnail may be like the result as a whole and still show a region as it was.
    source = cv2.resize(expected.source, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    change, to_result, to_source = (_patches(one) for one in (result - source, shown - result, shown - source))
    return "a thumbnail that was not blurred" if ((change > _LEAST_CHANGE) & (to_result > to_source)).any() else ""


def _patches(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean size of a difference over small patches, every one half over the next."""
    return np.asarray(cv2.blur(np.abs(difference), (_PATCH, _PATCH))[:: _PATCH // 2, :: _PATCH // 2], dtype=np.float32)


def _without_bars(small: Luma, shape: tuple[int, ...]) -> Luma:
    """Cut off black bars, with which cameras fill thumbnails up to 160 x 120."""
    height, width = shape
    bar_x = max(round((small.shape[1] - small.shape[0] * width / height) / 2), 0)
    bar_y = max(round((small.shape[0] - small.shape[1] * height / width) / 2), 0)
    kept = small[bar_y : small.shape[0] - bar_y, bar_x : small.shape[1] - bar_x]
    return kept if min(kept.shape) > 0 else small
