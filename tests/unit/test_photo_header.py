"""The estimate of a photo's memory: every format's sides and depth are read, and no file stops or stalls it."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pii_blur.photo.header import UNKNOWN, Header, expected_memory, read_header
from tests.photos import other_jpeg, street, street_jpeg, with_tags


@pytest.mark.parametrize(
    ("suffix", "options", "kind", "depth"),
    [
        (".jpg", {}, "jpeg", 8),
        (".jpg", {"progressive": True}, "jpeg", 8),
        (".png", {}, "png", 8),
        (".tif", {}, "tiff", 8),
        (".tif", {"big_tiff": True}, "tiff", 8),
        (".webp", {}, "webp", 8),
        (".webp", {"lossless": True}, "webp", 8),
        (".webp", {"exif": b"Exif\0\0"}, "webp", 8),
        (".avif", {}, "heif", 8),
    ],
)
def test_sides_and_depth_of_every_format(
    tmp_path: Path, suffix: str, options: dict[str, object], kind: str, depth: int
) -> None:
    """As the picture has them."""
    file = tmp_path / f"a{suffix}"
    Image.fromarray(street()).save(file, **options)
    assert read_header(file) == Header(kind, 160, 96, depth, file.stat().st_size)


# By benchmarks/bench_memory.py: kind, width of a full panorama, bits a sample, MiB of its file and of the peak.
MEASURED = [
    *[("jpeg", 4000, 8, 1.8, 523), ("jpeg", 6000, 8, 11.9, 694), ("jpeg", 6000, 8, 10.8, 715)],
    *[("jpeg", 8000, 8, 7.2, 884), ("jpeg", 8000, 8, 6.3, 898)],
    *[("png", 4000, 8, 13.5, 615), ("png", 8000, 8, 53.9, 1321), ("png", 4000, 16, 40.6, 904)],
    *[("png", 6000, 16, 91.4, 1524), ("tiff", 4000, 8, 22.9, 681), ("tiff", 6000, 8, 51.5, 1056)],
    *[("tiff", 4000, 16, 45.8, 970), ("tiff", 6000, 16, 103.0, 1693)],
    *[("tiff", 4000, 16, 55.7, 1020), ("tiff", 6000, 16, 125.3, 1805)],
    *[("webp", 4000, 8, 1.4, 645), ("webp", 6000, 8, 3.1, 992)],
    *[("heif", 4000, 8, 1.2, 677), ("heif", 6000, 8, 2.7, 1056)],
    *[("heif", 4000, 8, 4.3, 675), ("heif", 6000, 8, 9.7, 1032)],
]


@pytest.mark.parametrize(("kind", "width", "depth", "file_mib", "peak_mib"), MEASURED)
def test_estimate_covers_what_was_measured(
    kind: str, width: int, depth: int, file_mib: float, peak_mib: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not by far more: photos that would fit together would wait for each other."""
    header = Header(kind, width, width // 2, depth, int(file_mib * (1 << 20)))
    monkeypatch.setattr("pii_blur.photo.header.read_header", lambda _: header)
    assert peak_mib <= expected_memory("a photo") / (1 << 20) <= 1.15 * peak_mib


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_pictures_take_more(tmp_path: Path, suffix: str) -> None:
    """16 bits a sample."""
    shallow, deep = tmp_path / f"8{suffix}", tmp_path / f"16{suffix}"
    pixels = street(960, 1600)
    cv2.imwrite(str(shallow), pixels)
    cv2.imwrite(str(deep), pixels.astype(np.uint16) * 257)
    header = read_header(deep)
    assert header is not None
    assert (header.width, header.height, header.depth) == (1600, 960, 16)
    assert expected_memory(deep) > expected_memory(shallow)


def test_heic(tmp_path: Path) -> None:
    """The whole picture's sides, not those of its tiles or thumbnail."""
    heif = pytest.importorskip("pillow_heif")
    file = tmp_path / "a.heic"
    heif.from_pillow(Image.fromarray(street(192, 320))).save(file, thumbnails=[64])
    header = read_header(file)
    assert header is not None
    assert (header.kind, header.width, header.height) == ("heif", 320, 192)


def test_large_blocks_before_the_frame_are_passed_over(tmp_path: Path) -> None:
    """A thumbnail is a JPEG with a frame of its own."""
    file = tmp_path / "a.jpg"
    file.write_bytes(with_tags(street_jpeg(), tmp_path, "-ThumbnailImage<={other}"))
    assert other_jpeg()[:20] in file.read_bytes()
    header = read_header(file)
    assert header is not None
    assert (header.width, header.height) == (160, 96)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_broken_headers_are_unknown_and_never_an_error(tmp_path: Path, suffix: str) -> None:
    """Whatever a file claims: the estimate is asked for in the process that all others depend on."""
    buffer = io.BytesIO()
    Image.fromarray(street()).save(buffer, {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper()))
    whole = buffer.getvalue()
    file = tmp_path / f"a{suffix}"
    random = np.random.default_rng(0)
    for length in (*range(0, 64, 3), 200, 1000):
        file.write_bytes(whole[:length])
        assert 0 < expected_memory(file) <= UNKNOWN
    for _ in range(200):
        damaged = bytearray(whole[:2000])
        for place in random.integers(0, len(damaged), 12):
            damaged[place] = random.integers(256)
        file.write_bytes(bytes(damaged))
        assert expected_memory(file) > 0


def test_what_is_no_photo_is_unknown(tmp_path: Path) -> None:
    """Such a one is done alone; it fails at once."""
    file = tmp_path / "a.jpg"
    assert expected_memory(file) == UNKNOWN
    file.write_text("blur")
    assert expected_memory(file) == UNKNOWN


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
def test_named_pipe_does_not_stall(tmp_path: Path) -> None:
    """Nobody will ever write to it."""
    os.mkfifo(tmp_path / "a.jpg")
    assert expected_memory(tmp_path / "a.jpg") == UNKNOWN
