"""What a photo will cost in memory, from the first bytes of its file: sides and depth. Decodes nothing.

An estimate, for sharing memory among photos that are done at once. Whether a photo may be opened at all is decided by
`read.py`, from the whole file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

UNKNOWN = 1 << 62

# Measured with benchmarks/bench_memory.py and rounded up: bytes of the program with its model, per pixel of a picture
# of 8 bits a sample or of more, and per byte of its file.
BASE = 410 << 20
_PER_PIXEL = {"jpeg": 15, "png": 20, "tiff": 20, "webp": 34, "heif": 38}
_PER_PIXEL_DEEP = _PER_PIXEL | {"png": 37, "tiff": 37}
_PER_FILE_BYTE = 7

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_MOST_SEGMENTS = 4096
_TIFF_TAGS = {256: "width", 257: "height", 258: "depth"}
_TIFF_SIZES = {1: 1, 3: 2, 4: 4, 16: 8}
_HEIF_HEAD = 1 << 18  # bytes in which the sizes of its pictures stand

Order = Literal["little", "big"]


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a photo claim.

    Attributes:
        kind: ``jpeg``, ``png``, ``tiff``, ``webp`` or ``heif``.
        width, height: pixels as stored, of the largest picture.
        depth: bits per sample.
        file_size: bytes.
    """

    kind: str
    width: int
    height: int
    depth: int
    file_size: int


def read_header(path: str | Path) -> Header | None:
    """Return what the first bytes of a photo claim, None where they say nothing or cannot be read."""
    try:
        # Without waiting, as `read_photo`: a named pipe may call itself a photo.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            found = _read(file)
    except (OSError, ValueError, IndexError):
        return None
    if found is None:
        return None
    kind, width, height, depth = found
    return Header(kind, width, height, depth, status.st_size) if width > 0 and height > 0 else None


def expected_memory(path: str | Path) -> int:
    """Return the bytes that a process which does this photo is expected to hold at most, the program itself included.

    More than any machine has where the first bytes say nothing.
    """
    header = read_header(path)
    if header is None:
        return UNKNOWN
    per_pixel = _PER_PIXEL_DEEP[header.kind] if header.depth > 8 else _PER_PIXEL[header.kind]
    return BASE + per_pixel * header.width * header.height + _PER_FILE_BYTE * header.file_size


def _read(file: BinaryIO) -> tuple[str, int, int, int] | None:
    head = file.read(32)
    if head.startswith(b"\xff\xd8"):
        return _read_jpeg(file)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png", _big(head[16:20]), _big(head[20:24]), head[24]
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _read_tiff(file, head)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _read_webp(head)
    return _read_heif(file) if head[4:8] == b"ftyp" else None


def _read_jpeg(file: BinaryIO) -> tuple[str, int, int, int] | None:
    file.seek(2)
    for _ in range(_MOST_SEGMENTS):
        marker = file.read(2)
        while len(marker) == 2 and marker == b"\xff\xff":  # fill bytes
            marker = marker[1:] + file.read(1)
        if len(marker) < 2 or marker[0] != 0xFF:
            return None
        if marker[1] in _JPEG_BARE:
            continue
        length = _big(file.read(2))
        if marker[1] in _JPEG_FRAMES:
            frame = file.read(5)
            return "jpeg", _big(frame[3:5]), _big(frame[1:3]), frame[0]
        file.seek(length - 2, os.SEEK_CUR)
    return None


def _read_tiff(file: BinaryIO, head: bytes) -> tuple[str, int, int, int] | None:
    order: Order = "little" if head[:2] == b"II" else "big"
    is_big = head[2:4] in (b"+\0", b"\0+")
    offset = int.from_bytes(head[8:16] if is_big else head[4:8], order)
    file.seek(offset)
    values: dict[str, int] = {}
    for tag, kind, count, raw in _tiff_entries(file, order, is_big):
        name = _TIFF_TAGS.get(tag)
        if name is None or kind not in _TIFF_SIZES:
            continue
        size = _TIFF_SIZES[kind]
        values[name] = int.from_bytes(raw[:size], order)
        if count * size > len(raw):  # the depths of several channels, elsewhere in the file
            file.seek(int.from_bytes(raw, order))
            values[name] = int.from_bytes(file.read(size), order)
    if not {"width", "height"} <= values.keys():
        return None
    return "tiff", values["width"], values["height"], values.get("depth", 1)


def _tiff_entries(file: BinaryIO, order: Order, is_big: bool) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield (tag, type, count, value or offset) of the first directory, up to the depth (tags stand in order)."""
    size, counted = (20, 8) if is_big else (12, 2)
    number = int.from_bytes(file.read(counted), order)
    table = file.read(size * min(number, 32))
    for start in range(0, len(table) - size + 1, size):
        entry = table[start : start + size]
        middle = 12 if is_big else 8
        tag, kind = (int.from_bytes(entry[at : at + 2], order) for at in (0, 2))
        yield tag, kind, int.from_bytes(entry[4:middle], order), entry[middle:]


def _read_webp(head: bytes) -> tuple[str, int, int, int] | None:
    match head[12:16]:
        case b"VP8X":
            return "webp", 1 + _little(head[24:27]), 1 + _little(head[27:30]), 8
        case b"VP8 ":
            return "webp", _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF, 8
        case b"VP8L":
            bits = _little(head[21:25])
            return "webp", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), 8
    return None


def _read_heif(file: BinaryIO) -> tuple[str, int, int, int] | None:
    """Find the largest size and depth that any picture or tile of the file claims (ISO 23008-12, 6.5.3 and 6.5.6)."""
    file.seek(0)
    head = file.read(_HEIF_HEAD)
    sizes = [(_big(head[at + 8 : at + 12]), _big(head[at + 12 : at + 16])) for at in _places(head, b"ispe")]
    depths = [head[at + 9] for at in _places(head, b"pixi") if at + 9 < len(head)]
    if not sizes:
        return None
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return "heif", width, height, max(depths, default=8)


def _places(data: bytes, word: bytes) -> Iterator[int]:
    at = data.find(word)
    while at >= 0:
        yield at
        at = data.find(word, at + 1)


def _big(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _little(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
