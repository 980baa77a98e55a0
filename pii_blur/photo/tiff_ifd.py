"""A TIFF or BigTIFF file as its directories (IFDs): which tags it has and where in the file their values lie.

Decodes no picture. Nothing in the file is believed before it was checked to lie within the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pii_blur.errors import PhotoFailure

# Bytes of one value of each type (TIFF 6.0, page 15; BigTIFF adds 16 to 18). One of an unknown type fits its entry.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE_NUMBERS = frozenset({1, 3, 4, 13, 16, 18})
LONG, LONG8 = 4, 16

WIDTH, HEIGHT = 256, 257
STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS = 273, 279, 324, 325

_MOST_ENTRIES = 4096
_MOST_IFDS = 1000
_MOST_VALUES = 1 << 22

Order = Literal["little", "big"]
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag.

    Attributes:
        tag, type, count: as in the file.
        start, size: where its value lies in the file, in bytes; size 0 where that is not within the file.
        raw: the entry as it stands, 12 or 20 bytes.
        is_inline: whether the value lies in the entry itself.
    """

    tag: int
    type: int
    count: int
    start: int
    size: int
    raw: bytes
    is_inline: bool


@dataclass(frozen=True, slots=True)
class Ifd:
    """One directory: its entries, and the bytes that the table itself takes."""

    start: int
    end: int
    entries: tuple[Entry, ...]
    next: int

    def get(self, tag: int) -> Entry | None:
        """Return the entry of a tag, None if there is none."""
        return next((entry for entry in self.entries if entry.tag == tag), None)


@dataclass(frozen=True, slots=True)
class Tiff:
    """A file.

    Attributes:
        data: all of it.
        order: of bytes in numbers.
        is_big: BigTIFF, with offsets of 64 bits.
        ifds: the directories of its pages, in order; at least one.
    """

    data: bytes = field(repr=False)
    order: Order
    is_big: bool
    ifds: tuple[Ifd, ...] = ()

    @property
    def header_size(self) -> int:
        """Bytes in front of everything else."""
        return 16 if self.is_big else 8

    @property
    def _offset_size(self) -> int:
        return 8 if self.is_big else 4

    def number(self, start: int, size: int) -> int:
        """Return an unsigned number that stands somewhere."""
        if start + size > len(self.data):
            raise PhotoFailure("the file is cut off: a directory lies behind its end", "truncated")
        return int.from_bytes(self.data[start : start + size], self.order)

    def values(self, ifd: Ifd, tag: int, default: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the whole numbers of a tag, `default` where it is missing.

        Raises:
            PhotoFailure: they are no whole numbers (code ``damaged``) or do not lie within the file (``truncated``).
        """
        entry = ifd.get(tag)
        if entry is None:
            return tuple(default)
        if entry.type not in _WHOLE_NUMBERS:
            raise PhotoFailure(f"the file is damaged: tag {tag} holds no whole numbers", "damaged")
        size = _SIZES[entry.type]
        if entry.size != size * entry.count:
            raise PhotoFailure(f"the file is cut off: the values of tag {tag} lie behind its end", "truncated")
        if entry.count > _MOST_VALUES:
            raise PhotoFailure(f"the file is damaged: tag {tag} has {entry.count} values", "damaged")
        kind = np.dtype(f"{'<' if self.order == 'little' else '>'}u{size}")
        return tuple(np.frombuffer(self.data, dtype=kind, count=entry.count, offset=entry.start).tolist())

    def value(self, ifd: Ifd, tag: int, default: int) -> int:
        """Return the first whole number of a tag, `default` where it is missing."""
        return (*self.values(ifd, tag), default)[0]

    def content(self, entry: Entry) -> bytes:
        """Return the bytes of a value."""
        return self.data[entry.start : entry.start + entry.size]

    def ifds_at(self, ifd: Ifd, tag: int) -> tuple[Ifd, ...]:
        """Return the directories that a tag points to; damaged ones are left out."""
        found = []
        try:
            for start in self.values(ifd, tag)[:_MOST_IFDS]:
                found.append(self.ifd_at(start))
        except PhotoFailure:
            return tuple(found)  # what cannot be read cannot be kept: it will be overwritten like what nobody refers to
        return tuple(found)

    def ifd_at(self, start: int) -> Ifd:
        """Read one directory.

        Raises:
            PhotoFailure: it does not lie within the file (code ``truncated``) or is none (``damaged``).
        """
        head, length = (8, 20) if self.is_big else (2, 12)
        count = self.number(start, head)
        if not 0 < count <= _MOST_ENTRIES or start < self.header_size:
            raise PhotoFailure("the file is damaged: a directory makes no sense", "damaged")
        end = start + head + count * length
        following = self.number(end, self._offset_size)
        entries = tuple(self._entry(start + head + k * length, length) for k in range(count))
        return Ifd(start, end + self._offset_size, entries, following)

    def _entry(self, start: int, length: int) -> Entry:
        width = self._offset_size
        tag, kind, count = self.number(start, 2), self.number(start + 2, 2), self.number(start + 4, width)
        size = _SIZES.get(kind, 0) * count
        is_inline = size <= width
        place = start + 4 + width if is_inline else self.number(start + 4 + width, width)
        if place + size > len(self.data):
            size = 0
        return Entry(tag, kind, count, place, size, self.data[start : start + length], is_inline)

    def entry(self, tag: int, kind: int, count: int, value: int | bytes) -> bytes:
        """Return a new entry as it is to stand in the file; `value` is a place in the file, or what stands inline."""
        width = self._offset_size
        numbers = ((tag, 2), (kind, 2), (count, width))
        head = b"".join(number.to_bytes(size, self.order) for number, size in numbers)
        return head + (value.to_bytes(width, self.order) if isinstance(value, int) else value.ljust(width, b"\0"))

    def table(self, entries: Sequence[bytes]) -> bytes:
        """Return the last directory of a file, of entries in any order."""
        ordered = sorted(entries, key=lambda entry: int.from_bytes(entry[:2], self.order))
        count = len(entries).to_bytes(8 if self.is_big else 2, self.order)
        return count + b"".join(ordered) + bytes(self._offset_size)

    def pointer(self, start: int) -> tuple[int, bytes]:
        """Return where in the header the place of the first directory stands, and what must stand there."""
        return self._offset_size, start.to_bytes(self._offset_size, self.order)


def is_tiff(data: bytes) -> bool:
    """Whether a file begins like a TIFF or BigTIFF."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def split_tiff(data: bytes) -> Tiff:
    """Read the directories of a file's pages.

    Raises:
        PhotoFailure: codes ``not_an_image``, ``truncated``, ``damaged``.
    """
    if not is_tiff(data):
        raise PhotoFailure("the file is no TIFF", "not_an_image")
    bare = Tiff(data, "little" if data[:1] == b"I" else "big", is_big=b"+" in data[2:4])
    if bare.is_big and data[4:8] != (b"\x08\0\0\0" if bare.order == "little" else b"\0\x08\0\0"):
        raise PhotoFailure("the file is damaged: its header makes no sense", "damaged")
    return Tiff(data, bare.order, bare.is_big, tuple(_chain(bare)))


def _chain(tiff: Tiff) -> Iterator[Ifd]:
    width = tiff.header_size // 2
    start, seen = tiff.number(width, width), set[int]()
    while start or not seen:
        if start in seen or len(seen) >= _MOST_IFDS:
            raise PhotoFailure("the file is damaged: its directories go in circles", "damaged")
        seen.add(start)
        ifd = tiff.ifd_at(start)
        yield ifd
        start = ifd.next
