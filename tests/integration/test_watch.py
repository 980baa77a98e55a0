"""`--watch` as a process: what comes is done, nothing is done twice, and it ends when it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pii_blur.batch.last_run import read_last_run
from pii_blur.batch.status import read_status
from tests.fakes import make_photo, make_photos
from tests.integration.test_batch_processes import Stage, stage, wait_until  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture(params=["events", "no events"])
def rescan(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """How often to look: never within a test where the system tells of changes, each second where it does not."""
    if request.param == "events":
        pytest.importorskip("watchfiles")
        return "3600"
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "watchfiles.py").write_text("raise ImportError('hidden by a test')")
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    return "1"


@pytest.fixture
def watch(stage: Stage, rescan: str) -> Iterator[subprocess.Popen[str]]:  # noqa: F811
    make_photos(stage.source, first="blur")
    process = stage.start("--watch", "--rescan", rescan, "--workers", "1", gate=False)
    wait_until(lambda: stage.results() == {"first.jpg"})
    yield process
    if process.poll() is None:
        process.kill()


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_photos_that_come_are_done_until_sigterm(stage: Stage, watch: subprocess.Popen[str]) -> None:  # noqa: F811
    """In new folders too, each once; the place in OUTPUT is held; the closing line is of all that was done."""
    assert stage.finish()[0] == 75
    make_photo(stage.source / "new" / "second.jpg")
    wait_until(lambda: stage.results() == {"first.jpg", "second.jpg"})
    make_photo(stage.source / "new" / "deep" / "third.jpg", "clean")
    wait_until(lambda: len(stage.results()) == 3)
    wait_until(lambda: (last := read_last_run(stage.output / ".pii-blur")) and last["photos"]["nothing_found"] == 1)
    assert read_status(stage.output / ".pii-blur", max_age_s=60).exit_code == 0, "an alert must see that it is alive"
    code, err = end(watch)
    assert code == 143, err
    assert "done 2, nothing found 1, skipped 0, waiting 0, failed 0" in err
    assert {name: len(pids) for name, pids in stage.started().items()} == {
        "first.jpg": 1,
        "new_second.jpg": 1,
        "new_deep_third.jpg": 1,
    }
    code, _, err = stage.finish()
    assert (code, "skipped 3" in err) == (0, True), err


def test_failed_photo_is_told_once_and_tried_again_when_it_changes(
    stage: Stage,  # noqa: F811
    watch: subprocess.Popen[str],
) -> None:
    """Not in every round, for days."""
    make_photo(stage.source / "bad.jpg", "fail")
    wait_until(lambda: "bad.jpg" in stage.started())
    for number in range(3):
        make_photo(stage.source / f"{number}.jpg")
        wait_until(lambda number=number: f"{number}.jpg" in stage.results())
    assert len(stage.started()["bad.jpg"]) == 1
    make_photo(stage.source / "bad.jpg", "blur this time")
    wait_until(lambda: "bad.jpg" in stage.results())
    make_photo(stage.source / "worse.jpg", "fail")
    wait_until(lambda: "worse.jpg" in stage.started())
    code, err = end(watch, signal.SIGINT)
    assert code == 130, err
    assert err.count("bad.jpg: failed") == 1
    assert "done 5, nothing found 0, skipped 0, waiting 0, failed 1" in err


def test_input_that_goes_away_ends_the_watch(stage: Stage) -> None:  # noqa: F811
    """Whoever started it must learn that nothing is done any more."""
    make_photos(stage.source, a="blur")
    process = stage.start("--watch", "--rescan", "1", "--workers", "1", gate=False)
    wait_until(lambda: "a.jpg" in stage.results())  # not what tries OUTPUT out
    stage.source.rename(stage.source.with_name("elsewhere"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5, err
    assert "has gone; bring it back" in err


def test_output_that_goes_away_ends_the_watch(stage: Stage) -> None:  # noqa: F811
    """And no photo is called done that went elsewhere."""
    make_photos(stage.source, a="blur")
    process = stage.start("--watch", "--rescan", "1", "--workers", "1", gate=False)
    wait_until(lambda: "a.jpg" in stage.results())  # not what tries OUTPUT out
    stage.output.rename(stage.output.with_name("elsewhere"))
    stage.output.mkdir()
    make_photos(stage.source, b="blur")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 6, err
    assert "has gone; bring it back" in err
    assert list(stage.output.iterdir()) == []


def test_empty_input_is_watched_and_a_single_photo_is_not(stage: Stage) -> None:  # noqa: F811
    """The first photo may come tomorrow."""
    stage.source.mkdir()
    process = stage.start("--watch", "--rescan", "1", "--workers", "1", gate=False)
    wait_until((stage.output / ".pii-blur" / "journal.jsonl").exists)
    make_photos(stage.source, a="blur")
    wait_until(stage.results)
    assert end(process)[0] == 143
    stage.source = stage.source / "a.jpg"
    code, _, err = stage.finish("--watch")
    assert (code, "single photo" in err) == (2, True), err
