"""A whole run with stand-in tasks: what is done, skipped, done again, and what is left in OUTPUT."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from pii_blur.batch.engine import SerialEngine
from pii_blur.batch.failing import without_paths
from pii_blur.batch.lock import hold_lock
from pii_blur.batch.options import RunOptions
from pii_blur.batch.plan import digest_run
from pii_blur.batch.runner import plan_run, run_batch
from pii_blur.batch.summary import Summary
from pii_blur.batch.sweeping import sweep
from pii_blur.batch.watching import Alarm
from pii_blur.errors import CannotWrite, ExitCode, NoPhotos, UsageFailure
from pii_blur.results import Job, Outcome, PhotoError, PhotoResult, SideFiles
from tests.fakes import FakeTask, Watcher, counts, make_photo, make_photos, results, run_fake

Run = Callable[..., Summary]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "in"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run(source: Path, output: Path) -> Run:
    """Return a function that runs the stand-in task over `source`, in this process."""
    return partial(run_fake, source, output)


def test_run_mirrors_the_tree_and_counts(run: Run, source: Path, output: Path) -> None:
    """Same names, same folders, one line that sums up."""
    make_photo(source / "a.jpg", "blur")
    make_photo(source / "sub" / "b.JPG", "clean")
    make_photo(source / "sub" / "c.jpg", "fail")
    summary = run()
    assert results(output) == {"a.jpg": "hidden: blur", "sub/b.JPG": "clean"}
    assert summary.line() == "done 1, nothing found 1, skipped 0, waiting 0, failed 1; hidden: 2 people, 1 vehicle"
    assert summary.exit_code is ExitCode.SOME_PHOTOS_FAILED


def test_second_run_skips_what_is_done_and_tries_failures_again(run: Run, source: Path, tmp_path: Path) -> None:
    """Finished photos are not even opened."""
    make_photos(source, a="blur", b="clean", c="fail")
    run()
    record = tmp_path / "record"
    record.mkdir()
    assert counts(run(FakeTask(record))) == {"skipped": 2, "failed": 1}
    assert [file.name for file in record.glob("*.jpg")] == ["c.jpg"]


def test_changed_photos_settings_and_results_are_done_again(run: Run, source: Path, output: Path) -> None:
    """Whatever changed, the result is the new one."""
    make_photos(source, a="blur", b="blur", c="blur")
    run()
    make_photo(source / "a.jpg", "blur again")
    (output / "c.jpg").unlink()
    assert counts(run()) == {"blurred": 2, "skipped": 1}
    assert results(output) == {"a.jpg": "hidden: blur again", "b.jpg": "hidden: blur", "c.jpg": "hidden: blur"}
    assert counts(run(run_digest="2")) == {"blurred": 3}
    assert counts(run(run_digest="2", force=True)) == {"blurred": 3}
    assert counts(run(run_digest="2")) == {"skipped": 3}


def test_journal_can_live_elsewhere(run: Run, source: Path, tmp_path: Path) -> None:
    """--journal DIR, used by the next run too."""
    make_photos(source, a="blur")
    journal = tmp_path / "journals"
    run(journal=journal)
    assert (journal / "journal.jsonl").is_file()
    assert not (tmp_path / "out" / ".pii-blur" / "journal.jsonl").exists()
    assert counts(run(journal=journal)) == {"skipped": 1}


def test_journal_may_be_named_where_it_is_anyway(run: Run, source: Path, output: Path) -> None:
    """--journal OUTPUT/.pii-blur is no second run."""
    make_photos(source, a="blur")
    run(journal=output / ".pii-blur")
    assert counts(run()) == {"skipped": 1}


def test_photo_that_is_being_written_waits_and_is_done_later(run: Run, source: Path, output: Path) -> None:
    """It is listed, it is no failure, and nothing is at its destination."""
    make_photos(source, a="blur")
    (source / "new.jpg").write_text("half of it")
    os.utime(source / "a.jpg", ns=(0, 0))
    summary = run(settle=3600.0)
    assert sorted(summary.waiting) == ["a.jpg", "new.jpg"], "its name or owner changed a moment ago: ctime counts"
    assert summary.exit_code is ExitCode.OK
    assert results(output) == {}
    assert counts(run()) == {"blurred": 2}


def test_photo_that_changes_after_the_listing_waits(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing may be hours old when a photo's turn comes."""
    make_photos(source, a="blur", b="blur")
    in_an_hour = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: in_an_hour)

    class Touching(FakeTask):
        def __call__(self, job: Job) -> PhotoResult:
            os.utime(source / "b.jpg", ns=(in_an_hour, in_an_hour))
            return super().__call__(job)

    summary = run_batch(RunOptions(source, output), Touching(), run_digest="1", engine=SerialEngine())
    assert (counts(summary), summary.waiting) == ({"blurred": 1, "waiting": 1}, ["b.jpg"])


def test_photo_that_changes_while_in_hand_is_done_again(source: Path, output: Path, run: Run) -> None:
    """The journal holds the photo as it was before it was read."""
    make_photos(source, a="blur")

    class Late(FakeTask):
        def __call__(self, job: Job) -> PhotoResult:
            result = super().__call__(job)
            job.source.write_text("a new upload")
            return result

    run(Late())
    assert counts(run()) == {"blurred": 1}
    assert results(output) == {"a.jpg": "hidden: a new upload"}


def test_photo_that_fails_because_it_is_being_written_waits(source: Path, run: Run) -> None:
    """Half a photo is no bad photo."""
    make_photos(source, a="fail")

    class Growing(FakeTask):
        def __call__(self, job: Job) -> PhotoResult:
            with job.source.open("a") as file:
                file.write(", or perhaps not")
            return self._do("fail", job, 1)

    assert counts(run(Growing())) == {"waiting": 1}
    assert counts(run()) == {"blurred": 1}


def test_photo_that_vanishes_fails_with_a_clear_reason(source: Path, run: Run) -> None:
    """Before it is read and while it is read."""
    make_photos(source, a="blur", b="blur", c="blur")

    class Deleting(FakeTask):
        def __call__(self, job: Job) -> PhotoResult:
            for name in ("b.jpg", "c.jpg"):
                (source / name).unlink(missing_ok=True)
            return super().__call__(job)

    summary = run(Deleting())
    assert {failure.key: failure.error.code for failure in summary.failures if failure.error} == {
        "b.jpg": "missing",
        "c.jpg": "missing",
    }

    class Unlucky(FakeTask):
        def __call__(self, job: Job) -> PhotoResult:
            job.source.unlink()
            return super().__call__(job)

    make_photos(source, d="blur")
    assert [failure.error.code for failure in run(Unlucky()).failures if failure.error] == ["missing"]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("'/data/in/sub/a.jpg': it is cut off", "it is cut off"),
        ("'/data/in/sub/a.jpg' is empty", "'sub/a.jpg' is empty"),
        ("the preview /data/seen/sub/a.jpg.jpg cannot be written", "the preview sub/a.jpg.jpg cannot be written"),
        ("'in/sub/a.jpg' is empty", "'sub/a.jpg' is empty"),
        ("found within/reach", "found within/reach"),
    ],
)
def test_messages_name_photos_by_their_keys(message: str, shown: str) -> None:
    """Logs and reports that others may read show no paths of this machine."""
    result = PhotoResult("sub/a.jpg", Outcome.FAILED, error=PhotoError("x", message, "read"))
    folders = [Path("/data/in"), Path("/data/seen"), Path("in")]
    assert without_paths(result, folders) == replace(result, error=PhotoError("x", shown, "read"))


def test_side_folders_that_cannot_be_written_stop_the_run_before_any_photo(
    run: Run, source: Path, output: Path, tmp_path: Path
) -> None:
    """Exit code 6, not a failure a photo."""
    make_photos(source, a="blur")
    (tmp_path / "file").write_text("")
    for side in (SideFiles(detections=tmp_path / "file" / "d"), SideFiles(preview=tmp_path / "file")):
        with pytest.raises(CannotWrite, match="cannot be written"):
            run(side=side)
    assert results(output) == {}
    run(side=SideFiles(preview=tmp_path / "new" / "seen"))
    assert list((tmp_path / "new").rglob("*")) == [tmp_path / "new" / "seen"], "made, and nothing left in it"


def test_no_photo_is_an_error_unless_allowed(run: Run, source: Path) -> None:
    """Exit code 5 tells a wrong path or an empty mount from a day without work."""
    source.mkdir()
    (source / "readme.txt").write_text("")
    with pytest.raises(NoPhotos, match="--image-extensions"):
        run()
    assert run(allow_empty=True).exit_code is ExitCode.OK


def test_other_endings_on_request(run: Run, source: Path, output: Path) -> None:
    """--image-extensions replaces the list."""
    make_photo(source / "a.TIF")
    make_photo(source / "b.jpg")
    assert counts(run(extensions=("tif",))) == {"blurred": 1}
    assert list(results(output)) == ["a.TIF"]


def test_dry_run_writes_nothing_at_all(source: Path, output: Path) -> None:
    """Not even OUTPUT."""
    make_photos(source, a="blur")
    plan = plan_run(RunOptions(source, output, settle=0.0, dry_run=True), "1")
    assert [photo.key for photo in plan.pending] == ["a.jpg"]
    assert not output.exists()


def test_plan_knows_what_is_finished(run: Run, source: Path, output: Path) -> None:
    """The dry run tells what the run would do."""
    make_photos(source, a="blur", b="fail")
    run()
    plan = plan_run(RunOptions(source, output, settle=0.0), "1")
    assert ([photo.key for photo in plan.pending], plan.finished) == (["b.jpg"], 1)


def test_left_over_files_of_a_killed_run_are_removed(run: Run, source: Path, output: Path) -> None:
    """They may hold an unblurred thumbnail; nobody's other files are touched."""
    make_photos(source, a="blur")
    for name in ("sub/.pii-blur-abc.part", "sub/.pii-blur-abc.part_exiftool_tmp", "other.part", "sub/mine.jpg"):
        make_photo(output / name)
    run()
    assert list(results(output)) == ["a.jpg", "other.part", "sub/mine.jpg"]


def test_files_of_other_runs_are_not_swept(run: Run, source: Path, output: Path, tmp_path: Path) -> None:
    """Neither in side folders, which runs may share, nor in an OUTPUT inside ours or round it with a run at work."""
    make_photos(source, a="blur")
    shared = make_photo(tmp_path / "seen" / ".pii-blur-x.part")
    inside = make_photo(output / "inner" / "deep" / ".pii-blur-x.part")
    with hold_lock(output / "inner" / ".pii-blur"):
        run(side=SideFiles(preview=tmp_path / "seen"))
        assert shared.exists() and inside.exists()
    ours = make_photo(output / ".pii-blur-x.part")
    with hold_lock(tmp_path / ".pii-blur"):
        run()
        assert inside.exists() and ours.exists()
    run()
    assert shared.exists() and not inside.exists() and not ours.exists()


def test_after_its_photos_a_run_sweeps_only_where_it_wrote(output: Path, tmp_path: Path) -> None:
    """A watch does so after every round: of a million files in OUTPUT it looks at a few, and at nobody else's."""
    name = ".pii-blur-x.part"
    places = ("", "sub", "sub/deep", "other", "inner/deep")
    files = {place: make_photo(output / place / name) for place in places}
    behind_link = make_photo(tmp_path / "elsewhere" / name)
    (output / "link").symlink_to(tmp_path / "elsewhere")
    written = {output / place for place in ("", "sub", "link", "inner/deep", "never made")}
    with hold_lock(output / "inner" / ".pii-blur"):
        sweep(output, written)
    assert [place for place in places if files[place].exists()] == ["sub/deep", "other", "inner/deep"]
    assert behind_link.exists()
    sweep(output, written)
    assert [place for place in places if files[place].exists()] == ["sub/deep", "other"]


@pytest.mark.parametrize("name", ["a.jpg", "street/deep/a.jpg"])
def test_what_a_watch_leaves_of_a_killed_worker_is_removed_after_the_round(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It may stay for months."""
    make_photo(source / name, "litter")
    seen = []

    def wait(alarm: Alarm, at_most: float, at_least: float) -> bool:
        seen.append(sorted(output.rglob("*.part")))
        raise CannotWrite("enough was seen")

    monkeypatch.setattr(Alarm, "wait", wait)
    run_fake(source, output, FakeTask(), watch=True, workers=1)
    assert seen == [[]]


def test_left_over_files_of_a_killed_worker_are_removed_in_the_same_run(run: Run, source: Path, output: Path) -> None:
    """A worker killed by the system cannot tidy up."""
    make_photos(source, a="litter", b="blur")
    summary = run(workers=1)
    assert [failure.error.code for failure in summary.failures if failure.error] == ["worker_died"]
    assert not list(output.rglob("*.part"))
    assert results(output) == {"b.jpg": "hidden: blur"}


def test_run_failure_ends_the_run_with_its_exit_code_and_the_rest_is_left(run: Run, source: Path) -> None:
    """A full disk fails the run, not 10,000 photos."""
    make_photos(source, a="blur", b="full", c="blur", d="blur")
    summary = run()
    assert (summary.exit_code, summary.left, len(summary.failures)) == (ExitCode.CANNOT_WRITE, 3, 0)
    assert "left for the next run 3" in summary.line()
    make_photo(source / "b.jpg", "blur")
    assert counts(run()) == {"skipped": 1, "blurred": 3}


def test_failure_on_a_full_disk_ends_the_run(run: Run, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the task called it the photo's fault."""
    make_photos(source, a="fail", b="blur")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    summary = run()
    assert summary.exit_code is ExitCode.CANNOT_WRITE
    assert "full" in summary.stop_reason


def test_watcher_hears_of_everything_that_is_to_be_done(source: Path, output: Path, run: Run) -> None:
    """The total counts no finished photo."""
    make_photos(source, a="blur", b="fail", c="blur")
    run()
    (source / "link.jpg").symlink_to(source / "nowhere")
    watcher = Watcher()
    options = RunOptions(source, output, settle=0.0, workers=0)
    run_batch(options, FakeTask(), run_digest="1", progress=watcher)
    assert (watcher.total, watcher.is_closed) == (2, True)
    assert {result.key: result.outcome for result in watcher.results} == {
        "b.jpg": Outcome.FAILED,
        "link.jpg": Outcome.FAILED,
    }


def test_summary_as_json_has_the_documented_fields_in_a_fixed_order(run: Run, source: Path) -> None:
    """Programs read this; failures are sorted by name, whatever finished first."""
    make_photos(source, b="fail", a="fail", c="blur")
    (source / "notes.TXT").write_text("")
    document = run(workers=2).to_json()
    del document["seconds"]
    assert document == {
        "schema": 1,
        "exit_code": 4,
        "error": "",
        "photos": {
            "done": 1,
            "nothing_found": 0,
            "skipped": 0,
            "waiting": 0,
            "failed": 2,
            "left": 0,
            "total": 3,
        },
        "hidden": {"people": 2, "vehicles": 1},
        "failures": [
            {"photo": "a.jpg", "code": "truncated", "message": "a.jpg: it is truncated"},
            {"photo": "b.jpg", "code": "truncated", "message": "b.jpg: it is truncated"},
        ],
        "waiting": [],
        "ignored": {".txt": 1},
        "kept": [],
    }


def test_engine_that_loses_a_photo_makes_it_fail(source: Path, output: Path) -> None:
    """No photo may disappear from the count."""

    class Lossy(SerialEngine):
        def run(self, task, jobs):  # type: ignore[no-untyped-def]
            list(jobs)
            yield from ()

    make_photos(source, a="blur")
    summary = run_batch(RunOptions(source, output, settle=0.0), FakeTask(), run_digest="1", engine=Lossy())
    assert [failure.error.code for failure in summary.failures if failure.error] == ["internal"]


# --- side files --------------------------------------------------------------------------------------------------


class WithDetections(FakeTask):
    """Also writes the detections file."""

    folder = Path()

    def __call__(self, job: Job) -> PhotoResult:
        make_photo(self.folder / f"{job.key}.json", "{}")
        return super().__call__(job)


def test_photo_is_done_again_for_a_side_file_that_is_missing(run: Run, source: Path, tmp_path: Path) -> None:
    """Asking for --detections later produces them all, and once they are there the photo is finished."""
    make_photos(source, a="blur")
    side = SideFiles(detections=tmp_path / "found")
    task = WithDetections()
    task.folder = tmp_path / "found"
    run()
    assert counts(run(task, side=side)) == {"blurred": 1}
    assert counts(run(task, side=side)) == {"skipped": 1}
    assert counts(run()) == {"skipped": 1}
    (tmp_path / "found" / "a.jpg.json").unlink()
    assert counts(run(task, side=side)) == {"blurred": 1}


def test_edited_detections_file_makes_its_photo_be_done_again(run: Run, source: Path, tmp_path: Path) -> None:
    """Only the photo whose file was edited."""
    make_photos(source, a="blur", b="blur")
    folder = tmp_path / "found"
    make_photo(folder / "a.jpg.json", "{}")
    make_photo(folder / "b.jpg.json", "{}")
    side = SideFiles(from_detections=folder)
    run(side=side)
    assert counts(run(side=side)) == {"skipped": 2}
    make_photo(folder / "b.jpg.json", '{"edited": true}')
    assert counts(run(side=side)) == {"skipped": 1, "blurred": 1}


def test_run_digest_depends_on_what_decides_the_result() -> None:
    """Settings, model, trust in marks, and whether there was a search at all."""
    options = RunOptions(Path("a"), Path("b"))
    others = [
        digest_run(options, "settings 2", "model"),
        digest_run(options, "settings", "model 2"),
        digest_run(RunOptions(Path("a"), Path("b"), trust_mark=True), "settings", "model"),
        digest_run(RunOptions(Path("a"), Path("b"), side=SideFiles(from_detections=Path("c"))), "settings", "model"),
    ]
    same = digest_run(RunOptions(Path("x"), Path("y"), workers=7, force=True), "settings", "model")
    assert digest_run(options, "settings", "model") == same
    assert len({same, *others}) == 5


def test_many_photos_are_planned_without_opening_any(run: Run, source: Path, output: Path) -> None:
    """A second run over 2,000 photos in 20 folders does nothing; benchmarks/bench_scan.py times 100,000."""
    keys = [f"{folder:02}/{photo:03}.jpg" for folder in range(20) for photo in range(100)]
    for key in keys:
        make_photo(source / key)
    run()
    assert counts(run()) == {"skipped": 2000}
    plan = plan_run(RunOptions(source, output, settle=0.0, force=True), "1")
    assert [photo.key for photo in plan.pending] == keys


def test_folder_in_output_that_leads_into_input_stops_before_any_photo(run: Run, source: Path, output: Path) -> None:
    """Originals are never overwritten."""
    make_photo(source / "z" / "a.jpg")
    make_photo(source / "b.jpg")
    output.mkdir()
    (output / "z").symlink_to(source / "z")
    with pytest.raises(UsageFailure):
        run()
    assert (source / "z" / "a.jpg").read_text() == "blur"
    assert results(output) == {}
