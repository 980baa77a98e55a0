"""`pii-blur status OUTPUT` and `pii-blur report OUTPUT [FILE]`: how things stand. docs/usage.md explains them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from pii_blur.batch.jobs import printable
from pii_blur.batch.options import STATE_FOLDER
from pii_blur.batch.status import Status, read_status
from pii_blur.batch.summary import WORDS, count
from pii_blur.configuration import configure
from pii_blur.errors import CannotWrite, ExitCode, RunFailure, UsageFailure
from pii_blur.report.page import make_page
from pii_blur.results import Outcome

REPORT_NAME = "pii-blur-report.html"


def run_status(words: list[str]) -> int:
    """Run `pii-blur status WORDS`.

    Returns:
        An `ExitCode`: of the last run if that was stopped, else by what is wrong now.

    Raises:
        SystemExit: 2 for words that cannot be read, 0 after --help.
    """
    parser = _make_parser("status", "Say how the photos of an OUTPUT stand; the exit code is fit for an alert.")
    parser.add_argument(
        "--max-age", metavar="HOURS", type=float, help="exit code 7 if for so long no run has ended or been at work"
    )
    parser.add_argument("--json", action="store_true", help="print it for programs")
    arguments = parser.parse_args(words)
    try:
        max_age_s = arguments.max_age * 3600 if arguments.max_age is not None else None
        status = read_status(_journal_folder(arguments), max_age_s=max_age_s)
    except RunFailure as failure:
        return _give_up(failure)
    print(json.dumps(status.to_json(), indent=1) if arguments.json else _as_text(status))
    return status.exit_code


def run_report(words: list[str]) -> int:
    """Run `pii-blur report WORDS`.

    Returns:
        An `ExitCode`.

    Raises:
        SystemExit: 2 for words that cannot be read, 0 after --help.
    """
    parser = _make_parser("report", "Write one HTML page of counts and plots: no photos, no names, no coordinates.")
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", default=Path(REPORT_NAME), help=f"(default: {REPORT_NAME})"
    )
    arguments = parser.parse_args(words)
    if arguments.output is not None and arguments.output.suffix in (".html", ".htm") and not arguments.output.is_dir():
        arguments.output, arguments.file = None, arguments.output
    try:
        page = make_page(read_status(_journal_folder(arguments)), datetime.now(UTC))
        _write(arguments.file, page)
    except RunFailure as failure:
        return _give_up(failure)
    print(arguments.file)
    return ExitCode.OK


def _make_parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"pii-blur {name}", description=description, allow_abbrev=False)
    parser.add_argument(
        "output", metavar="OUTPUT", type=Path, nargs="?", help="folder of the results (default: as configured)"
    )
    parser.add_argument("--journal", metavar="DIR", type=Path, help="where the journal is, if not in OUTPUT/.pii-blur")
    parser.add_argument("--config", metavar="FILE", help="read settings from FILE and from .env beside it")
    return parser


def _journal_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder of the journal, named or configured.

    Raises:
        UsageFailure: neither.
    """
    texts = {"config": arguments.config} if arguments.config else {}
    configured = configure(texts, os.environ, Path()).values()
    journal: Path | None = arguments.journal or (configured["journal"] if arguments.output is None else None)
    output: Path | None = arguments.output or configured["output"]
    if journal is None and output is None:
        raise UsageFailure("OUTPUT must be given, or be configured (docs/configuration.md)")
    if journal is not None:
        return journal
    if not isinstance(output, Path):
        raise UsageFailure(f"OUTPUT '{output}' is no folder; name that of its journal with --journal")
    return output / STATE_FOLDER


def _write(file: Path, page: str) -> None:
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"'{file}' cannot be written: {error.strerror}") from error


def _as_text(status: Status) -> str:
    history = status.history
    finished = history.outcomes[Outcome.BLURRED] + history.outcomes[Outcome.CLEAN]
    people, vehicles = count(history.people, "person", "people"), count(history.vehicles, "vehicle")
    lines = [
        f"{count(finished, 'photo')} finished, in {history.outcomes[Outcome.CLEAN]} of them nothing found; hidden: "
        f"{people}, {vehicles}",
        _last_run(status),
        f"{count(len(status.failures), 'photo')} failed" + (":" if status.failures else ""),
    ]
    lines += [f"  {one.photo}: {one.message} [{one.code}]" for one in status.failures]
    if status.kept:
        lines.append(f"{count(len(status.kept), 'original')} had to stay in INPUT:")
        lines += [f"  {one['photo']}: {one['message']}" for one in status.kept]
    return "\n".join(printable(line) for line in lines)


def _last_run(status: Status) -> str:
    last = status.last_run
    overdue = ": OVERDUE" if status.is_overdue else ""
    seen = f"run in progress, last photo {_ago(status.silent_s)} ago" if status.silent_s is not None else ""
    if last is None or status.age_s is None:
        return f"no run has ended yet{overdue}" + (f"; first {seen}" if seen else "")
    photos = last["photos"]
    counts = ", ".join(f"{word} {photos[word.replace(' ', '_')]}" for word in WORDS.values())
    speed = f", {status.photos_per_second:.2g} photos/s" if status.photos_per_second else ""
    error = f"; {last['error']}" if last["error"] else ""
    when = f"{_ago(status.age_s)} ago"
    if status.is_clock_wrong:
        when = f"in the future, {last['ended']}, by a clock that was wrong then or is now"
    ended = f"last run ended {when}{overdue}, exit code {last['exit_code']}{error}: {counts}{speed}"
    return f"{ended}; {seen}" if seen else ended


def _ago(seconds: float) -> str:
    for length, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} seconds"


def _give_up(failure: RunFailure) -> int:
    print(f"error: {printable(str(failure))}", file=sys.stderr)
    return failure.exit_code
