"""How an OUTPUT stands: what its journal and its last run say, put together. Prints nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pii_blur.batch.history import Failure, History, parse_time, read_history
from pii_blur.batch.last_run import read_last_run
from pii_blur.batch.process_engine import PATIENCE_S, TRIES
from pii_blur.errors import ExitCode
from pii_blur.results import Outcome

SCHEMA = 1

LONGEST_SILENCE_S = TRIES * PATIENCE_S
"""Seconds that one photo may take: a run that has finished none for longer is not at work any more."""

CLOCKS_DIFFER_S = 86400.0
"""A last run that ended later than that after now says nothing: one of the two clocks was wrong."""


@dataclass(frozen=True, slots=True)
class Status:
    """How an OUTPUT stands.

    Attributes:
        history: from the journal.
        last_run: what `write_last_run` wrote, None if no run has ended yet.
        failures: photos that failed when they were last tried.
        age_s: seconds since the last run ended, None if none has; negative where it ended in the future.
        silent_s: seconds since a later run finished a photo, None if there is none, or none that is at work.
        is_overdue: whether no run has ended, and none been at work, for longer than may be, or nobody can know.
    """

    history: History
    last_run: dict[str, Any] | None
    failures: tuple[Failure, ...]
    age_s: float | None
    silent_s: float | None
    is_overdue: bool

    @property
    def exit_code(self) -> int:
        """What `pii-blur status` returns: of the last run if that was stopped, else by what is wrong now."""
        if self.is_overdue:
            return ExitCode.OVERDUE
        stopped = int(self.last_run["exit_code"]) if self.last_run else ExitCode.OK
        if stopped not in (ExitCode.OK, ExitCode.SOME_PHOTOS_FAILED):
            return stopped
        return ExitCode.SOME_PHOTOS_FAILED if self.failures or stopped else ExitCode.OK

    @property
    def is_clock_wrong(self) -> bool:
        """Whether the last run ended so far in the future that its time says nothing."""
        return self.age_s is not None and self.age_s < -CLOCKS_DIFFER_S

    @property
    def kept(self) -> list[dict[str, str]]:
        """Originals that the last run was to move or delete and had to leave, each with ``photo`` and ``message``."""
        return list(self.last_run.get("kept", ())) if self.last_run else []

    @property
    def photos_per_second(self) -> float | None:
        """How fast the last run was; None if it had nothing to do."""
        if not self.last_run:
            return None
        photos, seconds = self.last_run["photos"], float(self.last_run["seconds"])
        number = sum(photos[word] for word in ("done", "nothing_found", "failed"))
        return number / seconds if number and seconds else None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values; docs/usage.md lists them."""
        outcomes, speed = self.history.outcomes, self.photos_per_second
        return {
            "schema": SCHEMA,
            "exit_code": int(self.exit_code),
            "photos": {
                "done": outcomes[Outcome.BLURRED],
                "nothing_found": outcomes[Outcome.CLEAN],
                "failed": len(self.failures),
            },
            "hidden": {"people": self.history.people, "vehicles": self.history.vehicles},
            "failures": [{"photo": one.photo, "code": one.code, "message": one.message} for one in self.failures],
            "kept": self.kept,
            "last_run": {
                "ended": self.last_run["ended"],
                "exit_code": self.last_run["exit_code"],
                "error": self.last_run["error"],
                "photos": self.last_run["photos"],
                "seconds": self.last_run["seconds"],
                "photos_per_second": round(speed, 3) if speed else None,
            }
            if self.last_run
            else None,
            "is_in_progress": self.silent_s is not None,
            "is_overdue": self.is_overdue,
        }


def read_status(folder: Path, *, max_age_s: float | None = None, now: datetime | None = None) -> Status:
    """Find out how an OUTPUT stands.

    Args:
        folder: of the journal.
        max_age_s: seconds since the end of the last run, and since one was at work, after which something is wrong;
            None for any.
        now: by default, the time it is.

    Raises:
        UsageFailure: there is no journal, or it cannot be read.
    """
    history, last_run = read_history(folder), read_last_run(folder)
    ended = parse_time(last_run["ended"]) if last_run else None
    now = now or datetime.now(UTC)
    age_s = (now - ended).total_seconds() if ended else None
    if age_s is not None and age_s < -CLOCKS_DIFFER_S:
        ended = None  # it would keep the alert away until that time comes: for decades, perhaps
    silent_s = _silence(history.finished_at, ended, now)
    ages = [age for age in (age_s if ended else None, silent_s) if age is not None]
    is_overdue = max_age_s is not None and min(ages, default=math.inf) > max_age_s
    return Status(history, last_run, _failures(history, last_run, ended), age_s, silent_s, is_overdue)


def _silence(finished_at: datetime | None, ended: datetime | None, now: datetime) -> float | None:
    """Return for how many seconds the run that is at work has finished no photo, None if none is.

    One that was killed counts as at work for a while; that the lock is held would tell more, but who tries a lock might
    keep out the run that is just about to take it. Photos that were only started do not count: a run that is killed by
    one again and again is not at work.
    """
    if finished_at is None or (ended is not None and finished_at <= ended):
        return None
    silent_s = (now - finished_at).total_seconds()
    # A time far ahead is that of a wrong clock, and says nothing.
    return silent_s if abs(silent_s) <= LONGEST_SILENCE_S else None


def _failures(history: History, last_run: dict[str, Any] | None, ended: datetime | None) -> tuple[Failure, ...]:
    """Return what the last run named, and what has failed since.

    The journal alone would go on naming photos for ever that somebody has taken out of INPUT because they are bad.
    """
    if last_run is None:
        return tuple(history.failures)
    named = {one["photo"]: Failure(one["photo"], one["code"], one["message"], ended) for one in last_run["failures"]}
    is_whole = last_run["exit_code"] in (ExitCode.OK, ExitCode.SOME_PHOTOS_FAILED)
    for one in history.failures:
        is_news = ended is None or one.at is None or one.at > ended
        if one.photo not in named and (is_news or not is_whole):
            named[one.photo] = one
    return tuple(named[photo] for photo in sorted(named))
