"""The folder of unblurred thumbnails: for its owner alone, gone with its process, and never taken from a living one."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pii_blur.errors import CannotWrite
from pii_blur.photo.private_folder import open_private_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")

HOLDER = """
import sys, tempfile
from pii_blur.photo.private_folder import open_private_folder
tempfile.tempdir = sys.argv[1]
with open_private_folder() as folder, folder.files({"thumbnail.jpg": b"unblurred"}):
    print(folder.path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_folder_is_for_its_owner_and_goes_with_everything_in_it(place: Path) -> None:
    """Files after each use, the folder at the end."""
    with open_private_folder() as folder:
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        with folder.files({"a.jpg": b"unblurred"}) as (file,):
            assert file.read_bytes() == b"unblurred"
        assert not list(folder.path.iterdir())
    assert not list(place.iterdir())


def test_folder_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not(place: Path) -> None:
    """Whatever its process id looks like from here: containers that share a temporary folder number their own."""
    command = [sys.executable, "-c", HOLDER, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        foreign = Path(holder.stdout.readline().strip())
        # As if it stood for a process that does not exist here.
        elsewhere = foreign.rename(place / "pii-blur-private-999999999-x")
        with open_private_folder():
            assert (elsewhere / "thumbnail.jpg").exists()
        holder.kill()
        holder.wait()
    with open_private_folder():
        assert not elsewhere.exists()


def test_nothing_stays_where_the_process_ends_without_leaving_the_with(place: Path) -> None:
    """As a worker does that ends while its tools are open."""
    script = HOLDER.replace("with open", "stays = open").partition(" as folder")[0] + "\nfolder = stays.__enter__()"
    subprocess.run([sys.executable, "-c", script, str(place)], check=True, timeout=60)
    assert not list(place.iterdir())


def test_no_place_for_it_is_a_clear_message(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the run: no photo could be done."""
    monkeypatch.setattr(tempfile, "tempdir", str(place / "no"))
    with pytest.raises(CannotWrite, match="no temporary folder"), open_private_folder():
        pytest.fail("opened nothing")
