"""A whole run: lock, find what is left to do, have it done, write down what became of it.

Knows nothing of how a photo is done: that is the task. docs/journal.md says what makes a photo "finished".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

from pii_blur.batch.anchors import Anchors
from pii_blur.batch.engine import Engine, Task
from pii_blur.batch.journal import Journal
from pii_blur.batch.last_run import write_last_run
from pii_blur.batch.lock import hold_lock
from pii_blur.batch.options import RunOptions
from pii_blur.batch.originals import Originals
from pii_blur.batch.places import Places, find_places, is_within
from pii_blur.batch.plan import Plan, make_plan
from pii_blur.batch.process_engine import make_engine
from pii_blur.batch.round import Progress, Round
from pii_blur.batch.stopping import StopOnSignals
from pii_blur.batch.summary import Summary
from pii_blur.batch.sweeping import sweep
from pii_blur.batch.vigil import Vigil
from pii_blur.batch.watching import Alarm, watching
from pii_blur.batch.writable import check_writable
from pii_blur.errors import ExitCode, RunFailure, UsageFailure
from pii_blur.version import __version__

log = logging.getLogger(__name__)


def plan_run(options: RunOptions, run_digest: str) -> Plan:
    """Find out what `run_batch` would do. Writes nothing, takes no lock and opens no photo.

    Raises:
        UsageFailure: INPUT is missing, or two places meet that must not.
        NoPhotos: INPUT holds none.
    """
    places = find_places(options)
    journal = Journal(options.journal_folder, places.origin)
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
    """Do all photos of INPUT that are not finished; with `options.watch`, also those that come later.

    Args:
        options: which photos, and how the run behaves.
        task: what is done with each.
        run_digest: from `digest_run`; photos done under another one are done again.
        progress: told of every photo but those that were finished before.
        engine: by default, `options.workers` processes; a watch makes one for each round.

    Returns:
        What became of them, also if the run was stopped by a signal or a full disk (see `Summary.stopped_by`).

    Raises:
        UsageFailure, NoPhotos, CannotWrite, AlreadyRunning: nothing was done.
    """
    if options.watch:
        return _watch(options, task, run_digest=run_digest, progress=progress)
    started = time.monotonic()
    engine = engine or make_engine(options.workers)
    with ExitStack() as stack:
        signals, places, journal = _take_hold(stack, options, engine.stop)
        originals = Originals(options, places)
        with _noted(options, journal):
            plan = make_plan(options, places, journal, run_digest, time.time_ns())
            anchors = _make_ready(options, places, journal, originals)
        batch = Round(
            options, places, journal, anchors=anchors, originals=originals, run_digest=run_digest, progress=progress
        )
        batch.run(plan, task, engine, signals)
        batch.summary.seconds = time.monotonic() - started
        write_last_run(options.journal_folder, batch.summary)
        return batch.summary


def _watch(options: RunOptions, task: Task, *, run_digest: str, progress: Progress | None) -> Summary:
    """Do all photos of INPUT that are not finished, stay, and do those that come, until a signal."""
    busy_s = 0.0
    options = replace(options, allow_empty=True)
    vigil = Vigil(progress)
    with ExitStack() as stack:
        alarm = Alarm()
        signals, places, journal = _take_hold(stack, options, alarm.stop)
        if places.only is not None:
            raise UsageFailure(f"--watch needs a folder; INPUT '{options.input}' is a single photo")
        # Before the first look, so that nothing that comes after it is missed.
        stack.enter_context(watching(places.root, alarm))
        originals = Originals(options, places)
        with _noted(options, journal):
            plan = make_plan(options, places, journal, run_digest, time.time_ns())
            anchors = _make_ready(options, places, journal, originals)
        log.info("watching INPUT; Ctrl-C or SIGTERM ends it")
        try:
            while True:
                engine = make_engine(options.workers)
                alarm.stop_with(engine.stop)
                batch = Round(
                    options,
                    places,
                    journal,
                    anchors=anchors,
                    originals=originals,
                    run_digest=run_digest,
                    progress=vigil,
                )
                started = time.monotonic()
                batch.run(vigil.without_failed(plan), task, engine, signals)
                busy_s += time.monotonic() - started if vigil.has_done_any else 0
                vigil.end_round(batch.summary)
                _note(options, vigil, busy_s)
                if batch.summary.stopped_by is not ExitCode.OK:
                    break
                if not alarm.wait(vigil.pause(options), vigil.least_pause):
                    continue  # the next round says that it was stopped
                anchors.check_input()
                options = replace(options, force=False)  # what the first round did is done
                with vigil.looking():
                    plan = make_plan(options, places, journal, run_digest, time.time_ns())
        except RunFailure as failure:
            vigil.stop(failure)
        return _note(options, vigil, busy_s)


def _note(options: RunOptions, vigil: Vigil, busy_s: float) -> Summary:
    """Write down how a watch stands, so that others see that it is alive, and return it."""
    summary = vigil.summary()
    summary.seconds = busy_s
    write_last_run(options.journal_folder, summary)
    return summary


@contextmanager
def _noted(options: RunOptions, journal: Journal) -> Iterator[None]:
    """Write down that a run could not begin, where others have begun before it."""
    try:
        yield
    except RunFailure as failure:
        if not journal.is_new:
            stopped = Summary(stopped_by=failure.exit_code, stop_reason=str(failure))
            write_last_run(options.journal_folder, stopped)
        raise


def _take_hold(
    stack: ExitStack, options: RunOptions, stop: Callable[[], None]
) -> tuple[StopOnSignals, Places, Journal]:
    """Take signals and locks, and read the journal; nothing is written yet but the lock files."""
    places = find_places(options)
    signals = stack.enter_context(StopOnSignals(stop))
    stack.enter_context(hold_lock(options.state_folder))
    if not is_within(options.journal_folder, options.state_folder):
        stack.enter_context(hold_lock(options.journal_folder))
    journal = stack.enter_context(closing(Journal(options.journal_folder, places.origin)))
    journal.load()
    return signals, places, journal


def _make_ready(options: RunOptions, places: Places, journal: Journal, originals: Originals) -> Anchors:
    """Make sure that everything can be written, and clear away what a killed run has left."""
    journal.open(__version__)
    check_writable(options.written_folders)
    originals.prepare()
    sweep(options.output)
    return Anchors(places)
