"""Running exiftool: it may be missing, old, killed or hanging, and must never stay behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pii_blur.errors import MissingDependency, PhotoFailure
from pii_blur.photo.exiftool import ExifTool, ExifToolRefusal, check_exiftool, open_exiftool
from pii_blur.photo.exiftool_trial import try_out, try_out_after
from tests.photos import street_jpeg

JPEG = street_jpeg(comment=b"kept")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and scripts")


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExifTool]:
    """An exiftool whose private folder lies in `tmp_path`."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_exiftool(timeout_s=20) as opened:
        yield opened
    assert names_in(tmp_path) == []


def names_in(folder: Path) -> list[str]:
    """Return the names of our own in a folder for temporary files."""
    return [path.name for path in folder.iterdir() if path.name.startswith("pii-blur")]


def left_files(folder: Path) -> list[Path]:
    """Return the files that lie anywhere below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def script(folder: Path, text: str) -> Path:
    """Put a program called exiftool into a folder."""
    path = folder / "exiftool"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_one_process_reads_and_edits_and_leaves_nothing(tool: ExifTool, tmp_path: Path) -> None:
    """Tags come and go, files do not stay."""
    assert tool.read_tags(JPEG, ".jpg")["File:Comment"] == "kept"
    first = tool.pid
    edited = tool.edit(JPEG, ".jpg", ["-XMP-PiiBlur:Regions=3", "-Artist<={name.txt}"], {"name.txt": "Zoë".encode()})
    tags = tool.read_tags(edited, ".jpg")
    assert (tags["XMP-PiiBlur:Regions"], tags["IFD0:Artist"], tags["File:Comment"]) == (3, "Zoë", "kept")
    assert tool.pid == first
    assert left_files(tmp_path) == []


def test_the_users_own_configuration_plays_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is passed explicitly; a broken one at home does no harm."""
    (tmp_path / ".ExifTool_Config").write_text("die 'not mine';")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EXIFTOOL_HOME", str(tmp_path))
    with open_exiftool() as tool:
        assert tool.read_tags(JPEG, ".jpg")["File:Comment"] == "kept"


def test_what_exiftool_refuses_is_a_refusal_and_the_process_stays(tool: ExifTool) -> None:
    """One bad photo costs nothing else."""
    tool.read_tags(JPEG, ".jpg")
    first = tool.pid
    with pytest.raises(ExifToolRefusal) as caught:
        tool.edit(b"no photo", ".jpg", ["-Artist=x"])
    assert caught.value.code == "exiftool"
    assert "pii-blur" not in str(caught.value)
    assert tool.read_tags(JPEG, ".jpg")
    assert tool.pid == first


@POSIX
def test_killed_between_two_photos_it_is_started_again(tool: ExifTool) -> None:
    """Nobody notices."""
    tool.read_tags(JPEG, ".jpg")
    first = tool.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not tool._process.is_alive())  # type: ignore[union-attr]
    assert tool.read_tags(JPEG, ".jpg")["File:Comment"] == "kept"
    assert tool.pid != first


@POSIX
def test_hanging_it_is_killed_and_started_again(tool: ExifTool, tmp_path: Path) -> None:
    """The photo in hand fails after the time-out, the next one is done."""
    tool.read_tags(JPEG, ".jpg")
    assert tool.pid is not None
    os.kill(tool.pid, signal.SIGSTOP)
    tool._timeout_s = 0.3
    with pytest.raises(PhotoFailure, match="takes too long") as caught:
        tool.edit(JPEG, ".jpg", ["-Artist=x"])
    assert caught.value.code == "exiftool"
    assert left_files(tmp_path) == []
    tool._timeout_s = 20
    assert tool.read_tags(JPEG, ".jpg")


def test_all_that_is_done_for_one_photo_has_one_time_out(tool: ExifTool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata that takes long to read is read five times; packing a large picture in between takes what it takes."""
    tool._timeout_s = 100
    clock = iter((0, 60, 1000, 1060))
    monkeypatch.setattr("pii_blur.photo.exiftool.time", SimpleNamespace(monotonic=lambda: next(clock, 2000)))
    with tool.one_photo():
        for _ in range(2):
            assert tool.read_tags(JPEG, ".jpg")
        with pytest.raises(PhotoFailure, match="takes too long"):
            tool.read_tags(JPEG, ".jpg")
    with tool.one_photo():
        assert tool.read_tags(JPEG, ".jpg")


@POSIX
def test_it_is_missed_when_it_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update under way: no other photo could be done, and the message says what to install."""
    real = shutil.which("exiftool")
    stand_in = tmp_path / "exiftool"
    stand_in.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with open_exiftool(timeout_s=20) as tool:
        assert tool.read_tags(JPEG, ".jpg")
        assert tool.pid is not None
        stand_in.unlink()
        os.kill(tool.pid, signal.SIGKILL)
        with pytest.raises((PhotoFailure, MissingDependency)):  # whichever is noticed first
            tool.read_tags(JPEG, ".jpg")
        with pytest.raises(MissingDependency, match="install exiftool again"):
            tool.read_tags(JPEG, ".jpg")


@POSIX
def test_dying_in_the_middle_fails_one_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pipes close, and no loop waits for ever."""
    real = check_exiftool()
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    script(bin_folder, f'[ "$1" = -ver ] && exec {real} -ver\nread line; exit 0')
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    with open_exiftool() as tool:
        for _ in range(2):
            with pytest.raises(PhotoFailure, match="died") as caught:
                tool.read_tags(JPEG, ".jpg")
            assert caught.value.code == "exiftool"


@POSIX
@pytest.mark.parametrize("answer", ["echo 12.14", "echo hello", "exit 3", "echo 9.9"])
def test_an_old_or_broken_exiftool_is_a_missing_dependency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Before the first photo, with how to get a new one."""
    script(tmp_path, answer)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match=r"apt-get install|brew|exiftool\.org"):
        check_exiftool()


def test_no_exiftool_is_a_missing_dependency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match="not installed"), open_exiftool():
        pass


ORPHAN = """
import os, signal, sys
from pii_blur.photo.exiftool import open_exiftool
from tests.photos import street_jpeg
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open_exiftool() as tool:
    tool.read_tags(street_jpeg(), ".jpg")
    print(tool.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_no_exiftool_outlives_a_killed_process_and_its_folder_is_swept(tmp_path: Path) -> None:
    """Not even in a worker that ignores SIGTERM; the private folder goes at the next start."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(root)}
    killed = subprocess.run(
        [sys.executable, "-c", ORPHAN],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
        cwd=root,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    pid = int(killed.stdout)
    wait_until(lambda: not is_alive(pid))
    assert len(names_in(tmp_path)) == 1
    sweep = "from pii_blur.photo.exiftool import open_exiftool\nwith open_exiftool(): pass"
    subprocess.run([sys.executable, "-c", sweep], check=True, timeout=60, env=environment, cwd=root)
    assert names_in(tmp_path) == []


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(is_so: object, seconds: float = 10) -> None:
    """Wait for something that happens soon."""
    end = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


BROKEN_FOR_GOOD = """
case "$1" in -ver) exec {real} -ver;; esac
while read -r line; do
    case "$line" in
        -echo4) read -r echoed; status=$(printf %s "$echoed" | sed 's/${{status}}/1/');;
        -execute*)
            echo "Can't locate Image/ExifTool/JPEG.pm" >&2
            echo "$status" >&2
            echo "{{ready${{line#-execute}}}}";;
        False) exit 0;;
    esac
done
"""


@POSIX
@pytest.mark.parametrize("text", [BROKEN_FOR_GOOD, '[ "$1" = -ver ] && exec {real} -ver\nread line; exit 0'])
def test_an_exiftool_that_fails_on_everything_is_no_photos_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Half an update: it says its version, and refuses or dies at every picture."""
    script(tmp_path, text.format(real=check_exiftool()))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with open_exiftool(timeout_s=20) as tool:
        with pytest.raises(MissingDependency, match=r"on a picture of our own .*install it again"):
            try_out(tool)
        with pytest.raises(MissingDependency):
            try_out_after(PhotoFailure("exiftool died", "exiftool"), tool)
        try_out_after(PhotoFailure("it breaks off", "truncated"), tool)


@POSIX
def test_a_sound_exiftool_passes_whatever_a_photo_did_to_it(tool: ExifTool) -> None:
    """A process that hangs, or was killed, says nothing of the program."""
    tool.read_tags(JPEG, ".jpg")
    assert tool.pid is not None
    os.kill(tool.pid, signal.SIGSTOP)
    try_out(tool)
    assert tool.read_tags(JPEG, ".jpg")["File:Comment"] == "kept"
