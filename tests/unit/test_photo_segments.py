"""Taking JPEG and PNG files apart and putting them together."""

from __future__ import annotations

import io
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo.jpeg_segments import APP14, COM, EOI, SOI, Jpeg, Segment, assemble, split_jpeg
from pii_blur.photo.png_chunks import Chunk, Png, assemble_png, split_png
from tests.jpegs import cjpeg, decode, encode
from tests.patience import ends
from tests.photos import street, street_jpeg

PLAIN = street_jpeg()
segments = st.builds(Segment, st.sampled_from([*range(0xE0, 0xF0), COM]), st.binary(max_size=300))


@given(st.lists(segments, max_size=8), st.binary(max_size=100))
def test_a_file_comes_together_as_it_was(header: list[Segment], trailer: bytes) -> None:
    """Segments in order, picture and trailer are found whatever stands in them."""
    jpeg = Jpeg(tuple(header), split_jpeg(PLAIN).coded, trailer)
    assert split_jpeg(jpeg.to_bytes() + trailer) == jpeg


@pytest.mark.parametrize("switches", [["-progressive"], ["-restart", "1B"], ["-grayscale"], ["-optimize"]])
def test_every_scan_of_a_picture_is_kept(switches: list[str]) -> None:
    """Progressive files have many scans, others restart markers inside one."""
    data = cjpeg(street(), *switches)
    jpeg = split_jpeg(data + b"behind")
    assert jpeg.to_bytes() == data
    assert jpeg.trailer == b"behind"


def test_fill_bytes_and_junk_between_segments_are_skipped_as_libjpeg_does() -> None:
    """Decoders see through both; so must we, or we would miss what follows."""
    jpeg = split_jpeg(PLAIN)
    comment = Segment(COM, b"kept").to_bytes()
    filled = split_jpeg(SOI + b"\xff\xff\xff" + comment[1:] + jpeg.coded + EOI)
    assert filled.segments == (Segment(COM, b"kept"),)
    assert filled.is_tidy
    junk = split_jpeg(SOI + b"junk\xff\x00" + comment + b"\xff\x01" + jpeg.coded + EOI)
    assert junk.segments == (Segment(COM, b"kept"),)
    assert not junk.is_tidy
    assert (decode(junk.to_bytes()) == decode(PLAIN)).all()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"hello", "not_an_image"),
        (b"\xff" * 1000, "not_an_image"),
        (SOI, "truncated"),
        (SOI + b"\xff" * 1000, "truncated"),
        (SOI + EOI, "truncated"),
        (PLAIN[:200], "truncated"),
        (PLAIN[:-2], "truncated"),
        (SOI + PLAIN, "damaged"),
    ],
)
def test_what_is_no_whole_jpeg_is_refused(data: bytes, code: str) -> None:
    """Each with its own code."""
    with pytest.raises(PhotoFailure) as caught:
        split_jpeg(data)
    assert caught.value.code == code


@given(st.binary(max_size=2000))
def test_no_bytes_raise_anything_but_a_photo_failure(garbage: bytes) -> None:
    """Not behind a good beginning either."""
    for data in (garbage, SOI + garbage, PLAIN[:300] + garbage):
        try:
            split_jpeg(data)
        except PhotoFailure:
            continue


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\x00", b"\x00", b"\xff\xd0", b"\xff\x01"])
def test_time_is_linear_in_the_size(filler: bytes) -> None:
    """No pattern makes the walker go over the same bytes again."""
    with ends():
        with pytest.raises(PhotoFailure):
            split_jpeg(PLAIN[:-2] + filler * (4_000_000 // len(filler)))
        with pytest.raises(PhotoFailure):
            split_jpeg(SOI + filler * (200_000 // len(filler)))


def test_an_adobe_segment_is_told_of_the_new_coding() -> None:
    """Else every decoder would take YCbCr for RGB."""
    adobe = Segment(APP14, b"Adobe" + bytes(6) + b"\x00")
    rgb = Jpeg((adobe,), split_jpeg(encode(street(), quality=95, subsampling=0)).coded).to_bytes()
    wrong = decode(assemble([adobe], rgb, is_recoded=False)).astype(int)
    right = decode(assemble([adobe], rgb, is_recoded=True)).astype(int)
    assert abs(right - street()).mean() < 4 < 20 < abs(wrong - street()).mean()


def png(**options: object) -> bytes:
    """Return `street` as a PNG."""
    file = io.BytesIO()
    Image.fromarray(street()).save(file, "PNG", **options)
    return file.getvalue()


def test_a_png_comes_together_as_it_was() -> None:
    """Chunks in order, and what follows."""
    data = png(dpi=(72, 72))
    assert split_png(data + b"behind").to_bytes() == data
    assert split_png(data + b"behind").trailer == b"behind"


def test_png_metadata_goes_round_another_picture() -> None:
    """The picture's own metadata does not come along."""
    source = Png((*split_png(png()).chunks[:1], Chunk(b"tEXt", b"Author\0A"), *split_png(png()).chunks[1:]))
    result = split_png(assemble_png(source.metadata, png(dpi=(72, 72))))
    assert [chunk.type for chunk in result.metadata] == [b"tEXt"]


@settings(max_examples=50)
@given(st.integers(0, 2000), st.integers(1, 255))
def test_a_damaged_png_is_refused_by_its_checksums(place: int, flip: int) -> None:
    """No damage goes unnoticed."""
    data = bytearray(png())
    data[place % len(data)] ^= flip
    with pytest.raises(PhotoFailure):
        split_png(bytes(data))


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_texts_that_unpack_to_more_than_anybody_writes_are_refused(kind: bytes) -> None:
    """Also where each of them is within the limit: every one of them would be unpacked several times."""
    bomb = Chunk(kind, b"name\0\0" + zlib.compress(bytes(9 << 20)))
    plain = split_png(png())
    assert split_png(Png((plain.chunks[0], *[bomb] * 3, *plain.chunks[1:])).to_bytes()).chunks[1] == bomb
    with pytest.raises(PhotoFailure) as caught:
        split_png(Png((plain.chunks[0], *[bomb] * 4, *plain.chunks[1:])).to_bytes())
    assert caught.value.code == "unsupported"


def test_a_raw_profile_is_unpacked_without_cutting_it_into_words() -> None:
    """Each word of it was an object of its own: gigabytes for a text of spaces and letters."""
    hexadecimal = b"\nexif\n  12\n" + b"4d4d 002a\n\t" * 500_000
    chunk = Chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexadecimal))
    tracemalloc.start()
    try:
        assert chunk.content == b"MM\0*" * 500_000
        assert tracemalloc.get_traced_memory()[1] < 8 * len(hexadecimal)
    finally:
        tracemalloc.stop()


def test_a_chunk_without_a_name_is_damage() -> None:
    """No decoder opens such a file, ours left the chunk aside, and the result could not be opened either."""
    plain = split_png(png())
    with pytest.raises(PhotoFailure) as caught:
        split_png(Png((plain.chunks[0], Chunk(bytes(4), b"x"), *plain.chunks[1:])).to_bytes())
    assert caught.value.code == "damaged"
