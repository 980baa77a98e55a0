"""Metadata blocks that mean harm: XMP, TIFF structures (Exif), texts that unpack to far more than they are."""

from __future__ import annotations

import base64
import functools
import random
import struct
import zlib
from collections.abc import Callable

from tests.fuzz.seeds import chunk, segment, xmp_packet
from tests.photos import other_jpeg

NUMBERS = (
    *("0", "-1", "1", "2", "159.5", " 320 ", "+320", "1e3", "1e308", "-1e308", "1e999", "1e-320", "nan", "inf", "-inf"),
    *(
        "0x140",
        "1_000",
        "\u0661\u0662",
        "320px",
        "2147483648",
        "99999999999999999999",
        "1" * 5000,
        "",
        "999999999",
        "\u00b2",
    ),
)
_NAMES = (
    *("FullPanoWidthPixels", "FullPanoHeightPixels", "CroppedAreaImageWidthPixels", "CroppedAreaImageHeightPixels"),
    *("CroppedAreaLeftPixels", "CroppedAreaTopPixels", "PosePitchDegrees", "PoseRollDegrees", "PoseHeadingDegrees"),
)
_PROJECTIONS = ("equirectangular", "EQUIRECTANGULAR", "cylindrical", "", "\x7f", "e" * 1000, "cubemap\n")
_GPANO = b'xmlns:G="http://ns.google.com/photos/1.0/panorama/"'
_MEBIBYTE = 1 << 20


def hostile_xmp(rng: random.Random) -> bytes:
    """Return an XMP packet that fits into one segment."""
    return rng.choice(_XMP)(rng)[:65_000]


def hostile_gpano(rng: random.Random) -> bytes:
    """Return a well-formed packet with numbers that nobody means."""
    names = rng.sample(_NAMES, rng.randint(1, len(_NAMES)))
    plausible = ("320", "160", "640", "1280", "80", "0", "45", "-45", "180")
    values = {name: rng.choice(NUMBERS if rng.random() < 0.4 else plausible) for name in names}
    if rng.random() < 0.5:
        values["ProjectionType"] = rng.choice(_PROJECTIONS)
    attributes = " ".join(f'G:{name}="{value}"' for name, value in values.items())
    elements = "".join(f"<G:{name}>{value}<!-- --></G:{name}>" for name, value in values.items())
    is_flat = rng.random() < 0.5
    body = f"<rdf:Description {_GPANO.decode()} {attributes if is_flat else ''}>{'' if is_flat else elements}"
    return xmp_packet((body + "</rdf:Description>").encode())


def _entities(rng: random.Random) -> bytes:
    levels = rng.choice((3, 9, 30))
    lines = b"".join(b'<!ENTITY l%d "%s">' % (n + 1, b"&l%d;" % n * 10) for n in range(levels))
    inner = b"<rdf:Description %s><G:PosePitchDegrees>&l%d;</G:PosePitchDegrees></rdf:Description>" % (_GPANO, levels)
    return b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "9">' + lines + b"]>" + xmp_packet(inner, is_wrapped=False)


def _outside(rng: random.Random) -> bytes:
    target = rng.choice((b"file:///etc/passwd", b"http://127.0.0.1:9/x", b"/dev/zero", b"pipe:"))
    inner = b"<rdf:Description %s><G:ProjectionType>&x;</G:ProjectionType></rdf:Description>" % _GPANO
    return b'<!DOCTYPE x [<!ENTITY x SYSTEM "%s">]>' % target + xmp_packet(inner, is_wrapped=False)


def _deep(rng: random.Random) -> bytes:
    depth = rng.choice((50, 1000, 8000))
    name = rng.choice((b"a", b"rdf:Bag", b"G:PosePitchDegrees", b"rdf:li"))
    inner = (b"<%s>" % name)[:20] * depth + (b"9" + b"</%s>" % name * depth if rng.random() < 0.5 else b"")
    return xmp_packet(b"<rdf:Description %s>" % _GPANO + inner + b"</rdf:Description>")


def _pieces(rng: random.Random) -> bytes:
    """One value in thousands of pieces."""
    inner = b"<G:ProjectionType>" + b"e<b/>" * rng.choice((10, 9000)) + b"</G:ProjectionType>"
    return xmp_packet(b"<rdf:Description %s>" % _GPANO + inner + b"</rdf:Description>")


def _many(rng: random.Random) -> bytes:
    count = rng.choice((10, 3000))
    attributes = b" ".join(b'G:n%d="1"' % n for n in range(count))
    names = b" ".join(b'xmlns:n%d="urn:%d"' % (n, n) for n in range(count))
    return xmp_packet(b"<rdf:Description %s %s/>" % (_GPANO, rng.choice((attributes, names))))


def _encoded(rng: random.Random) -> bytes:
    packet = hostile_gpano(rng)
    encoding = rng.choice(("utf-16", "utf-16-be", "utf-32", "utf-7", "cp037"))
    declared = rng.choice((b"UTF-16", b"UTF-7", b"EBCDIC-CP-US", b"\xff", b"ISO-8859-1", b"x" * 100))
    if rng.random() < 0.5:
        return packet.decode("utf-8", "replace").encode(encoding, "replace")
    return b'<?xml version="1.0" encoding="%s"?>' % declared + packet


def _pictures(rng: random.Random) -> bytes:
    """Pictures in base64, with everything that XML and its writers put between the letters."""
    letters = base64.b64encode(other_jpeg(32, 64))
    between = rng.choice((b"&#xA;", b"\n", b"&#10;", b" ", b"\\n", b"&#xD;&#xA;"))
    width = rng.choice((1, 4, 76, 10_000))
    text = between.join(letters[start : start + width] for start in range(0, len(letters), width))
    text = text[: rng.randint(1, len(text))] if rng.random() < 0.3 else text
    form = rng.choice((b'<rdf:Description xmlns:G="urn:g" G:D="%s"/>', b"<G:D xmlns:G='urn:g'>%s</G:D>", b"<!--%s-->"))
    return xmp_packet(form % text)


def _long_run(rng: random.Random) -> bytes:
    return xmp_packet(
        b'<rdf:Description xmlns:d="urn:d" d:d="%s"/>' % (rng.choice((b"/9j/", b"AAAA", b"A&#x")) * 15_000)
    )


def _broken(rng: random.Random) -> bytes:
    packet = bytearray(hostile_gpano(rng))
    for _ in range(rng.randint(1, 8)):
        packet[rng.randrange(len(packet))] = rng.choice((0, 0xFF, ord("<"), ord(">"), ord("&"), ord('"'), 0xC0))
    return bytes(packet[: rng.randint(1, len(packet))])


_XMP: tuple[Callable[[random.Random], bytes], ...] = (
    *(hostile_gpano, hostile_gpano, _entities, _outside, _deep, _pieces, _many, _encoded, _pictures, _long_run),
    *(_broken, lambda rng: b"", lambda rng: bytes(100), lambda rng: rng.randbytes(rng.randint(1, 500))),
)


def hostile_tiff(data: bytes, rng: random.Random) -> bytes:
    """Change a TIFF structure where it hurts: entries, offsets, chains."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 14:
        return rng.choice((b"II*\0", b"MM\0*")) + rng.randbytes(rng.randint(0, 200))
    changed = bytearray(data)

    def number(kind: str, place: int) -> int:
        size = struct.calcsize(kind)
        return struct.unpack(order + kind, data[place : place + size])[0] if place + size <= len(data) else 0

    def put(kind: str, place: int, value: int) -> None:
        size = struct.calcsize(kind)
        if place >= 0 and place + size <= len(changed):
            struct.pack_into(order + kind, changed, place, value % (1 << 8 * size))

    tables = [number("I", 4)]
    while tables[-1] and tables[-1] < len(data) and len(tables) < 5:
        count = number("H", tables[-1])
        tables.append(number("I", tables[-1] + 2 + 12 * count))
    table = rng.choice([one for one in tables if one and one < len(data)] or [8])
    count = number("H", table)
    entry = table + 2 + 12 * rng.randrange(max(min(count, 200), 1))
    far = (0, 1, 7, table, entry, len(data) - 1, len(data), 0x7FFFFFFF, 0xFFFFFFFF, rng.randrange(len(data)))
    for _ in range(rng.randint(1, 3)):
        what = rng.randrange(8)
        if what == 0:
            put("I", table + 2 + 12 * count, rng.choice((table, tables[0], *far)))  # a chain that bites its tail
        elif what == 1:
            put("H", table, rng.choice((0, 1, count - 1, count + 1, 1000, 65535)))
        elif what == 2:
            put("H", entry, rng.choice((0x0112, 0x8769, 0x8825, 0x0201, 0x0202, 0x014A, 0x927C, 0, 65535)))
        elif what == 3:
            put("H", entry + 2, rng.choice((0, 1, 2, 3, 4, 5, 7, 12, 13, 16, 65535)))
        elif what == 4:
            put("I", entry + 4, rng.choice((0, 1, 2, 65536, 0x10000000, 0x40000001, 0xFFFFFFFF)))
        elif what == 5:
            put("I", entry + 8, rng.choice(far))
        elif what == 6:
            put("I", 4, rng.choice(far))
        else:  # an orientation
            put("H", entry, 0x0112)
            put("H", entry + 2, 3)
            put("I", entry + 4, 1)
            put("H", entry + 8, rng.choice((0, 2, 3, 4, 5, 6, 7, 8, 9, 255, 65535)))
    return bytes(changed)


@functools.cache
def _bomb(pattern: bytes, mebibytes: int) -> bytes:
    return zlib.compress(pattern * (mebibytes * _MEBIBYTE // len(pattern)), 9)


def text_bomb(rng: random.Random) -> bytes:
    """Return a PNG chunk whose content is large when it is unpacked."""
    pattern = rng.choice((b"\0", b"<a>", b"\xff\xd8\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\1\x11\0", b"\0\0\0\x08ftypmp42"))
    packed = _bomb(pattern, rng.choice((1, 63, 65)))
    head = b"<x:xmpmeta xmlns:x='adobe:ns:meta/' " + _GPANO + b">"
    return rng.choice(
        (
            chunk(b"zTXt", b"Comment\0\0" + packed),
            chunk(b"iCCP", b"profile\0\0" + packed),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + head + pattern * 5000),
        )
    )


def flood(rng: random.Random) -> bytes:
    """Return JPEG segments, megabytes of them, that are full of what looks like the beginning of a picture."""
    beginning = rng.choice(
        (
            b"\0\0\0\x08ftypmp42",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\1\x11\0",
            b"\xff\xd8\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\1\x11\0",
            b"\xff\xd8",
            b"/9j/" + b"A" * 60 + b" !",
            b"RIFF\0\0\0\0WEBPVP8 ",
        )
    )
    kind, header = rng.choice(
        (
            (0xE2, b"ICC_PROFILE\0\1\1"),
            (0xFE, b""),
            (0xE5, b"maker"),
            (0xE1, b"FLIR\0\1\0\0"),
            (0xED, b"Photoshop 3.0\0"),
        )
    )
    size, count = rng.choice(((60_000, 4), (60_000, 60), (2_000, 1000), (len(beginning), 20_000)))
    one = segment(kind, header + beginning * (size // len(beginning)))
    return one * count
