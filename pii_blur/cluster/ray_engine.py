"""Workers on the machines of a Ray cluster, each with one photo in hand. Knows nothing of what a task does.

Ray places processes and notices when they or their machine die. Which photo goes where, how often one is tried again,
and what counts as a result is decided here, as `ProcessEngine` decides it on one machine.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pii_blur.batch.engine import Task, failed_in_task
from pii_blur.cluster.landmarks import set_landmarks
from pii_blur.cluster.ray_connection import connected, load_ray
from pii_blur.cluster.ray_worker import Answer, Greeting, Landmark, RayWorker
from pii_blur.errors import MissingDependency, RunFailure
from pii_blur.results import Job, PhotoResult
from pii_blur.version import __version__

log = logging.getLogger(__name__)

TRIES = 3
"""How many workers may be lost with one photo in hand. One more than on one machine: machines also go by themselves."""

STARTS = 3
"""How many workers in a row may die before their first word until the run is given up."""

PATIENCE_S = 1800.0
"""How long one photo may take; see `ProcessEngine`."""

START_PATIENCE_S = 600.0
"""How long there may be no worker at all, because the cluster is full or has no machine left."""

GOODBYE_S = 10.0
"""How long workers that have nothing left to do may take to close their tools."""

_BYTES_PER_WORKER = 2 << 30  # the peak with the largest photos of the benchmark (11000x5500), rounded up

_TICK_S = 2.0  # how often the cluster is looked at for new machines, and for photos that take too long


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker takes of a machine.

    Attributes:
        cores: as many as a worker has threads.
        gpus: graphics cards.
        memory: bytes; Ray puts no more workers on a machine than it has room for.
    """

    cores: int = 1
    gpus: int = 0
    memory: int = _BYTES_PER_WORKER

    def fits(self, resources: dict[str, float]) -> int:
        """Return how many workers a cluster with such resources has room for."""
        wanted = {"CPU": self.cores, "GPU": self.gpus, "memory": self.memory}
        return min(int(resources.get(name, 0) // amount) for name, amount in wanted.items() if amount)


class RayEngine:
    """See `Engine`. A photo whose worker or machine is lost is tried again elsewhere, then fails as ``worker_died``."""

    def __init__(
        self,
        address: str,
        *,
        workers: int | None = None,
        share: Share | None = None,
        folders: tuple[Path, ...] = (),
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Prepare an engine; nothing is connected before the first job.

        Args:
            address: ``local`` starts Ray on this machine, ``auto`` finds the cluster that it belongs to, else
                ``HOST:PORT`` of the head.
            workers: how many at most; None for as many as the cluster has room for, also when that changes.
            share: what each takes.
            folders: that are written to; every machine must see them.
            patience_s: seconds after which a worker that does not answer is killed.

        Raises:
            MissingDependency: Ray is not installed.
        """
        load_ray()
        self._address = address
        self._limit = workers
        self._share = share or Share()
        self._folders = folders
        self._patience_s = patience_s
        self._is_stopping = False

    def run(self, task: Task, jobs: Iterable[Job]) -> Generator[PhotoResult, None, None]:
        """See `Engine.run`."""
        source = iter(jobs)
        if self._is_stopping or (first := next(source, None)) is None:
            return
        with ExitStack() as stack:
            ray = stack.enter_context(connected(self._address))
            landmarks = stack.enter_context(set_landmarks(first, self._folders))
            crew = stack.enter_context(_Crew(ray, task, landmarks, self._share, self._patience_s))
            crew.again.append(first)
            while True:
                crew.fill(self._limit)
                while (worker := crew.idle()) is not None and (job := self._next_job(crew, source)) is not None:
                    crew.give(worker, job)
                if worker is not None and not crew.busy:  # there is nothing left for it
                    break
                yield from crew.collect()
            crew.dismiss()

    def stop(self) -> None:
        """See `Engine.stop`."""
        self._is_stopping = True

    def _next_job(self, crew: _Crew, source: Iterator[Job]) -> Job | None:
        if crew.again:  # also while stopping: such a photo counts as one in hand
            return crew.again.popleft()
        return None if self._is_stopping else next(source, None)


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker as the driver sees it.

    Attributes:
        actor: Ray's handle of it.
        pending: what it has been asked for: its greeting, or the answer to `job`.
        machine: where it is, empty before it has greeted.
    """

    actor: Any
    pending: Any
    job: Job | None = None
    given_at: float = 0.0
    machine: str = ""


class _Crew:
    """The workers of one run.

    Attributes:
        again: jobs whose worker was lost, for another try.
    """

    def __init__(self, ray: Any, task: Task, landmarks: tuple[Landmark, ...], share: Share, patience_s: float) -> None:
        self.again: deque[Job] = deque()
        self._ray = ray
        self._landmarks = landmarks
        self._share = share
        self._patience_s = patience_s
        self._workers: list[_Worker] = []
        self._losses: Counter[str] = Counter()
        self._failed_starts = 0
        self._had_worker_at = time.monotonic()
        self._filled_at = 0.0
        self._level = logging.getLogger("pii_blur").getEffectiveLevel()
        self._task = ray.put(task)
        # Ray itself must not start a worker anew, nor repeat a call: what is tried again is decided here.
        self._actor_class = ray.remote(max_restarts=0, max_task_retries=0)(RayWorker)

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            self._ray.kill(worker.actor)

    @property
    def busy(self) -> int:
        """How many workers have a job."""
        return sum(worker.job is not None for worker in self._workers)

    def fill(self, limit: int | None) -> None:
        """Ask for workers, as many as the cluster has room for now; looks no more often than every `_TICK_S`."""
        now = time.monotonic()
        if self._workers and now < self._filled_at + _TICK_S:
            return
        self._filled_at = now
        room = self._share.fits(self._ray.cluster_resources())
        # Where the cluster is too small for one, one waits until it grows.
        wanted = max(1, room if limit is None else min(room, limit))
        while len(self._workers) < wanted:
            actor = self._actor_class.options(
                num_cpus=self._share.cores, num_gpus=self._share.gpus, memory=self._share.memory or None
            ).remote(self._task, self._level)
            self._workers.append(_Worker(actor, actor.greet.remote(self._landmarks)))

    def idle(self) -> _Worker | None:
        """Return a worker that has greeted and has no job."""
        return next((worker for worker in self._workers if worker.machine and worker.job is None), None)

    def give(self, worker: _Worker, job: Job) -> None:
        """Send a job; the worker must have none."""
        worker.job, worker.given_at = job, time.monotonic()
        worker.pending = worker.actor.do.remote(job)

    def collect(self) -> list[PhotoResult]:
        """Wait until something happens, but not for long, and return the results that came of it.

        Raises:
            RunFailure: a task says that no photo can be done, or workers cannot be started.
        """
        results: list[PhotoResult] = []
        asked = {worker.pending: worker for worker in self._workers if worker.pending is not None}
        ready, _ = self._ray.wait(list(asked), num_returns=1, timeout=_TICK_S)
        if ready:  # one has woken us, others may be there too
            ready, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for reference in ready:
            results += self._hear(asked[reference])
        self._kill_overdue()
        self._check_for_life()
        return results

    def _hear(self, worker: _Worker) -> list[PhotoResult]:
        try:
            message = self._ray.get(worker.pending)
        except self._ray.exceptions.RayError as error:
            return self._mourn(worker, error)
        worker.pending = None
        if isinstance(message, Greeting):
            self._welcome(worker, message)
            return []
        assert isinstance(message, Answer)
        for record in message.records:
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        worker.job = None
        if isinstance(message.result, RunFailure):
            raise message.result
        return [message.result]

    def _welcome(self, worker: _Worker, greeting: Greeting) -> None:
        if greeting.version != __version__:
            raise MissingDependency(
                f"{greeting.machine} has pii-blur {greeting.version}, this machine {__version__}; all need the same"
            )
        # The first photo may have gone by now, or have been moved away because it is done: that tells nothing.
        gone = {landmark.what for landmark in self._landmarks if not landmark.is_seen()}
        if unseen := [what for what in greeting.unseen if what not in gone]:
            raise MissingDependency(
                f"{greeting.machine} does not see {' and '.join(unseen)} as this machine does; every machine "
                "of the cluster needs them under the same path, or use addresses such as s3://"
            )
        log.debug("a worker on %s", greeting.machine)
        worker.machine = greeting.machine
        self._failed_starts = 0

    def _mourn(self, worker: _Worker, error: Exception) -> list[PhotoResult]:
        self._workers.remove(worker)
        self._ray.kill(worker.actor)  # it may live on where only the way to it was lost
        ending = str(error).strip().partition("\n")[0]
        if not worker.machine:
            self._failed_starts += 1
            log.debug("a worker could not be started: %s", error)
            if self._failed_starts >= STARTS:
                reason = str(error).strip().rpartition("\n")[2]
                raise RunFailure(
                    f"workers cannot be started on the cluster ({reason}); is pii-blur installed on every machine?"
                )
            return []
        if worker.job is None:
            return []
        job = worker.job
        self._losses[job.key] += 1
        if self._losses[job.key] < TRIES:
            log.warning("%s: its worker on %s was lost; trying once more (%s)", job.key, worker.machine, ending)
            self.again.append(job)
            return []
        message = f"{TRIES} workers were lost on this photo, the last on {worker.machine}; is there enough memory?"
        return [failed_in_task(job, "worker_died", message)]

    def _kill_overdue(self) -> None:
        for worker in self._workers:
            if worker.job is not None and time.monotonic() >= worker.given_at + self._patience_s:
                log.error("%s: no answer for %.0f s", worker.job.key, self._patience_s)
                worker.given_at = time.monotonic()
                self._ray.kill(worker.actor)

    def _check_for_life(self) -> None:
        if any(worker.machine for worker in self._workers):
            self._had_worker_at = time.monotonic()
        elif time.monotonic() > self._had_worker_at + START_PATIENCE_S:
            room = f"{self._share.cores} cores and {self._share.memory >> 20} MiB"
            cards = f", {self._share.gpus} graphics cards" if self._share.gpus else ""
            raise RunFailure(
                f"the cluster had no room for a single worker for {START_PATIENCE_S:.0f} s ({room}{cards} each); "
                "`ray status` shows what is free"
            )

    def dismiss(self) -> None:
        """Let all workers close their tools."""
        goodbyes = [worker.actor.close.remote() for worker in self._workers if worker.machine]
        self._ray.wait(goodbyes, num_returns=len(goodbyes), timeout=GOODBYE_S)
