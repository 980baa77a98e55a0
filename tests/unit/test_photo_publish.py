"""Publishing: whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from pii_blur.errors import CannotWrite, PhotoFailure
from pii_blur.photo import publish as module
from pii_blur.photo.publish import publish


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return [path.name for path in folder.iterdir()]


def test_a_file_appears_whole_in_a_folder_that_is_made(tmp_path: Path) -> None:
    """And nothing else with it."""
    target = tmp_path / "a" / "b" / "x.jpg"
    publish(b"data", target, check=len)
    assert target.read_bytes() == b"data"
    assert names_in(target.parent) == ["x.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="no file modes")
def test_its_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    """A web server must be able to read it."""
    before = os.umask(0o022)
    try:
        publish(b"data", tmp_path / "x.jpg", check=len)
        assert stat.S_IMODE((tmp_path / "x.jpg").stat().st_mode) == 0o644
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_an_existing_file_stays_until_the_new_one_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk error while writing leaves the old file and no temporary one."""
    target = tmp_path / "x.jpg"
    publish(b"old", target, check=len)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PhotoFailure, match="input/output error"):
        publish(b"new", target, check=len)
    assert names_in(tmp_path) == ["x.jpg"]
    assert target.read_bytes() == b"old"


def test_a_disk_error_at_the_last_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rename may fail as well."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(PhotoFailure) as caught:
        publish(b"new", tmp_path / "x.jpg", check=len)
    assert caught.value.code == "write"
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_or_read_only_disk_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Else a hundred thousand photos would fail one by one."""

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CannotWrite):
        publish(b"new", tmp_path / "x.jpg", check=len)
    assert names_in(tmp_path) == []


def test_a_folder_that_vanishes_fails_the_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody removed it between two steps."""
    target = tmp_path / "gone" / "x.jpg"
    sync = os.fsync

    def vanish(descriptor: int) -> None:
        sync(descriptor)
        for path in target.parent.iterdir():
            path.unlink()
        target.parent.rmdir()

    monkeypatch.setattr(module.os, "fsync", vanish)
    with pytest.raises(PhotoFailure):
        publish(b"new", target, check=len)
    assert names_in(tmp_path) == []


def test_a_file_where_a_folder_is_needed_fails_the_photo(tmp_path: Path) -> None:
    """And the message names the destination."""
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(PhotoFailure, match=r"x\.jpg"):
        publish(b"new", tmp_path / "a" / "x.jpg", check=len)
