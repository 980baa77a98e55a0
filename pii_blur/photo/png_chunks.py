"""A PNG file as its chunks: metadata and coded picture. Decodes nothing."""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import PhotoFailure

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"

# What another coding of the picture makes wrong or useless, and an animation's further frames, which nobody examined.
_OF_THE_CODING = frozenset({b"PLTE", b"tRNS", b"bKGD", b"hIST", b"sBIT", b"sPLT", b"acTL", b"fcTL", b"fdAT"})
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
# What decides how the coded picture is shown, and is too short to hide anything in; see `Png.is_strange`.
_OF_THE_PICTURE = frozenset({b"PLTE", b"tRNS", b"bKGD", b"hIST", b"sBIT", b"IDAT", b"IEND"})
_LONGEST_OF_THE_PICTURE = 768  # bytes: a palette of 256 colours
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # by colour type
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # per pixel, by colour type
# Interlaced rows come in seven passes: first column and row, steps (PNG specification, section 8.2).
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PORTION = 1 << 24
_LAST_FILTER = 4
_MOST_PACKED = 1100  # deflate never packs more bytes into one
_PACKED = frozenset({b"zTXt", b"iTXt", b"iCCP"})
_LONGEST_TEXT = 32 << 20  # all texts and profiles of a file together
_BEST_RATIO = 1032  # of deflate: a packed byte never gives more (https://zlib.net/zlib_tech.html)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk: `type` of four letters, `payload` without length and checksum."""

    type: bytes
    payload: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the chunk as it stands in a file."""
        checked = self.type + self.payload
        return len(self.payload).to_bytes(4) + checked + zlib.crc32(checked).to_bytes(4)

    @property
    def content(self) -> bytes:
        """What it says, unpacked: text chunks, colour profiles and ImageMagick's hexadecimal "raw profiles".

        Raises:
            PhotoFailure: a text that unpacks to more than anybody writes (code ``unsupported``).
        """
        content = _unpacked(self)
        if b"Raw profile type" not in self.payload[:40]:
            return content
        lines = b"".join(content.split(None, 2)[2:])  # after a name and a length
        try:
            return binascii.unhexlify(lines.translate(None, b" \t\r\n\v\f"))
        except binascii.Error:
            return content


@dataclass(frozen=True, slots=True)
class Png:
    """The parts of a PNG file.

    Attributes:
        chunks: all, IHDR to IEND, in order.
        trailer: bytes after IEND.
    """

    chunks: tuple[Chunk, ...]
    trailer: bytes = field(repr=False, default=b"")

    def to_bytes(self) -> bytes:
        """Return a file of the chunks, without trailer."""
        return SIGNATURE + b"".join(chunk.to_bytes() for chunk in self.chunks)

    @property
    def metadata(self) -> tuple[Chunk, ...]:
        """The chunks that say something about the photo and nothing about how its pixels are coded."""
        left_out = _OF_THE_CODING | {b"IHDR", b"IDAT", b"IEND"}
        return tuple(chunk for chunk in self.chunks if chunk.type not in left_out)

    @property
    def is_animated(self) -> bool:
        """Whether there are further frames (APNG)."""
        return any(chunk.type in _ANIMATION for chunk in self.chunks)

    @property
    def depth(self) -> int:
        """Bits per sample."""
        return self.chunks[0].payload[8]

    @property
    def has_alpha(self) -> bool:
        """Whether some pixel may be transparent."""
        return self.colour_type in (4, 6) or bool(self.of_type(b"tRNS"))

    @property
    def colour_type(self) -> int:
        """0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha."""
        return self.chunks[0].payload[9]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        header = self.chunks[0].payload
        return int.from_bytes(header[:4]), int.from_bytes(header[4:8])

    @property
    def is_strange(self) -> bool:
        """Whether the header, or a chunk that belongs to the picture, is none that the specification knows."""
        header = self.chunks[0].payload
        return (
            header[8] not in _DEPTHS.get(header[9], ())
            or header[10:12] != b"\0\0"
            or header[12] > 1
            or any(
                chunk.type in _OF_THE_PICTURE - {b"IDAT"} and len(chunk.payload) > _LONGEST_OF_THE_PICTURE
                for chunk in self.chunks
            )
        )

    def of_type(self, *types: bytes) -> tuple[Chunk, ...]:
        """Return the chunks of some types, in order."""
        return tuple(chunk for chunk in self.chunks if chunk.type in types)

    def has_all_rows(self) -> bool:
        """Whether the packed pixels are as many as the header says, in rows as they must be, and no more.

        Decoders leave missing rows black, and some complain on stderr about the rest.
        """
        starts, expected = self._rows()
        packed = b"".join(chunk.payload for chunk in self.of_type(b"IDAT"))
        if len(packed) * _MOST_PACKED < expected:
            return False
        unpacker, position = zlib.decompressobj(), 0
        try:
            while not unpacker.eof and position <= expected and (part := unpacker.decompress(packed, _PORTION)):
                first, last = np.searchsorted(starts, (position, position + len(part)))
                if (np.frombuffer(part, dtype=np.uint8)[starts[first:last] - position] > _LAST_FILTER).any():
                    return False
                position += len(part)
                packed = unpacker.unconsumed_tail
        except (zlib.error, IndexError):
            return False
        return position == expected and unpacker.eof and not unpacker.unused_data

    def _rows(self) -> tuple[NDArray[np.int64], int]:
        """Return where in the unpacked pixels each row begins, with its filter's number, and where the last ends."""
        width, height = self.size
        bits = self.depth * _SAMPLES.get(self.colour_type, 1)
        starts, end = [], 0
        for x, y, dx, dy in _ADAM7 if self.chunks[0].payload[12] else ((0, 0, 1, 1),):
            columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
            if columns > 0 and rows > 0:
                length = 1 + (columns * bits + 7) // 8
                starts.append(end + length * np.arange(rows, dtype=np.int64))
                end += length * rows
        return np.concatenate(starts), end


def split_png(data: bytes) -> Png:
    """Take a PNG file apart.

    Raises:
        PhotoFailure: it is no PNG (code ``not_an_image``), cut off (``truncated``), damaged (``damaged``) or holds
            texts that unpack to more than anybody writes (``unsupported``).
    """
    if not data.startswith(SIGNATURE):
        raise PhotoFailure("the file is no PNG", "not_an_image")
    chunks: list[Chunk] = []
    position = len(SIGNATURE)
    while not chunks or chunks[-1].type != b"IEND":
        end = position + 12 + int.from_bytes(data[position : position + 4])
        if end > len(data) or position + 12 > len(data):
            raise PhotoFailure("the file is cut off: its picture does not end", "truncated")
        chunk = Chunk(data[position + 4 : position + 8], data[position + 8 : end - 4])
        if not chunk.type.isalpha():  # all decoders stop at it, so the result would be of no use to anybody
            raise PhotoFailure("the file is damaged: a part of it has no name", "damaged")
        if zlib.crc32(data[position + 4 : end - 4]).to_bytes(4) != data[end - 4 : end]:
            raise PhotoFailure("the file is damaged: a checksum is wrong", "damaged")
        chunks.append(chunk)
        position = end
    if chunks[0].type != b"IHDR" or len(chunks[0].payload) != 13:
        raise PhotoFailure("the file is damaged: it does not begin with its header", "damaged")
    _refuse_bombs(chunks)
    return Png(tuple(chunks), data[position:])


def assemble_png(metadata: Iterable[Chunk], picture: bytes) -> bytes:
    """Put metadata chunks in front of the picture of another PNG, whose own are dropped."""
    new = split_png(picture)
    coded = [chunk for chunk in new.chunks[1:] if chunk.type in _OF_THE_PICTURE]
    return Png((new.chunks[0], *metadata, *coded)).to_bytes()


def is_xmp(chunk: Chunk) -> bool:
    """Whether a chunk holds an XMP packet."""
    return chunk.type == b"iTXt" and chunk.payload.startswith(XMP_KEYWORD + b"\0")


def xmp_chunk(packet: bytes) -> Chunk:
    """Return a chunk that holds an XMP packet, uncompressed as the XMP specification wants it (part 3, 1.1.5)."""
    return Chunk(b"iTXt", XMP_KEYWORD + bytes(5) + packet)


def exif_of_png(chunks: Sequence[Chunk]) -> bytes:
    """Return the Exif block (a TIFF structure), empty if there is none."""
    return next((chunk.payload.removeprefix(b"Exif\0\0") for chunk in chunks if chunk.type == b"eXIf"), b"")


def xmp_of_png(chunks: Sequence[Chunk]) -> bytes:
    """Return the XMP packet (XML), empty if there is none."""
    return next((chunk.content for chunk in chunks if is_xmp(chunk)), b"")


def _refuse_bombs(chunks: Sequence[Chunk]) -> None:
    """Refuse a file whose texts, each within the limit, are more than it when they are taken together."""
    packed = [chunk for chunk in chunks if chunk.type in _PACKED]
    if sum(len(chunk.payload) for chunk in packed) * _BEST_RATIO <= _LONGEST_TEXT:
        return
    if sum(len(_unpacked(chunk)) for chunk in packed) > _LONGEST_TEXT:
        raise _bomb()


def _bomb() -> PhotoFailure:
    return PhotoFailure(f"the file holds texts that unpack to more than {_LONGEST_TEXT >> 20} MiB", "unsupported")


def _unpacked(chunk: Chunk) -> bytes:
    """Return the text, profile or data of a chunk; the payload as it is where it cannot be unpacked."""
    if chunk.type not in _PACKED:
        return chunk.payload
    _, _, rest = chunk.payload.partition(b"\0")
    if chunk.type == b"iTXt":
        is_packed = rest[:1] == b"\x01"
        rest = rest[2:].split(b"\0", 2)[-1]
        if not is_packed:
            return rest
    else:
        rest = rest[1:]
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(rest, _LONGEST_TEXT)
    except zlib.error:
        return chunk.payload
    # PRIVACY: what is not unpacked is not searched for pictures.
    if unpacker.unconsumed_tail:
        raise _bomb()
    return content
