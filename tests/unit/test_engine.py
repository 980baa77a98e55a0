"""Every started photo gives one result, whatever happens to the process that had it in hand."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pii_blur.batch.engine import Engine, SerialEngine
from pii_blur.batch.process_engine import ProcessEngine, make_engine
from pii_blur.errors import CannotWrite, MissingDependency, RunFailure
from pii_blur.results import Job, Outcome, PhotoResult
from tests.fakes import FakeTask, UnpicklableTask, make_photo


@pytest.fixture
def record(tmp_path: Path) -> Path:
    folder = tmp_path / "record"
    folder.mkdir()
    return folder


@pytest.fixture(params=[0, 2], ids=["serial", "two processes"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return make_engine(request.param)


def jobs(folder: Path, *texts: str) -> list[Job]:
    made = []
    for number, text in enumerate(texts):
        key = f"{number}.jpg"
        made.append(Job(make_photo(folder / "in" / key, text), folder / "out" / key, key))
    return made


def outcomes(results: Iterator[PhotoResult]) -> dict[str, str]:
    """Return the outcome or the error code by photo; every photo must come once."""
    found: dict[str, str] = {}
    for result in results:
        assert result.key not in found, "a photo came twice"
        found[result.key[0]] = result.error.code if result.error else result.outcome
    return found


def test_each_photo_gives_one_result_and_bad_ones_fail_alone(engine: Engine, tmp_path: Path) -> None:
    """Failures and bugs stay with their photo."""
    todo = jobs(tmp_path, "blur", "fail", "clean", "bug", "blur")
    assert outcomes(engine.run(FakeTask(), todo)) == {
        "0": "blurred",
        "1": "truncated",
        "2": "clean",
        "3": "internal",
        "4": "blurred",
    }


def test_a_bug_leaves_its_traceback_in_the_log(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also from another process."""
    assert outcomes(engine.run(FakeTask(), jobs(tmp_path, "bug"))) == {"0": "internal"}
    assert "0.jpg: internal error" in caplog.text
    assert "an unexpected value" in caplog.text
    assert "Traceback" in caplog.text


def test_what_a_task_logs_reaches_this_process(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One log, whole lines."""
    list(engine.run(FakeTask(), jobs(tmp_path, "log")))
    assert ("pii_blur.fakes", logging.WARNING, "a line from the worker about 0.jpg") in caplog.record_tuples


def test_run_failure_of_a_task_stops_the_run(engine: Engine, tmp_path: Path) -> None:
    """What concerns all photos is not counted photo by photo."""
    with pytest.raises(MissingDependency, match="exiftool is gone"):
        list(engine.run(FakeTask(), jobs(tmp_path, "missing", *["blur"] * 20)))


def test_full_disk_stops_the_run(engine: Engine, tmp_path: Path) -> None:
    """Not 10,000 photos one by one."""
    with pytest.raises(CannotWrite, match="No space left"):
        list(engine.run(FakeTask(), jobs(tmp_path, "full", *["blur"] * 20)))


def test_tools_are_closed_at_the_end(engine: Engine, tmp_path: Path, record: Path) -> None:
    """In every process that opened them."""
    list(engine.run(FakeTask(record), jobs(tmp_path, "blur", "blur", "fail")))
    pids = {line for file in record.glob("*.jpg") for line in file.read_text().split()}
    assert pids <= {file.name.removeprefix("closed-") for file in record.glob("closed-*")}


def test_jobs_are_drawn_only_when_one_can_start(engine: Engine, tmp_path: Path) -> None:
    """100,000 jobs wait in nobody's queue."""
    drawn = 0

    def lazily() -> Iterator[Job]:
        nonlocal drawn
        for job in jobs(tmp_path, *["blur"] * 8):
            drawn += 1
            yield job

    results = engine.run(FakeTask(), lazily())
    for done in range(1, 9):
        next(results)
        assert drawn <= done + 2
    results.close()


def test_stop_finishes_photos_in_hand_and_starts_no_other(engine: Engine, tmp_path: Path, record: Path) -> None:
    """What was started is finished."""
    finished = []
    for result in engine.run(FakeTask(record), jobs(tmp_path, *["blur"] * 20)):
        finished.append(result.key)
        engine.stop()
    assert sorted(finished) == sorted(file.name for file in record.glob("*.jpg"))
    assert 1 <= len(finished) <= 3


def test_stop_before_the_start_starts_nothing(engine: Engine, tmp_path: Path) -> None:
    """A signal during the listing is not forgotten."""
    engine.stop()
    assert list(engine.run(FakeTask(), jobs(tmp_path, "blur"))) == []


class TellingLimits(FakeTask):
    """Says how large a core dump may be."""

    def __call__(self, job: Job) -> PhotoResult:
        import resource  # noqa: PLC0415 - not on Windows

        return replace(super().__call__(job), way=str(resource.getrlimit(resource.RLIMIT_CORE)))


class CountingFiles(FakeTask):
    """Counts the tries of each file, whatever its photo is called."""

    def _note(self, job: Job) -> int:
        return super()._note(replace(job, key=job.source.name))


def test_every_photo_has_two_tries_though_all_have_one_name(tmp_path: Path, record: Path) -> None:
    """The service calls each photo the same: a worker that died for one costs no later one its second try."""
    todo = [replace(job, key="photo") for job in jobs(tmp_path, "kill-once", "kill-once", "kill", "kill-once", "blur")]
    results = list(ProcessEngine(1).run(CountingFiles(record), todo))
    codes = [result.error.code if result.error else result.outcome for result in results]
    assert codes == ["blurred", "blurred", "worker_died", "blurred", "blurred"]


def test_killed_worker_costs_one_photo_after_two_tries(tmp_path: Path, record: Path) -> None:
    """The system's out-of-memory killer, or a crash in a decoder, stops nothing."""
    todo = jobs(tmp_path, "blur", "kill", "blur", "blur")
    assert outcomes(ProcessEngine(2).run(FakeTask(record), todo)) == {
        "0": "blurred",
        "1": "worker_died",
        "2": "blurred",
        "3": "blurred",
    }
    pids = (record / "1.jpg").read_text().split()
    assert len(set(pids)) == 2, "the second try has a fresh worker"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no core dumps")
def test_no_photo_is_in_what_a_crash_leaves(tmp_path: Path) -> None:
    """The system writes no image of a worker's memory to a disk."""
    (result,) = ProcessEngine(1).run(TellingLimits(), jobs(tmp_path, "blur"))
    assert result.way == "(0, 0)"


def test_photo_whose_worker_died_once_is_done(tmp_path: Path) -> None:
    """Bad luck is no reason to fail."""
    record = tmp_path / "record"
    record.mkdir()
    assert outcomes(ProcessEngine(1).run(FakeTask(record), jobs(tmp_path, "kill-once", "blur"))) == {
        "0": "blurred",
        "1": "blurred",
    }


def test_stop_while_a_worker_dies_still_gives_its_photo_a_result(tmp_path: Path, record: Path) -> None:
    """A photo in hand is finished even if that needs a second try."""
    engine = ProcessEngine(2)
    found = {}
    for result in engine.run(FakeTask(record), jobs(tmp_path, "blur", "kill-once", *["blur"] * 10)):
        found[result.key] = result.outcome
        engine.stop()
    assert set(found) == {file.name for file in record.glob("*.jpg")}


class Crowded(FakeTask):
    """Counts how many photos are in hand at a time."""

    def __call__(self, job: Job) -> PhotoResult:
        assert self.record is not None
        here = self.record / f"busy-{job.key}"
        here.touch()
        try:
            with (self.record / "crowds").open("a") as file:
                file.write(f"{len(list(self.record.glob('busy-*')))}\n")
            return super().__call__(job)
        finally:
            here.unlink()


@pytest.mark.parametrize(("need", "most"), [(60, 1), (10**18, 1), (10, 2)])
def test_photos_that_do_not_fit_together_are_done_one_after_the_other(
    tmp_path: Path, record: Path, need: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounded in bytes, not in photos. One that fits nowhere is done all the same."""
    monkeypatch.setattr("pii_blur.batch.process_engine.resident_memory", lambda _: 0)
    todo = jobs(tmp_path, *["blur"] * 6)
    found = outcomes(ProcessEngine(2, memory=100).run(Crowded(record, seconds=0.1, need=need), todo))
    assert set(found.values()) == {"blurred"}
    assert max(map(int, (record / "crowds").read_text().split())) <= most


def test_photo_that_hangs_fails_and_the_rest_goes_on(tmp_path: Path) -> None:
    """An unattended run must not stand still for ever."""
    found = outcomes(ProcessEngine(1, patience_s=8.0).run(FakeTask(), jobs(tmp_path, "hang", "blur")))
    assert found == {"0": "worker_died", "1": "blurred"}


@pytest.mark.filterwarnings("default")
def test_workers_that_cannot_start_stop_the_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A broken installation is no reason to fail 10,000 photos."""
    with pytest.raises(RunFailure, match="cannot be started"):
        list(ProcessEngine(2).run(UnpicklableTask(), jobs(tmp_path, *["blur"] * 20)))
    assert "this task cannot be made here" in capfd.readouterr().err


def test_abandoned_run_leaves_no_process(tmp_path: Path, record: Path) -> None:
    """Closing the iterator stops photos in hand at once."""
    results = ProcessEngine(2).run(FakeTask(record), jobs(tmp_path, "blur", "hang"))
    assert next(results).outcome is Outcome.BLURRED
    deadline = time.monotonic() + 20
    while len(list(record.glob("*.jpg"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    results.close()
    for pid in {int(line) for file in record.glob("*.jpg") for line in file.read_text().split()}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_result_for_another_photo_is_a_bug_of_the_task(tmp_path: Path) -> None:
    """Results are matched by name, so a wrong name must not pass."""

    class Confused(FakeTask):
        def __call__(self, job: Job) -> PhotoResult:
            return PhotoResult("other.jpg", Outcome.CLEAN)

    assert outcomes(SerialEngine().run(Confused(), jobs(tmp_path, "blur"))) == {"0": "internal"}


def test_make_engine() -> None:
    """0 works in this process."""
    assert isinstance(make_engine(0), SerialEngine)
    assert isinstance(make_engine(3), ProcessEngine)
    with pytest.raises(ValueError, match="at least one"):
        ProcessEngine(0)
