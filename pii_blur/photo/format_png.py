"""PNG: 1 to 16 bits, grey, colour, palette, alpha. Metadata chunks go over byte for byte, but for pictures in them.

A palette becomes RGB and a transparent colour becomes alpha where something is hidden, for the hidden pixels have
colours of their own; each pixel keeps its colour. Of an animation only the still picture is kept.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from pii_blur.errors import PhotoFailure
from pii_blur.photo.cleaner import Cleaner
from pii_blur.photo.contents import Built, Contents, check_size
from pii_blur.photo.embedded import find_pictures
from pii_blur.photo.metadata_png import tiny_png
from pii_blur.photo.orientation import read_orientation
from pii_blur.photo.png_chunks import Chunk, Png, assemble_png, exif_of_png, split_png, xmp_of_png
from pii_blur.photo.raster import Raster, Samples, from_bgr, to_bgr

_EFFORT = 4  # of packing, 0 to 9. MEASURED: 6 takes twice the time for 6 % of the size
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 4, _GREY_ALPHA: 2, _RGB_ALPHA: 4}


def read_png(data: bytes, max_pixels: int) -> Contents:
    """Read a PNG; see `contents`.

    Raises:
        PhotoFailure: codes as `read_photo`.
    """
    png = split_png(data)
    if png.is_strange:
        raise PhotoFailure("the file is damaged: its header makes no sense", "damaged")
    check_size(*png.size, max_pixels, bytes_per_pixel=_CHANNELS[png.colour_type] * (2 if png.depth > 8 else 1))
    if not png.has_all_rows():
        raise PhotoFailure("the picture is cut off or damaged: its rows are not as they must be", "truncated")
    exif = exif_of_png(png.chunks)
    return Contents(
        raster=Raster.of(_decode(png)),
        blocks=tuple((chunk.type.decode("ascii", "replace"), chunk.content) for chunk in png.metadata),
        exif=exif,
        xmp=xmp_of_png(png.chunks),
        orientation=read_orientation(exif),
        strays=_strays(png),
    )


def write_png(data: bytes, raster: Raster, mask: NDArray[np.uint8], cleaner: Cleaner) -> Built:
    """Put another picture into a PNG; see `contents`."""
    source = split_png(data)
    chunks, removed = cleaner.clean_chunks(source.metadata)
    # What describes the samples stays true unless they are coded in another way now.
    describing = source.of_type(b"sBIT", b"bKGD") if _is_coded_as(source, raster) else ()
    picture = split_png(encode_png(raster))
    picture = Png((picture.chunks[0], *describing, *picture.chunks[1:]))
    # PNG loses nothing: every pixel outside the hidden regions is as it was.
    return Built(assemble_png(chunks, picture.to_bytes()), "lossless", (*removed, *_strays(source)))


def strip_png(data: bytes, cleaner: Cleaner) -> Built:
    """Take out of a PNG what nobody examined; its picture stays as it is coded; see `contents`."""
    source = split_png(data)
    chunks, removed = cleaner.clean_chunks(source.metadata)
    return Built(assemble_png(chunks, data), "picture copied", (*removed, *_strays(source)))


def carry_png(data: bytes) -> tuple[bytes, str]:
    """Return a tiny PNG with the metadata; see `contents`."""
    return assemble_png(split_png(data).metadata, tiny_png()), ".png"


def encode_png(raster: Raster) -> bytes:
    """Code a picture as PNG, without metadata."""
    samples, file = raster.samples, io.BytesIO()
    height, width, channels = samples.shape
    if samples.dtype == np.uint8:
        mode = ("L", "LA", "RGB", "RGBA")[channels - 1]
        Image.frombytes(mode, (width, height), np.ascontiguousarray(samples).tobytes()).save(
            file, "PNG", compress_level=_EFFORT
        )
        return file.getvalue()
    if channels == 2:  # unknown to OpenCV; PNG works on bytes, so it passes as RGBA of 8 bits
        Image.frombytes("RGBA", (width, height), samples.astype(">u2").tobytes()).save(
            file, "PNG", compress_level=_EFFORT
        )
        return _with_header(split_png(file.getvalue()), 16, _GREY_ALPHA).to_bytes()
    done, coded = cv2.imencode(".png", to_bgr(samples), [cv2.IMWRITE_PNG_COMPRESSION, _EFFORT])
    if not done:
        raise PhotoFailure("the picture cannot be coded as PNG", "internal")
    return coded.tobytes()


def _decode(png: Png) -> Samples:
    """Return uint8 or uint16 (h, w, channels).

    Raises:
        PhotoFailure: it cannot be decoded (code ``damaged``).
    """
    # Only what codes the picture: the decoders would complain about odd profiles on stderr.
    plain = Png(png.of_type(b"IHDR", b"PLTE", b"IDAT", b"IEND"))
    if png.depth < 16:
        return _decode_8(png, plain)
    width, height = png.size
    if png.colour_type == _GREY_ALPHA:
        pixels = _pillow(_with_header(plain, 8, _RGB_ALPHA))
        return pixels.view(">u2").astype(np.uint16)
    decoded = cv2.imdecode(np.frombuffer(plain.to_bytes(), dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.shape[:2] != (height, width):
        raise PhotoFailure("the picture cannot be decoded; open it in an image editor and save it anew", "damaged")
    return _with_key(from_bgr(np.asarray(decoded, dtype=np.uint16)), png)


def _decode_8(png: Png, plain: Png) -> Samples:
    if png.colour_type == _PALETTE:
        if not png.of_type(b"PLTE"):
            raise PhotoFailure("the file is damaged: its palette is missing", "damaged")
        with_alpha = png.of_type(b"tRNS")
        palette = Png(png.of_type(b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
        return _pillow(palette, "RGBA" if with_alpha else "RGB")
    samples = _pillow(plain, "L" if png.colour_type == _GREY else "")
    return _with_key(samples, png)


def _pillow(png: Png, mode: str = "") -> NDArray[np.uint8]:
    """Decode with Pillow to uint8 (h, w, channels)."""
    try:
        # Not Image.open: its own, lower limit on the number of pixels is not ours.
        with PngImagePlugin.PngImageFile(io.BytesIO(png.to_bytes())) as picture:
            pixels = np.array(picture.convert(mode) if mode and picture.mode != mode else picture)
    except (OSError, SyntaxError, ValueError, IndexError) as error:
        raise PhotoFailure(f"the picture cannot be decoded ({error}); it is damaged", "damaged") from error
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _with_key(samples: Samples, png: Png) -> Samples:
    """Add alpha where a PNG without alpha channel calls one colour transparent (PNG specification, 11.3.2.1)."""
    keys = png.of_type(b"tRNS")
    if not keys or png.colour_type not in (_GREY, _RGB):
        return samples
    if len(keys[0].payload) != 2 * samples.shape[2]:
        raise PhotoFailure("the file is damaged: its transparent colour is none", "damaged")
    key = np.frombuffer(keys[0].payload, dtype=">u2").astype(np.int64)
    white = np.iinfo(samples.dtype).max
    if png.depth < 8:  # the samples were scaled up to 8 bits, the key was not
        key = key * white // ((1 << png.depth) - 1)
    alpha = np.where((samples == key).all(axis=2, keepdims=True), 0, white)
    return np.concatenate([samples, alpha.astype(samples.dtype)], axis=2)


def _with_header(png: Png, depth: int, colour_type: int) -> Png:
    header = png.chunks[0].payload
    return Png((Chunk(b"IHDR", header[:8] + bytes([depth, colour_type]) + header[10:]), *png.chunks[1:]))


def _is_coded_as(png: Png, raster: Raster) -> bool:
    depth = 8 * raster.samples.dtype.itemsize
    types = {1: _GREY, 2: _GREY_ALPHA, 3: _RGB, 4: _RGB_ALPHA}
    return png.depth == depth and png.colour_type == types[raster.samples.shape[2]]


def _strays(png: Png) -> tuple[str, ...]:
    """Return, in words, what is neither picture nor metadata; zeros behind the picture are padding and nothing."""
    further = ("further frames",) if png.is_animated else ()
    if not png.trailer.strip(b"\0"):
        return further
    kinds = tuple(dict.fromkeys(one.kind for one in find_pictures(png.trailer)))
    behind = kinds or (f"{len(png.trailer)} bytes",)
    return (*further, *(f"{what} after the picture" for what in behind))
