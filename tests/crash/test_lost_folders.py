"""INPUT or OUTPUT goes away under way, or its disk breaks: the run ends and says so, and goes on when it is back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.crash.stage import Stage, ended, wait_until

PHOTOS = [f"{number:02}.jpg" for number in range(12)]
FAULTS = Path(__file__).parent / "faults"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks for open files in /proc")


def break_folder(stage: Stage, folder: Path, error: str, calls: list[str]) -> None:
    """Let calls on `folder` fail once a file called `once` exists, in all processes of the next run."""
    fault = {"folder": str(folder), "error": error, "calls": calls, "once": str(folder.with_name("once"))}
    stage.environment |= {"FAULTS": json.dumps(fault), "PYTHONPATH": str(FAULTS)}


def mend(stage: Stage) -> None:
    del stage.environment["FAULTS"]


ALL = ["open", "fsync", "replace", "rename", "stat", "lstat", "scandir", "mkdir", "unlink", "chmod", "access"]


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        ("EIO", ALL),
        pytest.param("ESTALE", ALL, marks=pytest.mark.crash),
        pytest.param("ENOTCONN", ALL, marks=pytest.mark.crash),
        ("EIO", ["fsync"]),
        pytest.param("ENOSPC", ["fsync"], marks=pytest.mark.crash),
        pytest.param("EDQUOT", ["open"], marks=pytest.mark.crash),
        pytest.param("EROFS", ["open"], marks=pytest.mark.crash),
        pytest.param("EIO", ["replace"], marks=pytest.mark.crash),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) if len(value) < 3 else "all",
)
def test_output_that_breaks_ends_the_run(stage: Stage, error: str, calls: list[str]) -> None:
    """Exit code 6 after the first photo that could not be written, not 10,000 failures; then it goes on."""
    stage.draw(*PHOTOS)
    break_folder(stage, stage.output, error, calls)
    process = stage.start()
    wait_until(lambda: len(stage.results()) > 1, "the second photo")
    (stage.output.with_name("once")).touch()
    code, log = ended(process)
    mend(stage)
    if code == 0:
        stage.check_all_done_once()
        pytest.skip("all photos were done before the disk broke")
    assert code == 6, log
    assert log.count(": failed:") <= 1
    assert "Traceback" not in log
    stage.check(is_over=False)
    code, log = stage.finish()
    assert code == 0, log
    stage.check_all_done_once()


@pytest.mark.parametrize("error", ["EIO", pytest.param("ESTALE", marks=pytest.mark.crash)])
def test_input_that_breaks_ends_the_run(stage: Stage, error: str) -> None:
    """Exit code 5; no photo is called bad because its disk is."""
    stage.draw(*PHOTOS)
    break_folder(stage, stage.source, error, ALL)
    process = stage.start()
    wait_until(stage.has_begun, "the first photo")
    (stage.source.with_name("once")).touch()
    code, log = ended(process)
    mend(stage)
    if code == 0:
        stage.check_all_done_once()
        pytest.skip("all photos were done before the disk broke")
    assert code == 5, log
    assert "has gone; bring it back" in log
    assert ": failed:" not in log
    stage.check()
    code, log = stage.finish()
    assert code == 0, log
    stage.check_all_done_once()


def test_single_photo_that_cannot_be_read_fails_alone(stage: Stage) -> None:
    """A bad block under one photo is no reason to stop."""
    stage.draw(*PHOTOS[:4])
    break_folder(stage, stage.source / PHOTOS[1], "EIO", ["open"])
    (stage.source / "once").touch()
    code, log = stage.finish()
    mend(stage)
    assert code == 4, log
    assert log.count(": failed:") == 1
    assert "[unreadable]" in log
    stage.check()
    code, log = stage.finish()
    assert code == 0, log
    stage.check_all_done_once()


@pytest.mark.parametrize("which", [pytest.param("source", marks=pytest.mark.crash), "output"])
def test_folder_that_is_taken_away_ends_the_run(stage: Stage, which: str) -> None:
    """An empty folder of the same name stays behind, as where a disk was mounted; nothing new appears in it."""
    stage.draw(*PHOTOS)
    process = stage.start()
    wait_until(stage.has_begun, "the first photo")
    folder: Path = getattr(stage, which)
    away = folder.with_name("away")
    folder.rename(away)
    if which == "output":
        folder.mkdir()
    code, log = ended(process)
    if which == "output":
        left = [file for file in folder.rglob("*") if file.is_file()]
        assert len(left) <= 1, "at most the photo in hand"
        for file in left:
            file.unlink()
        for inner in sorted(folder.rglob("*"), reverse=True):
            inner.rmdir()
        folder.rmdir()
    away.rename(folder)
    if code == 0:
        stage.check_all_done_once()
        pytest.skip("all photos were done before it went")
    assert code == (6 if which == "output" else 5), log
    assert "has gone; bring it back" in log
    code, log = stage.finish()
    assert code == 0, log
    stage.check_all_done_once()
