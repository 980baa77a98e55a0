"""Whatever the picture, its coding and the mask: only touched MCUs change, and hostile bytes do no harm."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pii_blur.photo.jpeg_frame import FrameError, read_frame
from pii_blur.photo.splice import SpliceRefused, splice_jpeg
from pii_blur.photo.turbojpeg import check_decodes
from tests.jpegs import changed_blocks_outside, coefficients, decode, encode, picture, touched_blocks


@st.composite
def masks(draw: st.DrawFn, height: int, width: int) -> NDArray[np.uint8]:
    """Draw up to four rectangles and some single pixels."""
    mask = np.zeros((height, width), dtype=np.uint8)
    ys, xs = st.integers(0, height - 1), st.integers(0, width - 1)
    for top, left, bottom, right in draw(st.lists(st.tuples(ys, xs, ys, xs), max_size=4)):
        mask[min(top, bottom) : max(top, bottom) + 1, min(left, right) : max(left, right) + 1] = 255
    for y, x in draw(st.lists(st.tuples(ys, xs), max_size=5)):
        mask[y, x] = 1
    return mask


@st.composite
def sources(draw: st.DrawFn) -> bytes:
    """Draw a JPEG of some small size and coding."""
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    options = {
        "quality": draw(st.integers(1, 100)),
        "progressive": draw(st.booleans()),
        "restart_marker_blocks": draw(st.sampled_from([0, 0, 1, 7])),
    }
    mode = draw(st.sampled_from(["RGB", "RGB", "RGB", "L"]))
    if mode == "RGB":
        options["subsampling"] = draw(st.sampled_from([0, 1, 2]))
    return encode(picture(height, width, draw(st.integers(0, 9))), mode=mode, **options)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_exactly_the_touched_mcus_are_a_function_of_the_new_pixels(data: st.DataObject) -> None:
    """Outside no coefficient differs from the source's; inside none differs from those of the new pixels alone."""
    source = data.draw(sources())
    frame = read_frame(source)
    mask = data.draw(masks(frame.height, frame.width))
    new = picture(frame.height, frame.width, seed=99)
    pixels = np.where(mask[..., np.newaxis] > 0, new, decode(source))
    result = splice_jpeg(source, pixels, mask).data
    assert changed_blocks_outside(source, result, mask) == 0
    spliced = coefficients(result)
    everywhere = coefficients(splice_jpeg(source, pixels, np.ones_like(mask)).data)
    for plane, made, inside in zip(spliced.planes, everywhere.planes, touched_blocks(mask, spliced), strict=True):
        assert np.array_equal(plane[inside], made[inside])


SOUND = [encode(picture(40, 50), quality=80), encode(picture(40, 50), progressive=True, restart_marker_blocks=2)]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SOUND), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4))
def test_flipped_bytes_give_a_picture_or_a_refusal(sound: bytes, flips: list[tuple[int, int]]) -> None:
    """Damaged input never raises anything but a refusal, and what is not refused decodes without a warning."""
    damaged = bytearray(sound)
    for place, value in flips:
        damaged[place % len(damaged)] = value
    pixels, mask = picture(40, 50, seed=7), np.zeros((40, 50), dtype=np.uint8)
    mask[5:20, 10:30] = 1
    verdict = check_decodes(bytes(damaged))
    assert verdict is None or verdict
    try:
        result = splice_jpeg(bytes(damaged), pixels, mask).data
    except SpliceRefused as refused:
        assert refused.reason
        return
    assert check_decodes(result) is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_after_a_start_marker_are_a_frame_or_an_error(tail: bytes) -> None:
    """The header reader raises `FrameError` and nothing else, and always ends."""
    for start in (b"\xff\xd8", b"\xff\xd8\xff\xdb\x00\x43", b"\xff\xd8\xff\xc0\x00\x11\x08", SOUND[0][:300]):
        try:
            read_frame(start + tail)
        except FrameError as error:
            assert str(error)
