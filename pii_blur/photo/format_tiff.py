"""TIFF and BigTIFF, changed in place: what no region touches stays where it is in the file, bit for bit.

Only strips or tiles that a region touches are coded anew. They go where they were if they fit, else to the end of the
file, as do the XMP packet and the directory with its changed entries. So every tag keeps its value, GeoTIFF's and those
that nobody knows included. A new file begins as zeros, and only what the one page and its tags refer to is copied into
it: what an editor left behind, reduced pictures and thumbnails never get there.

Several pages are refused: each would have to be searched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import PhotoFailure
from pii_blur.photo.cleaner import Cleaner, Tags
from pii_blur.photo.contents import Built, Contents
from pii_blur.photo.embedded import blank_pictures, find_pictures
from pii_blur.photo.raster import Raster
from pii_blur.photo.tiff_ifd import (
    HEIGHT,
    LONG,
    LONG8,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    TILE_COUNTS,
    TILE_OFFSETS,
    WIDTH,
    Entry,
    Ifd,
    Range,
    Tiff,
    split_tiff,
)
from pii_blur.photo.tiff_pieces import Page, read_page

_SUBFILE, _OLD_SUBFILE, _ORIENTATION, _SUB_IFDS, _XMP, _EXIF, _GPS, _INTEROP = (
    254,
    255,
    274,
    330,
    700,
    34665,
    34853,
    40965,
)
_MAKE, _DNG_VERSION = 271, 50706
_THUMBNAIL, _THUMBNAIL_SIZE, _LAYERS = 513, 514, 37724
# PRIVACY: tags that show a picture by themselves, and what to call it.
_PICTURES = {_SUB_IFDS: "sub-pictures", _THUMBNAIL: "thumbnail", _THUMBNAIL_SIZE: "", _LAYERS: "Photoshop layers"}
_DATA = {STRIP_OFFSETS: STRIP_COUNTS, TILE_OFFSETS: TILE_COUNTS, _THUMBNAIL: _THUMBNAIL_SIZE}
_OF_THE_PICTURE = frozenset({STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS})
_BYTE = 1
_LEAST_BLOCK = 32  # bytes; no picture is shorter


@dataclass(frozen=True, slots=True)
class _Kept:
    """What of a file goes over.

    Attributes:
        tiff, page: the file, and how its one page is coded.
        entries: of the page's directory.
        values: all tags with a value of its own in the file, those of the Exif, GPS and Interoperability directories
            included.
        ranges: what goes over besides the pieces of the picture: header, sub-directories, values.
        strays: in words, what does not.
    """

    tiff: Tiff
    page: Page
    entries: tuple[Entry, ...]
    values: tuple[Entry, ...]
    ranges: tuple[Range, ...]
    strays: tuple[str, ...]


def read_tiff(data: bytes, max_pixels: int) -> Contents:
    """Read a TIFF or BigTIFF; see `contents`.

    Raises:
        PhotoFailure: codes as `read_photo`.
    """
    kept = _keep(split_tiff(data), max_pixels)
    tiff, ifd = kept.tiff, kept.tiff.ifds[0]
    orientation = tiff.value(ifd, _ORIENTATION, 1)
    return Contents(
        raster=Raster.of(kept.page.decode(data)),
        blocks=tuple((f"tag {entry.tag}", tiff.content(entry)) for entry in kept.values),
        xmp=_xmp_of(kept),
        orientation=orientation if 1 <= orientation <= 8 else 1,
        strays=kept.strays,
        is_exact=not kept.page.is_jpeg,
    )


def write_tiff(data: bytes, raster: Raster, mask: NDArray[np.uint8], cleaner: Cleaner) -> Built:
    """Put another picture into a TIFF where a mask says so; see `contents`."""
    kept = _keep(split_tiff(data), raster.samples.size)
    new = _begin(kept)
    offsets, counts, losses = list(kept.page.offsets), list(kept.page.counts), dict[str, None]()
    for window in kept.page.windows():
        if not mask[window.top : window.top + window.height, window.left : window.left + window.width].any():
            continue
        piece, loss = kept.page.encode_piece(data, window, raster.samples, mask)
        losses |= {loss: None} if loss else {}
        if offsets[window.index] and len(piece) <= counts[window.index]:
            start = offsets[window.index]
            # PRIVACY: what is left of the old piece behind the new one is overwritten.
            new[start : start + counts[window.index]] = piece.ljust(counts[window.index], b"\0")
        else:
            start = offsets[window.index]
            new[start : start + counts[window.index]] = bytes(counts[window.index]) if start else b""
            offsets[window.index] = _append(kept.tiff, new, piece)
        counts[window.index] = len(piece)
    cleaned, removed = _with_metadata(kept, new, cleaner, {} if not mask.any() else _pieces(kept, new, offsets, counts))
    way = f"re-encoded ({', '.join(losses)})" if losses else "lossless"
    return Built(cleaned, way, (*removed, *kept.strays))


def strip_tiff(data: bytes, cleaner: Cleaner) -> Built:
    """Take out of a TIFF what nobody examined; its picture stays as it is coded; see `contents`."""
    kept = _keep(split_tiff(data), 1 << 62)
    cleaned, removed = _with_metadata(kept, _begin(kept), cleaner, {})
    return Built(cleaned, "picture copied", (*removed, *kept.strays))


def carry_tiff(data: bytes) -> tuple[bytes, str]:
    """Return a TIFF with all tags but those of the picture, whose bytes are zero; see `contents`."""
    kept = _keep(split_tiff(data), 1 << 62)
    new = bytearray(max(end for _, end in kept.ranges))
    for start, end in kept.ranges:
        new[start:end] = data[start:end]
    _put_directory(kept, new, {entry.tag: entry.raw for entry in kept.entries if entry.tag not in _OF_THE_PICTURE})
    return bytes(new), ".tif"


def _keep(tiff: Tiff, max_pixels: int) -> _Kept:
    """Decide what of a file goes over.

    Raises:
        PhotoFailure: codes as `read_photo`.
    """
    ifd = tiff.ifds[0]
    _refuse_raw(tiff, ifd)
    if len({entry.tag for entry in ifd.entries}) < len(ifd.entries):  # some take the first, some the last
        raise PhotoFailure("the file is damaged: a tag has two values", "damaged")
    page = read_page(tiff, ifd, max_pixels)
    entries = tuple(entry for entry in ifd.entries if entry.tag not in _PICTURES)
    subs = [sub for tag in (_EXIF, _GPS) for sub in tiff.ifds_at(ifd, tag)[:1]]
    subs += [sub for one in subs for sub in tiff.ifds_at(one, _INTEROP)[:1]]
    values = tuple(
        entry
        for entry in (*entries, *(entry for sub in subs for entry in sub.entries))
        if not entry.is_inline and entry.size and entry.tag not in _OF_THE_PICTURE
    )
    lists = [entry for entry in entries if entry.tag in _OF_THE_PICTURE and not entry.is_inline]
    ranges = [(0, tiff.header_size), *((sub.start, sub.end) for sub in subs)]
    ranges += [(entry.start, entry.start + entry.size) for entry in (*values, *lists)]
    pieces = [(start, start + size) for start, size in zip(page.offsets, page.counts, strict=False) if start and size]
    if _overlap(ranges, pieces):
        raise PhotoFailure("TIFF whose picture and tags lie on top of each other is not supported", "unsupported")
    gone = list(_removed(tiff, ifd))
    rest = [*ranges, *pieces, (ifd.start, ifd.end), *(range_ for _, part in gone for range_ in part)]
    strays = [name for name, _ in gone if name]
    if unknown := _bytes_outside(tiff.data, rest):
        strays.append(f"{unknown} bytes that no tag refers to")
    return _Kept(tiff, page, entries, values, tuple(ranges), tuple(dict.fromkeys(strays)))


def _refuse_raw(tiff: Tiff, ifd: Ifd) -> None:
    """Refuse what looks like a TIFF and is the raw data of a camera, and what has several pages."""
    if ifd.get(_DNG_VERSION) is not None:
        raise PhotoFailure("DNG is not supported; develop it and save it as JPEG or TIFF", "unsupported")
    widths = [tiff.value(sub, WIDTH, 0) for sub in tiff.ifds_at(ifd, _SUB_IFDS)]
    if _is_reduced(tiff, ifd) or max(widths, default=0) > tiff.value(ifd, WIDTH, 0) or tiff.data[8:10] == b"CR":
        raise PhotoFailure("raw photos are not supported; develop it and save it as JPEG or TIFF", "unsupported")
    pages = 1 + sum(not _is_reduced(tiff, other) for other in tiff.ifds[1:])
    if pages > 1:
        raise PhotoFailure(f"TIFF with {pages} pages is not supported; save each as a file of its own", "unsupported")


def _is_reduced(tiff: Tiff, ifd: Ifd) -> bool:
    """Whether a page is a small version of another (TIFF 6.0, NewSubfileType; Exif's thumbnail has tag 513)."""
    kind = tiff.value(ifd, _SUBFILE, 0)
    return bool(kind & 1) or tiff.value(ifd, _OLD_SUBFILE, 1) == 2 or (not kind and ifd.get(_THUMBNAIL) is not None)


def _removed(tiff: Tiff, ifd: Ifd) -> Iterator[tuple[str, list[Range]]]:
    """Yield, in words and by where they lie, the pictures that do not go over."""
    further = [("reduced picture", other) for other in tiff.ifds[1:]]
    further += [("sub-picture", sub) for sub in tiff.ifds_at(ifd, _SUB_IFDS)]
    for name, other in further:
        size = (
            f"{tiff.value(other, WIDTH, 0)} x {tiff.value(other, HEIGHT, 0)}" if other.get(WIDTH) else "EXIF thumbnail"
        )
        yield f"{name} ({size})", list(_ranges_of(tiff, other))
    for entry in ifd.entries:
        if entry.tag in _PICTURES:
            name = "" if entry.tag == _SUB_IFDS else _PICTURES[entry.tag]
            yield name, [(entry.start, entry.start + entry.size), *_data_of(tiff, ifd, entry.tag)]


def _ranges_of(tiff: Tiff, ifd: Ifd) -> Iterator[Range]:
    """Yield where a directory, its values and its picture lie."""
    yield ifd.start, ifd.end
    for entry in ifd.entries:
        yield entry.start, entry.start + entry.size
        yield from _data_of(tiff, ifd, entry.tag)


def _data_of(tiff: Tiff, ifd: Ifd, tag: int) -> Iterator[Range]:
    """Yield where the bytes lie that a tag of offsets points to."""
    if tag not in _DATA:
        return
    try:
        starts, sizes = tiff.values(ifd, tag), tiff.values(ifd, _DATA[tag])
    except PhotoFailure:
        return  # then they count as bytes that nothing refers to
    yield from ((start, start + size) for start, size in zip(starts, sizes, strict=False))


def _overlap(ranges: list[Range], pieces: list[Range]) -> bool:
    marked = sorted([(*one, 0) for one in ranges] + [(*one, 1) for one in pieces])
    ends = [0, 0]  # how far metadata and pieces reach
    for start, end, kind in marked:
        if start < ends[1 - kind]:
            return True
        ends[kind] = max(ends[kind], end)
    return False


def _bytes_outside(data: bytes, ranges: list[Range]) -> int:
    """Return how many bytes outside all ranges are not zero."""
    count, position = 0, 0
    for start, end in [*sorted(ranges), (len(data), len(data))]:
        if start > position:
            gap = data[position:start]
            count += len(gap) - gap.count(0)
        position = max(position, end)
    return count


def _begin(kept: _Kept) -> bytearray:
    """Return the new file as far as it equals the source; everything else is zero."""
    data = kept.tiff.data
    new = bytearray(len(data))
    pieces = zip(kept.page.offsets, kept.page.counts, strict=False)
    for start, end in (*kept.ranges, *((start, start + size) for start, size in pieces if start)):
        new[start:end] = data[start:end]
    return new


def _with_metadata(
    kept: _Kept, new: bytearray, cleaner: Cleaner, changed: dict[int, bytes]
) -> tuple[bytes, tuple[str, ...]]:
    """Take the pictures out of the metadata, add the mark, and write the directory.

    Args:
        kept: what goes over.
        new: the file so far.
        cleaner: cleans the XMP packet.
        changed: entries that the directory gets in place of its own, by tag.
    """
    tiff, removed = kept.tiff, list[str]()
    for entry in kept.values:
        if entry.tag != _XMP and len(content := tiff.content(entry)) >= _LEAST_BLOCK:
            blanked, kinds = blank_pictures(content)
            new[entry.start : entry.start + entry.size] = blanked
            removed += [f"{kind} in tag {entry.tag}" for kind in kinds]
    xmp = _xmp_of(kept)
    if cleaner.mark is not None or find_pictures(xmp):
        tags, gone = cleaner.clean_tags(Tags(xmp=xmp))
        removed += gone
        for entry in kept.entries:
            if entry.tag == _XMP:
                new[entry.start : entry.start + entry.size] = bytes(entry.size)
        changed[_XMP] = tiff.entry(_XMP, _BYTE, len(tags.xmp), _append(tiff, new, tags.xmp))
    entries = {entry.tag: entry.raw for entry in kept.entries} | changed
    _put_directory(kept, new, entries)
    return bytes(new), tuple(dict.fromkeys(removed))


def _put_directory(kept: _Kept, new: bytearray, entries: dict[int, bytes]) -> None:
    """Append the page's directory, and say so in the header."""
    place, pointer = kept.tiff.pointer(_append(kept.tiff, new, kept.tiff.table(list(entries.values()))))
    new[place : place + len(pointer)] = pointer


def _pieces(kept: _Kept, new: bytearray, offsets: list[int], counts: list[int]) -> dict[int, bytes]:
    """Write where the pieces lie now; return the entries that say it."""
    tags = (TILE_OFFSETS, TILE_COUNTS) if kept.page.is_tiled else (STRIP_OFFSETS, STRIP_COUNTS)
    kind, size = (LONG8, 8) if kept.tiff.is_big else (LONG, 4)
    entries = {}
    for tag, numbers in zip(tags, (offsets, counts), strict=True):
        packed = b"".join(number.to_bytes(size, kept.tiff.order) for number in numbers)
        value = packed if len(packed) <= size else _append(kept.tiff, new, packed)
        entries[tag] = kept.tiff.entry(tag, kind, len(numbers), value)
        for old in kept.entries:
            if old.tag == tag and not old.is_inline:
                new[old.start : old.start + old.size] = bytes(old.size)
    return entries


def _append(tiff: Tiff, new: bytearray, data: bytes) -> int:
    """Put bytes at the end of a file and return where they lie there."""
    new += bytes(-len(new) % 8)  # a word boundary is asked for (TIFF 6.0, page 13)
    start = len(new)
    new += data
    if not tiff.is_big and len(new) >= 1 << 32:
        raise PhotoFailure("the result would be larger than TIFF can be; save the photo as BigTIFF", "too_large")
    return start


def _xmp_of(kept: _Kept) -> bytes:
    entry = next((entry for entry in kept.values if entry.tag == _XMP), None)
    return kept.tiff.content(entry) if entry is not None else b""
