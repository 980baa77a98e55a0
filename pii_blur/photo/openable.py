"""Whether anything in a block of bytes opens as a picture or film, wherever it begins: the guard's second opinion.

The first one, `embedded.py`, knows what pictures look like; this one lets a decoder try. What costs a decoder seconds
is kept from it: of a JPEG it gets the tables and headers without the metadata between them, however long that is, and
of any other format so much as its headers need.
"""

from __future__ import annotations

import base64
import io
import re
import struct
from collections.abc import Iterator

from PIL import Image

# GIF and BMP are told by more than their short names: those stand in texts and tables by chance.
_BEGINNING = re.compile(
    rb"\xff\xd8(?=\xff)|\x89PNG\r\n|GIF8(?=[79]a)|\0\0\0\x0cjP  |\xff\x4f(?=\xff\x51)"
    rb"|BM(?=.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0)",
    re.DOTALL,
)
_JPEG = b"\xff\xd8"
_OPENABLE = ("JPEG", "PNG", "GIF", "JPEG2000", "BMP")
_FILM = re.compile(rb"\0\0\0[\x08-\x80](?:ftyp|moov|mdat|JXL )|RIFF.{4}(?:AVI |WAVE|WEBP)", re.DOTALL)
_LONG_BASE64 = re.compile(rb"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{16}(?:[A-Za-z0-9+/=\s\\]|&#[xX]?[0-9A-Fa-f]{1,4};){200,}+")
_NOT_BASE64 = re.compile(rb"&#[xX]?[0-9A-Fa-f]{1,4};|[^A-Za-z0-9+/]")
# What Pillow raises at bytes that only begin like a picture.
_NO_PICTURE = (OSError, EOFError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError, struct.error)
# What looking through one block may cost; more beginnings, or longer walks, would be an attack on our time. In the time
# of bytes that are skipped, that is what a trial and a marker take.
_PATIENCE, _TRIAL, _STEP = 50_000_000, 50_000, 100

# PRIVACY: no picture is missed for these limits. PNG, JPEG 2000 and WebP are found by their signatures alone, before;
# BMP has its headers and palette in the first 1200 bytes; GIF with more than this before its first picture is found
# by its signature too, unless its header is one that no program writes.
_WINDOW = 1 << 14
_MOST_TABLES = 1 << 16  # bytes of a JPEG's tables and headers: a hundred times what any encoder writes

# As Pillow reads a JPEG, which forgives more than libjpeg: junk is skipped, these markers have no length, below 0xC0
# nothing else has a meaning.
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_WITHOUT_LENGTH = frozenset((0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)))
_APP0, _APP15, _COM, _SOS, _SOF0 = 0xE0, 0xEF, 0xFE, 0xDA, 0xC0


class _OutOfPatience(Exception):
    """No photo has a block like this."""


class _Patience:
    """What is left of `_PATIENCE`."""

    def __init__(self) -> None:
        self._left = _PATIENCE

    def spend(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise _OutOfPatience


def anything_openable(data: bytes) -> str:
    """Say what picture or film begins somewhere in a block, as it stands or in base64; empty if nothing does."""
    patience = _Patience()
    try:
        for part in (data, *_decoded(data)):
            if film := _FILM.search(part):
                return f"film or sound ({film.group()[:12]!r})"
            for match in _BEGINNING.finditer(part):
                if kind := _opened_as(part, match.start(), patience):
                    return kind
    except _OutOfPatience:
        return "more beginnings of pictures than any photo has"
    return ""


def _opened_as(data: bytes, start: int, patience: _Patience) -> str:
    if not data.startswith(_JPEG, start):
        header = data[start : start + _WINDOW]
    else:
        header = _jpeg_header(data, start, patience)
        if not header or len(header) > _MOST_TABLES:
            # Whatever leads in good order to a scan, by more tables than there can be, means harm.
            return "JPEG" if header else ""
    patience.spend(_TRIAL)
    try:
        with Image.open(io.BytesIO(header), formats=_OPENABLE) as picture:
            return str(picture.format) if min(picture.size) > 1 else ""
    except Image.DecompressionBombError:
        return "outsized picture"
    except _NO_PICTURE:
        return ""


def _jpeg_header(data: bytes, start: int, patience: _Patience) -> bytes:
    """Return a JPEG from its SOI to its first scan header, without APPn and COM; empty if it does not come so far."""
    kept, place = [_JPEG], start + len(_JPEG)
    while found := _MARKER.search(data, place):
        patience.spend(_STEP + found.end() - place)
        marker, place = found[1][0], found.end()
        if marker in _WITHOUT_LENGTH:
            continue
        if marker < _SOF0:
            return b""
        place += max(int.from_bytes(data[place : place + 2]), 2)
        if not (_APP0 <= marker <= _APP15 or marker == _COM):
            kept.append(data[found.start() : place])
        if marker == _SOS:
            return b"".join(kept)
    patience.spend(len(data) - min(place, len(data)))
    return b""


def _decoded(data: bytes) -> Iterator[bytes]:
    for match in _LONG_BASE64.finditer(data):
        letters = _NOT_BASE64.sub(b"", match.group())
        for shift in range(4):  # it may follow letters of something else
            whole = letters[shift:]
            yield base64.b64decode(whole[: len(whole) // 4 * 4])
