"""Turning pictures by their EXIF orientation, and back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pii_blur.photo.orientation import as_stored, read_orientation, upright

ORIENTATIONS = range(1, 9)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turning_agrees_with_pillow_and_undoes_itself(orientation: int) -> None:
    """Pillow's exif_transpose is the oracle; the inverse gives the very same pixels."""
    stored = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    expected = np.array(ImageOps.exif_transpose(image))
    assert (upright(stored, orientation) == expected).all()
    assert (as_stored(upright(stored, orientation), orientation) == stored).all()
    mask = stored[..., 0]
    assert (as_stored(upright(mask, orientation), orientation) == mask).all()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_orientation_is_read_in_both_byte_orders(orientation: int, order: str) -> None:
    """Cameras write either."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F], exif[0x0112] = "maker", orientation
    assert read_orientation(exif.tobytes().removeprefix(b"Exif\0\0")) == orientation


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(value: int) -> None:
    """Viewers show such a picture as stored."""
    exif = Image.Exif()
    exif[0x0112] = value
    assert read_orientation(exif.tobytes().removeprefix(b"Exif\0\0")) == 1


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(garbage: bytes) -> None:
    """Exif blocks are damaged now and then."""
    assert 1 <= read_orientation(b"II*\0\x08\0\0\0" + garbage) <= 8
    assert 1 <= read_orientation(b"MM\0*" + garbage) <= 8
    assert 1 <= read_orientation(garbage) <= 8


def test_a_turned_picture_is_read_like_pillow_reads_it() -> None:
    """The picture in a file and its tag belong together."""
    image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    exif = image.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    with Image.open(file) as written:
        assert (np.array(ImageOps.exif_transpose(written)) == upright(np.array(image), 6)).all()
