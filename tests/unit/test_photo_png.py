"""PNG of every depth and kind, read and written."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from pii_blur.errors import PhotoFailure
from pii_blur.photo.format_png import encode_png, read_png
from pii_blur.photo.png_chunks import split_png
from pii_blur.photo.raster import Raster
from tests.formats import picture, png

LIMIT = 10**6
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6


def chunk(kind: bytes, payload: bytes) -> bytes:
    """Return a chunk."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def by_hand(size: tuple[int, int], depth: int, colour: int, packed: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of packed rows, with further chunks in front of them."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", packed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def rows(samples: np.ndarray, depth: int, *, kind: int = 0) -> bytes:
    """Return rows of a grey or palette picture of few bits, with their filter's number in front, packed."""
    bits = np.unpackbits(samples.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
    flat = bits.reshape(len(samples), -1)
    return zlib.compress(b"".join(bytes([kind]) + np.packbits(row).tobytes() for row in flat))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_sample_survives(channels: int, dtype: type) -> None:
    """In its own depth, and with alpha."""
    samples = picture(channels, dtype)
    coded = encode_png(Raster.of(samples))
    read = read_png(coded, LIMIT)
    assert read.raster.samples.dtype == dtype
    assert (read.raster.samples == samples).all()
    assert encode_png(read.raster) == coded
    opened = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_UNCHANGED)
    assert opened.dtype == dtype
    assert (opened.reshape(*samples.shape[:2], -1)[..., -1] == samples[..., -1 if channels != 3 else 0]).all()


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_are_scaled_up_and_the_transparent_grey_is_found(depth: int) -> None:
    """The transparent colour is given in the file's own bits."""
    values = np.random.default_rng(depth).integers(0, 1 << depth, (8, 8))
    read = read_png(by_hand((8, 8), depth, GREY, rows(values, depth), (b"tRNS", struct.pack(">H", 1))), LIMIT)
    assert (read.raster.samples[..., 0] == values * 255 // ((1 << depth) - 1)).all()
    assert ((read.raster.samples[..., 1] == 0) == (values == 1)).all()


def test_a_palette_with_transparency_becomes_colours_with_alpha() -> None:
    """Hidden places have colours that no palette has."""
    values, colours = np.random.default_rng(0).integers(0, 16, (8, 8)), np.arange(48, dtype=np.uint8).reshape(16, 3)
    more = ((b"PLTE", colours.tobytes()), (b"tRNS", b"\x10\x20"))
    samples = read_png(by_hand((8, 8), 4, PALETTE, rows(values, 4), *more), LIMIT).raster.samples
    assert (samples[..., :3] == colours[values]).all()
    assert (samples[..., 3] == np.choose(np.minimum(values, 2), [16, 32, 255])).all()


def test_a_transparent_colour_of_16_bits_is_compared_in_all_of_them() -> None:
    """Colours that only look alike stay opaque."""
    samples = np.array([[[500, 500, 500], [501, 500, 500]]], ">u2")
    packed = zlib.compress(b"\0" + samples.tobytes())
    data = by_hand((2, 1), 16, RGB, packed, (b"tRNS", struct.pack(">HHH", 500, 500, 500)))
    assert read_png(data, LIMIT).raster.samples[..., 3].tolist() == [[0, 65535]]


def test_interlaced_pictures_are_read() -> None:
    """Adam7, as Pillow cannot write it but every browser reads it: one pixel a pass and more."""
    samples = np.arange(64, dtype=np.uint8).reshape(8, 8)
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    raw = b"".join(b"\0" + row.tobytes() for x, y, dx, dy in passes for row in samples[y::dy, x::dx])
    plain = bytearray(by_hand((8, 8), 8, GREY, zlib.compress(raw)))
    plain[28] = 1
    plain[29:33] = struct.pack(">I", zlib.crc32(plain[12:29]))
    assert (read_png(bytes(plain), LIMIT).raster.samples[..., 0] == samples).all()


SIXTEEN = zlib.compress(b"".join(b"\0" + bytes(range(96)) for _ in range(8)))


@pytest.mark.parametrize(
    "data",
    [
        by_hand((16, 8), 16, RGB, SIXTEEN[:-1] + bytes([SIXTEEN[-1] ^ 1])),
        by_hand((16, 8), 16, RGB, SIXTEEN[:-3]),
        by_hand((16, 8), 16, RGB, SIXTEEN + b"more"),
        by_hand((16, 9), 16, RGB, SIXTEEN),
        by_hand((16, 7), 16, RGB, SIXTEEN),
        by_hand((8, 8), 4, GREY, rows(np.zeros((8, 8), int), 4, kind=5)),
        by_hand((16, 8), 16, RGB, zlib.compress(b"".join(b"\x09" + bytes(range(96)) for _ in range(8)))),
        by_hand((900, 900), 8, RGB, zlib.compress(b"")),
        by_hand((8, 8), 3, GREY, b""),
        by_hand((8, 8), 8, 5, b""),
        by_hand((8, 8), 8, PALETTE, rows(np.zeros((8, 8), int), 8)),
        by_hand((2, 1), 8, RGB, zlib.compress(b"\0" + bytes(6)), (b"tRNS", b"\0")),
        by_hand((2, 1), 8, RGB, zlib.compress(b"\0" + bytes(6)), (b"tRNS", bytes(2000))),
    ],
)
def test_damage_is_refused_without_a_word_on_stderr(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """The decoders would complain in the middle of the progress bar."""
    with pytest.raises(PhotoFailure) as caught:
        read_png(data, LIMIT)
    assert caught.value.code in ("truncated", "damaged")
    assert capfd.readouterr() == ("", "")


def test_depth_counts_in_the_limit_of_pixels() -> None:
    """A picture with eight bytes a pixel takes the memory of one twice as large."""
    with pytest.raises(PhotoFailure) as caught:
        read_png(by_hand((1000, 600), 16, RGB_ALPHA, b""), LIMIT)
    assert caught.value.code == "too_large"


def test_metadata_is_no_part_of_a_coded_picture() -> None:
    """The encoder adds nothing of its own: no date, no gamma."""
    kinds = {one.type for one in split_png(encode_png(Raster.of(picture(3, np.uint16)))).chunks}
    assert kinds == {b"IHDR", b"IDAT", b"IEND"}
    assert {one.type for one in split_png(png(picture(4))).chunks} == {b"IHDR", b"IDAT", b"IEND"}
