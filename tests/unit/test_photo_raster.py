"""Between the file's samples and the 8 bits that are searched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pii_blur.photo.raster import Raster, from_bgr, to_bgr
from tests.formats import picture


@given(st.integers(1, 4), st.integers(8, 16), st.integers(0, 99))
def test_hiding_changes_hidden_colours_and_nothing_else(channels: int, bits: int, seed: int) -> None:
    """Alpha included, and whatever lies beside."""
    random = np.random.default_rng(seed)
    samples = random.integers(0, 1 << bits, (6, 9, channels)).astype(np.uint16)
    raster = Raster(samples, bits)
    mask = random.integers(0, 2, (6, 9)).astype(np.uint8) * 200
    pixels = np.repeat(random.integers(0, 256, (6, 9, 1)), 3, axis=2).astype(np.uint8)
    hidden = raster.with_hidden(pixels, mask)
    assert (hidden.samples[mask == 0] == samples[mask == 0]).all()
    assert hidden.samples.dtype == np.uint16
    if raster.has_alpha:
        assert (hidden.samples[..., -1] == samples[..., -1]).all()
    assert np.abs(hidden.to_rgb()[mask > 0].astype(int) - pixels[mask > 0]).max(initial=0) <= 1


def test_nothing_of_the_lower_bits_is_left_where_something_is_hidden() -> None:
    """They are a picture of their own: equal colours must come out equal."""
    raster = Raster.of(picture(3, np.uint16))
    pixels, mask = np.full((*raster.samples.shape[:2], 3), 77, np.uint8), np.ones(raster.samples.shape[:2], np.uint8)
    assert len(np.unique(raster.with_hidden(pixels, mask).samples)) == 1


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_picture_that_uses_few_of_its_bits_is_not_black_to_the_search(bits: int) -> None:
    """Scanners and scientists store 12 bits in 16."""
    deep = picture(3, np.uint16) >> (16 - bits)
    raster = Raster.of(deep.astype(np.uint16))
    assert raster.bits == bits
    assert np.abs(raster.to_rgb().astype(int) - picture(3)).max() <= 1


def test_a_bright_alpha_does_not_count_as_brightness() -> None:
    """Alpha is white where the picture is dark."""
    samples = np.full((4, 4, 4), 100, np.uint16)
    samples[..., 3] = 65535
    assert Raster.of(samples).bits == 8


def test_black_white_and_grey_keep_their_meaning() -> None:
    """0 is black, the largest value white, in any depth."""
    samples = np.array([[[0], [65535]]], np.uint16)
    raster = Raster.of(samples)
    assert raster.to_rgb().tolist() == [[[0, 0, 0], [255, 255, 255]]]
    swapped = raster.with_hidden(raster.to_rgb()[:, ::-1], np.ones((1, 2), np.uint8))
    assert swapped.samples.ravel().tolist() == [65535, 0]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_order_of_channels_can_be_undone(channels: int, dtype: type) -> None:
    """OpenCV has blue first."""
    samples = picture(channels, dtype)
    assert (from_bgr(to_bgr(samples)) == samples).all()
    assert from_bgr(to_bgr(samples)).dtype == dtype


def test_samples_are_checked() -> None:
    """Five channels are no picture."""
    with pytest.raises(ValueError, match="samples must be"):
        Raster(np.zeros((4, 4, 5), np.uint8))
    assert not Raster(np.zeros((4, 4, 1), np.uint8)).samples.flags.writeable
