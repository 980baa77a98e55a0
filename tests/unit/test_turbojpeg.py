"""The binding to libturbojpeg: found or asked for, safe in callbacks, strict about damage."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from pii_blur.errors import ExitCode, MissingDependency
from pii_blur.photo.jpeg_frame import ZIGZAG, FrameError, read_frame
from pii_blur.photo.turbojpeg import JpegError, check_decodes, load_turbojpeg
from tests.jpegs import cjpeg, encode, picture
from tests.patience import ends

SOURCE = encode(picture(75, 101), quality=85)
CLEAN: dict[str, Callable[[], bytes]] = {
    "4:2:0": lambda: SOURCE,
    "progressive": lambda: encode(picture(75, 101), progressive=True),
    "grey": lambda: encode(picture(75, 101), mode="L"),
    "CMYK": lambda: encode(picture(75, 101), mode="CMYK"),
    "RGB": lambda: encode(picture(75, 101), keep_rgb=True),
    "restarts": lambda: encode(picture(75, 101), restart_marker_blocks=3),
    "arithmetic": lambda: cjpeg(picture(75, 101), "-arithmetic"),
    "4:1:0": lambda: cjpeg(picture(75, 101), "-sample", "4x2"),
    "3x1": lambda: cjpeg(picture(75, 101), "-sample", "3x1"),
    "one pixel": lambda: encode(picture(1, 1)),
    "bytes after the end": lambda: SOURCE + b"trailer" * 9,
}


def keep(component: int, row: int, coefficients: NDArray[np.int16]) -> None:
    """Change nothing."""


@pytest.mark.parametrize("kind", CLEAN)
def test_sound_files_decode_without_a_word(kind: str) -> None:
    """Every coding that the library can read is clean, whatever its colours."""
    assert check_decodes(CLEAN[kind]()) is None


@pytest.mark.parametrize("kind", ["4:2:0", "progressive", "restarts", "CMYK"])
def test_every_truncation_is_noticed(kind: str) -> None:
    """Wherever a file is cut, down to its last byte, it does not pass as clean."""
    data = CLEAN[kind]()
    for length in [*range(0, len(data), 41), len(data) - 2, len(data) - 1]:
        assert check_decodes(data[:length]), length


def test_damage_inside_the_scan_is_noticed() -> None:
    """A stray marker in the picture data is damage."""
    assert check_decodes(SOURCE[:-300] + b"\xff\xd5" + SOURCE[-298:])


def test_a_header_that_claims_a_huge_picture_costs_nothing() -> None:
    """65500 x 65500 pixels in a small file are refused quickly, by any call, and without decoding to full size."""
    place = SOURCE.index(b"\xff\xc0") + 5
    huge = SOURCE[:place] + b"\xff\xdc\xff\xdc" + SOURCE[place + 4 :]
    with ends():
        assert check_decodes(huge)


@pytest.mark.parametrize("error", [ValueError("from the filter"), KeyboardInterrupt()], ids=repr)
def test_what_the_filter_raises_comes_out_unharmed(error: BaseException) -> None:
    """No exception unwinds through C: it is carried round it, and the library goes on working afterwards."""

    calls = []

    def failing(component: int, row: int, coefficients: NDArray[np.int16]) -> None:
        calls.append(component)
        if component == 1:
            raise error

    library = load_turbojpeg()
    with pytest.raises(type(error)) as caught:
        library.transform(SOURCE, failing)
    assert caught.value is error
    assert calls.count(1) == 1  # the library stopped at once
    assert library.transform(SOURCE, keep) == SOURCE


def test_filter_sees_every_row_of_every_component_once() -> None:
    """Rows come in order, with as many blocks as the component is wide, and none that only pad the last MCU."""
    seen: list[tuple[int, int, int]] = []
    source = encode(picture(70, 101), subsampling=2)
    load_turbojpeg().transform(source, lambda component, row, blocks: seen.append((component, row, len(blocks))))
    luma = [(0, row, 13) for row in range(9)]
    assert seen == luma + [(component, row, 7) for component in (1, 2) for row in range(5)]


def test_warnings_and_errors_are_told_apart() -> None:
    """A truncated scan is a warning of the library, a file without one an error."""
    library = load_turbojpeg()
    with pytest.raises(JpegError) as warned:
        library.transform(SOURCE[:-100], keep)
    assert warned.value.is_warning
    with pytest.raises(JpegError) as failed:
        library.transform(b"\xff\xd8\xff\xd9", keep)
    assert not failed.value.is_warning


def test_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libturbojpeg the run stops before the first photo and says what to install."""

    def not_there(name: str) -> ctypes.CDLL:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", not_there)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(MissingDependency, match="libturbojpeg is not installed; ") as missing:
        load_turbojpeg.__wrapped__()
    assert missing.value.exit_code == ExitCode.MISSING_DEPENDENCY


def test_too_old_a_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library without the functions of 2.0 is not used."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    with pytest.raises(MissingDependency, match=r"older than 2\.0"):
        load_turbojpeg.__wrapped__()


def test_frame_tells_what_pillow_wrote() -> None:
    """Size, sampling, tables and the kind of Huffman tables are read as they were written."""
    table = list(range(1, 65))
    frame = read_frame(encode(picture(75, 101), qtables=[table, table], subsampling=1, restart_marker_blocks=4))
    assert (frame.width, frame.height, frame.precision, frame.process) == (101, 75, 8, 0)
    assert frame.mcu_size == (16, 8)
    assert frame.restart_interval == 4
    assert frame.huffman_is_typical
    assert frame.has_jfif
    assert frame.tables[0].tolist() == table  # Pillow takes and we give rows; the file has zigzag order
    assert ZIGZAG[:8].tolist() == [0, 1, 8, 16, 9, 2, 3, 10]
    assert not read_frame(encode(picture(75, 101), optimize=True)).huffman_is_typical
    assert read_frame(CLEAN["progressive"]()).is_progressive


def test_megabytes_of_fill_bytes_are_skipped() -> None:
    """Any number may stand in front of a marker, and a photo's headers are read half a dozen times."""
    with ends():
        assert read_frame(SOURCE[:2] + b"\xff" * 30_000_000 + SOURCE[2:]) is not None


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xdb\x00\x01", b"\xff\xd8" + b"\xff" * 99, SOURCE[:200]],
)
def test_headers_that_end_early_are_an_error(data: bytes) -> None:
    """Nothing but `FrameError` comes out of a header that is cut off."""
    with pytest.raises(FrameError):
        read_frame(data)
