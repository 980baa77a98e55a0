"""What became of a whole run, in numbers. Knows no positions and no paths but the photos' keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pii_blur.errors import ExitCode
from pii_blur.results import Outcome, PhotoResult

SCHEMA = 1

# The words of the closing line and of --json, in their order.
WORDS = {
    Outcome.BLURRED: "done",
    Outcome.CLEAN: "nothing found",
    Outcome.SKIPPED: "skipped",
    Outcome.WAITING: "waiting",
    Outcome.FAILED: "failed",
}


@dataclass
class Summary:
    """Counts results as they come in.

    Attributes:
        total: photos that were found.
        counts: photos by outcome; together with `left` they make `total`.
        people, vehicles: distinct ones hidden in this run.
        failures: the failed results.
        waiting: keys of photos that changed a moment ago.
        ignored: files that are no photos, by ending.
        kept: why originals stay though they were to be moved or deleted, by key.
        seconds: wall time of the run.
        stopped_by: exit code of what ended the run early, or OK.
        stop_reason: the same in words.
    """

    total: int = 0
    counts: Counter[Outcome] = field(default_factory=Counter)
    people: int = 0
    vehicles: int = 0
    failures: list[PhotoResult] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    kept: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    stopped_by: ExitCode = ExitCode.OK
    stop_reason: str = ""

    def add(self, result: PhotoResult) -> None:
        """Count one result."""
        self.counts[result.outcome] += 1
        self.people += result.people
        self.vehicles += result.vehicles
        if result.outcome is Outcome.FAILED:
            self.failures.append(result)
        elif result.outcome is Outcome.WAITING:
            self.waiting.append(result.key)

    @property
    def left(self) -> int:
        """How many photos were not reached because the run was stopped."""
        return self.total - self.counts.total()

    @property
    def exit_code(self) -> ExitCode:
        """What the process returns."""
        if self.stopped_by is not ExitCode.OK:
            return self.stopped_by
        return ExitCode.SOME_PHOTOS_FAILED if self.failures or self.kept else ExitCode.OK

    def line(self) -> str:
        """Return the closing line."""
        counts = ", ".join(f"{word} {self.counts[outcome]}" for outcome, word in WORDS.items())
        left = f", left for the next run {self.left}" if self.left else ""
        left += f", originals that had to stay {len(self.kept)}" if self.kept else ""
        return f"{counts}{left}; hidden: {count(self.people, 'person', 'people')}, {count(self.vehicles, 'vehicle')}"

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values, in an order that does not depend on timing."""
        counts = {word.replace(" ", "_"): self.counts[outcome] for outcome, word in WORDS.items()}
        failures = [
            {"photo": result.key, "code": result.error.code, "message": result.error.message}
            for result in sorted(self.failures, key=lambda result: result.key)
            if result.error is not None
        ]
        return {
            "schema": SCHEMA,
            "exit_code": int(self.exit_code),
            "error": self.stop_reason,
            "photos": counts | {"left": self.left, "total": self.total},
            "hidden": {"people": self.people, "vehicles": self.vehicles},
            "failures": failures,
            "waiting": sorted(self.waiting),
            "ignored": dict(sorted(self.ignored.items())),
            "kept": [{"photo": key, "message": reason} for key, reason in sorted(self.kept.items())],
            "seconds": round(self.seconds, 3),
        }


def count(number: int, one: str, many: str = "") -> str:
    """Return e.g. ``1 person`` or ``3 people``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
