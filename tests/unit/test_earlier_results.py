"""What already lies in OUTPUT: whose it is, when it is replaced, and when it goes. Nothing else is ever touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pii_blur.batch.failing import PASSING
from pii_blur.batch.summary import Summary
from pii_blur.errors import ExitCode, PhotoFailure, UsageFailure
from pii_blur.results import Job, PhotoResult
from tests.fakes import FakeTask, codes, counts, make_photo, make_photos, results, run_fake

Run = Callable[..., Summary]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "in"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run(source: Path, output: Path) -> Run:
    return partial(run_fake, source, output)


# --- what is not ours --------------------------------------------------------------------------------------------


@pytest.fixture
def journalled(run: Run, source: Path) -> None:
    """An OUTPUT with a journal, as a run before left it."""
    make_photos(source, before="blur")
    run()


@pytest.mark.usefixtures("journalled")
@pytest.mark.parametrize("text", ["blur", "fail", "bug"])
def test_file_in_output_that_is_not_ours_is_neither_replaced_nor_removed(
    run: Run, source: Path, output: Path, text: str, tmp_path: Path
) -> None:
    """Its photo fails without having been opened; --force replaces it, and never removes it."""
    make_photos(source, a=text)
    make_photo(output / "a.jpg", "somebody's only copy")
    (tmp_path / "record").mkdir()
    for _ in range(2):
        assert codes(run(FakeTask(tmp_path / "record"))) == {"a.jpg": "not_ours"}
        assert (output / "a.jpg").read_text() == "somebody's only copy"
        assert not list((tmp_path / "record").glob("*.jpg"))
    run(force=True)
    run(force=True)
    assert (output / "a.jpg").read_text() == ("hidden: blur" if text == "blur" else "somebody's only copy")


@pytest.mark.usefixtures("journalled")
def test_result_that_somebody_changed_is_left_to_them(run: Run, output: Path) -> None:
    """It is not what the journal vouches for, so that it is nobody's to replace."""
    (output / "before.jpg").write_text("hidden more by hand")
    assert codes(run()) == {"before.jpg": "not_ours"}
    assert results(output) == {"before.jpg": "hidden more by hand"}
    assert counts(run(force=True)) == {"blurred": 1}


@pytest.mark.usefixtures("journalled")
def test_link_in_output_and_what_it_leads_to_are_left_alone(
    run: Run, source: Path, output: Path, tmp_path: Path
) -> None:
    """A link is no result; --force replaces the link alone."""
    make_photos(source, a="blur", b="fail")
    elsewhere = make_photo(tmp_path / "elsewhere.jpg", "kept")
    for name in ("a.jpg", "b.jpg"):
        (output / name).symlink_to(elsewhere)
    assert counts(run()) == {"skipped": 1, "failed": 2}
    assert (output / "a.jpg").is_symlink()
    run(force=True)
    assert (output / "a.jpg").read_text() == "hidden: blur"
    assert (output / "b.jpg").is_symlink()
    assert elsewhere.read_text() == "kept"


@pytest.mark.usefixtures("journalled")
def test_file_that_appears_in_output_after_the_listing_is_left_alone(run: Run, source: Path, output: Path) -> None:
    """The listing may be hours old."""
    make_photos(source, a="blur", b="blur")

    class Copying(FakeTask):
        def __call__(self, job: Job) -> PhotoResult:
            make_photo(output / "b.jpg", "somebody's only copy")
            return super().__call__(job)

    assert codes(run(Copying())) == {"b.jpg": "not_ours"}
    assert (output / "b.jpg").read_text() == "somebody's only copy"


def test_output_with_files_and_without_a_journal_is_refused_as_a_whole(run: Run, source: Path, output: Path) -> None:
    """One line for the operator instead of one a photo, whether the journal was lost or never was."""
    make_photos(source, a="blur", b="blur", c="blur")
    run()
    shutil.rmtree(output / ".pii-blur")
    (output / "c.jpg").unlink()
    for _ in range(2):
        with pytest.raises(UsageFailure, match=r"'a.jpg' and 1 more.*--force"):
            run()
    assert counts(run(force=True)) == {"blurred": 3}
    assert counts(run()) == {"skipped": 3}


def test_files_in_output_that_no_photo_is_named_like_are_no_obstacle(run: Run, source: Path, output: Path) -> None:
    """OUTPUT may be a folder that holds other things."""
    make_photos(source, a="blur")
    make_photo(output / "index.html", "mine")
    assert counts(run()) == {"blurred": 1}
    assert (output / "index.html").read_text() == "mine"


class Dying(FakeTask):
    """Gives the result its name, and ends before anybody hears of it."""

    def __call__(self, job: Job) -> PhotoResult:
        super().__call__(job)
        raise KeyboardInterrupt


@pytest.mark.parametrize("text", ["blur", "blur it in another way"])
def test_run_that_ends_between_result_and_journal_goes_on(run: Run, source: Path, output: Path, text: str) -> None:
    """The result is known as ours and done again, without --force."""
    make_photos(source, a="blur")
    run(Dying())
    assert results(output) == {"a.jpg": "hidden: blur"}
    make_photos(source, a=text)
    assert counts(run()) == {"blurred": 1}
    assert results(output) == {"a.jpg": f"hidden: {text}"}


# --- two INPUTs --------------------------------------------------------------------------------------------------


def test_results_of_another_input_are_not_replaced_by_photos_of_the_same_names(
    run: Run, source: Path, output: Path, tmp_path: Path
) -> None:
    """Cameras count from 1 again and again."""
    make_photos(source, G1="blur monday", G2="blur monday")
    run()
    make_photos(tmp_path / "tuesday", G1="blur on tuesday", G3="blur on tuesday")
    with pytest.raises(UsageFailure, match=r"results of another INPUT named like 'G1.jpg'.*--force"):
        run_fake(tmp_path / "tuesday", output)
    assert results(output) == {"G1.jpg": "hidden: blur monday", "G2.jpg": "hidden: blur monday"}
    assert counts(run_fake(tmp_path / "tuesday", output, force=True)) == {"blurred": 2}
    assert "tuesday" not in (output / ".pii-blur" / "journal.jsonl").read_text(), "the journal names no place"


def test_another_input_with_other_names_is_welcome(run: Run, source: Path, output: Path, tmp_path: Path) -> None:
    """Nothing of the first is touched."""
    make_photos(source, G1="blur")
    run()
    make_photos(tmp_path / "tuesday", G2="blur")
    assert counts(run_fake(tmp_path / "tuesday", output)) == {"blurred": 1}
    assert counts(run()) == {"skipped": 1}


def test_input_that_was_moved_is_known_by_its_photos(run: Run, source: Path, output: Path, tmp_path: Path) -> None:
    """Another mount point is no reason to do everything again, and a photo that changed since is done again."""
    make_photos(source, a="blur", b="blur", c="blur")
    run()
    moved = source.rename(tmp_path / "moved")
    make_photos(moved, a="blur more")
    assert counts(run_fake(moved, output)) == {"blurred": 1, "skipped": 2}


def test_single_photo_of_a_folder_that_was_done_is_the_same_input(run: Run, source: Path, output: Path) -> None:
    """INPUT/a.jpg after INPUT, and the other way round."""
    make_photos(source, a="blur", b="blur")
    run()
    make_photos(source, a="blur again")
    assert counts(run_fake(source / "a.jpg", output)) == {"blurred": 1}
    assert counts(run()) == {"skipped": 2}


# --- failures ----------------------------------------------------------------------------------------------------


class Failing(FakeTask):
    """Fails each photo with one code."""

    code = ""

    def __call__(self, job: Job) -> PhotoResult:
        raise PhotoFailure("it did not work", self.code)


def failing(code: str) -> Failing:
    task = Failing()
    task.code = code
    return task


def test_earlier_result_of_another_picture_goes_when_the_photo_fails(run: Run, source: Path, output: Path) -> None:
    """It does not show what INPUT holds now."""
    make_photos(source, a="some picture")
    run()
    make_photo(source / "a.jpg", "fail")
    assert run().exit_code is ExitCode.SOME_PHOTOS_FAILED
    assert results(output) == {}


def test_earlier_result_of_other_settings_goes_when_the_photo_fails(run: Run, source: Path, output: Path) -> None:
    """Nobody knows whether it hides what the new settings would."""
    make_photos(source, a="blur")
    run()
    run(failing("too_large"), run_digest="stricter")
    assert results(output) == {}


def test_earlier_result_of_the_same_photo_and_settings_stays(run: Run, source: Path, output: Path) -> None:
    """--force on a bad day must not cost what was good."""
    make_photos(source, a="blur")
    run()
    assert run(failing("verify"), force=True).exit_code is ExitCode.SOME_PHOTOS_FAILED
    assert results(output) == {"a.jpg": "hidden: blur"}
    assert counts(run()) == {"blurred": 1}, "it failed last, so that it is done again, as ours"


@pytest.mark.parametrize("code", sorted(PASSING))
def test_failure_that_says_nothing_of_the_photo_costs_no_earlier_result(
    run: Run, source: Path, output: Path, code: str
) -> None:
    """A broken exiftool must not empty OUTPUT, also not under new settings; it is said which results are old."""
    make_photos(source, a="blur")
    run()
    make_photos(source, a="blur anew")
    for _ in range(2):
        assert codes(run(failing(code), run_digest="stricter")) == {"a.jpg": code}
        assert results(output) == {"a.jpg": "hidden: blur"}
    run(failing("damaged"), run_digest="stricter")
    assert results(output) == {}, "what it was made from is remembered"


def test_photo_that_vanishes_costs_no_earlier_result(run: Run, source: Path, output: Path) -> None:
    """Who wants it gone removes it from OUTPUT."""
    make_photos(source, a="blur", b="blur")
    run()

    class Deleting(FakeTask):
        def __call__(self, job: Job) -> PhotoResult:
            (source / "b.jpg").unlink()
            return super().__call__(job)

    assert codes(run(Deleting(), force=True)) == {"b.jpg": "missing"}
    assert set(results(output)) == {"a.jpg", "b.jpg"}


class Unplugging(FakeTask):
    """Takes INPUT away at one of the photos."""

    def __call__(self, job: Job) -> PhotoResult:
        if job.source.read_text() == "vanish":
            source = job.source.parent
            source.rename(source.with_name("unplugged"))
        return super().__call__(job)


@pytest.mark.parametrize("workers", [0, 1])
def test_run_stops_when_input_itself_is_gone(run: Run, source: Path, output: Path, workers: int) -> None:
    """A disk that was pulled out fails no photo, and costs no result."""
    make_photos(source, a="blur", b="blur", c="vanish", d="blur")
    run()
    summary = run(Unplugging(), force=True, workers=workers)
    assert summary.exit_code is ExitCode.NO_PHOTOS
    assert "has gone" in summary.stop_reason
    assert not summary.failures
    assert set(results(output)) == {"a.jpg", "b.jpg", "c.jpg", "d.jpg"}
