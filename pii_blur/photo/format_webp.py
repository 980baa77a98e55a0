"""WebP, lossy and lossless, with alpha. Exif, XMP and colour profile go over; animations are refused.

A lossless source stays lossless: every pixel outside the hidden regions keeps its value, also under transparent alpha.
A lossy one is coded anew as a whole: its blocks are predicted from each other, so that none can be changed alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, WebPImagePlugin

from pii_blur.errors import PhotoFailure
from pii_blur.photo.cleaner import Cleaner, Tags, carry_tags
from pii_blur.photo.contents import Built, Contents, check_size
from pii_blur.photo.encode import loses_little
from pii_blur.photo.orientation import read_orientation
from pii_blur.photo.raster import Raster

_PICTURE = frozenset({b"ALPH", b"VP8 ", b"VP8L"})
_METADATA = frozenset({b"ICCP", b"EXIF", b"XMP "})
_ANIMATION = frozenset({b"ANIM", b"ANMF"})
_HAS_PROFILE, _HAS_ALPHA, _HAS_EXIF, _HAS_XMP = 0x20, 0x10, 0x08, 0x04  # flags of VP8X
_QUALITY = 95
_EFFORT = 50  # of lossless coding, 0 to 100; more takes twice the time for a hundredth of the size

Part = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class _WebP:
    """A file as its chunks (type, payload); `trailer` is what follows them."""

    chunks: tuple[Part, ...]
    trailer: bytes = field(repr=False)

    def of(self, kind: bytes) -> bytes:
        """Return the payload of the first chunk of a type, empty if there is none."""
        return next((payload for one, payload in self.chunks if one == kind), b"")

    @property
    def tags(self) -> Tags:
        return Tags(self.of(b"EXIF").removeprefix(b"Exif\0\0"), self.of(b"XMP "), self.of(b"ICCP"))

    @property
    def picture(self) -> tuple[Part, ...]:
        """The chunks without which there is no picture: the first of each kind."""
        kinds = (kind for kind in (b"ALPH", b"VP8 ", b"VP8L") if self.of(kind))
        return tuple((kind, self.of(kind)) for kind in kinds)

    @property
    def strays(self) -> tuple[str, ...]:
        """In words, what is neither picture nor metadata, and what is there twice."""
        seen, found = set[bytes](), list[str]()
        for kind, _ in self.chunks:
            if kind in seen or kind not in _PICTURE | _METADATA | {b"VP8X"}:
                found.append(f"chunk {kind.decode('ascii', 'replace').strip()}")
            seen.add(kind)
        if self.trailer.strip(b"\0"):
            found.append(f"{len(self.trailer)} bytes after the picture")
        return tuple(dict.fromkeys(found))


def is_webp(data: bytes) -> bool:
    """Whether a file begins like a WebP."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read_webp(data: bytes, max_pixels: int) -> Contents:
    """Read a WebP; see `contents`.

    Raises:
        PhotoFailure: codes as `read_photo`.
    """
    webp = _split(data)
    if any(kind in _ANIMATION for kind, _ in webp.chunks):
        raise PhotoFailure("animated WebP is not supported; save its pictures one by one", "unsupported")
    width, height = _size(webp)
    check_size(width, height, max_pixels, bytes_per_pixel=4)
    return Contents(
        raster=Raster(_decode(webp, width, height)),
        blocks=webp.tags.blocks(),
        exif=webp.tags.exif,
        xmp=webp.tags.xmp,
        orientation=read_orientation(webp.tags.exif),
        strays=webp.strays,
        is_exact=bool(webp.of(b"VP8L")),
    )


def write_webp(data: bytes, raster: Raster, mask: NDArray[np.uint8], cleaner: Cleaner) -> Built:
    """Put another picture into a WebP; see `contents`."""
    source = _split(data)
    tags, removed = cleaner.clean_tags(source.tags)
    is_lossless = bool(source.of(b"VP8L"))
    height, width, channels = raster.samples.shape
    picture = Image.frombytes("RGBA" if channels == 4 else "RGB", (width, height), raster.samples.tobytes())
    coded = _coded(picture, is_lossless=is_lossless)
    way = "lossless" if is_lossless else "re-encoded (lossy WebP)"
    if not is_lossless and not loses_little(raster.to_rgb(), Raster(_decode(coded, width, height)).to_rgb()):
        # The loud colours of a damaged picture, mostly.
        coded, way = _coded(picture, is_lossless=True), "re-encoded (lossless WebP)"
    return Built(_assemble(coded, (width, height), tags), way, (*removed, *source.strays))


def strip_webp(data: bytes, cleaner: Cleaner) -> Built:
    """Take out of a WebP what nobody examined; its picture stays as it is coded; see `contents`."""
    source = _split(data)
    tags, removed = cleaner.clean_tags(source.tags)
    return Built(_assemble(source, _size(source), tags), "picture copied", (*removed, *source.strays))


def carry_webp(data: bytes) -> tuple[bytes, str]:
    """Return a tiny PNG with the metadata; see `contents`."""
    return carry_tags(_split(data).tags)


def _coded(picture: Image.Image, *, is_lossless: bool) -> _WebP:
    file, quality = io.BytesIO(), _EFFORT if is_lossless else _QUALITY
    # Exact: colours under transparent alpha would else be replaced, the hidden ones among them.
    picture.save(file, "WEBP", lossless=is_lossless, quality=quality, alpha_quality=100, method=2, exact=True)
    return _split(file.getvalue())


def _split(data: bytes) -> _WebP:
    if not is_webp(data):
        raise PhotoFailure("the file is no WebP", "not_an_image")
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise PhotoFailure("the file is cut off: it is shorter than it says", "truncated")
    chunks, position = list[Part](), 12
    while position + 8 <= end:
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        if position + 8 + size > end:
            raise PhotoFailure("the file is damaged: a chunk is longer than the file", "damaged")
        chunks.append((data[position : position + 4], data[position + 8 : position + 8 + size]))
        position += 8 + size + size % 2
    return _WebP(tuple(chunks), data[min(position, end) :])


def _size(webp: _WebP) -> tuple[int, int]:
    """Return width and height by the picture's own header (RFC 9649, 2.5 to 2.7).

    Raises:
        PhotoFailure: there is no picture, or it has another size than the file says (code ``damaged``).
    """
    lossy, lossless, canvas = webp.of(b"VP8 "), webp.of(b"VP8L"), webp.of(b"VP8X")
    if lossy and not lossless and lossy[3:6] == b"\x9d\x01\x2a" and len(lossy) >= 10:
        width, height = (int.from_bytes(lossy[start : start + 2], "little") & 0x3FFF for start in (6, 8))
    elif lossless and not lossy and lossless[:1] == b"\x2f" and len(lossless) >= 5:
        bits = int.from_bytes(lossless[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        raise PhotoFailure("the file is damaged: there is no picture in it", "damaged")
    if canvas and (1 + int.from_bytes(canvas[4:7], "little"), 1 + int.from_bytes(canvas[7:10], "little")) != (
        width,
        height,
    ):
        raise PhotoFailure("header and picture differ in size", "damaged")
    return width, height


def _decode(webp: _WebP, width: int, height: int) -> NDArray[np.uint8]:
    """Return uint8 (h, w, 3 or 4); alpha that is opaque everywhere is left out."""
    plain = _assemble(webp, (width, height), Tags())
    try:
        # Not Image.open: its own, lower limit on the number of pixels is not ours.
        with WebPImagePlugin.WebPImageFile(io.BytesIO(plain)) as picture:
            pixels = np.array(picture)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PhotoFailure("the picture cannot be decoded; it is cut off or damaged", "truncated") from error
    if pixels.shape[:2] != (height, width):
        raise PhotoFailure("header and picture differ in size", "damaged")
    is_opaque = pixels.shape[2] == 4 and bool((pixels[..., 3] == 255).all())
    return np.ascontiguousarray(pixels[..., :3]) if is_opaque else pixels


def _assemble(webp: _WebP, size: tuple[int, int], tags: Tags) -> bytes:
    """Put blocks round the coded picture of a file, whose own are left out."""
    has_alpha = bool(webp.of(b"ALPH")) or bool(webp.of(b"VP8L")[4:5] and webp.of(b"VP8L")[4] & 0x10)
    flags = {_HAS_PROFILE: tags.icc, _HAS_ALPHA: has_alpha, _HAS_EXIF: tags.exif, _HAS_XMP: tags.xmp}
    header = bytes([sum(flag for flag, there in flags.items() if there), 0, 0, 0])
    header += b"".join((side - 1).to_bytes(3, "little") for side in size)
    named = ((b"ICCP", tags.icc), *webp.picture, (b"EXIF", tags.exif), (b"XMP ", tags.xmp))
    body = b"".join(_chunk(part) for part in ((b"VP8X", header), *(part for part in named if part[1])))
    return b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WEBP" + body


def _chunk(part: Part) -> bytes:
    kind, payload = part
    return kind + len(payload).to_bytes(4, "little") + payload + bytes(len(payload) % 2)
