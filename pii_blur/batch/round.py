"""One pass over a plan: have its photos done, write down what became of each. Knows no locks and no other pass."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Protocol

from pii_blur.batch.anchors import Anchors
from pii_blur.batch.arrival import has_arrived
from pii_blur.batch.engine import Engine, Task
from pii_blur.batch.entry import Made, Recipe
from pii_blur.batch.failing import may_stay, without_paths
from pii_blur.batch.jobs import FoundPhoto, failed
from pii_blur.batch.journal import Journal
from pii_blur.batch.options import RunOptions
from pii_blur.batch.originals import Originals
from pii_blur.batch.places import Places
from pii_blur.batch.plan import Plan, not_ours, recipe_for
from pii_blur.batch.stopping import StopOnSignals
from pii_blur.batch.summary import Summary
from pii_blur.batch.sweeping import remove, sweep
from pii_blur.batch.writable import check_still_writable
from pii_blur.errors import ExitCode, RunFailure
from pii_blur.results import Job, Outcome, PhotoError, PhotoResult

log = logging.getLogger(__name__)

# Failures that may come of INPUT as a whole.
_OF_INPUT = frozenset({"missing", "unreadable"})


class Progress(Protocol):
    """Who watches a run."""

    def start(self, total: int) -> None:
        """So many photos are to be done."""
        ...

    def photo(self, result: PhotoResult) -> None:
        """This became of one of them."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...


class Round:
    """One pass under way; what became of it is in `summary`."""

    def __init__(
        self,
        options: RunOptions,
        places: Places,
        journal: Journal,
        *,
        anchors: Anchors,
        originals: Originals,
        run_digest: str,
        progress: Progress | None,
    ) -> None:
        self.summary = Summary()
        self._options = options
        self._places = places
        self._journal = journal
        self._anchors = anchors
        self._originals = originals
        self._run_digest = run_digest
        self._progress = progress
        self._in_hand: dict[str, tuple[FoundPhoto, Recipe]] = {}
        self._written: set[Path] = set()
        side = options.side
        named = (places.root, places.output, side.detections, side.from_detections, side.preview)
        self._folders = [folder for folder in named if folder is not None]

    def run(self, plan: Plan, task: Task, engine: Engine, signals: StopOnSignals) -> None:
        """Do what is planned; the summary says how it went."""
        self.summary.total = plan.total
        self.summary.counts[Outcome.SKIPPED] = plan.finished
        self.summary.ignored.update(plan.ignored)
        if self._progress is not None:
            self._progress.start(plan.total - plan.finished)
        try:
            for problem in plan.problems:
                self._report(problem)
            for key in plan.given_up:
                self._originals.quarantine(key)
            # Those that were being written come last: by then most of them are complete.
            with closing(engine.run(task, self._jobs(chain(plan.pending, plan.waiting)))) as results:
                for result in results:
                    self._finish(result)
            self._account_for_lost_jobs()
            self._retire_earlier(plan.retiring, signals)
        except KeyboardInterrupt:
            log.warning("stopped at once; the photos in hand were abandoned and will be done by the next run")
        except RunFailure as failure:
            self.summary.stopped_by, self.summary.stop_reason = failure.exit_code, str(failure)
        finally:
            if self._progress is not None:
                self._progress.close()
            sweep(self._options.output, self._written)  # of workers that were killed
        if self.summary.stopped_by is ExitCode.OK and signals.exit_code is not ExitCode.OK:
            self.summary.stopped_by, self.summary.stop_reason = signals.exit_code, "stopped by a signal"

    def _jobs(self, photos: Iterable[FoundPhoto]) -> Iterator[Job]:
        """Yield jobs as the engine asks for them; the listing may be hours old by then, so look again at each."""
        for photo in photos:
            self._anchors.check_output()
            job = self._places.job(photo.key)
            try:
                now = FoundPhoto.from_stat(photo.key, job.source.stat())
            except OSError as error:
                self._conclude(job, self._gone(photo.key, error), photo, recipe=None)
                continue
            if has_arrived(now, job.source, self._options.settle, time.time_ns()):
                if not self._options.force and self._journal.is_foreign(job.key, job.destination):
                    self._report(not_ours(job.key))
                    continue
                recipe = recipe_for(job.key, self._options.side, self._run_digest)
                # PRIVACY: a result without a line, of a run killed in between, must be known as ours, and done again.
                self._journal.start(now, job.destination, recipe)
                self._in_hand[job.key] = now, recipe
                self._written.add(job.destination.parent)
                yield job
            else:
                self._report(PhotoResult(job.key, Outcome.WAITING))

    def _finish(self, result: PhotoResult) -> None:
        job = self._places.job(result.key)
        photo, recipe = self._in_hand.pop(result.key)
        # A result that went to the folder under a mount that has gone is none: no line may say that it is there.
        self._anchors.check_output()
        result = without_paths(result, self._folders)
        if result.error is not None:
            if result.error.code in _OF_INPUT:
                self._anchors.check_input()
            try:
                now = FoundPhoto.from_stat(photo.key, job.source.stat())
            except OSError as error:
                result = self._gone(result.key, error)
            else:
                if (now.size, now.mtime_ns) != (photo.size, photo.mtime_ns):
                    # It was being written after all, and half a photo fails for no reason of its own.
                    self._report(PhotoResult(job.key, Outcome.WAITING))
                    return
        self._conclude(job, result, photo, recipe)

    def _conclude(self, job: Job, result: PhotoResult, photo: FoundPhoto, recipe: Recipe | None) -> None:
        recipe = recipe or recipe_for(job.key, self._options.side, self._run_digest)
        earlier = None
        if result.error is not None:
            earlier = self._withdraw(job, result.error, photo, recipe)
        self._journal.append(result, photo, recipe, earlier)
        self._report(result)
        if result.error is None:
            self._retire(photo, result.source_sha256, result.output_sha256)
            return
        if self._journal.given_up(photo, recipe, self._options.tries) is not None:
            self._originals.quarantine(job.key)
        check_still_writable(self._options.written_folders, photo.size)

    def _retire(self, photo: FoundPhoto, source_sha256: str, output_sha256: str) -> None:
        if reason := self._originals.retire(photo, source_sha256, output_sha256):
            self.summary.kept[photo.key] = reason

    def _retire_earlier(self, photos: list[FoundPhoto], signals: StopOnSignals) -> None:
        """Do so with photos that earlier runs have finished, one of which may have been killed before it could."""
        checksums = self._journal.checksums({photo.key for photo in photos})
        for photo in photos:
            if signals.exit_code is not ExitCode.OK:
                return
            self._retire(photo, *checksums.get(photo.key, ("", "")))

    def _report(self, result: PhotoResult) -> None:
        self.summary.add(result)
        if self._progress is not None:
            self._progress.photo(result)

    def _withdraw(self, job: Job, error: PhotoError, photo: FoundPhoto, recipe: Recipe) -> Made | None:
        """Remove the earlier result of a photo that failed, unless it may stay; return what is known of it then."""
        earlier = self._journal.result_at(job.key, job.destination)
        if earlier is None:
            return None  # nothing lies there, or nothing of ours: what nobody vouches for is never touched
        if may_stay(earlier, error, photo, recipe):
            log.warning("%s: failed; its earlier result stays in OUTPUT", job.key)
            return earlier
        log.warning("%s: failed, so that its earlier result was removed from OUTPUT", job.key)
        remove(job.destination)
        return None

    def _account_for_lost_jobs(self) -> None:
        for key in list(self._in_hand):
            photo, recipe = self._in_hand.pop(key)
            lost = failed(key, "internal", "internal error, please report: the engine gave no result")
            self._conclude(self._places.job(key), lost, photo, recipe)

    def _gone(self, key: str, error: OSError) -> PhotoResult:
        """Return the failure of a photo that cannot be looked at any more.

        Raises:
            NoPhotos: it is not this photo alone, but INPUT that has gone.
        """
        self._anchors.check_input()
        if isinstance(error, FileNotFoundError):
            return failed(key, "missing", "the photo was there when INPUT was listed, but is gone now")
        return failed(key, "unreadable", f"the photo cannot be looked at ({error.strerror})")
