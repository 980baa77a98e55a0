"""`pii-blur status` and `report`: what they count, what an alert can go by, and what never stands in a report."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pii_blur import cli
from pii_blur.batch.entry import Recipe
from pii_blur.batch.history import read_history
from pii_blur.batch.jobs import FoundPhoto
from pii_blur.batch.journal import Journal
from pii_blur.batch.last_run import FILE_NAME, write_last_run
from pii_blur.batch.status import read_status
from pii_blur.batch.summary import Summary
from pii_blur.errors import ExitCode, NoPhotos
from pii_blur.report.page import _by_span
from pii_blur.report.plots import nice_step
from pii_blur.results import Outcome, PhotoError, PhotoResult
from tests.fakes import make_photos, run_fake

DONE = PhotoResult(
    "",
    Outcome.BLURRED,
    people=2,
    vehicles=1,
    way="lossless",
    projection="full panorama",
    seconds={"find": 1.5, "read": 0.5},
)
CLEAN = replace(DONE, outcome=Outcome.CLEAN, people=0, vehicles=0, way="copied")
FAILED = PhotoResult("", Outcome.FAILED, error=PhotoError("truncated", "<it> breaks off at Secret Street 5", "read"))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the folder in which the tests are run."""
    monkeypatch.chdir(tmp_path)


def write(output: Path, *lines: tuple[str, PhotoResult], finish: ExitCode | None = ExitCode.OK) -> Summary:
    """Write lines, and how a run of these ended unless it was killed."""
    journal = Journal(output / ".pii-blur")
    journal.load()
    journal.open("1")
    summary = Summary(total=len(lines), seconds=4.0)
    for key, result in lines:
        photo = FoundPhoto(key, 1, 2, 3)
        journal.start(photo, output / key, Recipe("run"))
        journal.append(replace(result, key=key), photo, Recipe("run"))
        summary.add(replace(result, key=key))
    journal.close()
    if finish is not None:
        summary.stopped_by = finish
        write_last_run(output / ".pii-blur", summary)
    return summary


def status(output: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object], str]:
    code = cli.main(["status", str(output), "--json", *words])
    document = json.loads(capsys.readouterr().out)
    assert cli.main(["status", str(output), *words]) == code == document["exit_code"]
    return code, document, capsys.readouterr().out


def test_status_counts_photos_and_what_was_hidden(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each photo once, by its newest line."""
    write(output, ("a.jpg", DONE), ("b.jpg", CLEAN), ("c.jpg", FAILED))
    write(output, ("a.jpg", DONE), ("c.jpg", DONE))
    code, document, text = status(output, capsys)
    assert code == 0
    assert document["photos"] == {"done": 2, "nothing_found": 1, "failed": 0}
    assert document["hidden"] == {"people": 4, "vehicles": 2}
    assert document["last_run"]["photos_per_second"] == 0.5  # type: ignore[index]
    assert "3 photos finished, in 1 of them nothing found; hidden: 4 people, 2 vehicles" in text
    assert "exit code 0: done 2, nothing found 0" in text


def test_failures_are_named_with_their_reasons(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4, so that an alert can go by it."""
    write(output, ("a.jpg", DONE), ("sub/c\n.jpg", FAILED))
    code, document, text = status(output, capsys)
    assert code == 4
    (failure,) = document["failures"]  # type: ignore[misc]
    assert (failure["photo"], failure["code"]) == ("sub/c\n.jpg", "truncated")
    assert r"  sub/c\n.jpg: <it> breaks off at Secret Street 5 [truncated]" in text


def test_originals_that_had_to_stay_are_named(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are why the exit code is 4, and nobody would look for them else."""
    summary = write(output, ("a.jpg", DONE), finish=None)
    summary.kept["a.jpg"] = "its original cannot be moved or deleted"
    write_last_run(output / ".pii-blur", summary)
    code, document, text = status(output, capsys)
    assert code == 4
    assert document["kept"] == [{"photo": "a.jpg", "message": "its original cannot be moved or deleted"}]
    assert "1 original had to stay in INPUT:\n  a.jpg: its original cannot be moved or deleted" in text


def test_failure_of_a_photo_that_was_taken_away_is_forgotten(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else an alert would never end: the run that did not see it any more is what counts."""
    write(output, ("a.jpg", DONE), ("c.jpg", FAILED))
    write(output, ("a.jpg", DONE))
    assert status(output, capsys)[0] == 0


@pytest.mark.parametrize("finish", [None, ExitCode.CANNOT_WRITE])
def test_failures_of_killed_and_stopped_runs_are_known(
    output: Path, capsys: pytest.CaptureFixture[str], finish: ExitCode | None
) -> None:
    """They have reached some photos only; what is not known to be mended is still wrong."""
    write(output, ("a.jpg", FAILED), finish=None)
    code, document, text = status(output, capsys)
    assert code == 4
    assert document["last_run"] is None
    assert "no run has ended yet" in text
    write(output, ("b.jpg", DONE), finish=finish)
    code, document, text = status(output, capsys)
    assert code == (finish or 4)
    assert [failure["photo"] for failure in document["failures"]] == ["a.jpg"]  # type: ignore[attr-defined]


def test_run_that_could_not_begin_is_known_from_the_second_on(output: Path, tmp_path: Path) -> None:
    """A disk that is not mounted is exit code 5, and what had failed before has not been mended by it."""
    source = tmp_path / "in"
    source.mkdir()
    with pytest.raises(NoPhotos):
        run_fake(source, output)
    assert not (output / ".pii-blur" / FILE_NAME).exists(), "nothing was ever done here"
    make_photos(source, a="blur", b="fail")
    run_fake(source, output)
    for photo in source.iterdir():
        photo.unlink()
    with pytest.raises(NoPhotos):
        run_fake(source, output)
    found = read_status(output / ".pii-blur")
    assert (found.exit_code, [failure.photo for failure in found.failures]) == (5, ["b.jpg"])


def test_run_that_is_overdue_is_exit_code_7(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A timer that was never switched on raises an alert too."""
    write(output, ("a.jpg", DONE))
    assert status(output, capsys, "--max-age", "1")[0] == 0
    file = output / ".pii-blur" / FILE_NAME
    let_pass(output, hours=4)
    ended = datetime.now(UTC) - timedelta(hours=3)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ended": f"{ended:%Y-%m-%dT%H:%M:%SZ}"}))
    code, document, text = status(output, capsys, "--max-age", "1")
    assert (code, document["is_overdue"]) == (7, True)
    assert "3 hours ago: OVERDUE" in text
    assert status(output, capsys)[0] == 0
    file.unlink()
    code, document, text = status(output, capsys, "--max-age", "1")
    assert (code, document["is_in_progress"]) == (7, False)
    assert "no run has ended yet: OVERDUE" in text


def let_pass(output: Path, hours: float) -> None:
    """Make the lines of the journal that much older."""
    journal = output / ".pii-blur" / "journal.jsonl"
    at = datetime.now(UTC) - timedelta(hours=hours)
    journal.write_text(re.sub(r'"time":"[^"]*"', f'"time":"{at:%Y-%m-%dT%H:%M:%SZ}"', journal.read_text()))


def test_a_long_first_run_is_no_alert_as_long_as_it_is_at_work(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may take days, and nothing has ended before; one that was killed is told by its silence."""
    write(output, ("a.jpg", DONE), finish=None)
    let_pass(output, hours=0.5)
    code, document, text = status(output, capsys, "--max-age", "26")
    assert (code, document["is_in_progress"], document["is_overdue"]) == (0, True, False)
    assert "first run in progress, last photo 30 minutes ago" in text
    assert status(output, capsys, "--max-age", "0.25")[0] == 7
    write(output, ("b.jpg", FAILED), finish=None)
    assert status(output, capsys, "--max-age", "26")[0] == 4
    let_pass(output, hours=2)
    assert status(output, capsys, "--max-age", "26")[0] == 7


def test_a_run_that_only_ever_starts_is_not_at_work(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One photo that kills it each time must not keep an alert away."""
    journal = Journal(output / ".pii-blur")
    journal.load()
    journal.open("1")
    journal.start(FoundPhoto("a.jpg", 1, 2, 3), output / "a.jpg", Recipe("run"))
    journal.close()
    assert status(output, capsys, "--max-age", "26")[0] == 7


def test_a_later_run_that_takes_days_is_no_alert_either(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With another model everything is done again. What ended long ago, and what was killed since, is overdue."""
    write(output, ("a.jpg", DONE))
    file = output / ".pii-blur" / FILE_NAME
    ended = datetime.now(UTC) - timedelta(hours=30)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ended": f"{ended:%Y-%m-%dT%H:%M:%SZ}"}))
    code, _, text = status(output, capsys, "--max-age", "26")
    assert code == 0
    assert "last run ended 30 hours ago, exit code 0" in text
    assert "; run in progress, last photo" in text
    let_pass(output, hours=2)
    assert status(output, capsys, "--max-age", "26")[0] == 7
    let_pass(output, hours=30)
    assert status(output, capsys)[1]["is_in_progress"] is False


def test_a_photo_of_a_time_to_come_keeps_no_alert_away(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the computer's clock was wrong for one photo, a run would else count as at work for years."""
    write(output, ("a.jpg", DONE), finish=None)
    let_pass(output, hours=-20_000)
    code, document, _ = status(output, capsys, "--max-age", "26")
    assert (code, document["is_in_progress"]) == (7, False)


def test_a_time_without_a_zone_is_none(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever wrote that: how long ago it is nobody knows, and that is an alert, no traceback."""
    write(output, ("a.jpg", DONE))
    let_pass(output, hours=2)
    file = output / ".pii-blur" / FILE_NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ended": "2026-01-01T00:00:00"}))
    assert status(output, capsys, "--max-age", "26")[0] == 7


def test_no_journal_is_a_usage_error(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped OUTPUT is not "all is well"."""
    assert cli.main(["status", str(output)]) == 2
    assert "there is no journal" in capsys.readouterr().err
    assert cli.main(["report", str(output)]) == 2


def test_output_may_be_configured(output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`pii-blur status` alone, where the run is configured; the journal may be elsewhere."""
    write(output, ("a.jpg", DONE))
    (tmp_path / "pii-blur.toml").write_text(f'output = "{output}"\n')
    assert cli.main(["status"]) == 0
    (output / ".pii-blur").rename(tmp_path / "journals")
    assert cli.main(["status", "--journal", str(tmp_path / "journals")]) == 0
    (tmp_path / "pii-blur.toml").write_text(f'output = "{output}"\njournal = "{tmp_path / "journals"}"\n')
    assert cli.main(["status"]) == 0
    assert cli.main(["report", "page.html"]) == 0
    assert (tmp_path / "page.html").is_file()
    (tmp_path / "pii-blur.toml").unlink()
    assert cli.main(["status"]) == 2
    assert cli.main(["report", "page.html"]) == 2


def test_damaged_journal_still_has_a_status(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A torn line, and a last run that makes no sense."""
    write(output, ("a.jpg", DONE))
    journal = output / ".pii-blur" / "journal.jsonl"
    journal.write_bytes(b"\x00\xff\n[]\n" + journal.read_bytes() + b'{"key": "b.jpg", "outcome": "blu')
    (output / ".pii-blur" / FILE_NAME).write_text("{")
    assert status(output, capsys)[:2][0] == 0


def test_only_the_owner_reads_how_a_run_ended(output: Path) -> None:
    """It names the photos that failed."""
    write(output, ("a.jpg", FAILED))
    assert stat.S_IMODE((output / ".pii-blur" / FILE_NAME).stat().st_mode) == 0o600


def page(output: Path, tmp_path: Path) -> str:
    """Return the report, after a look at whether it is proper HTML that needs nothing else."""
    file = tmp_path / "report.html"
    assert cli.main(["report", str(output), str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    Checker().check(text)
    return text


class Checker(HTMLParser):
    """Refuses tags that are never closed, and everything that would be fetched or run."""

    def check(self, text: str) -> None:
        self.open: list[str] = []
        self.feed(text)
        assert not self.open
        assert not re.search(r"https?:|url\(|@import|javascript", text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "image", "link", "iframe", "object", "use", "a")
        assert not {"src", "href", "xlink:href", "onload", "onclick", "style"} & {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_has_the_numbers_and_no_names(output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be handed on: no names of photos, no messages, no paths."""
    write(output, *((f"Secret Street/{number}.jpg", DONE) for number in range(1200)), ("x/secret.jpg", FAILED))
    text = page(output, tmp_path)
    assert all(f"<b>{number}</b>" in text for number in ("1,200", "2,400", "1"))
    assert "truncated" in text
    assert not re.search(r"secret|\.jpg|\.pii-blur|breaks off", text, re.IGNORECASE)
    assert str(tmp_path) not in text
    assert capsys.readouterr().out == f"{tmp_path / 'report.html'}\n"


def test_report_of_nothing_and_of_failures_only(output: Path, tmp_path: Path) -> None:
    """Plots of nothing are left out."""
    write(output)
    assert "<svg" not in page(output, tmp_path)
    write(output, ("a.jpg", FAILED))
    assert page(output, tmp_path).count("<svg") == 2


@pytest.mark.parametrize(("days", "span", "bars"), [(40, "day", 40), (300, "week", 44), (900, "month", 30)])
def test_report_of_months_has_room(output: Path, tmp_path: Path, days: int, span: str, bars: int) -> None:
    """By day, week or month, also those in which nothing was done."""
    write(output, ("a.jpg", DONE), ("b.jpg", DONE))
    journal = output / ".pii-blur" / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if "key" in line:
            at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days - 1 if line["key"] == "a.jpg" else 0)
            line["time"] = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = page(output, tmp_path)
    assert f"Photos a {span}" in text
    assert text.count("something hidden 1 photos") == 2
    assert len(_by_span(read_history(output / ".pii-blur").days)[1]) == bars


@pytest.mark.parametrize("highest", [0, 0.02, 1, 3, 7, 10, 19, 50, 99, 101, 12345, 10**9])
def test_grids_have_a_few_round_lines(highest: float) -> None:
    """So that the axis can be read."""
    step = nice_step(highest)
    assert highest / step <= 5
    assert not highest or highest / step > 1.9
    assert re.fullmatch(r"[125]e[+-]\d+", f"{step:.0e}")


def test_lines_of_earlier_versions_count_too(output: Path) -> None:
    """They have no time: they are in the sums, and on no day."""
    write(output, ("a.jpg", DONE))
    journal = output / ".pii-blur" / "journal.jsonl"
    journal.write_text(re.sub(r'"time":"[^"]*",', "", journal.read_text()))
    history = read_history(output / ".pii-blur")
    assert (history.people, history.days) == (2, {})
    assert read_status(output / ".pii-blur").exit_code == 0


def ended(output: Path, moment: datetime) -> None:
    """Let the last run have ended at another time."""
    file = output / ".pii-blur" / FILE_NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ended": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}))


def test_a_clock_that_was_set_back_is_no_reason_to_fail(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last run may lie in the near future then."""
    write(output, ("a.jpg", DONE))
    ended(output, datetime.now(UTC) + timedelta(hours=23))
    assert status(output, capsys, "--max-age", "1")[0] == ExitCode.OK


def test_a_wrong_clock_keeps_no_alert_away(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else nobody hears for decades that nothing is done any more; a run that is at work is seen all the same."""
    write(output, ("a.jpg", DONE))
    ended(output, datetime(2100, 1, 1, tzinfo=UTC))
    assert status(output, capsys, "--max-age", "1")[0] == ExitCode.OK  # a photo was finished just now
    journal = output / ".pii-blur" / "journal.jsonl"
    journal.write_text(re.sub(r'"time":"[^"]*",', "", journal.read_text()))
    code, _, text = status(output, capsys, "--max-age", "1")
    assert code == ExitCode.OVERDUE
    assert "ended in the future, 2100-01-01T00:00:00Z, by a clock that was wrong" in text
    assert "OVERDUE" in text
