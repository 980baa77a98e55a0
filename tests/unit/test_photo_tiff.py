"""TIFF: what is read, what is refused, and that a change in place changes nothing else."""

from __future__ import annotations

import io
import itertools
import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo.cleaner import Cleaner
from pii_blur.photo.exiftool import open_exiftool
from pii_blur.photo.format_tiff import carry_tiff, read_tiff, strip_tiff, write_tiff
from pii_blur.photo.tiff_ifd import split_tiff
from pii_blur.photo.tiff_lzw import LzwError, unpack_lzw
from pii_blur.photo.tiff_packing import DEFLATE, LZW, NONE, PACKBITS, pack, unpack
from tests.formats import HEIGHT, WIDTH, Samples, picture, pillow, tiff
from tests.photos import other_jpeg

LIMIT = 10**6
LAYOUTS: list[dict[str, object]] = [
    {},
    {"rowsperstrip": 7},
    {"tile": (32, 48)},
    {"planarconfig": "separate", "rowsperstrip": 16},
    {"planarconfig": "separate", "tile": (16, 16)},
    {"compression": "zlib", "rowsperstrip": 9},
    {"compression": "zlib", "predictor": True, "tile": (64, 64)},
]


@pytest.fixture(scope="module")
def cleaner() -> Cleaner:
    """One that finds nothing to do: without a mark exiftool is not asked."""
    with open_exiftool() as exiftool:
        return Cleaner(exiftool)


def mask_of(rows: slice, columns: slice) -> np.ndarray:
    """Return a mask with one hidden rectangle."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[rows, columns] = 255
    return mask


MASK = mask_of(slice(30, 60), slice(90, 140))
PLAIN = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def changed(data: bytes, cleaner: Cleaner, mask: np.ndarray = MASK) -> tuple[bytes, Samples, str]:
    """Hide the mask under plain grey; return the file, the samples it must have, and the way."""
    raster = read_tiff(data, LIMIT).raster.with_hidden(PLAIN, mask)
    built = write_tiff(data, raster, mask, cleaner)
    return built.data, raster.samples, built.way


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_layout_is_read_and_changed_exactly(
    layout: dict[str, object], dtype: type, channels: int, cleaner: Cleaner
) -> None:
    """Strips, tiles, planes, either order of bytes, BigTIFF: an independent reader sees what must be there."""
    if channels == 1 and "planarconfig" in layout:
        pytest.skip("one channel has one plane")
    for is_big, order in itertools.product((False, True), "<>"):
        samples = picture(channels, dtype)
        data = tiff(samples, bigtiff=is_big, byteorder=order, **layout)
        assert (read_tiff(data, LIMIT).raster.samples == samples).all()
        result, expected, way = changed(data, cleaner)
        opened = tifffile.imread(io.BytesIO(result))
        opened = np.moveaxis(opened, 0, -1) if "planarconfig" in layout else opened
        assert (opened.reshape(expected.shape) == expected).all()
        assert way == "lossless"
        assert read_tiff(result, LIMIT).strays == ()


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", "tiff_deflate", "tiff_adobe_deflate"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_libtiffs_ways_of_packing_are_read_and_written(compression: str, predictor: int, cleaner: Cleaner) -> None:
    """Pillow writes with libtiff, and reads it back."""
    options = {"tiffinfo": {317: 2}} if predictor == 2 and compression not in ("raw", "packbits") else {}
    for channels in (1, 3, 4):
        data = pillow(picture(channels), "TIFF", compression=compression, **options)
        assert (read_tiff(data, LIMIT).raster.samples == picture(channels)).all()
        result, expected, _ = changed(data, cleaner)
        with Image.open(io.BytesIO(result)) as opened:
            assert (np.array(opened).reshape(expected.shape) == expected).all()


@pytest.mark.parametrize("mode", ["L", "YCbCr"])
def test_jpeg_compression_keeps_the_blocks_beside(mode: str, cleaner: Cleaner) -> None:
    """The strip that is touched is spliced, the others stay the bytes they are."""
    file = io.BytesIO()
    Image.fromarray(picture(3)).convert(mode).save(file, "TIFF", compression="jpeg", quality=90, strip_size=1 << 14)
    before = read_tiff(file.getvalue(), LIMIT)
    result, expected, way = changed(file.getvalue(), cleaner)
    after = read_tiff(result, LIMIT)
    assert way == "lossless"
    assert not before.is_exact
    far = mask_of(slice(14, 78), slice(72, 162)) == 0
    assert (after.raster.samples[far] == before.raster.samples[far]).all()
    assert np.abs(after.raster.samples[MASK > 0].astype(int) - expected[MASK > 0]).mean() < 3


def test_white_may_be_zero(cleaner: Cleaner) -> None:
    """Fax machines and some scanners."""
    data = tiff(picture(1), photometric="miniswhite")
    assert (read_tiff(data, LIMIT).raster.samples == ~picture(1)).all()
    result, expected, _ = changed(data, cleaner)
    assert (tifffile.imread(io.BytesIO(result))[..., None] == ~expected).all()


def test_untouched_strips_and_unknown_tags_stay_where_they_are(cleaner: Cleaner) -> None:
    """No rewriting: GeoTIFF's tags, and those that nobody knows."""
    geo = (33922, 12, 6, (0.0, 0.0, 0.0, 9.0, 48.0, 0.0), True)
    unknown = (65000, 7, 40, bytes(range(40)), True)
    data = tiff(picture(3), rowsperstrip=8, extratags=[geo, unknown], iccprofile=b"profile" * 20)
    result, _, _ = changed(data, cleaner)
    with tifffile.TiffFile(io.BytesIO(data)) as before, tifffile.TiffFile(io.BytesIO(result)) as after:
        old, new = before.pages[0].tags, after.pages[0].tags
        differing = {tag.code for tag in old if new[tag.code].value != tag.value}
        assert differing <= {273, 279}
        assert {tag.code for tag in new} == {tag.code for tag in old}
        offsets = zip(before.pages[0].dataoffsets, after.pages[0].dataoffsets, strict=True)
        assert [k for k, (one, other) in enumerate(offsets) if one != other] == []


def test_a_piece_that_grows_goes_to_the_end_and_leaves_nothing_behind(cleaner: Cleaner) -> None:
    """The old strip is the unblurred one."""
    flat = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    data = tiff(flat, compression="zlib", rowsperstrip=16)
    raster = read_tiff(data, LIMIT).raster.with_hidden(picture(3), MASK)
    built = write_tiff(data, raster, MASK, cleaner)
    assert (read_tiff(built.data, LIMIT).raster.samples == raster.samples).all()
    page = tifffile.TiffFile(io.BytesIO(data)).pages[0]
    for strip in (1, 2, 3):
        start, size = page.dataoffsets[strip], page.databytecounts[strip]
        assert built.data[start : start + size] == bytes(size)
    assert read_tiff(built.data, LIMIT).strays == ()


def with_pages(*pages: Samples, **options: object) -> bytes:
    """Return a TIFF with several pages; further ones are marked by their subfile type."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=bool(options.pop("bigtiff", False))) as writer:
        for number, page in enumerate(pages):
            kind = int(options.get("kind", 1)) if number else 0
            writer.write(page, photometric="rgb", subfiletype=kind, metadata=None)
    return file.getvalue()


@pytest.mark.parametrize("is_big", [False, True])
def test_reduced_pictures_do_not_survive(is_big: bool, cleaner: Cleaner) -> None:
    """Overviews of GeoTIFF and thumbnails would show what was hidden."""
    small = np.ascontiguousarray(picture(3, seed=3)[::4, ::4])
    data = with_pages(picture(3), small, bigtiff=is_big)
    assert read_tiff(data, LIMIT).strays == (f"reduced picture ({WIDTH // 4} x {HEIGHT // 4})",)
    result, _, _ = changed(data, cleaner)
    for kept in (result, strip_tiff(data, cleaner).data):
        assert len(split_tiff(kept).ifds) == 1
        assert small.tobytes()[:300] not in kept
        assert read_tiff(kept, LIMIT).strays == ()
    assert (read_tiff(strip_tiff(data, cleaner).data, LIMIT).raster.samples == picture(3)).all()


def test_sub_pictures_do_not_survive(cleaner: Cleaner) -> None:
    """A TIFF may hold a tree of pictures."""
    small = np.ascontiguousarray(picture(3, seed=3)[::4, ::4])
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(picture(3), photometric="rgb", subifds=1, metadata=None)
        writer.write(small, photometric="rgb", subfiletype=1, metadata=None)
    result, _, _ = changed(file.getvalue(), cleaner)
    assert small.tobytes()[:300] not in result
    assert split_tiff(result).ifds[0].get(330) is None


def test_pictures_in_tags_do_not_survive(cleaner: Cleaner) -> None:
    """Photoshop's thumbnail, its layers, and whatever a private tag may hold."""
    other, layers = other_jpeg(), bytes(picture(1, seed=5).tobytes()[:4000])
    tags = [(34377, 7, len(other) + 40, b"8BIM" + bytes(36) + other, True), (37724, 7, len(layers), layers, True)]
    tags += [(65001, 7, len(other), other, True)]
    data = tiff(picture(3), extratags=tags)
    raster = read_tiff(data, LIMIT).raster
    for built in (write_tiff(data, raster, MASK, cleaner), strip_tiff(data, cleaner)):
        assert other[200:300] not in built.data
        assert layers[:100] not in built.data
        assert {"Photoshop layers", "JPEG in tag 34377", "JPEG in tag 65001"} <= set(built.removed)


def test_bytes_that_no_tag_refers_to_do_not_survive(cleaner: Cleaner) -> None:
    """An editor that works in place leaves the old picture there."""
    data = tiff(picture(3)) + b"unblurred" * 9
    assert read_tiff(data, LIMIT).strays == ("81 bytes that no tag refers to",)
    assert b"unblurred" not in changed(data, cleaner)[0]
    assert b"unblurred" not in strip_tiff(data, cleaner).data


def test_the_carrier_holds_tags_and_no_picture() -> None:
    """Nothing unblurred lies in the temporary folder."""
    data = tiff(picture(3), extratags=[(315, 2, 5, "kept", True)])
    carrier, suffix = carry_tiff(data)
    assert suffix == ".tif"
    assert b"kept" in carrier
    assert picture(3).tobytes()[1000:1100] in data
    assert picture(3).tobytes()[1000:1100] not in carrier


FLOATS = io.BytesIO()
tifffile.imwrite(FLOATS, picture(3).astype(np.float32), photometric="rgb")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (with_pages(picture(3), picture(3), kind=0), "2 pages"),
        (pillow(picture(3), "TIFF", compression="jpeg"), "JPEG compression of RGB"),
        (FLOATS.getvalue(), "floating-point"),
        (tiff(picture(4), extrasamples=["unspecified"]), "4 channels"),
        (tiff(picture(4), photometric="separated", extrasamples=[]), "CMYK"),
        (tiff(picture(1), photometric="palette", colormap=np.zeros((3, 256), np.uint16)), "palette"),
        (tiff(picture(3), extratags=[(50706, 1, 4, bytes([1, 4, 0, 0]), True)]), "DNG"),
        (tiff(picture(1), photometric=32803, extratags=[(33421, 3, 2, (2, 2), True)]), "raw data"),
        (tiff(picture(3), subfiletype=1), "raw photos"),
        (pillow(picture(1) > 99, "TIFF", compression="group4"), "fax"),
    ],
)
def test_what_is_not_handled_is_refused_by_name(data: bytes, word: str) -> None:
    """Nobody has to guess what to convert."""
    with pytest.raises(PhotoFailure, match=word) as caught:
        read_tiff(data, LIMIT)
    assert caught.value.code == "unsupported"


def patched(data: bytes, tag: int, value: int) -> bytes:
    """Return a little-endian TIFF with another inline value."""
    entry = split_tiff(data).ifds[0].get(tag)
    assert entry is not None and entry.is_inline
    return data[: entry.start] + struct.pack("<I", value) + data[entry.start + 4 :]


PACKED = pillow(picture(3), "TIFF", compression="tiff_lzw", strip_size=1 << 30)
RAW = tiff(picture(3))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (RAW[:4], "truncated"),
        (RAW[: len(RAW) // 2], "truncated"),
        (b"II*\0" + bytes(100), "damaged"),
        (b"II*\0\xff\xff\xff\x7f", "truncated"),
        (patched(RAW, 256, 300), "truncated"),
        (patched(RAW, 256, 0), "damaged"),
        (patched(RAW, 273, 0x7FFFFFFF), "truncated"),
        (patched(RAW, 273, 4), "unsupported"),
        (patched(RAW, 256, 0xFFFFFFFF), "too_large"),
        (PACKED[:2000] + bytes(3000) + PACKED[5000:], "truncated"),
        (PACKED[:2000] + b"\xff" * 3000 + PACKED[5000:], "truncated"),
    ],
)
def test_damage_is_refused_without_a_word_on_stderr(data: bytes, code: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Libtiff would complain in the middle of the progress bar."""
    with pytest.raises(PhotoFailure) as caught:
        read_tiff(data, LIMIT)
    assert caught.value.code == code
    assert capfd.readouterr() == ("", "")


def test_two_values_of_one_tag_are_refused() -> None:
    """Some programs take the first, some the last: a photo would lie on its side."""
    data = bytearray(tiff(picture(3), extratags=[(274, 3, 1, 1, True), (275, 3, 1, 6, True)]))
    read_tiff(bytes(data), LIMIT)
    place = bytes(data).index(struct.pack("<HH", 275, 3))
    data[place : place + 2] = struct.pack("<H", 274)
    with pytest.raises(PhotoFailure, match="two values") as caught:
        read_tiff(bytes(data), LIMIT)
    assert caught.value.code == "damaged"


def test_directories_in_circles_end() -> None:
    """The last one points to the first."""
    ifd = split_tiff(RAW).ifds[0]
    with pytest.raises(PhotoFailure, match="circles"):
        split_tiff(RAW[: ifd.end - 4] + struct.pack("<I", ifd.start) + RAW[ifd.end :])


@given(st.binary(min_size=1, max_size=3000), st.sampled_from([NONE, LZW, DEFLATE, PACKBITS]), st.integers(1, 9))
def test_what_is_packed_unpacks(unpacked: bytes, compression: int, rows: int) -> None:
    """Whatever the bytes."""
    unpacked = unpacked * rows
    assert unpack(pack(unpacked, compression, rows), compression, len(unpacked)) == unpacked


@given(st.integers(0, 40), st.integers(0, 99))
def test_lzw_of_libtiff_unpacks_beyond_one_table(levels: int, seed: int) -> None:
    """Tables fill up at different places in noise and in flat areas."""
    raw = np.random.default_rng(seed).integers(0, levels + 1, 60_000, dtype=np.uint8).tobytes()
    assert unpack_lzw(pack(raw, LZW, 100), len(raw)) == raw


@settings(max_examples=200)
@given(st.binary(max_size=300), st.integers(1, 10**6))
def test_no_bytes_break_lzw(packed: bytes, size: int) -> None:
    """They unpack to so many bytes, or are refused."""
    try:
        assert len(unpack_lzw(packed, size)) == size
    except LzwError:
        return


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))
def test_no_damage_raises_anything_but_a_photo_failure(changes: list[tuple[int, bytes]]) -> None:
    """Anywhere in the file, most of all in its directory."""
    small = tiff(picture(3)[:16, :16], rowsperstrip=4, compression="zlib")
    data = bytearray(small)
    for place, new in changes:
        start = place % len(data)
        data[start : start + len(new)] = new[: len(data) - start]
    try:
        read_tiff(bytes(data), LIMIT)
    except PhotoFailure:
        return
