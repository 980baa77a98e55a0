"""TIFF's LZW (TIFF 6.0, section 13), unpacked a table at a time by NumPy. Says of damaged data that they are damaged.

libtiff would do it as well, but writes to stderr, in the middle of the progress bar, what it does not like.

Between two Clear codes the n-th code stands at a known place and has a known width, for the table grows by one entry a
code. And the entry that code n makes, its own string and the first byte of the next one's, is what the unpacked bytes
hold from where code n's string begins: so every code is a copy from further up, and copies of copies are resolved by
doubling steps instead of one after the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

_CLEAR, _END, _FIRST = 256, 257, 258
# A code has nine bits until the table has 511 entries: TIFF's writers change one code early (section 13, "early").
_MOST_CODES = 4096 - _FIRST + 1
_LEAST_PER_TABLE = 512  # bytes; writers clear a table when it is full, or after some ten thousand bytes


class LzwError(ValueError):
    """The data are no LZW, or break off."""


def unpack_lzw(packed: bytes, size: int) -> bytes:
    """Return the first `size` unpacked bytes.

    Raises:
        LzwError: there are fewer, or a code stands for nothing; also for the reversed bit order of before 1988.
    """
    if packed[:1] == b"\0" and packed[1:2] and packed[1] & 1:
        raise LzwError("the LZW of TIFF 5 is not supported")
    bits = np.frombuffer(packed + bytes(4), dtype=np.uint8)
    end = 8 * len(packed)
    parts: list[NDArray[np.uint8]] = []
    done, position, tables = 0, 0, 0
    while done < size:
        tables += 1
        if position + 9 > end or tables > 64 + size // _LEAST_PER_TABLE:
            raise LzwError("the packed data break off")
        codes, position, is_last = _table(bits, position, end)
        if len(codes) > 0:
            part = _resolve(codes)
            parts.append(part)
            done += len(part)
        if is_last:
            break
    if done < size:
        raise LzwError("the packed data break off")
    return b"".join(part.tobytes() for part in parts)[:size]


def _table(bits: NDArray[np.uint8], position: int, end: int) -> tuple[Numbers, int, bool]:
    """Return the codes up to the next Clear or End, where that ends, and whether it was the End."""
    places = position + _OFFSETS
    count = int(np.searchsorted(places + _WIDTHS, end, side="right"))
    places, widths = places[:count], _WIDTHS[:count]
    first = places >> 3
    # 24 bits from the byte in which a code begins hold all of it: at most 7 in front of it and 12 of its own.
    three = bits[first].astype(np.int64) << 16 | bits[first + 1].astype(np.int64) << 8 | bits[first + 2]
    codes = three >> (24 - (places & 7) - widths) & ((1 << widths) - 1)
    stops = np.flatnonzero((codes == _CLEAR) | (codes == _END))
    if not len(stops):
        return codes, end, False
    stop = int(stops[0])
    return codes[:stop], int(places[stop] + widths[stop]), bool(codes[stop] == _END)


def _resolve(codes: Numbers) -> NDArray[np.uint8]:
    """Return the bytes that the codes after a Clear stand for."""
    entries = codes - _FIRST  # the number of the code that made the entry; negative for single bytes
    if (entries >= np.arange(len(codes))).any():
        raise LzwError("a code stands for nothing")
    is_single = entries < 0
    # A string is one byte longer than that of the code which made its entry.
    parents = np.where(is_single, np.arange(len(codes)), entries)
    lengths = np.where(is_single, 1, 1 + _steps_to_root(parents))
    starts = np.cumsum(lengths) - lengths
    origins = np.repeat(np.where(is_single, starts, starts[parents]) - starts, lengths)
    result = np.arange(len(origins)) + origins  # each byte's origin, further up; that of a single byte is itself
    while True:
        further = result[result]
        if (further == result).all():
            break
        result = further
    values = np.zeros(len(origins), dtype=np.uint8)
    values[starts[is_single]] = codes[is_single]
    return np.asarray(values[result], dtype=np.uint8)


def _steps_to_root(parents: Numbers) -> Numbers:
    """Return how many steps lead from each number to one that is its own parent."""
    steps = (parents != np.arange(len(parents))).astype(np.int64)
    while True:
        further = parents[parents]
        if (further == parents).all():
            return np.asarray(steps, dtype=np.int64)
        steps += steps[parents]
        parents = further


def _widths() -> Numbers:
    """Return the width in bits of the n-th code after a Clear."""
    # When code n is read, entries up to _FIRST + n - 2 are there; the reader adds one for it.
    entries = _FIRST + np.arange(_MOST_CODES) - 1
    return np.clip(np.floor(np.log2(np.maximum(entries + 1, 1))).astype(np.int64) + 1, 9, 12)


_WIDTHS = _widths()
_OFFSETS = np.cumsum(_WIDTHS) - _WIDTHS
