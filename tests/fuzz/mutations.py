"""Damages files: anywhere, or where it hurts in a JPEG, a PNG, or the metadata inside them.

Has its own way of taking files apart, so that what it damages does not depend on what it tests.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence

from tests.fuzz import hostile
from tests.fuzz.seeds import chunk, segment

_BYTES = (0, 1, 0x7F, 0x80, 0xC0, 0xD8, 0xD9, 0xDA, 0xE1, 0xFE, 0xFF)
_SIZES = (0, 1, 2, 7, 8, 9, 16, 17, 63, 64, 65, 4096, 15_000, 16_384, 20_000, 32_768, 65_500, 65_535)
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"

Pieces = list[bytes]


# -- anywhere --------------------------------------------------------------------------------------------------------


def _place(data: bytes, rng: random.Random) -> int:
    """Return a place, mostly near the front, where headers stand."""
    reach = len(data) if rng.random() < 0.4 else min(len(data), rng.choice((64, 600, 2000)))
    return rng.randrange(max(reach, 1))


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    """Flip a few bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 40)) if data else 0):
        changed[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def replace_bytes(data: bytes, rng: random.Random) -> bytes:
    """Replace a few bytes, mostly by those that mean something."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 6)) if data else 0):
        changed[_place(data, rng)] = rng.choice(_BYTES) if rng.random() < 0.7 else rng.randrange(256)
    return bytes(changed)


def replace_number(data: bytes, rng: random.Random) -> bytes:
    """Replace two or four bytes by a number that is likely to break something."""
    kind = rng.choice((">H", "<H", ">I", "<I"))
    top = (1 << 8 * struct.calcsize(kind)) - 1
    value = rng.choice((0, 1, 2, 3, 255, 256, top, top - 1, top // 2, top // 2 + 1, len(data), rng.randint(0, top)))
    place = _place(data, rng)
    return data[:place] + struct.pack(kind, value & top) + data[place + struct.calcsize(kind) :]


def cut_off(data: bytes, rng: random.Random) -> bytes:
    """Leave out the end."""
    return data[: rng.choice((_place(data, rng), max(len(data) - rng.randint(1, 40), 0), rng.randrange(len(data) + 1)))]


def cut_out(data: bytes, rng: random.Random) -> bytes:
    """Leave out a part."""
    place = _place(data, rng)
    return data[:place] + data[place + rng.choice((1, 2, 4, 16, 200)) :]


def insert(data: bytes, rng: random.Random) -> bytes:
    """Put a few bytes in."""
    place = _place(data, rng)
    size = rng.choice((1, 2, 16, 300))
    return data[:place] + rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size)) + data[place:]


def repeat(data: bytes, rng: random.Random) -> bytes:
    """Repeat a part."""
    place = _place(data, rng)
    part = data[place : place + rng.choice((2, 16, 500))]
    return data[:place] + part * rng.choice((2, 3, 50)) + data[place:]


def blank(data: bytes, rng: random.Random) -> bytes:
    """Overwrite a part with zeros or 0xFF."""
    place = _place(data, rng)
    size = min(rng.choice((4, 64, 1000)), len(data) - place)
    return data[:place] + rng.choice((b"\0", b"\xff")) * size + data[place + size :]


def splice(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Go on with another file."""
    return data[: _place(data, rng)] + other[_place(other, rng) :]


# -- in a JPEG -------------------------------------------------------------------------------------------------------


def jpeg_pieces(data: bytes) -> Pieces:
    """Return SOI, segments (a scan belongs to its header), EOI and what follows; joined they are the file."""
    pieces, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xD9:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4])
        if data[place + 1] == 0xDA:
            while end + 1 < len(data) and (data[end] != 0xFF or data[end + 1] in (0, *range(0xD0, 0xD8))):
                end += 1
        pieces.append(data[place:end])
        place = end
    return [*pieces, data[place : place + 2], data[place + 2 :]]


def _with_kind(pieces: Pieces, kinds: Sequence[int], rng: random.Random, prefix: bytes = b"") -> int | None:
    """Return the number of a piece with one of some markers, None if there is none."""
    found = [n for n, one in enumerate(pieces) if one[1:2] and one[1] in kinds and one[4:].startswith(prefix)]
    return rng.choice(found) if found else None


def _edit(pieces: Pieces, kinds: Sequence[int], rng: random.Random, change: Callable[[bytearray], None]) -> Pieces:
    number = _with_kind(pieces, kinds, rng)
    if number is not None:
        changed = bytearray(pieces[number])
        change(changed)
        pieces[number] = bytes(changed)
    return pieces


def wrong_length(pieces: Pieces, rng: random.Random) -> Pieces:
    """Let a segment say that it is longer or shorter than it is."""
    number = rng.randrange(1, len(pieces))
    one = pieces[number]
    if len(one) >= 4:
        length = int.from_bytes(one[2:4])
        wrong = rng.choice((0, 1, 2, 3, length - 1, length + 1, length + rng.randint(-99, 999), 65535))
        pieces[number] = one[:2] + (wrong & 0xFFFF).to_bytes(2) + one[4:]
    return pieces


def shuffle(pieces: Pieces, rng: random.Random) -> Pieces:
    """Swap, move, repeat, leave out or empty a segment."""
    one, other = rng.randrange(1, len(pieces)), rng.randrange(1, len(pieces))
    what = rng.randrange(6)
    if what == 0:
        pieces[one], pieces[other] = pieces[other], pieces[one]
    elif what == 1:
        pieces.insert(other, pieces.pop(one))
    elif what == 2:
        pieces[other:other] = [pieces[one]] * rng.choice((1, 2, 100))
    elif what == 3:
        del pieces[one]
    elif what == 4:
        pieces[one] = segment(pieces[one][1], b"") if len(pieces[one]) > 4 else pieces[one]
    else:
        keep = rng.randint(0, min(max(len(pieces[one]) - 4, 0), 65_000))
        pieces[one] = segment(pieces[one][1], pieces[one][4 : 4 + keep]) if len(pieces[one]) > 4 else pieces[one]
    return pieces


def strange_piece(pieces: Pieces, rng: random.Random) -> Pieces:
    """Put something between two segments that does not belong there."""
    kind = rng.choice((*range(0xC0, 0xD0), 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, *range(0xE0, 0xF0), 0xF0, 0xFD, 0xFE, 0x02))
    strange = rng.choice(
        (
            segment(kind, rng.randbytes(rng.choice((0, 1, 6, 14, 70)))),
            segment(kind, b""),
            bytes((0xFF, rng.choice((0x00, 0x01, 0xD0, 0xD7, 0xD8, 0xD9, 0xFF)))),
            b"\xff" * rng.choice((1, 2, 3000)),
            rng.randbytes(rng.randint(1, 9)),
            b"\0" * rng.choice((1, 500)),
            pieces[0] + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        )
    )
    pieces.insert(rng.randrange(1, len(pieces)), strange)
    return pieces


def strange_frame(pieces: Pieces, rng: random.Random) -> Pieces:
    """Change size, process, precision, components or sampling of the frame."""

    def change(sof: bytearray) -> None:
        for _ in range(rng.randint(1, 2) if len(sof) >= 13 else 0):
            what = rng.randrange(9)
            if what <= 3:
                side = rng.choice((5, 7))
                sof[side : side + 2] = rng.choice((*_SIZES, int.from_bytes(sof[side : side + 2]) ^ 1)).to_bytes(2)
            elif what == 4:
                sof[1] = rng.choice((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC9, 0xCA, 0xCB, 0xCF))
            elif what == 5:
                sof[4] = rng.choice((0, 1, 7, 8, 9, 12, 16, 255))
            elif what == 6:
                sof[9:10] = bytes((rng.choice((0, 1, 2, 3, 4, 5, 255)),))
            else:
                place = 10 + rng.randrange(len(sof) - 10)
                sof[place] = rng.choice((0, 1, 2, 3, 0x11, 0x12, 0x21, 0x22, 0x41, 0x14, 0x44, 0x13, 0x31, 0xFF))

    return _edit(pieces, (0xC0, 0xC1, 0xC2, 0xC9, 0xCA), rng, change)


def strange_tables(pieces: Pieces, rng: random.Random) -> Pieces:
    """Change quantisation and Huffman tables, restart interval, or the header of a scan."""

    def change(one: bytearray) -> None:
        for _ in range(rng.choice((1, 1, 3))):
            if len(one) > 4:
                one[rng.randrange(4, min(len(one), 80))] = rng.choice(_BYTES)

    return _edit(pieces, (0xDB, 0xC4, 0xDD, 0xDA), rng, change)


def strange_exif(pieces: Pieces, rng: random.Random) -> Pieces:
    """Change the Exif block, or put one in."""
    number = _with_kind(pieces, (0xE1,), rng, _EXIF)
    old = pieces.pop(number)[4 + len(_EXIF) :] if number is not None else b""
    pieces.insert(number or 1, segment(0xE1, (_EXIF + hostile.hostile_tiff(old, rng))[:65_000]))
    return pieces


def strange_xmp(pieces: Pieces, rng: random.Random) -> Pieces:
    """Replace the XMP packet, or put one in."""
    number = _with_kind(pieces, (0xE1,), rng, _XMP)
    if number is not None and rng.random() < 0.8:
        del pieces[number]
    packet = hostile.hostile_xmp(rng) if rng.random() < 0.6 else hostile.hostile_gpano(rng)
    pieces.insert(number or 1, segment(0xE1, _XMP + packet))
    return pieces


def strange_parts(pieces: Pieces, rng: random.Random) -> Pieces:
    """Change the headers of blocks that are spread over segments, and MPF, whose offsets point anywhere."""
    chosen = rng.choice(((0xE1, _EXTENDED_XMP, 40), (0xE2, b"MPF\0", 90), (0xE2, b"ICC", 2), (0xE1, b"FLIR\0", 90)))
    kind, prefix, reach = chosen
    number = _with_kind(pieces, (kind,), rng, prefix)
    if number is None:
        return shuffle(pieces, rng)
    one = bytearray(pieces[number])
    for _ in range(rng.choice((1, 2, 5))):
        place = 4 + len(prefix) + rng.randrange(reach)
        size = rng.choice((1, 2, 4))
        one[place : place + size] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80", rng.randbytes(1))) * size
    pieces[number] = bytes(one)
    return pieces


def flooded(pieces: Pieces, rng: random.Random) -> Pieces:
    """Put in megabytes of what looks like pictures, or of nothing."""
    pieces.insert(1, hostile.flood(rng) if rng.random() < 0.8 else b"\xff" * rng.choice((1 << 16, 1 << 23)))
    return pieces


# -- in a PNG --------------------------------------------------------------------------------------------------------


def png_pieces(data: bytes) -> Pieces:
    """Return signature, chunks and what follows; joined they are the file."""
    pieces, place = [data[:8]], 8
    while place + 12 <= len(data) and pieces[-1][4:8] != b"IEND":
        end = place + 12 + int.from_bytes(data[place : place + 4])
        pieces.append(data[place:end])
        place = end
    return [*pieces, data[place:]]


def strange_chunk(pieces: Pieces, rng: random.Random) -> Pieces:
    """Change, swap, repeat, drop or add a chunk."""
    one, other = rng.randrange(1, len(pieces)), rng.randrange(1, len(pieces))
    kind, payload = pieces[one][4:8], pieces[one][8:-4]
    what = rng.randrange(9)
    if what == 0:
        pieces[one], pieces[other] = pieces[other], pieces[one]
    elif what == 1:
        pieces[other:other] = [pieces[one]] * rng.choice((1, 50))
    elif what == 2:
        del pieces[one]
    elif what == 3:
        pieces[one] = chunk(kind, payload[: rng.randint(0, len(payload))])
    elif what == 4:
        wrong = rng.choice((0, 1, len(payload) + 1, 0x7FFFFFFF, 0xFFFFFFFF))
        pieces[one] = wrong.to_bytes(4) + pieces[one][4:]
    elif what == 5:
        names = (b"tRNS", b"PLTE", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"bKGD", b"sBIT", b"xxXx", b"\0\0\0\0", b"IHDR")
        pieces.insert(other, chunk(rng.choice(names), rng.randbytes(rng.choice((0, 1, 3, 8, 26, 300)))))
    elif what == 6:
        pieces.insert(other, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + hostile.hostile_xmp(rng)))
    elif what == 7:
        pieces.insert(other, chunk(b"eXIf", hostile.hostile_tiff(payload if kind == b"eXIf" else b"", rng)))
    else:
        names = (b"zTXt", b"iCCP", b"iTXt")
        packed = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n" + rng.randbytes(20))
        pieces.insert(other, chunk(rng.choice(names), rng.choice((packed, rng.randbytes(30), b"\0", b"a\0\1\0"))))
    return pieces


def strange_header(pieces: Pieces, rng: random.Random) -> Pieces:
    """Change size, depth, colour type or interlacing."""
    header = bytearray(pieces[1][8:-4])
    if len(header) == 13:
        what = rng.randrange(3)
        if what == 0:
            side = rng.choice((0, 4))
            sizes = (*_SIZES, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
            header[side : side + 4] = rng.choice(sizes).to_bytes(4)
        else:
            header[rng.randrange(8, 13)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
        pieces[1] = chunk(b"IHDR", bytes(header))
    return pieces


def strange_pixels(pieces: Pieces, rng: random.Random) -> Pieces:
    """Change the packed pixels under a right checksum."""
    number = next((n for n, one in enumerate(pieces) if one[4:8] == b"IDAT"), None)
    if number is not None:
        packed = pieces[number][8:-4]
        rows = zlib.compress(rng.choice((b"", b"\0", b"\5\xff", b"\xff")) * rng.choice((1, 100, 20_000)))
        pieces[number] = chunk(b"IDAT", rng.choice((flip_bits(packed, rng), cut_off(packed, rng), rows)))
    return pieces


def bombed(pieces: Pieces, rng: random.Random) -> Pieces:
    """Put in a text that unpacks to far more."""
    pieces.insert(2, hostile.text_bomb(rng))
    return pieces


def with_right_checksums(pieces: Pieces) -> Pieces:
    """Give every chunk that is one the checksum that it should have."""
    return [
        chunk(one[4:8], one[8:-4])
        if number > 0 and len(one) >= 12 and int.from_bytes(one[:4]) == len(one) - 12
        else one
        for number, one in enumerate(pieces)
    ]


ANYWHERE = (flip_bits, replace_bytes, replace_number, cut_off, cut_out, insert, repeat, blank)
IN_JPEG = (
    *(wrong_length, shuffle, shuffle, strange_piece, strange_piece, strange_frame, strange_tables, strange_exif),
    *(strange_xmp, strange_parts),
)
IN_PNG = (strange_chunk, strange_chunk, strange_chunk, strange_header, strange_pixels)
