"""A watch from its first round to its last: what became of all photos, and what is not to be tried in every round."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace

from pii_blur.batch.jobs import FoundPhoto
from pii_blur.batch.options import RunOptions
from pii_blur.batch.plan import Plan
from pii_blur.batch.round import Progress
from pii_blur.batch.summary import Summary
from pii_blur.errors import RunFailure
from pii_blur.results import Outcome, PhotoResult

RETRY_S = 3600.0
"""After so long a photo that failed is tried again, though it has not changed: the reason may have been another."""

LEAST_PAUSE_S = 1.0
LOOKING_SHARE = 10
"""Between two looks at INPUT lies at least ten times what one takes, however many events there are."""


class Vigil:
    """Stands between the rounds of a watch and who looks on (see `round.Progress`), and tells nothing twice."""

    def __init__(self, progress: Progress | None) -> None:
        self.has_done_any = False
        self._progress = progress
        self._summary = Summary()
        self._failed: dict[str, tuple[PhotoResult, tuple[int, int], float]] = {}
        self._looked_at: dict[str, FoundPhoto] = {}
        self._total = 0
        self._is_started = self._has_begun = False
        self._looking_s = 0.0
        self._is_waiting = False

    def without_failed(self, plan: Plan) -> Plan:
        """Return the plan of a round without the photos that failed a while ago and have not changed since."""
        self.has_done_any = self._is_started = False
        self._looked_at = {photo.key: photo for photo in (*plan.pending, *plan.waiting)}
        # What somebody has taken out of INPUT because it is bad must not be told of for ever.
        still = self._looked_at.keys() | {problem.key for problem in plan.problems}
        self._failed = {key: failure for key, failure in self._failed.items() if key in still}
        plan = replace(
            plan,
            pending=[photo for photo in plan.pending if self._is_due(photo)],
            waiting=[photo for photo in plan.waiting if self._is_due(photo)],
        )
        if not self._has_begun:
            self._summary.counts[Outcome.SKIPPED], self._has_begun = plan.finished, True
        self._summary.ignored.clear()
        self._summary.ignored.update(plan.ignored)
        return plan

    def _is_due(self, photo: FoundPhoto) -> bool:
        if photo.key not in self._failed:
            return True
        _, version, at = self._failed[photo.key]
        return version != (photo.size, photo.mtime_ns) or time.monotonic() >= at + RETRY_S

    def start(self, total: int) -> None:
        """See `Progress`; passed on with the first result that is news."""
        self._total = total

    def photo(self, result: PhotoResult) -> None:
        """See `Progress`."""
        if result.outcome is Outcome.WAITING:
            return  # as long as an upload takes, in every round
        before = self._failed.pop(result.key, None)
        if result.error is None:
            self._summary.add(result)
            self.has_done_any = True
        else:
            photo = self._looked_at.get(result.key)
            version = (photo.size, photo.mtime_ns) if photo is not None else (0, 0)
            self._failed[result.key] = result, version, time.monotonic()
            self.has_done_any = self.has_done_any or photo is not None
            if before is not None and before[0].error == result.error:
                return
        if self._progress is not None:
            if not self._is_started:
                self._progress.start(self._total)
                self._is_started = True
            self._progress.photo(result)

    def close(self) -> None:
        """See `Progress`."""
        if self._progress is not None and self._is_started:
            self._progress.close()

    def end_round(self, summary: Summary) -> None:
        """Take over what a round says of itself as a whole."""
        self._is_waiting = bool(summary.waiting)
        self._summary.waiting = summary.waiting
        self._summary.kept = summary.kept
        self._summary.stopped_by, self._summary.stop_reason = summary.stopped_by, summary.stop_reason

    def stop(self, failure: RunFailure) -> None:
        """Say that a failure between two rounds ended the watch."""
        self._summary.stopped_by, self._summary.stop_reason = failure.exit_code, str(failure)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Measure how long a look at INPUT takes."""
        start = time.monotonic()
        yield
        self._looking_s = time.monotonic() - start

    def pause(self, options: RunOptions) -> float:
        """Return the seconds until the next look if nothing happens before."""
        return min(options.rescan, max(options.settle, LEAST_PAUSE_S)) if self._is_waiting else options.rescan

    @property
    def least_pause(self) -> float:
        """The seconds until the next look, whatever happens."""
        return max(LEAST_PAUSE_S, LOOKING_SHARE * self._looking_s)

    def summary(self) -> Summary:
        """Return what became of every photo so far, but for those that failed and are not there any more."""
        summary = deepcopy(self._summary)
        for result, _, _ in self._failed.values():
            summary.add(result)
        summary.counts[Outcome.WAITING] = len(summary.waiting)
        summary.total = summary.counts.total()
        return summary
