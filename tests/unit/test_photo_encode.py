"""Coding a picture anew, where it cannot be spliced: with its own tables, unless these would spoil it."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from pii_blur.photo.cleaner import Cleaner
from pii_blur.photo.encode import encode_like, loses_little
from pii_blur.photo.exiftool import open_exiftool
from pii_blur.photo.format_webp import read_webp, write_webp
from pii_blur.photo.jpeg_frame import read_frame
from pii_blur.photo.raster import Raster
from tests.jpegs import decode, encode
from tests.photos import street


def loud(height: int = 96, width: int = 160) -> np.ndarray:
    """Return what decoders make of a damaged picture: colours beyond all measure, other ones in every block."""
    blocks = np.random.default_rng(0).choice([0, 255], (height // 2, width // 2, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST))[::-1, 1:]


@pytest.mark.parametrize("quality", [20, 75, 95])
def test_an_ordinary_picture_keeps_its_tables_and_sampling(quality: int) -> None:
    """So that it does not grow."""
    frame = read_frame(encode(street(), quality=quality, subsampling=2))
    again = read_frame(encode_like(frame, street()))
    assert again.sampling == (2, 2)
    assert (again.tables[0] == frame.tables[0]).all()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_loud_colours_are_coded_finer(options: dict[str, object]) -> None:
    """Half of them would be gone else, and the guard would refuse the photo."""
    frame = read_frame(encode(street(), subsampling=2, **options))
    pixels = np.ascontiguousarray(loud())
    coded = encode_like(frame, pixels)
    assert loses_little(pixels, decode(coded))
    assert read_frame(coded).is_progressive == frame.is_progressive


def test_loud_colours_of_a_lossy_webp_are_coded_without_loss() -> None:
    """Its lossy coding has no finer colours."""
    file = io.BytesIO()
    Image.fromarray(street()).save(file, "WEBP", quality=80)
    pixels = np.ascontiguousarray(np.pad(loud(), ((0, 0), (0, 1), (0, 0))))
    nothing = np.zeros(pixels.shape[:2], np.uint8)
    with open_exiftool() as exiftool:
        built = write_webp(file.getvalue(), Raster(pixels), nothing, Cleaner(exiftool))
        usual = write_webp(file.getvalue(), Raster(street()), nothing, Cleaner(exiftool))
    assert (built.way, usual.way) == ("re-encoded (lossless WebP)", "re-encoded (lossy WebP)")
    assert (read_webp(built.data, 10**6).raster.samples == pixels).all()
