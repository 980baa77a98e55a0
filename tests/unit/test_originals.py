"""Originals: tried a few times, kept aside when they are bad, and taken away only when nothing can be lost by it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pii_blur.batch import originals as originals_module
from pii_blur.batch.jobs import FoundPhoto
from pii_blur.batch.options import RunOptions
from pii_blur.batch.originals import Originals
from pii_blur.batch.places import find_places
from pii_blur.batch.runner import plan_run
from pii_blur.batch.summary import Summary
from pii_blur.errors import CannotWrite, ExitCode, UsageFailure
from pii_blur.results import Job, PhotoResult, SideFiles
from tests.fakes import FakeTask, codes, counts, make_photo, make_photos, results, run_fake

Run = Callable[..., Summary]


class Summing(FakeTask):
    """Reports checksums, as the real task does."""

    def __call__(self, job: Job) -> PhotoResult:
        source = hashlib.sha256(job.source.read_bytes()).hexdigest()
        result = super().__call__(job)
        return replace(
            result, source_sha256=source, output_sha256=hashlib.sha256(job.destination.read_bytes()).hexdigest()
        )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "in"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return tmp_path / "done"


@pytest.fixture
def run(source: Path, output: Path) -> Run:
    """Return a function that runs a stand-in task with checksums over `source`; an INPUT may be empty."""

    def run(task: FakeTask | None = None, **options: object) -> Summary:
        return run_fake(source, output, task or Summing(), **({"allow_empty": True} | options))

    return run


def files(folder: Path) -> dict[str, str]:
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_text() for file in found}


def test_bad_photo_is_opened_three_times_and_counts_as_failed_for_ever(run: Run, source: Path, tmp_path: Path) -> None:
    """A run every five minutes must not try it for months, and must not forget it."""
    make_photos(source, a="blur", bad="fail")
    record = tmp_path / "record"
    record.mkdir()
    for _ in range(5):
        summary = run(Summing(record))
        assert (codes(summary), summary.exit_code) == ({"bad.jpg": "truncated"}, ExitCode.SOME_PHOTOS_FAILED)
    assert len((record / "bad.jpg").read_text().splitlines()) == 3
    assert "not tried any more" in summary.failures[0].error.message  # type: ignore[union-attr]
    make_photo(source / "bad.jpg", "mended")
    assert counts(run()) == {"blurred": 1, "skipped": 1}


@pytest.mark.parametrize(("tries", "opened"), [(1, 1), (2, 2), (0, 5)])
def test_number_of_tries_can_be_chosen(run: Run, source: Path, tmp_path: Path, tries: int, opened: int) -> None:
    """0 is no end."""
    make_photos(source, bad="fail")
    for _ in range(5):
        assert codes(run(FakeTask(tmp_path), tries=tries)) == {"bad.jpg": "truncated"}
    assert len((tmp_path / "bad.jpg").read_text().splitlines()) == opened


def test_photo_that_was_given_up_is_tried_again_when_asked(run: Run, source: Path, tmp_path: Path) -> None:
    """By --tries 0 or a higher number, with other settings, by --force."""
    make_photos(source, bad="fail")
    run(tries=1)
    for number, options in enumerate(({"tries": 0}, {"tries": 9}, {"run_digest": "2"}, {"force": True}), start=1):
        run(FakeTask(tmp_path), **{"tries": 1, **options})
        assert len((tmp_path / "bad.jpg").read_text().splitlines()) == number
    assert plan_run(RunOptions(source, tmp_path / "out", settle=0.0, tries=1), "1").given_up == ["bad.jpg"]


def test_quarantine_gets_what_was_given_up_and_nothing_else(run: Run, source: Path, tmp_path: Path) -> None:
    """At the last try, under the photo's own name, for the owner alone; the original stays."""
    quarantine = tmp_path / "quarantine"
    make_photos(source / "sub", a="blur", bad="fail")
    run(quarantine=quarantine, tries=2)
    assert files(quarantine) == {}
    run(quarantine=quarantine, tries=2)
    assert files(quarantine) == {"sub/bad.jpg": "fail"}
    assert (source / "sub" / "bad.jpg").exists()
    assert [stat.S_IMODE((quarantine / name).stat().st_mode) for name in (".", "sub")] == [0o700, 0o700]
    (source / "sub" / "bad.jpg").unlink()
    make_photo(source / "sub" / "bad.jpg", "bug")
    for _ in range(3):
        run(quarantine=quarantine, tries=2)
    assert sorted(files(quarantine).values()) == ["bug", "fail"], "what lies there is never replaced"


def test_quarantine_gets_what_earlier_runs_have_given_up(run: Run, source: Path, tmp_path: Path) -> None:
    """Also if the option is new."""
    make_photos(source, bad="fail")
    run(tries=1)
    run(tries=1, quarantine=tmp_path / "quarantine")
    assert files(tmp_path / "quarantine") == {"bad.jpg": "fail"}


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hard links fail, as between two disks."""

    monkeypatch.setattr(os, "link", partial(_link_within_disk, os.link))


def _link_within_disk(link: Callable[..., None], first: Path, second: Path) -> None:
    if not first.name.startswith(".pii-blur-"):
        _raise(errno.EXDEV)
    link(first, second)


@pytest.mark.usefixtures("no_links")
def test_copies_are_private_whole_and_made_once(run: Run, source: Path, tmp_path: Path) -> None:
    """On another disk; what a killed run left half copied does not stay."""
    quarantine = tmp_path / "quarantine"
    make_photos(source, bad="fail")
    for _ in range(3):
        run(tries=1, quarantine=quarantine)
    assert files(quarantine) == {"bad.jpg": "fail"}
    status = (quarantine / "bad.jpg").stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_mtime_ns == (source / "bad.jpg").stat().st_mtime_ns


def test_originals_move_when_their_results_are_there(run: Run, source: Path, output: Path, done: Path) -> None:
    """Finished ones only, with their folders, bytes and times."""
    make_photo(source / "sub" / "a.jpg", "blur")
    make_photos(source, b="clean", bad="fail")
    summary = run(done=done)
    assert files(source) == {"bad.jpg": "fail"}
    assert files(done) == {"b.jpg": "clean", "sub/a.jpg": "blur"}
    assert results(output) == {"b.jpg": "clean", "sub/a.jpg": "hidden: blur"}
    assert (done / "b.jpg").stat().st_mtime == 1_700_000_000
    assert stat.S_IMODE((done / "sub").stat().st_mode) == 0o700
    assert not summary.kept


@pytest.mark.usefixtures("no_links")
def test_originals_move_to_another_disk(run: Run, source: Path, done: Path) -> None:
    """By a copy that is compared before the original goes."""
    make_photos(source, a="blur")
    run(done=done)
    assert (files(source), files(done)) == ({}, {"a.jpg": "blur"})
    assert (done / "a.jpg").stat().st_mtime == 1_700_000_000


def test_originals_are_deleted_when_asked(run: Run, source: Path, output: Path) -> None:
    """And never else."""
    make_photos(source, a="blur", b="clean")
    run()
    assert set(files(source)) == {"a.jpg", "b.jpg"}
    run(delete_source=True)
    assert (files(source), len(results(output))) == ({}, 2)


def test_a_killed_run_is_completed(run: Run, source: Path, done: Path) -> None:
    """Also if it was killed between the link and the removal."""
    make_photos(source, a="blur", b="blur")
    run()
    done.mkdir()
    os.link(source / "a.jpg", done / "a.jpg")
    run(done=done)
    assert (files(source), files(done)) == ({}, {"a.jpg": "blur", "b.jpg": "blur"})


class Crash(BaseException):
    """The end of the process, whatever it was doing."""


@pytest.mark.parametrize("disk", ["the same", "another", "without links"])
def test_no_crash_between_any_two_steps_loses_an_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    """At every call that changes a folder or waits for the disk; the next run completes what was begun."""
    if disk == "another":
        monkeypatch.setattr(os, "link", partial(_link_within_disk, os.link))
    elif disk == "without links":
        monkeypatch.setattr(os, "link", partial(_raise, errno.EPERM))
    steps = ("link", "unlink", "replace", "fsync", "open", "utime", "mkdir")
    for number in range(1, 200):
        source, output, done = (tmp_path / f"{name}{number}" for name in ("in", "out", "done"))
        make_photo(source / "sub" / "a.jpg", "blur")
        left = number

        def step(real: Callable[..., object], *arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if not left:
                raise Crash
            return real(*arguments, **options)

        with monkeypatch.context() as patch:
            for name in steps:
                patch.setattr(os, name, partial(step, getattr(os, name)))
            try:
                run_fake(source, output, Summing(), done=done)
            except Crash:
                pass
            else:
                break
        originals = [*files(source).values(), *files(done).values()]
        assert "blur" in originals, f"lost at step {number}"
        run_fake(source, output, Summing(), done=done, allow_empty=True)
        assert files(source) == {}, f"left behind at step {number}"
        kept = {key: text for key, text in files(done).items() if text}
        # Where there are no links a name may stay taken by an empty file.
        assert kept in ({"sub/a.jpg": "blur"}, *([{"sub/a (2).jpg": "blur"}] if disk == "without links" else []))
        assert results(output) == {"sub/a.jpg": "hidden: blur"}
    assert number > 20, "every step was a crash once, and the last run had none"


def test_nothing_in_the_folder_of_done_is_replaced(run: Run, source: Path, done: Path) -> None:
    """Cameras use the same names again every day."""
    for text in ("one", "second", "third", "second"):
        make_photos(source, a=text)
        run(done=done)
    assert files(source) == {}
    assert files(done) == {"a.jpg": "one", "a (2).jpg": "second", "a (3).jpg": "third"}


@pytest.mark.parametrize("disk", ["the same", "another", "without links"])
def test_runs_that_share_the_folder_of_done_take_nothing_from_each_other(
    run: Run, source: Path, done: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    """Another camera's a.jpg comes to lie there at the worst moment."""
    make_photos(source, a="blur")
    link, make = os.link, os.open

    def come() -> None:
        if not (done / "a.jpg").exists():
            (done / "a.jpg").write_text("of another camera")

    def link_late(first: Path, second: Path) -> None:
        come()
        if disk == "without links":
            _raise(errno.EPERM)
        (link if disk == "the same" else partial(_link_within_disk, link))(first, second)

    def open_late(file: Path, *arguments: object) -> int:
        if file == done / "a.jpg":
            come()
        return make(file, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link_late)
        patch.setattr(os, "open", open_late)
        summary = run(done=done)
    assert not summary.kept
    assert files(source) == {}
    assert files(done) == {"a.jpg": "of another camera", "a (2).jpg": "blur"}


@pytest.mark.parametrize("where", ["in/sub", "out/sub"])
def test_folder_of_done_does_not_lead_back(run: Run, source: Path, done: Path, tmp_path: Path, where: str) -> None:
    """By a link in it: the only original would go, or be published."""
    make_photo(source / "sub" / "a.jpg", "blur")
    (tmp_path / "out" / "sub").mkdir(parents=True)
    done.mkdir()
    (done / "sub").symlink_to(tmp_path / where)
    summary = run(done=done)
    assert "leads into INPUT or OUTPUT" in summary.kept["sub/a.jpg"]
    assert files(source) == {"sub/a.jpg": "blur"}
    assert results(tmp_path / "out") == {"sub/a.jpg": "hidden: blur"}


@pytest.mark.parametrize("how", [{"delete_source": True}, {"done": True}])
@pytest.mark.parametrize("damage", ["changed", "gone", "link", "unknown"])
def test_original_stays_when_its_result_is_not_what_was_written(
    run: Run, source: Path, output: Path, tmp_path: Path, how: dict[str, object], damage: str
) -> None:
    """Somebody has put another file of the same size there, or nobody knows."""
    options = {name: tmp_path / "done" if name == "done" else True for name in how}
    make_photos(source, a="blur")

    class Spoiling(Summing):
        def __call__(self, job: Job) -> PhotoResult:
            result = super().__call__(job)
            if damage == "changed":
                job.destination.write_text("hidden: BLUR")
            elif damage == "gone":
                job.destination.unlink()
            elif damage == "link":
                job.destination.rename(tmp_path / "elsewhere")
                job.destination.symlink_to(tmp_path / "elsewhere")
            else:
                result = replace(result, output_sha256="", source_sha256="")
            return result

    summary = run(Spoiling(), **options)
    assert files(source) == {"a.jpg": "blur"}
    assert files(tmp_path / "done") == {}
    assert list(summary.kept) == ["a.jpg"]
    assert summary.exit_code is ExitCode.SOME_PHOTOS_FAILED
    assert "originals that had to stay 1" in summary.line()


@pytest.mark.parametrize("touched", [True, False])
def test_original_that_has_changed_stays_and_is_done_again(run: Run, source: Path, output: Path, touched: bool) -> None:
    """An upload of the same name, of the same length, even with the same time."""
    make_photos(source, a="blur")

    class Late(Summing):
        def __call__(self, job: Job) -> PhotoResult:
            result = super().__call__(job)
            make_photo(job.source, "BLUR")
            if touched:
                os.utime(job.source)
            return result

    summary = run(Late(), delete_source=True)
    assert files(source) == {"a.jpg": "BLUR"}
    assert bool(summary.kept) != touched, "nobody would ever do it again unasked"
    if touched:
        assert counts(run(delete_source=True)) == {"blurred": 1}
        assert (files(source), results(output)) == ({}, {"a.jpg": "hidden: BLUR"})


def test_upload_that_comes_during_the_copy_stays(
    run: Run, source: Path, done: Path, no_links: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a photo that nobody has done yet."""
    make_photos(source, a="blur")
    copy = shutil.copyfileobj

    def copy_slowly(*arguments: object) -> None:
        copy(*arguments)  # type: ignore[arg-type]
        make_photo(source / "a.jpg", "a new upload")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", copy_slowly)
        run(done=done)
    assert files(source) == {"a.jpg": "a new upload"}
    assert counts(run(done=done)) == {"blurred": 1}
    assert (files(source), files(done)) == ({}, {"a.jpg": "blur", "a (2).jpg": "a new upload"})


def test_originals_done_in_another_way_stay_until_they_are_done_this_way(run: Run, source: Path) -> None:
    """A result of other settings is no result."""
    make_photos(source, a="blur")
    run()
    assert plan_run(RunOptions(source, source.parent / "out", settle=0.0, delete_source=True), "2").retiring == []
    assert counts(run(run_digest="2", delete_source=True)) == {"blurred": 1}
    assert files(source) == {}


def test_links_and_what_they_lead_to_stay(run: Run, source: Path, tmp_path: Path) -> None:
    """An archive that is linked into INPUT is not emptied."""
    make_photo(tmp_path / "archive" / "a.jpg")
    source.mkdir()
    (source / "a.jpg").symlink_to(tmp_path / "archive" / "a.jpg")
    (source / "all").symlink_to(tmp_path / "archive")
    summary = run(delete_source=True)
    assert (tmp_path / "archive" / "a.jpg").exists()
    assert sorted(summary.kept) == ["a.jpg", "all/a.jpg"]
    assert (source / "a.jpg").is_symlink()


def test_watch_does_not_read_again_and_again_what_it_left_where_it_is(
    source: Path, tmp_path: Path, no_links: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in every round; after an hour it may go."""
    make_photos(source, a="blur", bad="fail")
    make_photos(tmp_path / "out", a="not what was written")
    options = RunOptions(source, tmp_path / "out", quarantine=tmp_path / "quarantine", delete_source=True)
    originals = Originals(options, find_places(options))
    originals.prepare()
    photo = FoundPhoto.from_stat("a.jpg", (source / "a.jpg").stat())
    sums = [hashlib.sha256(text).hexdigest() for text in (b"blur", b"hidden: blur")]

    def go_round() -> str:
        originals.quarantine("bad.jpg")
        return originals.retire(photo, *sums)

    reason = go_round()
    assert "not what was written" in reason
    with monkeypatch.context() as patch:
        patch.setattr(originals_module, "sha256_of", partial(_raise, errno.EIO))
        assert [go_round() for _ in range(3)] == [reason] * 3
    assert caplog.text.count("a.jpg: ") == 1
    make_photos(tmp_path / "out", a="hidden: blur")
    monkeypatch.setattr(originals_module, "AGAIN_S", 0.0)
    assert go_round() == ""
    assert files(source) == {"bad.jpg": "fail"}
    make_photo(source / "bad.jpg", "fail otherwise")
    go_round()
    assert sorted(files(tmp_path / "quarantine").values()) == ["fail", "fail otherwise"]


def test_links_above_input_are_none_of_this(source: Path, output: Path, tmp_path: Path) -> None:
    """INPUT itself may be named by a link."""
    make_photos(source, a="blur")
    (tmp_path / "link").symlink_to(source)
    run_fake(tmp_path / "link", output, Summing(), delete_source=True)
    assert files(source) == {}


def test_full_disk_keeps_the_original(
    run: Run, source: Path, done: Path, no_links: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next run goes on."""
    make_photos(source, a="blur")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", partial(_raise, errno.ENOSPC))
        summary = run(done=done)
        assert "No space left" in summary.kept["a.jpg"]
        assert files(source) == {"a.jpg": "blur"}
    run(done=done)
    assert (files(source), files(done)) == ({}, {"a.jpg": "blur"})


def _raise(number: int, *_: object) -> None:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("where", ["in", "in/x", "out", "out/x", "."])
@pytest.mark.parametrize("option", ["done", "quarantine"])
def test_folders_of_originals_lie_apart(run: Run, source: Path, tmp_path: Path, where: str, option: str) -> None:
    """What shows people is never published, and never taken for a new photo."""
    make_photos(source, a="blur")
    with pytest.raises(UsageFailure, match=f"--{option}"):
        run(**{option: tmp_path / where})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["done", "quarantine"])
@pytest.mark.parametrize("side", ["detections", "preview"])
@pytest.mark.parametrize("where", ["x", "x/y", "."])
def test_side_files_do_not_lie_among_originals(
    source: Path, tmp_path: Path, option: str, side: str, where: str
) -> None:
    """The preview of a.jpg would replace the original of a.jpg.jpg."""
    make_photos(source / "in", a="blur")
    options = RunOptions(
        source / "in",
        tmp_path / "out",
        side=SideFiles(**{side: tmp_path / "a" / "x"}),
        **{option: tmp_path / "a" / where},
    )
    with pytest.raises(UsageFailure, match=f"--{option} .* and --{side} .* must lie apart"):
        find_places(options)


def test_folder_of_done_that_cannot_be_written_stops_the_run_at_once(run: Run, source: Path, tmp_path: Path) -> None:
    """Exit code 6, before the first photo."""
    make_photos(source, a="blur")
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="file"):
        run(done=tmp_path / "file")
    assert results(tmp_path / "out") == {}


@pytest.mark.parametrize(
    "options", [{"tries": -1}, {"tries": 0, "quarantine": Path("q")}, {"done": Path("d"), "delete_source": True}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    """Before anything is opened."""
    with pytest.raises(ValueError, match=r"tries|originals"):
        RunOptions(Path("in"), Path("out"), **options)  # type: ignore[arg-type]
