"""A whole run: lock, find what is left to do, have it done, write down what became of it.

Knows nothing of how a photo is done: that is the task. docs/journal.md says what makes a photo "finished".
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Protocol

from pii_blur.batch.engine import Engine, Task
from pii_blur.batch.jobs import FoundPhoto, failed, is_settled
from pii_blur.batch.journal import Journal, Recipe
from pii_blur.batch.lock import hold_lock
from pii_blur.batch.options import RunOptions
from pii_blur.batch.places import Places, find_places
from pii_blur.batch.plan import Plan, make_plan, recipe_for
from pii_blur.batch.process_engine import make_engine
from pii_blur.batch.stopping import StopOnSignals
from pii_blur.batch.summary import Summary
from pii_blur.errors import CannotWrite, ExitCode, RunFailure
from pii_blur.results import Job, Outcome, PhotoResult
from pii_blur.version import __version__

log = logging.getLogger(__name__)

# A photo that failed on a disk with less room than this beside its own size failed for want of it.
SPARE_BYTES = 1 << 20


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


def plan_run(options: RunOptions, run_digest: str) -> Plan:
    """Find out what `run_batch` would do. Writes nothing, takes no lock and opens no photo.

    Raises:
        UsageFailure: INPUT is missing, or two places meet that must not.
        NoPhotos: INPUT holds none.
    """
    places = find_places(options)
    journal = Journal(options.journal_folder)
    journal.load()
    return make_plan(options, places, journal, run_digest, time.time_ns())


def run_batch(
    options: RunOptions,
    task: Task,
    *,
    run_digest: str,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Summary:
    """Do all photos of INPUT that are not finished.

    Args:
        options: which photos, and how the run behaves.
        task: what is done with each.
        run_digest: from `digest_run`; photos done under another one are done again.
        progress: told of every photo but those that were finished before.
        engine: by default, `options.workers` processes.

    Returns:
        What became of them, also if the run was stopped by a signal or a full disk (see `Summary.stopped_by`).

    Raises:
        UsageFailure, NoPhotos, CannotWrite, AlreadyRunning: nothing was done.
    """
    started = time.monotonic()
    engine = engine or make_engine(options.workers)
    places = find_places(options)
    with ExitStack() as stack:
        signals = stack.enter_context(StopOnSignals(engine.stop))
        stack.enter_context(hold_lock(options.state_folder))
        if options.journal is not None:
            stack.enter_context(hold_lock(options.journal))
        journal = stack.enter_context(closing(Journal(options.journal_folder)))
        journal.load()
        plan = make_plan(options, places, journal, run_digest, time.time_ns())
        journal.open(__version__)
        written = [folder for folder in (options.output, options.side.detections, options.side.preview) if folder]
        sweep(written)
        stack.callback(sweep, written)  # again at the end: workers may have been killed in between
        batch = _Batch(options, places, journal, run_digest, progress)
        batch.run(plan, task, engine, signals)
        batch.summary.seconds = time.monotonic() - started
        return batch.summary


def sweep(folders: Iterable[Path]) -> None:
    """Remove the half-written files of a run that was killed. Only for the holder of the lock."""
    for top in folders:
        for folder, _, names in os.walk(top):
            for name in names:
                # PRIVACY: such a file may still hold the unblurred thumbnail.
                if name.startswith(".pii-blur-") and ".part" in name:
                    _remove(Path(folder, name))


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        log.error("'%s' is left over and cannot be removed (%s); remove it by hand", file.name, error.strerror)


def without_paths(result: PhotoResult, folders: Iterable[Path]) -> PhotoResult:
    """Return `result` with files below `folders` named by their keys, for logs and reports that others may read."""
    if result.error is None:
        return result
    message = result.error.message
    for folder in folders:
        message = re.sub(rf"(?<![\w./-]){re.escape(str(folder) + os.sep)}", "", message)
    message = message.removeprefix(f"'{result.key}': ")
    return replace(result, error=replace(result.error, message=message))


class _Batch:
    """One run under way."""

    def __init__(
        self, options: RunOptions, places: Places, journal: Journal, run_digest: str, progress: Progress | None
    ) -> None:
        self.summary = Summary()
        self._options = options
        self._places = places
        self._journal = journal
        self._run_digest = run_digest
        self._progress = progress
        self._in_hand: dict[str, tuple[FoundPhoto, Recipe]] = {}
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
            # Those that were being written come last: by then most of them are complete.
            with closing(engine.run(task, self._jobs(chain(plan.pending, plan.waiting)))) as results:
                for result in results:
                    self._finish(result)
            self._account_for_lost_jobs()
        except KeyboardInterrupt:
            log.warning("stopped at once; the photos in hand were abandoned and will be done by the next run")
        except RunFailure as failure:
            self.summary.stopped_by, self.summary.stop_reason = failure.exit_code, str(failure)
        finally:
            if self._progress is not None:
                self._progress.close()
        if self.summary.stopped_by is ExitCode.OK and signals.exit_code is not ExitCode.OK:
            self.summary.stopped_by, self.summary.stop_reason = signals.exit_code, "stopped by a signal"

    def _jobs(self, photos: Iterable[FoundPhoto]) -> Iterator[Job]:
        """Yield jobs as the engine asks for them; the listing may be hours old by then, so look again at each."""
        for photo in photos:
            job = self._places.job(photo.key)
            try:
                now = FoundPhoto.from_stat(photo.key, job.source.stat())
            except OSError as error:
                self._conclude(job, self._gone(photo.key, error), photo, recipe=None)
                continue
            if is_settled(now, self._options.settle, time.time_ns()):
                self._in_hand[job.key] = now, recipe_for(job.key, self._options.side, self._run_digest)
                yield job
            else:
                self._report(PhotoResult(job.key, Outcome.WAITING))

    def _finish(self, result: PhotoResult) -> None:
        job = self._places.job(result.key)
        photo, recipe = self._in_hand.pop(result.key)
        result = without_paths(result, self._folders)
        if result.outcome is Outcome.FAILED:
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
        if result.outcome is Outcome.FAILED:
            self._withdraw(job)
        self._journal.append(result, photo, recipe or recipe_for(job.key, self._options.side, self._run_digest))
        self._report(result)
        if result.outcome is Outcome.FAILED:
            self._check_output(photo.size)

    def _report(self, result: PhotoResult) -> None:
        self.summary.add(result)
        if self._progress is not None:
            self._progress.photo(result)

    def _withdraw(self, job: Job) -> None:
        """Remove what lies at the destination of a photo that failed."""
        # PRIVACY: it is the result of weaker settings or of an older picture, or nobody knows what; whoever publishes
        # OUTPUT must find nothing there rather than that.
        if os.path.lexists(job.destination) and (job.destination.is_symlink() or not job.destination.is_dir()):
            log.warning("%s: failed, so that its earlier result was removed from OUTPUT", job.key)
            _remove(job.destination)

    def _check_output(self, needed: int) -> None:
        """Stop the run where OUTPUT is the reason for a failure, instead of failing every photo that is left.

        Raises:
            CannotWrite: OUTPUT is full or has become read-only.
        """
        output = self._options.output
        if not os.access(output, os.W_OK):
            raise CannotWrite(f"OUTPUT '{output}' cannot be written any more")
        if shutil.disk_usage(output).free < needed + SPARE_BYTES:
            raise CannotWrite(f"the disk of OUTPUT '{output}' is full; make room and run the same command again")

    def _account_for_lost_jobs(self) -> None:
        for key in list(self._in_hand):
            photo, recipe = self._in_hand.pop(key)
            lost = failed(key, "internal", "internal error, please report: the engine gave no result")
            self._conclude(self._places.job(key), lost, photo, recipe)

    @staticmethod
    def _gone(key: str, error: OSError) -> PhotoResult:
        if isinstance(error, FileNotFoundError):
            return failed(key, "missing", "the photo was there when INPUT was listed, but is gone now")
        return failed(key, "unreadable", f"the photo cannot be looked at ({error.strerror})")
