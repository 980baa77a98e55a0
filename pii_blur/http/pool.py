"""Worker processes that do photos one after the other for the service. Knows no HTTP.

The same engine as for folders (`batch.process_engine`), with one worker for each of several threads: a worker that dies
costs one photo, a photo that hangs is ended, and each worker keeps its model and its exiftool open.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import cv2

from pii_blur.batch.capacity import available_memory
from pii_blur.batch.engine import Task
from pii_blur.batch.process_engine import ProcessEngine
from pii_blur.errors import RunFailure
from pii_blur.http.budget import Budget
from pii_blur.http.settings import ServiceSettings
from pii_blur.photo.header import BASE, UNKNOWN, expected_memory
from pii_blur.pipeline import Tools, open_tools
from pii_blur.results import Job, PhotoResult

log = logging.getLogger(__name__)


class Work(Protocol):
    """What is done with one photo, in a worker process. Pickles: a frozen dataclass at the top of a module."""

    def __call__(self, job: Job, tools: Tools) -> PhotoResult:
        """Do the photo at `job.source`, write it to `job.destination`; the result has the job's key."""
        ...


@dataclass(frozen=True, slots=True)
class Order(Job):
    """A photo, and what is to be done with it."""

    work: Work


@dataclass(slots=True)
class WorkTask:
    """Does orders; opens its tools at the first. Pickles to worker processes.

    Attributes:
        open: opens the tools; pickles.
        threads: that each worker may use.
    """

    open: Callable[[], AbstractContextManager[Tools]]
    threads: int
    _stack: ExitStack | None = field(default=None, init=False, repr=False)
    _tools: Tools | None = field(default=None, init=False, repr=False)

    @classmethod
    def of(cls, settings: ServiceSettings) -> WorkTask:
        """Return the task with the model that an operator has chosen."""
        threads = settings.threads
        return cls(partial(open_tools, settings.hiding, threads=threads, device=settings.device), threads)

    def __call__(self, job: Job) -> PhotoResult:
        """Do one order."""
        assert isinstance(job, Order)
        if self._tools is None:
            cv2.setNumThreads(self.threads)  # it would else take every core in each of several processes
            self._stack = ExitStack()
            self._tools = self._stack.enter_context(self.open())
        return job.work(job, self._tools)

    def memory(self, job: Job) -> int:
        """Return the bytes that the photo is expected to take, from its header; what has none is soon refused."""
        need = expected_memory(job.source)
        return need if need < UNKNOWN else BASE

    def close(self) -> None:
        """Close the tools, if they were opened."""
        if self._stack is not None:
            self._stack.close()
        self._stack = self._tools = None

    def __getstate__(self) -> tuple[Callable[[], AbstractContextManager[Tools]], int]:
        return self.open, self.threads

    def __setstate__(self, state: tuple[Callable[[], AbstractContextManager[Tools]], int]) -> None:
        self.open, self.threads = state
        self._stack = self._tools = None


@dataclass(frozen=True, slots=True)
class _Ticket:
    order: Order
    future: Future[PhotoResult] = field(default_factory=Future)


class Pool:
    """Several workers and one line before them."""

    def __init__(self, task: Task, workers: int, patience_s: float) -> None:
        """Prepare; `start` starts.

        Args:
            task: what does the orders.
            workers: how many at a time, as long as memory allows.
            patience_s: after how many seconds a worker that does not answer is ended; its photo gets a second try.
        """
        self._line: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        budget = Budget(available_memory())
        lanes = [_Lane(task, patience_s, self._line, budget) for _ in range(workers)]
        self._threads = [threading.Thread(target=lane.run, name="lane", daemon=True) for lane in lanes]

    def start(self) -> None:
        """Start the threads; each starts its worker at its first order."""
        for thread in self._threads:
            thread.start()

    def submit(self, order: Order) -> Future[PhotoResult]:
        """Put an order at the end of the line. The future raises `RunFailure` where no photo can be done."""
        ticket = _Ticket(order)
        self._line.put(ticket)
        return ticket.future

    def close(self, grace_s: float) -> None:
        """Cancel the orders in the line, let those in hand be done, then end the workers.

        Args:
            grace_s: after so many seconds they are left to end with this process.
        """
        with suppress(queue.Empty):  # a worker may take the last one meanwhile
            while True:
                if (ticket := self._line.get_nowait()) is not None:
                    ticket.future.cancel()
        self._line.put(None)
        end = time.monotonic() + grace_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))


class _Lane:
    """One worker and at most one ticket in hand."""

    def __init__(self, task: Task, patience_s: float, line: queue.SimpleQueue[_Ticket | None], budget: Budget) -> None:
        self._task, self._patience_s, self._line, self._budget = task, patience_s, line, budget
        self._ticket: _Ticket | None = None

    def run(self) -> None:
        """Do orders with one worker until the end of the line; with a new one after whatever ends the first."""
        while self._wait():
            try:
                # Closed at once: what ended the worker holds on to it, and others wait for the memory it has.
                with closing(self._orders()) as orders:
                    for result in ProcessEngine(1, self._patience_s).run(self._task, orders):
                        self._take().future.set_result(result)
            except RunFailure as failure:
                log.error("%s", failure)
                self._fail(failure)
            except Exception as bug:  # the other lanes go on, and so does this one
                log.exception("internal error in a lane")
                self._fail(bug)

    def _wait(self) -> bool:
        """Take the next ticket that nobody has given up; return False at the end of the line."""
        while (ticket := self._line.get()) is not None:
            if ticket.future.set_running_or_notify_cancel():
                self._ticket = ticket
                return True
        self._line.put(None)  # for whoever else waits there
        return False

    def _orders(self) -> Generator[Order, None, None]:
        """Yield the order in hand, then wait for each of those that follow."""
        while self._ticket is not None or self._wait():
            assert self._ticket is not None
            order = self._ticket.order
            with self._budget.lend(self._task.memory(order)):
                yield order  # until the engine asks for the next one: this one is done then

    def _take(self) -> _Ticket:
        ticket, self._ticket = self._ticket, None
        assert ticket is not None
        return ticket

    def _fail(self, error: Exception) -> None:
        """Hand over what ended the worker, if an order was in hand."""
        if self._ticket is not None:
            self._take().future.set_exception(error)
