"""Several worker processes, each with one photo in hand. Knows nothing of what a task does.

Not `concurrent.futures`: there one dead worker breaks the whole pool, nobody learns which photo killed it, and every
job is queued at once. Here each worker has its own pipe and at most one job, so that a worker killed by the system
(out of memory, a crash in a decoder) costs exactly one photo, and 100,000 jobs wait in nobody's queue.

What is done at a time is bounded in bytes, not in photos: a job starts when what it is expected to take fits beside
what is in hand. One that fits beside nothing is done alone.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from pii_blur.batch.capacity import available_memory, resident_memory
from pii_blur.batch.engine import Engine, SerialEngine, Task, failed_in_task
from pii_blur.batch.intake import Intake
from pii_blur.batch.worker import Message, Ready, serve
from pii_blur.errors import RunFailure
from pii_blur.results import Job, PhotoResult

log = logging.getLogger(__name__)

TRIES = 2
"""How many workers one photo may kill before it is given up."""

STARTS = 3
"""How many workers in a row may die before their first word until the run is given up."""

PATIENCE_S = 1800.0
"""How long one photo may take. No photo needs a hundredth of it; one that hangs must not hold up the batch for ever."""

GOODBYE_S = 10.0
"""How long a worker that has nothing left to do may take to close its tools."""


@dataclass(slots=True)
class _Worker:
    """A worker process as its parent sees it."""

    process: BaseProcess
    connection: Connection
    lifeline: Connection
    job: Job | None = None
    need: int = 0
    given_at: float = 0.0
    is_ready: bool = False

    @property
    def memory(self) -> int:
        """Bytes that it is expected to take; of an idle one, those that it has kept."""
        return self.need if self.job is not None else resident_memory(self.process.pid)

    def give(self, job: Job, need: int) -> None:
        """Send a job that is expected to take `need` bytes; the worker must have none."""
        self.job, self.need, self.given_at = job, need, time.monotonic()
        try:
            self.connection.send(job)
        except OSError:
            log.debug("worker %s is gone", self.process.pid)  # `receive` notices too, and answers for the job

    def receive(self) -> Message | None:
        """Return the next message, or None if the worker is dead."""
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):
            return None
        return message

    def dismiss(self) -> None:
        """Let a worker without a job close its tools and end."""
        try:
            self.connection.send(None)
        except OSError:
            log.debug("worker %s has ended by itself", self.process.pid)

    def bury(self, patience_s: float = 0.0) -> str:
        """Make sure that the process is gone, and return how it ended."""
        self.process.join(patience_s)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        self.process.close()
        self.connection.close()
        self.lifeline.close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


class ProcessEngine:
    """See `Engine`. A photo whose worker dies gets one more try in a fresh worker, then fails as ``worker_died``."""

    def __init__(self, workers: int, patience_s: float = PATIENCE_S, memory: int = 0) -> None:
        """Prepare an engine; no process is started before the first job.

        Args:
            workers: how many processes at most, 1 or more.
            patience_s: seconds after which a worker that does not answer is killed.
            memory: bytes that all workers together should not exceed; 0 for no bound.
        """
        if workers < 1:
            raise ValueError(f"at least one worker is needed, not {workers}")
        self._limit = workers
        self._patience_s = patience_s
        self._memory = memory
        self._is_stopping = False

    def run(self, task: Task, jobs: Iterable[Job]) -> Generator[PhotoResult, None, None]:
        """See `Engine.run`."""
        intake = Intake(jobs, task.memory, self._memory)
        crew = _Crew(task, intake, self._patience_s)
        try:
            while True:
                while crew.busy < self._limit:
                    if (drawn := intake.next(crew.busy, crew.memory, is_stopping=self._is_stopping)) is None:
                        break
                    crew.give(*drawn)
                if not crew.busy:
                    break
                yield from crew.collect()
            crew.dismiss()
        finally:
            crew.bury()
            task.close()

    def stop(self) -> None:
        """See `Engine.stop`."""
        self._is_stopping = True


class _Crew:
    """The workers of one run."""

    def __init__(self, task: Task, intake: Intake, patience_s: float) -> None:
        self._intake = intake
        self._patience_s = patience_s
        self._task = task
        self._workers: list[_Worker] = []
        self._deaths: Counter[str] = Counter()
        self._failed_starts = 0
        # Not fork: a fork copies locks and threads of libraries in whatever state they are.
        self._context = multiprocessing.get_context("spawn")

    @property
    def busy(self) -> int:
        """How many workers have a job."""
        return sum(worker.job is not None for worker in self._workers)

    @property
    def memory(self) -> int:
        """Bytes that all workers take, but for the idle one that the next job would be given to."""
        next_one = self._idle()
        return sum(worker.memory for worker in self._workers if worker is not next_one)

    def give(self, job: Job, need: int) -> None:
        """Hand `job`, expected to take `need` bytes, to an idle worker, a new one if there is none."""
        (self._idle() or self._start()).give(job, need)

    def _idle(self) -> _Worker | None:
        return next((worker for worker in self._workers if worker.job is None), None)

    def collect(self) -> list[PhotoResult]:
        """Wait until something happens, and return the results that came of it.

        Raises:
            RunFailure: a task says that no photo can be done, or workers cannot be started.
        """
        results = []
        deadline = min(worker.given_at for worker in self._workers if worker.job) + self._patience_s
        ready = wait([worker.connection for worker in self._workers], max(0.0, deadline - time.monotonic()))
        if not ready:
            self._kill_overdue()
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            message = worker.receive()
            if message is None:
                results += self._mourn(worker)
            elif isinstance(message, RunFailure):
                raise message
            elif isinstance(message, PhotoResult):
                # The service calls all its photos the same: the next one has both tries again.
                self._deaths.pop(message.key, None)
                worker.job = None
                results.append(message)
            elif isinstance(message, Ready):
                worker.is_ready = True
                self._failed_starts = 0
            else:
                logger = logging.getLogger(message.name)
                if logger.isEnabledFor(message.levelno):
                    logger.handle(message)
        return results

    def _kill_overdue(self) -> None:
        for worker in self._workers:
            if worker.job is not None and time.monotonic() >= worker.given_at + self._patience_s:
                log.error("%s: no answer for %.0f s", worker.job.key, self._patience_s)
                worker.process.kill()

    def dismiss(self) -> None:
        """Let all workers end by themselves."""
        for worker in self._workers:
            worker.dismiss()
        while self._workers:
            self._workers.pop().bury(GOODBYE_S)

    def bury(self) -> None:
        """Kill whatever is left."""
        while self._workers:
            self._workers.pop().bury()

    def _start(self) -> _Worker:
        here, there = self._context.Pipe()
        lifeline_there, lifeline_here = self._context.Pipe(duplex=False)
        level = logging.getLogger("pii_blur").getEffectiveLevel()
        process = self._context.Process(target=serve, args=(there, lifeline_there, self._task, level), daemon=True)
        process.start()
        # Only the worker may hold its own ends: their closing is how the two learn of each other's death.
        there.close()
        lifeline_there.close()
        worker = _Worker(process, here, lifeline_here)
        self._workers.append(worker)
        return worker

    def _mourn(self, worker: _Worker) -> list[PhotoResult]:
        self._workers.remove(worker)
        job, is_ready, ending = worker.job, worker.is_ready, worker.bury(GOODBYE_S)
        if not is_ready:
            self._failed_starts += 1
            if self._failed_starts >= STARTS:
                raise RunFailure(f"worker processes cannot be started ({ending}); --workers 0 does without them")
        if job is None:
            return []
        self._deaths[job.key] += is_ready
        if self._deaths[job.key] < TRIES:
            log.warning("%s: its worker process died (%s); trying once more, alone", job.key, ending)
            self._intake.put_back(job)
            return []
        del self._deaths[job.key]
        message = f"the worker process died {TRIES} times on this photo ({ending}); is there enough memory?"
        return [failed_in_task(job, "worker_died", message)]


def make_engine(workers: int) -> Engine:
    """Return an engine with that many processes; 0 works in this process, for debugging."""
    return ProcessEngine(workers, memory=available_memory()) if workers else SerialEngine()
