"""A PNG file as its chunks: metadata and coded picture. Decodes nothing."""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pii_blur.errors import PhotoFailure

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"

# What another coding of the picture makes wrong or useless, and an animation's further frames, which nobody examined.
_OF_THE_CODING = frozenset({b"PLTE", b"tRNS", b"bKGD", b"hIST", b"sBIT", b"sPLT", b"acTL", b"fcTL", b"fdAT"})
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # per pixel, by colour type
# Interlaced rows come in seven passes: first column and row, steps (PNG specification, section 8.2).
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PORTION = 1 << 24
_LONGEST_TEXT = 64 << 20


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
        try:  # a name, a length, then the data, in lines
            return binascii.unhexlify(b"".join(content.split()[2:]))
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
        return self.chunks[0].payload[9] in (4, 6) or any(chunk.type == b"tRNS" for chunk in self.chunks)

    def has_all_rows(self) -> bool:
        """Whether the packed pixels are as many as the header says; decoders leave missing rows black."""
        header = self.chunks[0].payload
        width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
        bits = self.depth * _SAMPLES.get(header[9], 1)
        passes = _ADAM7 if header[12] else ((0, 0, 1, 1),)
        sizes = ((-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes)
        expected = sum((1 + (w * bits + 7) // 8) * h for w, h in sizes if w > 0 and h > 0)
        packed = b"".join(chunk.payload for chunk in self.chunks if chunk.type == b"IDAT")
        unpacker, unpacked = zlib.decompressobj(), 0
        try:
            while unpacked < expected and (part := unpacker.decompress(packed, _PORTION)):
                unpacked += len(part)
                packed = unpacker.unconsumed_tail
        except zlib.error:
            return False
        return unpacked >= expected


def split_png(data: bytes) -> Png:
    """Take a PNG file apart.

    Raises:
        PhotoFailure: it is no PNG (code ``not_an_image``), cut off (``truncated``) or damaged (``damaged``).
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
        if zlib.crc32(data[position + 4 : end - 4]).to_bytes(4) != data[end - 4 : end]:
            raise PhotoFailure("the file is damaged: a checksum is wrong", "damaged")
        chunks.append(chunk)
        position = end
    if chunks[0].type != b"IHDR" or len(chunks[0].payload) != 13:
        raise PhotoFailure("the file is damaged: it does not begin with its header", "damaged")
    return Png(tuple(chunks), data[position:])


def assemble_png(metadata: Iterable[Chunk], picture: bytes) -> bytes:
    """Put metadata chunks in front of the picture of another PNG, whose own are dropped."""
    new = split_png(picture)
    coded = [chunk for chunk in new.chunks[1:] if chunk.type in (b"PLTE", b"IDAT", b"IEND")]
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


def _unpacked(chunk: Chunk) -> bytes:
    """Return the text, profile or data of a chunk; the payload as it is where it cannot be unpacked."""
    if chunk.type not in (b"zTXt", b"iTXt", b"iCCP"):
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
        raise PhotoFailure("the file holds a text that unpacks to more than 64 MiB", "unsupported")
    return content
