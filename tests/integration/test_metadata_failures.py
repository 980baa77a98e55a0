"""Whatever goes wrong while a photo is written: nothing at the destination, nothing temporary left."""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pii_blur.errors import CannotWrite, PhotoFailure
from pii_blur.photo import write as module
from pii_blur.photo.exiftool import ExifTool, open_exiftool
from pii_blur.photo.photo import HiddenPhoto, Photo
from pii_blur.photo.read import read_photo
from pii_blur.photo.write import copy_clean, write_photo
from tests.photos import hide_middle, other_jpeg, street_jpeg, with_tags


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place for temporary files."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def exiftool(private: Path) -> Iterator[ExifTool]:
    """An exiftool whose files lie there."""
    with open_exiftool(timeout_s=20) as tool:
        yield tool


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    """A photo with a thumbnail, a film behind it and tags."""
    data = with_tags(street_jpeg(), tmp_path, "-ThumbnailImage<={other}", "-Artist=kept")
    (tmp_path / "photo.jpg").write_bytes(data + other_jpeg())
    return read_photo(tmp_path / "photo.jpg")


def blur(photo: Photo, target: Path, exiftool: ExifTool) -> None:
    """Write it with something hidden."""
    write_photo(photo, hide_middle(photo), target, exiftool=exiftool)


def copy(photo: Photo, target: Path, exiftool: ExifTool) -> None:
    """Write it with nothing found."""
    copy_clean(photo, target, exiftool=exiftool)


WAYS = pytest.mark.parametrize("write", [blur, copy])
Write = Callable[[Photo, Path, ExifTool], None]


def assert_nothing_left(target: Path, private: Path) -> None:
    """No file of ours is anywhere."""
    assert not target.parent.exists() or list(target.parent.iterdir()) == []
    assert [path for path in private.rglob("*") if path.is_file()] == []


@WAYS
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP")
def test_exiftool_that_stops_answering_fails_one_photo(
    write: Write, photo: Photo, tmp_path: Path, exiftool: ExifTool, private: Path
) -> None:
    """The next photo is done."""
    target = tmp_path / "out" / "photo.jpg"
    exiftool.read_tags(street_jpeg(), ".jpg")
    assert exiftool.pid is not None
    os.kill(exiftool.pid, signal.SIGSTOP)
    exiftool._timeout_s = 0.3
    with pytest.raises(PhotoFailure) as caught:
        write(photo, target, exiftool)
    assert caught.value.code == "exiftool"
    assert_nothing_left(target, private)
    exiftool._timeout_s = 20
    write(photo, target, exiftool)
    assert target.is_file()


@WAYS
def test_a_disk_error_fails_one_photo(
    write: Write, photo: Photo, tmp_path: Path, exiftool: ExifTool, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the very last step."""
    target = tmp_path / "out" / "photo.jpg"

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(PhotoFailure) as caught:
        write(photo, target, exiftool)
    assert caught.value.code == "write"
    assert_nothing_left(target, private)


@WAYS
def test_a_place_for_temporary_files_that_is_gone_stops_the_run(
    write: Write, photo: Photo, tmp_path: Path, exiftool: ExifTool, private: Path
) -> None:
    """Somebody cleared /tmp: no other photo would fare better."""
    target = tmp_path / "out" / "photo.jpg"
    for folder in private.iterdir():
        folder.rmdir()
    with pytest.raises(CannotWrite, match="temporary folder"):
        write(photo, target, exiftool)
    assert_nothing_left(target, private)


def test_a_result_that_still_shows_the_original_is_not_published(
    photo: Photo, tmp_path: Path, exiftool: ExifTool, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the encoder ever write the wrong pixels, the check of the finished file stops it."""
    target = tmp_path / "out" / "photo.jpg"
    assert photo.facts is not None
    monkeypatch.setattr(module, "encode_jpeg", lambda photo, _: (photo.facts.data, "lossless"))
    with pytest.raises(PhotoFailure) as caught:
        blur(photo, target, exiftool)
    assert caught.value.code == "leak"
    assert_nothing_left(target, private)


def test_one_region_left_in_the_clear_among_many_is_noticed(
    tmp_path: Path, exiftool: ExifTool, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check goes strip by strip."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(street_jpeg(640, 160))
    photo, target = read_photo(path), tmp_path / "out" / "photo.jpg"
    real = module.encode_jpeg

    def forget_last(photo: Photo, hidden: HiddenPhoto) -> tuple[bytes, str]:
        pixels, mask = hidden.pixels.copy(), hidden.mask.copy()
        pixels[450:], mask[450:] = photo.pixels[450:], 0
        return real(photo, HiddenPhoto(pixels, mask))

    monkeypatch.setattr(module, "encode_jpeg", forget_last)
    with pytest.raises(PhotoFailure) as caught:
        blur(photo, target, exiftool)
    assert caught.value.code == "leak"
    assert_nothing_left(target, private)


def test_a_picture_that_the_cleaning_missed_is_noticed(
    photo: Photo, tmp_path: Path, exiftool: ExifTool, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check does not trust the cleaning."""
    target = tmp_path / "out" / "photo.jpg"
    real = module.clean_segments

    def careless(segments: object, *arguments: object, **options: object) -> object:
        cleaned = real(segments, *arguments, **options)  # type: ignore[arg-type]
        return type(cleaned)(tuple(segments), cleaned.removed)  # type: ignore[call-overload]

    monkeypatch.setattr(module, "clean_segments", careless)
    with pytest.raises(PhotoFailure) as caught:
        blur(photo, target, exiftool)
    assert caught.value.code == "leak"
    assert_nothing_left(target, private)
