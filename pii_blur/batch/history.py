"""What a journal tells of all photos together: how many, when, how long, and what was hidden. Counts only, no names.

Reads the file anew, for `pii-blur status` and `pii-blur report`; a run needs other things of it, see `journal`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pii_blur.batch.entry import STARTED
from pii_blur.batch.journal import FILE_NAME
from pii_blur.errors import UsageFailure
from pii_blur.results import Outcome


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo whose newest line says that it failed."""

    photo: str
    code: str
    message: str
    at: datetime | None


@dataclass
class Day:
    """What was done on one day (UTC); each photo counts on the day of its newest line."""

    outcomes: Counter[str] = field(default_factory=Counter)
    people: int = 0
    vehicles: int = 0


@dataclass
class History:
    """All photos of a journal, each by its newest line.

    Attributes:
        outcomes: photos by outcome, those that a killed run had in hand as `STARTED`.
        people, vehicles: hidden in all of them.
        days: by date, e.g. ``2026-11-21``, in order; photos from before there were dates are in none.
        seconds: per photo that was done, the time it took.
        stages: seconds spent per stage, over all.
        ways: photos by how their file was written.
        projections: photos by how their picture was understood.
        failures: in the order of their names.
        finished_at: when the last photo was done or failed, None if no line says.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    people: int = 0
    vehicles: int = 0
    days: dict[str, Day] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    stages: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    projections: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    finished_at: datetime | None = None

    @property
    def total(self) -> int:
        """How many photos the journal knows."""
        return self.outcomes.total()

    @property
    def newest(self) -> str:
        """The last day on which something was done, empty if there is none."""
        return max(self.days, default="")


def read_history(folder: Path) -> History:
    """Read the journal in `folder`; lines that make no sense are passed over.

    Raises:
        UsageFailure: there is none, or it cannot be read.
    """
    history = History()
    newest: dict[str, int] = {}
    for number, record in _records(folder / FILE_NAME):
        newest[record["key"]] = number
    for _, record in _records(folder / FILE_NAME, set(newest.values())):
        _count(history, record)
    history.days = dict(sorted(history.days.items()))
    history.failures.sort(key=lambda failure: failure.photo)
    return history


def parse_time(text: object) -> datetime | None:
    """Return the moment of e.g. ``2026-11-21T17:30:52Z``, None if it is none: also without a time zone."""
    try:
        moment = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _records(file: Path, wanted: Container[int] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the lines about photos, with their numbers; only those of the numbers that are wanted."""
    try:
        with file.open("rb") as stream:
            for number, raw in enumerate(stream):
                if wanted is not None and number not in wanted:
                    continue
                try:
                    record = json.loads(raw)
                except (ValueError, RecursionError):
                    continue
                if isinstance(record, dict) and isinstance(record.get("key"), str) and "outcome" in record:
                    yield number, record
    except FileNotFoundError as error:
        raise UsageFailure(f"there is no journal '{file}'; give the OUTPUT of a run, or --journal DIR") from error
    except OSError as error:
        raise UsageFailure(f"the journal '{file}' cannot be read: {error.strerror}") from error


def _count(history: History, record: dict[str, Any]) -> None:
    outcome, at = str(record["outcome"]), parse_time(record.get("time"))
    history.outcomes[outcome] += 1
    people, vehicles = int(record.get("people") or 0), int(record.get("vehicles") or 0)
    history.people += people
    history.vehicles += vehicles
    if outcome == STARTED:
        return
    if at is not None:
        history.finished_at = max(at, history.finished_at or at)
        day = history.days.setdefault(f"{at:%Y-%m-%d}", Day())
        day.outcomes[outcome] += 1
        day.people += people
        day.vehicles += vehicles
    if outcome == Outcome.FAILED:
        error = record.get("error") or {}
        code, message = str(error.get("code", "")), str(error.get("message", ""))
        history.failures.append(Failure(record["key"], code, message, at))
        return
    stages = record.get("seconds") or {}
    history.seconds.append(sum(stages.values()))
    history.stages.update(stages)
    history.ways[str(record.get("way") or "unknown")] += 1
    history.projections[str(record.get("projection") or "unknown")] += 1
