"""An Exif block as its directories (IFDs): which bytes are metadata, and where a picture without signature lies.

A thumbnail may stand in Exif as bare pixels (Exif 2.32, section 4.5.5), which nothing but its directory tells from
other bytes. Read twice, on purpose: leniently to find pictures, as the most forgiving viewer would, and strictly to say
what may stay of a block that exiftool refuses. Blocks are taken as they stand in a JPEG, behind ``Exif`` and two zeros,
or in a PNG, without.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from pii_blur.photo.orientation import read_orientation

_HEADER = re.compile(rb"II\*\0|MM\0\*")
# Bytes of one value of each type (TIFF 6.0, page 15; Adobe's type 13 is a place of a directory).
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SHORT, _LONG, _PLACE = 3, 4, 13
_SUB_IFDS, _EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x014A, 0x8769, 0x8825, 0xA005
_OF_METADATA = (_EXIF_IFD, _GPS_IFD, _INTEROP_IFD)
_ORIENTATION = 0x0112
# Where pixels lie, and how many bytes they are: strips, tiles, what was left over.
_PIXELS = ((0x0111, 0x0117), (0x0144, 0x0145), (0x0120, 0x0121))
_JPEG = (0x0201, 0x0202)
# No camera comes near any of these; they bound the work that a hostile block can cause.
_MOST_HEADERS = 32
_MOST_IFDS = 16
_MOST_ENTRIES = 1000
_MOST_STRIPS = 1 << 16
_MOST_ROUNDS = 8

Order = Literal["little", "big"]


def uncompressed_pictures(block: bytes) -> list[range]:
    """Find pictures without a signature in a block of metadata, by the directories that lead to them.

    Args:
        block: any bytes; what looks like the beginning of a TIFF structure is followed wherever it stands.

    Returns:
        Bytes to be zeroed so that nothing is left of them: pixels, and, behind the first directory, the directory and
        the pointer to it. Sorted, none empty; an empty list if there is no such picture.
    """
    found: list[range] = []
    for number, header in enumerate(_HEADER.finditer(block)):
        if number >= _MOST_HEADERS:
            found.append(range(header.start(), len(block)))
            break
        found += _pictures(_Tiff(block, header.start()))
    return _merged(found)


def blank_uncompressed(block: bytes) -> tuple[bytes, list[str]]:
    """Overwrite all that `uncompressed_pictures` finds, so that nothing around it moves; see `blank_pictures`."""
    blanked, kinds = block, list[str]()
    for _ in range(_MOST_ROUNDS):
        found = uncompressed_pictures(blanked)
        if not found:
            return blanked, kinds
        kinds = ["uncompressed picture"]
        blanked = _zeroed(blanked, found)
    return bytes(len(block)), kinds


def metadata_only(block: bytes) -> bytes | None:
    """Zero everything in an Exif block but what IFD0 and its Exif, GPS and Interoperability directories hold.

    Every byte that none of their entries names is zeroed, whatever it is: thumbnails, previews, what lies in gaps.
    Entries that make no sense stay as they are, as they name nothing. The block keeps its length; None is returned
    where it cannot be told with certainty what belongs to what.
    """
    tiff = _Tiff(block, _start(block))
    kept = [range(tiff.base + 8)]
    pointers, seen, links = [4], set[int](), list[range]()
    while pointers:
        ifd = tiff.ifd(pointers.pop(), is_linked=False)
        if ifd is None or not ifd.is_whole or ifd.start in seen or ifd.get(_SUB_IFDS) is not None:
            return None
        seen.add(ifd.start)
        kept.append(range(tiff.base + ifd.start, tiff.base + ifd.end))
        links.append(range(tiff.base + ifd.end - 4, tiff.base + ifd.end))
        for entry in ifd.entries:
            if entry.tag in _OF_METADATA:
                if entry.type not in (_LONG, _PLACE) or entry.count != 1:
                    return None
                pointers.append(entry.start)
            elif entry.size and not entry.is_inline:
                kept.append(range(tiff.base + entry.start, tiff.base + entry.start + entry.size))
    kept = sorted(set(kept), key=lambda one: one.start)  # two tags may share one value
    if any(one.stop > other.start for one, other in itertools.pairwise(kept)):
        return None
    # PRIVACY: kept is what is known, not what is not known to be a picture.
    edges = zip([0, *(one.stop for one in kept)], [*(one.start for one in kept), len(block)], strict=True)
    return _zeroed(block, [*(range(*edge) for edge in edges), *links])


def has_thumbnail(block: bytes) -> bool:
    """Whether a directory follows IFD0: that of the thumbnail."""
    tiff = _Tiff(block, _start(block))
    first = tiff.ifd(4, is_linked=False)
    return first is not None and first.is_whole and tiff.number(first.end - 4, 4) != 0


def orientation_only(block: bytes) -> bytes:
    """Return a new Exif block that says no more than how to turn the photo; empty if it need not be turned."""
    start = _start(block)
    orientation = read_orientation(block[start:])
    if orientation == 1:
        return b""
    order = _order(block[start : start + 4])
    numbers = ((8, 4), (1, 2), (_ORIENTATION, 2), (_SHORT, 2), (1, 4), (orientation, 2), (0, 2), (0, 4))
    return block[: start + 4] + b"".join(number.to_bytes(size, order) for number, size in numbers)


def is_given_up(before: bytes, after: bytes) -> bool:
    """Whether an Exif block was so damaged that nothing but its orientation was kept."""
    return bool(before) and after == orientation_only(before) and metadata_only(before) is None


@dataclass(frozen=True, slots=True)
class _Entry:
    """One tag; `start` and `size` of its value in bytes; size 0 where that is unknown or not within the block."""

    tag: int
    type: int
    count: int
    start: int
    size: int
    is_inline: bool


@dataclass(frozen=True, slots=True)
class _Ifd:
    """One directory.

    Attributes:
        pointer, start, end: where the pointer to it stands, and where its table lies, with the pointer to the next.
        entries: those within the block.
        is_linked: it follows another one, as that of a thumbnail does.
        is_whole: `entries` are all that the table should have.
    """

    pointer: int
    start: int
    end: int
    entries: tuple[_Entry, ...]
    is_linked: bool
    is_whole: bool

    def get(self, tag: int) -> _Entry | None:
        return next((entry for entry in self.entries if entry.tag == tag), None)


@dataclass(frozen=True, slots=True)
class _Tiff:
    """A TIFF structure that begins at `base` of some block. All places in it count from there."""

    data: bytes = field(repr=False)
    base: int

    @property
    def size(self) -> int:
        return len(self.data) - self.base

    def number(self, start: int, size: int) -> int:
        """Return an unsigned number; 0 behind the end."""
        start += self.base
        part = self.data[start : start + size]
        return int.from_bytes(part, _order(self.data[self.base : self.base + 2])) if len(part) == size else 0

    def ifd(self, pointer: int, *, is_linked: bool) -> _Ifd | None:
        """Read the directory to which a pointer leads, as far as it lies within the block; None if there is none."""
        start = self.number(pointer, 4)
        count = self.number(start, 2)
        if start < 8 or count == 0 or not _HEADER.match(self.data, self.base):
            return None
        end = start + 2 + 12 * count + 4
        within = min(count, _MOST_ENTRIES, max(self.size - start - 2, 0) // 12)
        entries = tuple(self._entry(start + 2 + 12 * k) for k in range(within))
        return _Ifd(pointer, start, end, entries, is_linked, end <= self.size and within == count)

    def _entry(self, start: int) -> _Entry:
        tag, kind, count = self.number(start, 2), self.number(start + 2, 2), self.number(start + 4, 4)
        size = _SIZES.get(kind, 0) * count
        place = start + 8 if size <= 4 else self.number(start + 8, 4)
        return _Entry(tag, kind, count, place, size if place + size <= self.size else 0, size <= 4)

    def ifds(self) -> Iterator[_Ifd]:
        """Yield IFD0 and all directories to which pointers lead from it, each once; of too many the first ones."""
        pointers, seen = [(4, False)], set[int]()
        while pointers and len(seen) < _MOST_IFDS:
            pointer, is_linked = pointers.pop()
            ifd = self.ifd(pointer, is_linked=is_linked)
            if ifd is None or ifd.start in seen:
                continue
            seen.add(ifd.start)
            yield ifd
            for entry in ifd.entries:
                if entry.tag in (*_OF_METADATA, _SUB_IFDS):
                    count = min(entry.count, _MOST_IFDS) if entry.size else 1
                    pointers += [(entry.start + 4 * k, False) for k in range(count)]
            # Last in, first out: what two pointers lead to counts as linked.
            pointers.append((ifd.end - 4, True))

    def numbers(self, entry: _Entry | None) -> list[int]:
        """Return the whole numbers of a tag; none if it has none, or more than any picture has strips."""
        if entry is None or entry.type not in (_SHORT, _LONG, _PLACE) or not entry.size or entry.count > _MOST_STRIPS:
            return []
        width = _SIZES[entry.type]
        return [self.number(entry.start + width * k, width) for k in range(entry.count)]


def _pictures(tiff: _Tiff) -> Iterator[range]:
    """Yield what is to be zeroed in one TIFF structure, in places of the whole block."""
    ifds = list(tiff.ifds())
    if len(ifds) >= _MOST_IFDS:
        yield range(tiff.base, len(tiff.data))
        return
    metadata = _merged(_tables_and_values(tiff, ifds))
    for ifd in ifds:
        spans = [span for pair in _PIXELS for span in _spans(tiff, ifd, *pair)]
        has_pixels = any(ifd.get(offsets) is not None for offsets, _ in _PIXELS)
        if ifd.is_linked:
            # What should be a JPEG, and is none, has no signature either.
            others = [
                span
                for span in _spans(tiff, ifd, *_JPEG)
                if tiff.data[span.start : span.stop].lstrip(b"\0")[:2] not in (b"", b"\xff\xd8")
            ]
            spans, has_pixels = spans + others, has_pixels or bool(others)
        pixels = [span for span in _outside(_merged(spans), metadata) if tiff.data[span.start : span.stop].strip(b"\0")]
        yield from pixels
        if ifd.is_linked and has_pixels:
            yield range(tiff.base + ifd.pointer, tiff.base + ifd.pointer + 4)
            yield range(tiff.base + ifd.start, min(tiff.base + ifd.end, len(tiff.data)))


def _spans(tiff: _Tiff, ifd: _Ifd, offsets: int, counts: int) -> Iterator[range]:
    """Yield where the pixels lie, as far as that is within the block; to its end if nobody says how many they are."""
    sizes = tiff.numbers(ifd.get(counts))
    for number, offset in enumerate(tiff.numbers(ifd.get(offsets))):
        size = sizes[number] if number < len(sizes) else tiff.size
        start, stop = tiff.base + offset, min(tiff.base + offset + size, len(tiff.data))
        if start < stop:
            yield range(start, stop)


def _tables_and_values(tiff: _Tiff, ifds: Iterable[_Ifd]) -> Iterator[range]:
    """Yield what belongs to directories that are not linked: programs leave IFD0 with strips that point anywhere."""
    yield range(tiff.base, tiff.base + 8)
    for ifd in ifds:
        if not ifd.is_linked:
            yield range(tiff.base + ifd.start, tiff.base + ifd.end)
            for entry in ifd.entries:
                yield range(tiff.base + entry.start, tiff.base + entry.start + entry.size)


def _outside(spans: Iterable[range], others: list[range]) -> Iterator[range]:
    """Yield the parts of spans that lie in none of others; both merged."""
    for span in spans:
        start = span.start
        for other in others[bisect.bisect_right(others, start, key=lambda one: one.stop) :]:
            if other.start >= span.stop:
                break
            yield range(start, other.start)
            start = max(start, other.stop)
        yield range(start, span.stop)


def _merged(spans: Iterable[range]) -> list[range]:
    """Return spans in order, joined where they touch or overlap, without empty ones."""
    merged: list[range] = []
    for span in sorted((span for span in spans if span), key=lambda one: one.start):
        if merged and span.start <= merged[-1].stop:
            merged[-1] = range(merged[-1].start, max(span.stop, merged[-1].stop))
        else:
            merged.append(span)
    return merged


def _zeroed(data: bytes, spans: Iterable[range]) -> bytes:
    changed = bytearray(data)
    for span in spans:
        changed[span.start : span.stop] = bytes(len(span))
    return bytes(changed)


def _start(block: bytes) -> int:
    """Return where the TIFF structure begins."""
    return 6 if block.startswith(b"Exif\0\0") else 0


def _order(beginning: bytes) -> Order:
    return "big" if beginning[:1] == b"M" else "little"
