"""The journal vouches for exactly what was done, and survives what disks and signals do to files."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pii_blur.batch import journal as journal_module
from pii_blur.batch.entry import Made, Recipe
from pii_blur.batch.jobs import FoundPhoto
from pii_blur.batch.journal import Journal
from pii_blur.errors import CannotWrite, UsageFailure
from pii_blur.results import Outcome, PhotoError, PhotoResult
from tests.fakes import make_photo

PHOTO = FoundPhoto("sub/a.jpg", 100, 1_700_000_000_123_456_789, 5)
RECIPE = Recipe("run-1")


def done(key: str = PHOTO.key, size: int = 7, outcome: Outcome = Outcome.BLURRED) -> PhotoResult:
    return PhotoResult(key, outcome, people=2, output_size=size)


def failure(key: str = PHOTO.key) -> PhotoResult:
    return PhotoResult(key, Outcome.FAILED, error=PhotoError("truncated", "it is truncated", "read"))


def write(folder: Path, *lines: tuple[PhotoResult, FoundPhoto, Recipe]) -> Path:
    journal = reopened(folder)
    journal.open("1.2.3")
    for result, photo, recipe in lines:
        journal.append(result, photo, recipe)
    journal.close()
    return journal.file


def reopened(folder: Path) -> Journal:
    journal = Journal(folder)
    journal.load()
    return journal


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return make_photo(tmp_path / "out" / "a.jpg", "blurred")


def test_done_photo_is_finished_after_reopening(tmp_path: Path, result: Path) -> None:
    """The round trip through the file."""
    write(tmp_path, (done(), PHOTO, RECIPE))
    assert reopened(tmp_path).is_finished(PHOTO, result, RECIPE)


@pytest.mark.parametrize(
    ("photo", "recipe"),
    [
        (FoundPhoto("sub/a.jpg", 101, PHOTO.mtime_ns, 5), RECIPE),
        (FoundPhoto("sub/a.jpg", 100, PHOTO.mtime_ns + 1, 5), RECIPE),
        (FoundPhoto("sub/b.jpg", 100, PHOTO.mtime_ns, 5), RECIPE),
        (PHOTO, Recipe("run-2")),
        (PHOTO, Recipe("run-1", given="10:20")),
        (PHOTO, Recipe("run-1", extras=frozenset({"preview"}))),
    ],
)
def test_changed_photo_settings_or_side_files_are_not_finished(
    tmp_path: Path, result: Path, photo: FoundPhoto, recipe: Recipe
) -> None:
    """Whatever decides the result, decides whether it is done again."""
    write(tmp_path, (done(), PHOTO, RECIPE))
    assert not reopened(tmp_path).is_finished(photo, result, recipe)


def test_files_written_beside_the_photo_that_nobody_asks_for_do_no_harm(tmp_path: Path, result: Path) -> None:
    """Dropping --preview is no reason to do all photos again."""
    write(tmp_path, (done(), PHOTO, Recipe("run-1", extras=frozenset({"preview"}))))
    assert reopened(tmp_path).is_finished(PHOTO, result, RECIPE)


def test_destination_of_another_size_or_none_is_not_vouched_for(tmp_path: Path, result: Path) -> None:
    """The journal vouches for its own result only, not for any file of that name."""
    write(tmp_path, (done(), PHOTO, RECIPE))
    journal = reopened(tmp_path)
    result.write_text("something else")
    assert not journal.is_finished(PHOTO, result, RECIPE)
    result.unlink()
    assert not journal.is_finished(PHOTO, result, RECIPE)


def test_destination_that_is_a_link_is_not_vouched_for(tmp_path: Path, result: Path) -> None:
    """A link to a file of the right size may lead to the original."""
    write(tmp_path, (done(), PHOTO, RECIPE))
    original = make_photo(tmp_path / "in" / "a.jpg", "seven b")
    result.unlink()
    result.symlink_to(original)
    assert not reopened(tmp_path).is_finished(PHOTO, result, RECIPE)


def test_destination_without_a_line_is_not_finished(tmp_path: Path, result: Path) -> None:
    """A file in OUTPUT alone proves nothing."""
    assert not reopened(tmp_path).is_finished(PHOTO, result, RECIPE)


def test_result_without_a_line_of_a_killed_run_is_ours_but_not_finished(tmp_path: Path) -> None:
    """It got its name, and then there was no time for the line: it is done again, and may be replaced."""
    destination = tmp_path / "a.jpg"
    journal = started(tmp_path, destination)
    assert not journal.is_foreign(PHOTO.key, destination), "there is nothing"
    make_photo(destination, "blurred")
    assert not journal.is_foreign(PHOTO.key, destination)
    assert not journal.is_finished(PHOTO, destination, RECIPE)
    assert journal.result_at(PHOTO.key, destination) == Made(7, PHOTO.size, PHOTO.mtime_ns, RECIPE)


def test_what_lay_there_before_a_killed_run_is_still_nobodys(tmp_path: Path, result: Path) -> None:
    """Also if the photo was started with --force: nothing of ours has taken its place."""
    journal = started(tmp_path, result)
    assert journal.is_foreign(PHOTO.key, result)
    result.write_text("ours at last")
    assert not journal.is_foreign(PHOTO.key, result)


def test_earlier_result_stays_ours_through_killed_runs_and_failures(tmp_path: Path, result: Path) -> None:
    """What it was made from and how is remembered."""
    write(tmp_path, (done(), PHOTO, RECIPE))
    changed, stricter = FoundPhoto(PHOTO.key, 5, 6, 7), Recipe("run-2")
    made = Made(7, PHOTO.size, PHOTO.mtime_ns, RECIPE)
    started(tmp_path, result, changed, stricter)
    journal = started(tmp_path, result, changed, stricter)
    assert journal.result_at(PHOTO.key, result) == made
    journal.open("1.2.3")
    journal.append(failure(), changed, stricter, made)
    journal.close()
    journal = reopened(tmp_path)
    assert journal.result_at(PHOTO.key, result) == made
    assert not journal.is_finished(PHOTO, result, RECIPE), "the newest line says that it failed"
    write(tmp_path, (failure(), changed, stricter))
    assert reopened(tmp_path).is_foreign(PHOTO.key, result)


def started(folder: Path, destination: Path, photo: FoundPhoto = PHOTO, recipe: Recipe = RECIPE) -> Journal:
    """Return the journal that a run leaves which is killed with `photo` in hand, as the next one reads it."""
    journal = reopened(folder)
    journal.open("1.2.3")
    journal.start(photo, destination, recipe)
    journal.close()
    return reopened(folder)


def test_the_newest_line_counts(tmp_path: Path, result: Path) -> None:
    """A photo that was done and failed since is not finished, and the other way round."""
    write(tmp_path, (done(), PHOTO, RECIPE), (failure(), PHOTO, RECIPE))
    assert not reopened(tmp_path).is_finished(PHOTO, result, RECIPE)
    write(tmp_path, (done(), PHOTO, RECIPE))
    assert reopened(tmp_path).is_finished(PHOTO, result, RECIPE)


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_torn_last_line_loses_only_itself(tmp_path: Path, result: Path, cut: int) -> None:
    """A run killed while writing costs one line, and the next line starts on its own."""
    other = FoundPhoto("b.jpg", 1, 2, 3)
    file = write(tmp_path, (done(), PHOTO, RECIPE), (done("b.jpg"), other, RECIPE))
    file.write_bytes(file.read_bytes()[:-cut])
    third = FoundPhoto("c.jpg", 1, 2, 3)
    write(tmp_path, (done("c.jpg"), third, RECIPE))
    journal = reopened(tmp_path)
    assert journal.is_finished(PHOTO, result, RECIPE)
    assert journal.is_finished(third, result, RECIPE)
    assert journal.is_finished(other, result, RECIPE) == (cut == 1), "only the line end was torn off"


@pytest.mark.parametrize(
    "junk", [b"\x00" * 500, b"nonsense", b"[]", b"5", b'{"key": "x"}', b'{"a": 1}', b"\xff\xfe", b"[" * 100_000, b""]
)
def test_lines_that_make_no_sense_lose_nothing_else(tmp_path: Path, result: Path, junk: bytes) -> None:
    """Disks that lost power write zeros; people write anything."""
    file = write(tmp_path, (done(), PHOTO, RECIPE))
    file.write_bytes(junk + b"\n" + file.read_bytes() + junk)
    assert reopened(tmp_path).is_finished(PHOTO, result, RECIPE)


def test_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """Rather than misread."""
    (tmp_path / "journal.jsonl").write_text('{"schema": 2}\n')
    with pytest.raises(UsageFailure, match="newer version"):
        reopened(tmp_path)


def test_header_is_written_once(tmp_path: Path) -> None:
    """Reopening adds nothing."""
    write(tmp_path)
    file = write(tmp_path, (done(), PHOTO, RECIPE))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[0] == {"schema": 1, "kind": "pii-blur journal", "version": "1.2.3"}
    assert [line["key"] for line in lines[1:]] == ["sub/a.jpg"]


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    """It lists every photo that shows people."""
    file = tmp_path / "state" / "journal.jsonl"
    write(file.parent)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    file.chmod(0o644)
    write(file.parent)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600, "also where somebody opened it up"


def test_lines_hold_counts_and_no_positions(tmp_path: Path) -> None:
    """The fields are the documented ones: a new one must be thought about here and in docs/journal.md."""
    file = write(tmp_path, (done(), PHOTO, RECIPE))
    documented = Path(__file__).resolve().parents[2] / "docs" / "journal.md"
    fields = set(json.loads(file.read_text().splitlines()[1]))
    assert fields == {
        *("key", "outcome", "people", "vehicles", "regions", "error", "projection", "way", "removed", "seconds"),
        *("source_sha256", "output_sha256", "output_size", "settings_digest", "model_sha256"),
        *("size", "mtime_ns", "run", "given", "extras", "input", "time"),
    }
    journal = reopened(tmp_path)
    journal.open("1.2.3")
    journal.append(failure(), PHOTO, RECIPE, Made(7, 1, 2, RECIPE))
    journal.start(PHOTO, tmp_path / "out", RECIPE)
    journal.close()
    fields = set().union(*(json.loads(line) for line in file.read_text().splitlines()[2:]))
    assert {"earlier", "before", "tries", "version"} <= fields
    assert all(f"`{field}`" in documented.read_text(encoding="utf-8") for field in fields)


@given(key=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), given=st.text())
def test_any_name_survives(tmp_path_factory: pytest.TempPathFactory, key: str, given: str) -> None:
    """Also names with line ends, quotes, and bytes that are no text."""
    folder = tmp_path_factory.mktemp("journal")
    photo, recipe = FoundPhoto(key + "\udcff", 1, 2, 3), Recipe("run", given)
    write(folder, (done(photo.key, size=1), photo, recipe))
    result = folder / "result"
    result.write_text("x")
    assert reopened(folder).is_finished(photo, result, recipe)


def test_superseded_lines_go_and_the_newest_stay(tmp_path: Path, result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that was written for months does not grow for ever."""
    file = write(tmp_path, *[(failure(), PHOTO, RECIPE)] * 30, (done(), PHOTO, RECIPE))
    monkeypatch.setattr(journal_module, "COMPACT_FROM", 10)
    file.write_bytes(file.read_bytes() + b"torn")
    write(tmp_path)
    assert len(file.read_text().splitlines()) == 2, "header and newest line"
    assert reopened(tmp_path).is_finished(PHOTO, result, RECIPE)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir() if entry.is_file()] == ["journal.jsonl"]


def test_journal_stays_small_in_a_run_that_never_ends(
    tmp_path: Path, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch opens it once and writes for months; also what is appended after that is in the right file."""
    monkeypatch.setattr(journal_module, "COMPACT_FROM", 10)
    others = [FoundPhoto(f"{number}.jpg", 1, 2, 3) for number in range(5)]
    idle = FoundPhoto("idle.jpg", 1, 2, 3)
    write(tmp_path, *[(failure(), PHOTO, RECIPE)] * 5, (done(idle.key), idle, RECIPE))
    journal = reopened(tmp_path)
    journal.open("1.2.3")
    for _ in range(40):
        for photo in (PHOTO, *others):
            journal.start(photo, tmp_path / "none", RECIPE)
            journal.append(done(photo.key), photo, RECIPE)
            assert len(journal.file.read_text().splitlines()) <= 2 * 7 + 10
            newest = {line["key"]: line for line in map(json.loads, journal.file.read_text().splitlines()[1:])}
            assert newest[photo.key]["outcome"] == "blurred"
    journal.close()
    assert all(reopened(tmp_path).is_finished(photo, result, RECIPE) for photo in (PHOTO, idle, *others))
    assert stat.S_IMODE(journal.file.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.glob("*journal*")] == ["journal.jsonl"]


def test_journal_that_cannot_be_rewritten_goes_on(
    tmp_path: Path, result: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk between two photos costs nothing that was written, and it is not tried at every line."""
    monkeypatch.setattr(journal_module, "COMPACT_FROM", 10)
    (tmp_path / journal_module.TEMPORARY_NAME).mkdir()
    write(tmp_path, *[(done(), PHOTO, RECIPE)] * 35)
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 36
    assert len(caplog.records) == 3
    assert reopened(tmp_path).is_finished(PHOTO, result, RECIPE)


def test_lines_that_somebody_else_took_away_are_not_lost_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not what was read is not replaced."""
    file = write(tmp_path, *[(failure(), PHOTO, RECIPE)] * 20, (done(), PHOTO, RECIPE))
    monkeypatch.setattr(journal_module, "COMPACT_FROM", 10)
    journal = reopened(tmp_path)
    file.write_text("")
    with pytest.raises(CannotWrite, match="somebody else"):
        journal.open("1.2.3")


def test_photo_is_given_up_after_so_many_tries(tmp_path: Path) -> None:
    """As long as it stays as it is; a killed run in between is no try."""
    for number in range(1, 4):
        assert reopened(tmp_path).given_up(PHOTO, RECIPE, 3) is None
        started(tmp_path, tmp_path / "none")
        write(tmp_path, (failure(), PHOTO, RECIPE))
        assert (reopened(tmp_path).given_up(PHOTO, RECIPE, number) or failure().error) == failure().error
    journal = reopened(tmp_path)
    assert journal.given_up(PHOTO, RECIPE, 3) == failure().error
    assert journal.given_up(PHOTO, RECIPE, 4) is None
    assert journal.given_up(PHOTO, RECIPE, 0) is None, "0 is no end"
    assert journal.given_up(FoundPhoto(PHOTO.key, 100, 9, 9), RECIPE, 3) is None, "it has changed"
    assert journal.given_up(PHOTO, Recipe("run-2"), 3) is None, "other settings"
    assert started(tmp_path, tmp_path / "none").given_up(PHOTO, RECIPE, 3) is None


def test_tries_begin_anew_after_a_success_and_with_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a new version can do nobody knows before it has tried."""
    write(tmp_path, *[(failure(), PHOTO, RECIPE)] * 2, (done(), PHOTO, RECIPE), *[(failure(), PHOTO, RECIPE)] * 2)
    assert reopened(tmp_path).given_up(PHOTO, RECIPE, 2)
    assert reopened(tmp_path).given_up(PHOTO, RECIPE, 3) is None
    monkeypatch.setattr(journal_module, "__version__", "99")
    assert reopened(tmp_path).given_up(PHOTO, RECIPE, 2) is None


def test_failures_that_are_not_the_photos_use_no_try(tmp_path: Path) -> None:
    """After a night without the network folder everything is tried again."""
    gone = PhotoResult(PHOTO.key, Outcome.FAILED, error=PhotoError("unreadable", "the disk", "read"))
    write(tmp_path, *[(gone, PHOTO, RECIPE)] * 9, (failure(), PHOTO, RECIPE))
    assert reopened(tmp_path).given_up(PHOTO, RECIPE, 1)
    assert reopened(tmp_path).given_up(PHOTO, RECIPE, 2) is None


def test_checksums_are_those_of_the_newest_line(tmp_path: Path) -> None:
    """By them an original is deleted."""
    lines = [replace(done(), source_sha256=text, output_sha256=text * 2) for text in ("a", "b", "c")]
    write(tmp_path, *((line, PHOTO, RECIPE) for line in lines))
    assert reopened(tmp_path).checksums({PHOTO.key, "other.jpg"}) == {PHOTO.key: ("c", "cc")}


def test_journal_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    """Without a journal nobody knows what is finished."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="--journal"):
        Journal(tmp_path / "file").open("1.2.3")
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(CannotWrite):
        reopened(tmp_path)


class FullDisk(io.FileIO):
    """Takes no more after the header."""

    def write(self, data: object, /) -> int:
        if self.tell() > 50:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)  # type: ignore[arg-type]


def test_full_disk_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not again as a bug, when the run that stopped for it closes the journal."""
    journal = reopened(tmp_path)
    monkeypatch.setattr(journal_module, "open_private", lambda file, _: io.BufferedWriter(FullDisk(file, "a")))
    journal.open("1.2.3")
    with pytest.raises(CannotWrite, match="No space left"):
        journal.append(done(), PHOTO, RECIPE)
    journal.close()
    assert not reopened(tmp_path).is_new
