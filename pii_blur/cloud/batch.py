"""A run of which at least one end lies in a store; see `pii_blur.batch.runner` for folders.

The journal, the plan, the engine and the summary are those of every run. What differs: nothing can be half written in a
store, so that nothing is swept there; every result is published on condition that nobody else was there first; and the
listing of OUTPUT, not a question about each photo, tells what is finished.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from pii_blur.batch.arrival import has_arrived
from pii_blur.batch.engine import Engine, Task
from pii_blur.batch.entry import Made, Recipe, is_taken
from pii_blur.batch.failing import may_stay, without_paths
from pii_blur.batch.jobs import FoundPhoto, failed
from pii_blur.batch.journal import Journal
from pii_blur.batch.last_run import write_last_run
from pii_blur.batch.lock import hold_lock
from pii_blur.batch.options import RunOptions
from pii_blur.batch.places import is_within
from pii_blur.batch.plan import Plan, make_plan, not_ours, recipe_for
from pii_blur.batch.process_engine import make_engine
from pii_blur.batch.round import Progress
from pii_blur.batch.stopping import StopOnSignals
from pii_blur.batch.summary import Summary
from pii_blur.batch.sweeping import remove, sweep
from pii_blur.batch.writable import check_writable
from pii_blur.cloud.ahead import ahead
from pii_blur.cloud.places import CloudJob, CloudPlaces, StoreFile
from pii_blur.cloud.store import Item
from pii_blur.cloud.task import CloudTask
from pii_blur.errors import ExitCode, NoPhotos, RunFailure, UsageFailure
from pii_blur.photo import private_folder
from pii_blur.results import Job, Outcome, PhotoError, PhotoResult
from pii_blur.version import __version__

log = logging.getLogger(__name__)

_AHEAD = 32
"""Photos that are looked at before their turn: a store takes its time to answer, but answers many at a time."""


def plan_cloud(options: RunOptions, places: CloudPlaces, run_digest: str) -> Plan:
    """Find out what `run_cloud` would do; see `plan_run`."""
    journal = Journal(options.journal_folder, places.origin)
    journal.load()
    return _plan(options, places, journal, run_digest)


def run_cloud(
    options: RunOptions,
    places: CloudPlaces,
    task: Task,
    *,
    run_digest: str,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Summary:
    """Do all photos of INPUT that are not finished.

    Args:
        options: how the run behaves; their `input` and `output` count only where they are folders.
        places: INPUT and OUTPUT.
        task: what is done with each photo, from file to file.
        run_digest, progress, engine: see `run_batch`.

    Raises:
        UsageFailure, NoPhotos, CannotWrite, AlreadyRunning: nothing was done.
    """
    started = time.monotonic()
    engine = engine or make_engine(options.workers)
    with ExitStack() as stack:
        signals = stack.enter_context(StopOnSignals(engine.stop))
        if isinstance(places.output, Path):
            stack.enter_context(hold_lock(options.state_folder))
        if places.output != options.output or not is_within(options.journal_folder, options.state_folder):
            stack.enter_context(hold_lock(options.journal_folder))
        journal = stack.enter_context(closing(Journal(options.journal_folder, places.origin)))
        journal.load()
        places.check()
        plan = _plan(options, places, journal, run_digest)
        journal.open(__version__)
        check_writable(places.written_folders(options))
        if isinstance(places.output, Path):
            sweep(places.output)
            stack.callback(sweep, places.output)
        batch = _CloudRound(options, places, journal, run_digest, progress)
        cloud_task = CloudTask(task, places.source, places.output)
        # PRIVACY: what workers had fetched that were killed here; on other machines the next worker does this.
        stack.callback(private_folder.sweep)
        stack.callback(cloud_task.close)  # this process has glanced at photos, even if others did them
        batch.run(plan, cloud_task, engine, signals)
        batch.summary.seconds = time.monotonic() - started
        write_last_run(options.journal_folder, batch.summary)
        return batch.summary


def _plan(options: RunOptions, places: CloudPlaces, journal: Journal, run_digest: str) -> Plan:
    try:
        scan = places.scan(options.extensions)
        return make_plan(options, places, journal, run_digest, time.time_ns(), scan)
    except (NoPhotos, UsageFailure) as failure:
        message = str(failure).replace(f"INPUT '{options.input}'", f"INPUT '{places.source}'")
        raise type(failure)(message.replace(f"OUTPUT '{options.output}'", f"OUTPUT '{places.output}'")) from failure
    finally:
        places.forget_listing()


class _CloudRound:
    """One run under way; see `Round`."""

    def __init__(
        self, options: RunOptions, places: CloudPlaces, journal: Journal, run_digest: str, progress: Progress | None
    ) -> None:
        self.summary = Summary()
        self._options = options
        self._places = places
        self._journal = journal
        self._run_digest = run_digest
        self._progress = progress
        self._in_hand: dict[str, tuple[FoundPhoto, Recipe]] = {}
        side = options.side
        named = (places.source, places.output, side.detections, side.from_detections, side.preview)
        self._folders = [folder for folder in named if isinstance(folder, Path)]

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
            with closing(engine.run(task, self._jobs([*plan.pending, *plan.waiting]))) as results:
                for result in results:
                    self._finish(result)
            for key in list(self._in_hand):
                self._finish(failed(key, "internal", "internal error, please report: the engine gave no result"))
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
        for photo, job, seen in ahead(self._look, photos, _AHEAD):
            if isinstance(seen, OSError):
                self._conclude(job, self._gone(photo.key, seen), photo, recipe=None)
                continue
            now, item = seen
            # What lies in a store is whole.
            if item is None and not has_arrived(now, job.source, self._options.settle, time.time_ns()):
                self._report(PhotoResult(job.key, Outcome.WAITING))
                continue
            if not self._options.force and self._journal.is_foreign(job.key, job.destination):
                self._report(not_ours(job.key))
                continue
            recipe = recipe_for(job.key, self._options.side, self._run_digest)
            # PRIVACY: a result without a line, of a run killed in between, must be known as ours, and done again.
            self._journal.start(now, job.destination, recipe)
            self._in_hand[job.key] = now, recipe
            # What the journal has made of it holds for this very content, and nothing else may be replaced.
            replaces = job.destination.seen if isinstance(job.destination, StoreFile) else None
            yield CloudJob(job.source, job.destination, job.key, item, replaces)

    def _look(self, photo: FoundPhoto) -> tuple[FoundPhoto, Job, tuple[FoundPhoto, Item | None] | OSError]:
        """Look at both ends of a job."""
        job = self._places.job(photo.key)
        try:
            seen = self._places.look(photo.key)
            is_taken(job.destination)
        except OSError as error:
            return photo, job, error
        return photo, job, seen

    def _finish(self, result: PhotoResult) -> None:
        job = self._places.job(result.key)
        photo, recipe = self._in_hand.pop(result.key)
        result = without_paths(result, self._folders)
        if result.error is not None:
            try:
                now, _ = self._places.look(photo.key)
            except OSError as error:
                result = self._gone(result.key, error)
            else:
                if (now.size, now.mtime_ns) != (photo.size, photo.mtime_ns):
                    self._report(PhotoResult(job.key, Outcome.WAITING))
                    return
        self._conclude(job, result, photo, recipe)

    def _conclude(self, job: Job, result: PhotoResult, photo: FoundPhoto, recipe: Recipe | None) -> None:
        recipe = recipe or recipe_for(job.key, self._options.side, self._run_digest)
        earlier = self._withdraw(job, result.error, photo, recipe) if result.error is not None else None
        self._journal.append(result, photo, recipe, earlier)
        self._report(result)
        if result.error is not None:
            check_writable(self._places.written_folders(self._options))

    def _report(self, result: PhotoResult) -> None:
        self.summary.add(result)
        if self._progress is not None:
            self._progress.photo(result)

    def _withdraw(self, job: Job, error: PhotoError, photo: FoundPhoto, recipe: Recipe) -> Made | None:
        """Remove the earlier result of a photo that failed, unless it may stay; see `Round`."""
        earlier = self._journal.result_at(job.key, job.destination)
        if earlier is None:
            return None
        if may_stay(earlier, error, photo, recipe):
            log.warning("%s: failed; its earlier result stays in OUTPUT", job.key)
            return earlier
        log.warning("%s: failed, so that its earlier result was removed from OUTPUT", job.key)
        remove(job.destination)
        return None

    def _gone(self, key: str, error: OSError) -> PhotoResult:
        """Return the failure of a photo that cannot be looked at any more.

        Raises:
            NoPhotos: it is not this photo alone, but INPUT that has gone.
        """
        self._places.check_input()
        if isinstance(error, FileNotFoundError):
            return failed(key, "missing", "the photo was there when INPUT was listed, but is gone now")
        return failed(key, "unreadable", f"the photo cannot be looked at ({error.strerror})")
