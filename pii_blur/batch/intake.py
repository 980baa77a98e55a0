"""Which job may start next, so that all in hand fit into memory. Knows no processes and not what a job is about."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable

from pii_blur.results import Job

log = logging.getLogger(__name__)


class Intake:
    """Draws jobs in their order, and holds one back until there is room for it; that one stays the next.

    Jobs that have cost a worker already are done alone: the system may have killed it for what its neighbours took.
    """

    def __init__(self, jobs: Iterable[Job], memory_of: Callable[[Job], int], memory: int) -> None:
        """Prepare; nothing is drawn yet.

        Args:
            jobs: drawn one at a time, and only when one may be able to start.
            memory_of: returns the bytes that a job is expected to take.
            memory: bytes that all jobs in hand may take together; 0 for no bound.
        """
        self._source = iter(jobs)
        self._memory_of = memory_of
        self._memory = memory
        self._held: tuple[Job, int] | None = None
        self._again: deque[Job] = deque()

    def put_back(self, job: Job) -> None:
        """Take back a job that is to be tried once more."""
        self._again.append(job)

    def next(self, busy: int, taken: int, *, is_stopping: bool = False) -> tuple[Job, int] | None:
        """Return a job that may start now and the bytes it is expected to take, None if there is none.

        Args:
            busy: how many jobs are in hand.
            taken: bytes that these and idle workers take.
            is_stopping: draw no further job; one that was drawn before counts as in hand.
        """
        if self._again:
            return None if busy else (self._again.popleft(), self._memory)
        if self._held is None and not is_stopping and (job := next(self._source, None)) is not None:
            self._held = job, self._memory_of(job) if self._memory else 0
        if self._held is None:
            return None
        job, need = self._held
        if busy and self._memory and taken + need > self._memory:
            log.debug("%s: waits until %d MiB are free", job.key, need >> 20)
            return None
        self._held = None
        return job, need
