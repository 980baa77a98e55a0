"""Reading photos, and refusing what cannot be trusted."""

from __future__ import annotations

import io
import os
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo.metadata import MARK_NAMESPACE
from pii_blur.photo.photo import Photo
from pii_blur.photo.read import read_photo
from pii_blur.settings import Settings
from pii_blur.sphere.extent import PanoExtent
from tests.jpegs import cjpeg, decode, encode
from tests.photos import other_jpeg, street, street_jpeg

JPEG = street_jpeg()


def save(folder: Path, data: bytes, name: str = "photo.jpg") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(data)
    return path


def png(mode: str = "RGB", **options: object) -> bytes:
    """Return `street` as a PNG in one of Pillow's modes."""
    file = io.BytesIO()
    Image.fromarray(street()).convert(mode).save(file, "PNG", **options)
    return file.getvalue()


def refusal(path: Path, **options: int) -> PhotoFailure:
    """Return the failure with which a photo is refused; its message must name the file."""
    with pytest.raises(PhotoFailure) as caught:
        read_photo(path, **options)
    assert path.name in str(caught.value)
    return caught.value


def with_exif(orientation: int) -> bytes:
    """Return a JPEG that asks to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return street_jpeg(exif=exif)


@pytest.mark.parametrize(
    "data",
    [
        JPEG,
        street_jpeg(progressive=True),
        street_jpeg(subsampling=0),
        encode(street(), mode="L", quality=90),
        cjpeg(street(), "-arithmetic"),
        png(),
        png("L"),
        png("P"),
        png("1"),
    ],
)
def test_pixels_are_those_that_other_decoders_see(tmp_path: Path, data: bytes) -> None:
    """Every coding that is taken at all is decoded rightly."""
    photo = read_photo(save(tmp_path, data))
    assert np.abs(photo.pixels.astype(int) - decode(data)).max() <= 2
    assert photo.facts is not None
    assert photo.facts.data == data
    assert photo.facts.damage == ""
    assert not photo.pixels.flags.writeable


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_upright(tmp_path: Path, orientation: int) -> None:
    """People on their side are hard to find."""
    photo = read_photo(save(tmp_path, with_exif(orientation)))
    height, width = photo.pixels.shape[:2]
    assert photo.facts is not None
    assert photo.facts.orientation == orientation
    assert (width > height) == (orientation < 5)


def test_a_panorama_is_recognised_and_told(tmp_path: Path) -> None:
    """Extent and phrase reach the photo."""
    photo = read_photo(save(tmp_path, street_jpeg(100, 200)))
    assert photo.extent == PanoExtent.full(200, 100)
    assert photo.facts is not None
    assert photo.facts.projection == "full panorama (2:1 shape, no GPano)"


def test_the_mark_is_seen(tmp_path: Path) -> None:
    """In metadata; not in what follows the picture."""
    claim = Settings().claim()
    mark = b"<x xmlns='" + MARK_NAMESPACE + b"'><PiiBlur:Hidden>" + str(claim).encode() + b"</PiiBlur:Hidden></x>"
    photos = [read_photo(save(tmp_path, data)) for data in (street_jpeg(comment=mark), JPEG, JPEG + mark)]
    assert [photo.facts.claim for photo in photos if photo.facts] == [claim, None, None]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"\xff" * 5000, "not_an_image"),
        (b"hello", "not_an_image"),
        (bytes(5000), "not_an_image"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (JPEG[: len(JPEG) // 2] + b"\xff\xd9", "truncated"),
        (street_jpeg(progressive=True)[:-200], "truncated"),
        (JPEG[:-1], "truncated"),
        (JPEG[:20], "truncated"),
        (JPEG + b"\xff\xd9" * 2 + b"trailer", ""),
        (b"II*\0" + bytes(100), "damaged"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "damaged"),
        (b"\0\0\0\x18ftypcrx " + bytes(50), "unsupported"),
        (b"\0\0\0\x18ftypmp42" + bytes(50), "unsupported"),
        (b"RIFF\0\0\0\0AVI LIST", "unsupported"),
        (b"8BPS" + bytes(50), "unsupported"),
        (b"GIF89a" + bytes(50), "unsupported"),
        (png("RGBA"), ""),
        (png("P", transparency=0), ""),
        (png("I;16"), ""),
        (png()[:-30], "truncated"),
    ],
)
def test_files_are_refused_with_a_code_or_read(tmp_path: Path, data: bytes, code: str) -> None:
    """Each in its own words, never by another exception."""
    path = save(tmp_path, data)
    assert (refusal(path).code if code else read_photo(path)) == code or not code


def test_a_png_without_all_its_rows_is_refused(tmp_path: Path) -> None:
    """Sound checksums do not make a whole picture."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(65 * 20)))]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*chunks, (b"IEND", b"")]
    )
    assert refusal(save(tmp_path, b"\x89PNG\r\n\x1a\n" + body)).code == "truncated"


def test_a_picture_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    """65,000 by 65,000 pixels would be 12 GB; nothing of the kind is allocated."""
    bomb = bytearray(JPEG)
    frame = bomb.index(b"\xff\xc0\x00\x11")
    bomb[frame + 5 : frame + 9] = struct.pack(">HH", 65000, 65000)
    tracemalloc.start()
    try:
        assert refusal(save(tmp_path, bytes(bomb))).code == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    header = bytearray(png())
    header[16:24] = struct.pack(">II", 60000, 60000)
    header[29:33] = struct.pack(">I", zlib.crc32(header[12:29]))
    assert refusal(save(tmp_path, bytes(header))).code == "too_large"
    assert refusal(save(tmp_path, JPEG), max_pixels=1000).code == "too_large"


@pytest.mark.parametrize(("width", "height"), [(32_767, 8), (8, 65_500)])
def test_a_side_that_cannot_be_sampled_from_is_refused_on_reading(width: int, height: int, tmp_path: Path) -> None:
    """OpenCV would stop in the middle of hiding; the message says what to do."""
    long = bytearray(JPEG)
    frame = long.index(b"\xff\xc0\x00\x11")
    long[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    failure = refusal(save(tmp_path, bytes(long)))
    assert failure.code == "too_large"
    assert "scale it down" in failure.message and "32766" in failure.message
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    assert refusal(save(tmp_path, file.getvalue())).code == "too_large"


def test_the_longest_side_is_read(tmp_path: Path) -> None:
    """Up to what can be sampled from."""
    file = io.BytesIO()
    Image.new("L", (32_766, 2)).save(file, "PNG")
    assert read_photo(save(tmp_path, file.getvalue())).pixels.shape == (2, 32_766, 3)


def test_twelve_bits_are_not_silently_cut(tmp_path: Path) -> None:
    """Refused, and said."""
    data = bytearray(JPEG)
    data[data.index(b"\xff\xc0\x00\x11") + 4] = 12
    assert refusal(save(tmp_path, bytes(data))).code == "unsupported"


def test_damage_inside_a_scan_is_told(tmp_path: Path) -> None:
    """Other decoders may show it differently, so it must not be copied."""
    data = bytearray(JPEG)
    data[len(data) * 3 // 4] ^= 0x55
    photo = damaged(save(tmp_path, bytes(data[:-2] + b"\x12\x34\x56\xff\xd9")))
    assert photo is None or (photo.facts is not None and photo.facts.damage)


def damaged(path: Path) -> Photo | None:
    """Return the photo, None if it was refused."""
    try:
        return read_photo(path)
    except PhotoFailure:
        return None


def test_junk_between_segments_is_no_damage(tmp_path: Path) -> None:
    """All decoders skip it."""
    photo = read_photo(save(tmp_path, JPEG[:2] + b"junk!" + JPEG[2:]))
    assert (photo.pixels == read_photo(save(tmp_path, JPEG)).pixels).all()
    assert photo.facts is not None
    assert photo.facts.damage == ""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5))
def test_no_damage_raises_anything_but_a_photo_failure(tmp_path: Path, changes: list[tuple[int, bytes]]) -> None:
    """Anywhere in the file, headers included."""
    data = bytearray(JPEG)
    for place, new in changes:
        data[place % len(data) : place % len(data) + len(new)] = new
    damaged(save(tmp_path, bytes(data)))


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "permission"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, kind: str) -> None:
    """A pipe would block the batch for ever; a folder may be called x.jpg."""
    path = tmp_path / "x.jpg"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no named pipes here")
        os.mkfifo(path)
    elif kind == "permission":
        if sys.platform == "win32" or os.geteuid() == 0:
            pytest.skip("this user may read everything")
        save(tmp_path, JPEG, "x.jpg").chmod(0)
    expected = {"missing": "missing", "permission": "permission", "pipe": "not_an_image"}
    assert refusal(path).code in (expected.get(kind), "not_an_image", "unreadable", "permission")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_in_any_encoding_is_read_and_shown(tmp_path: Path) -> None:
    """Latin-1 from an old camera is no valid UTF-8."""
    name = os.fsdecode(b"Stra\xdfe\n.jpg")
    assert read_photo(save(tmp_path, JPEG, name)).pixels.shape == (96, 160, 3)
    (tmp_path / name).write_bytes(b"no photo")
    with pytest.raises(PhotoFailure) as caught:
        read_photo(tmp_path / name)
    assert "Stra\\xdfe" in str(caught.value).encode().decode()


def test_decoders_keep_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A library that writes to stderr spoils progress bar and log."""
    for data in (JPEG, JPEG[:-2] + b"\x12\x34\x56\xff\xd9", JPEG[:2] + b"junk" + JPEG[2:], other_jpeg()[:500], png()):
        damaged(save(tmp_path, data))
    assert capfd.readouterr() == ("", "")
