"""One run per OUTPUT, and no lock without a living holder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pii_blur.batch.lock import hold_lock
from pii_blur.errors import AlreadyRunning, CannotWrite

HOLDER = """
import subprocess, sys
from pathlib import Path
from pii_blur.batch.lock import hold_lock
with hold_lock(Path(sys.argv[1])):
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=sys.stdin)
    print(child.pid, flush=True)
    child.wait()
"""


def test_second_holder_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    """The message names the process and the folder."""
    message = rf"process {os.getpid()}\).*{tmp_path}"
    with (
        hold_lock(tmp_path / ".pii-blur"),
        pytest.raises(AlreadyRunning, match=message),
        hold_lock(tmp_path / ".pii-blur"),
    ):
        pytest.fail("two holders")


def test_lock_can_be_taken_again_after_release(tmp_path: Path) -> None:
    """The file that stays behind locks nobody out."""
    for _ in range(2):
        with hold_lock(tmp_path):
            pass
    (tmp_path / "lock").write_text("not a number")
    with hold_lock(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_lock_dies_with_a_killed_holder_though_its_child_lives(tmp_path: Path) -> None:
    """A program that outlives a killed run must not keep OUTPUT locked."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        with pytest.raises(AlreadyRunning, match=f"process {holder.pid}"), hold_lock(tmp_path):
            pytest.fail("two holders")
        holder.kill()
        holder.wait()
        os.kill(child, 0)  # still there: it ends when its stdin does
        with hold_lock(tmp_path):
            pass


def test_folder_that_cannot_be_made_is_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    """Exit code 6, before any photo."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="cannot be written"), hold_lock(tmp_path / "file" / "x"):
        pytest.fail("locked nothing")
