"""How the bytes of a TIFF's strips and tiles are packed without loss. Knows bytes and rows, not what they show."""

from __future__ import annotations

import io
import zlib

from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo.tiff_ifd import STRIP_COUNTS, STRIP_OFFSETS, split_tiff
from pii_blur.photo.tiff_lzw import LzwError, unpack_lzw

NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 7, 8, 32946, 32773
COMPRESSIONS = frozenset({NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS})
_LITERALS = 128  # bytes that one PackBits header can announce


def unpack(packed: bytes, compression: int, size: int) -> bytes:
    """Return the unpacked bytes of a piece, no more than `size`; perhaps fewer.

    Raises:
        PhotoFailure: they are damaged (code ``truncated``).
    """
    try:
        if compression == LZW:
            return unpack_lzw(packed, size)
        if compression in (DEFLATE, OLD_DEFLATE):
            return zlib.decompressobj().decompress(packed, size)
    except (LzwError, zlib.error) as error:
        raise PhotoFailure(f"the picture cannot be decoded ({error}); it is cut off or damaged", "truncated") from error
    return _unpack_bits(packed, size) if compression == PACKBITS else packed


def pack(unpacked: bytes, compression: int, rows: int) -> bytes:
    """Undo `unpack`. The rows are those of the picture; some ways of packing keep them apart."""
    if compression in (DEFLATE, OLD_DEFLATE):
        return zlib.compress(unpacked)
    if compression == LZW:
        return _pack_lzw(unpacked, rows)
    return _pack_bits(unpacked, rows) if compression == PACKBITS else unpacked


def _pack_lzw(unpacked: bytes, rows: int) -> bytes:
    """Let libtiff pack bytes, as if they were a grey picture in one strip."""
    file, size = io.BytesIO(), (len(unpacked) // rows, rows)
    Image.frombytes("L", size, unpacked).save(file, "TIFF", compression="tiff_lzw", strip_size=len(unpacked))
    tiff = split_tiff(file.getvalue())
    offsets, counts = (tiff.values(tiff.ifds[0], tag) for tag in (STRIP_OFFSETS, STRIP_COUNTS))
    if len(offsets) != 1:
        raise PhotoFailure("libtiff split what it was to pack", "internal")
    return tiff.data[offsets[0] : offsets[0] + counts[0]]


def _unpack_bits(packed: bytes, size: int) -> bytes:
    """Unpack PackBits (TIFF 6.0, section 9)."""
    result, position = bytearray(), 0
    while position < len(packed) - 1 and len(result) < size:
        header = packed[position]
        if header < _LITERALS:
            result += packed[position + 1 : position + 2 + header]
            position += 2 + header
        else:
            if header > _LITERALS:
                result += packed[position + 1 : position + 2] * (257 - header)
            position += 2 if header > _LITERALS else 1
    return bytes(result)


def _pack_bits(unpacked: bytes, rows: int) -> bytes:
    """Write bytes as PackBits without packing any: rows apart, as the specification wants it."""
    width = len(unpacked) // rows
    starts = (range(row * width, (row + 1) * width, _LITERALS) for row in range(rows))
    ends = ((start, min(start + _LITERALS, row.stop)) for row in starts for start in row)
    return b"".join(bytes([end - start - 1]) + unpacked[start:end] for start, end in ends)
