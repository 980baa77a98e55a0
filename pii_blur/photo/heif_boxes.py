"""A HEIC or AVIF file as its boxes (ISO/IEC 23008-12, HEIF): which pictures it holds, and what each is to the others.

Decodes nothing. Read by our own means because the decoders show the picture they were asked for and pass over the rest:
thumbnails, depth maps, films.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pii_blur.errors import PhotoFailure

_SEQUENCES = frozenset({b"moov", b"moof"})
_ALPHA = ("urn:mpeg:hevc:2015:auxid:1", "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")
_XMP = "XMP"  # what an item of type mime is called here that is an XMP packet
_PADDING = frozenset({b"free", b"skip"})
_MOST_BOXES = 1 << 16


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its type, and where its content lies."""

    type: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heif:
    """A file.

    Attributes:
        brand: four letters of who wrote it and how, e.g. ``heic`` or ``avif``.
        width, height: pixels of the picture, before any turning; 0 where it is not said.
        depth: bits per sample; 0 where it is not said.
        coding: type of the picture's item: ``hvc1``, ``av01`` or ``grid``, that is tiles.
        turns: whether the picture is to be turned, mirrored or cut for display.
        pictures: how many pictures the file shows; thumbnails and the like do not count.
        strays: in words, what it holds besides that picture, its alpha, Exif and XMP.
        colours: colour primaries and transfer characteristics by number (ITU-T H.273); 0 where it is not said.
        exif, xmp, icc: the metadata, empty where there is none; Exif as a TIFF structure.
    """

    brand: str
    width: int
    height: int
    depth: int
    coding: str
    turns: bool
    pictures: int
    strays: tuple[str, ...]
    colours: tuple[int, int] = (0, 0)
    exif: bytes = field(default=b"", repr=False)
    xmp: bytes = field(default=b"", repr=False)
    icc: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class _Meta:
    """What the meta box says about the items of a file."""

    primary: int = 0
    types: dict[int, str] = field(default_factory=dict)
    is_hidden: dict[int, bool] = field(default_factory=dict)
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    links: dict[int, list[int]] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def all_properties(self, item: int, kind: bytes) -> list[bytes]:
        """Return the properties of one kind that an item has."""
        places = (place - 1 for place in self.links.get(item, ()) if 0 < place <= len(self.properties))
        return [self.properties[place][1] for place in places if self.properties[place][0] == kind]

    def property(self, item: int, kind: bytes) -> bytes:
        """Return the first property of a kind, empty if there is none."""
        return (*self.all_properties(item, kind), b"")[0]

    def content(self, data: bytes, kind: str) -> bytes:
        """Return the bytes of the first item of a type, empty if there is none."""
        item = next((item for item, its_kind in self.types.items() if its_kind == kind), None)
        return b"" if item is None else b"".join(data[start:end] for start, end in self.extents.get(item, ()))

    def targets(self, kind: bytes, item: int) -> tuple[int, ...]:
        """Return the items that one refers to."""
        return tuple(to for what, by, all_to in self.references if what == kind and by == item for to in all_to)

    def sources(self, kind: bytes, item: int) -> tuple[int, ...]:
        """Return the items that refer to one."""
        return tuple(by for what, by, all_to in self.references if what == kind and item in all_to)


def split_heif(data: bytes) -> Heif:
    """Read the boxes of a file.

    Raises:
        PhotoFailure: codes ``truncated``, ``damaged``, ``unsupported``.
    """
    top = list(_boxes(data, 0, len(data)))
    if any(box.type in _SEQUENCES for box in top):
        raise PhotoFailure("films and series of pictures in HEIC or AVIF are not supported", "unsupported")
    holder = next((box for box in top if box.type == b"meta"), None)
    if holder is None or top[0].type != b"ftyp":
        raise PhotoFailure("the file is damaged: it does not say what is in it", "damaged")
    try:
        meta = _read_meta(data, holder)
    except (IndexError, ValueError) as error:
        raise PhotoFailure("the file is damaged: its boxes make no sense", "damaged") from error
    if meta.primary not in meta.types:
        raise PhotoFailure("the file is damaged: there is no picture in it", "damaged")
    size, pixi = meta.property(meta.primary, b"ispe"), meta.property(meta.primary, b"pixi")
    colours = meta.all_properties(meta.primary, b"colr")
    numbers = next((one for one in colours if one[:4] == b"nclx" and len(one) >= 8), bytes(8))
    exif = meta.content(data, "Exif")
    return Heif(
        brand=data[8:12].decode("ascii", "replace"),
        width=int.from_bytes(size[4:8]),
        height=int.from_bytes(size[8:12]),
        depth=max(pixi[5:], default=0),
        coding=meta.types[meta.primary],
        turns=any(meta.property(meta.primary, kind) for kind in (b"irot", b"imir", b"clap")),
        pictures=len(_shown(meta)),
        strays=tuple(dict.fromkeys((*_other_items(meta), *_other_bytes(data, top, meta)))),
        colours=(int.from_bytes(numbers[4:6]), int.from_bytes(numbers[6:8])),
        exif=exif[4 + int.from_bytes(exif[:4]) :].removeprefix(b"Exif\0\0"),
        xmp=meta.content(data, _XMP),
        icc=next((one[4:] for one in colours if one[:4] in (b"prof", b"rICC")), b""),
    )


def _shown(meta: _Meta) -> list[int]:
    """Return the pictures that are shown as such: no thumbnails, auxiliary pictures, tiles or hidden ones."""
    lesser = {by for kind, by, _ in meta.references if kind in (b"thmb", b"auxl", b"cdsc")}
    lesser |= {to for kind, _, all_to in meta.references if kind == b"dimg" for to in all_to}
    others = {"Exif", "mime", "uri ", "tmap", _XMP}
    return [
        item
        for item, kind in meta.types.items()
        if item == meta.primary or (kind not in others and item not in lesser and not meta.is_hidden[item])
    ]


def _other_items(meta: _Meta) -> Iterator[str]:
    """Name everything that is not the picture, its tiles, its alpha, Exif or XMP."""
    alphas = [item for item in meta.sources(b"auxl", meta.primary) if _aux_type(meta, item) in _ALPHA]
    own = {meta.primary, *alphas}
    own |= {tile for item in tuple(own) for tile in meta.targets(b"dimg", item)}
    kinds = list(meta.types.values())
    for item, kind in meta.types.items():
        if item in own or (kind in ("Exif", _XMP) and kinds.count(kind) == 1):
            continue
        if any(kind == b"thmb" and by == item for kind, by, _ in meta.references):
            yield "thumbnail"
        elif aux := _aux_type(meta, item):
            yield f"auxiliary picture ({aux.rpartition(':')[2]})"
        elif kind == "tmap":
            yield "gain map"
        else:
            yield "further picture" if kind in ("hvc1", "av01", "grid", "iden", "iovl", "jpeg") else f"item {kind}"


def _aux_type(meta: _Meta, item: int) -> str:
    return meta.property(item, b"auxC")[4:].split(b"\0")[0].decode("ascii", "replace")


def _other_bytes(data: bytes, top: list[Box], meta: _Meta) -> Iterator[str]:
    """Name boxes that have nothing to do with the picture, and bytes that nothing refers to."""
    for box in top:
        if box.type in _PADDING:
            if data[box.start : box.end].strip(b"\0"):
                yield "padding with something in it"
        elif box.type == b"mdat":
            position = box.start
            used = sorted(extent for extents in meta.extents.values() for extent in extents)
            for start, end in [*used, (box.end, box.end)]:
                if start > position and data[position : min(start, box.end)].strip(b"\0"):
                    yield "bytes that nothing refers to"
                position = max(position, end)
        elif box.type not in (b"ftyp", b"meta"):
            yield f"box {box.type.decode('ascii', 'replace')}"


def _boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes that follow each other (ISO/IEC 14496-12, 4.2)."""
    for _ in range(_MOST_BOXES):
        if start >= end:
            return
        size, kind, head = int.from_bytes(data[start : start + 4]), data[start + 4 : start + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16]), 16
        size = size or end - start
        if size < head or start + size > end:
            raise PhotoFailure("the file is cut off: a part of it lies behind its end", "truncated")
        yield Box(kind, start + head, start + size)
        start += size
    raise PhotoFailure("the file is damaged: it has too many boxes", "damaged")


def _read_meta(data: bytes, holder: Box) -> _Meta:
    meta = _Meta()
    boxes = list(_boxes(data, holder.start + 4, holder.end))
    inside = next((box.start for box in boxes if box.type == b"idat"), 0)
    for box in boxes:
        content = data[box.start : box.end]
        if box.type == b"pitm":
            meta.primary = int.from_bytes(content[4:6] if content[0] == 0 else content[4:8])
        elif box.type == b"iinf":
            _read_items(data, box, meta)
        elif box.type == b"iref":
            _read_references(data, box, meta)
        elif box.type == b"iprp":
            _read_properties(data, box, meta)
        elif box.type == b"iloc":
            for item, start, end in _extents(content, inside):
                meta.extents.setdefault(item, []).append((start, end))
    return meta


def _read_items(data: bytes, box: Box, meta: _Meta) -> None:
    head = 6 if data[box.start] == 0 else 8
    for entry in _boxes(data, box.start + head, box.end):
        content = data[entry.start : entry.end]
        if entry.type != b"infe" or content[0] < 2:
            raise ValueError("item entries of before 2010")
        width = 2 if content[0] == 2 else 4
        item = int.from_bytes(content[4 : 4 + width])
        kind = content[6 + width : 10 + width].decode("ascii", "replace")
        rest = content[10 + width :].partition(b"\0")[2]
        meta.types[item] = _XMP if kind == "mime" and rest.startswith(b"application/rdf+xml\0") else kind
        meta.is_hidden[item] = bool(content[3] & 1)


def _read_references(data: bytes, box: Box, meta: _Meta) -> None:
    width = 2 if data[box.start] == 0 else 4
    for one in _boxes(data, box.start + 4, box.end):
        content = data[one.start : one.end]
        count = int.from_bytes(content[width : width + 2])
        numbers = [int.from_bytes(content[2 + width * k : 2 + width * (k + 1)]) for k in range(1, count + 1)]
        meta.references.append((one.type, int.from_bytes(content[:width]), tuple(numbers)))


def _read_properties(data: bytes, box: Box, meta: _Meta) -> None:
    for part in _boxes(data, box.start, box.end):
        if part.type == b"ipco":
            meta.properties = [(one.type, data[one.start : one.end]) for one in _boxes(data, part.start, part.end)]
        elif part.type == b"ipma":
            content = data[part.start : part.end]
            width, is_long, position = 2 if content[0] == 0 else 4, content[3] & 1, 8
            for _ in range(int.from_bytes(content[4:8])):
                item, count = int.from_bytes(content[position : position + width]), content[position + width]
                position += width + 1
                for _ in range(count):
                    size = 2 if is_long else 1
                    link = int.from_bytes(content[position : position + size]) & (0x7FFF if is_long else 0x7F)
                    meta.links.setdefault(item, []).append(link)
                    position += size


def _extents(content: bytes, inside: int) -> Iterator[tuple[int, int, int]]:
    """Yield items, and where in the file their bytes lie (ISO/IEC 14496-12, 8.11.3); `inside`: where idat begins."""
    version, sizes = content[0], (content[4] >> 4, content[4] & 15, content[5] >> 4, content[5] & 15)
    position, width = 6, 2 if version < 2 else 4

    def take(size: int) -> int:
        nonlocal position
        if position + size > len(content):
            raise ValueError("cut off")
        position += size
        return int.from_bytes(content[position - size : position])

    for _ in range(take(width)):
        item = take(width)
        method = take(2) & 15 if version else 0
        take(2)
        base = take(sizes[2])
        for _ in range(take(2)):
            if version and sizes[3]:
                take(sizes[3])
            start = base + take(sizes[0])
            length = take(sizes[1])
            if method in (0, 1):
                yield item, start + inside * method, start + inside * method + length
