"""How jobs become results: one after the other here, or on several processes. Knows nothing of what a task does."""

from __future__ import annotations

import errno
import logging
from collections.abc import Generator, Iterable
from typing import Protocol

from pii_blur.errors import CannotWrite, PhotoFailure, RunFailure
from pii_blur.results import Job, Outcome, PhotoError, PhotoResult

log = logging.getLogger(__name__)

# No space, read-only, quota used up: the next photo would fare no better.
OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT})


class Task(Protocol):
    """What is done with each photo. It is pickled to other processes and opens its tools there, at its first job."""

    def __call__(self, job: Job) -> PhotoResult:
        """Do one photo. Raises `RunFailure` where no other photo could be done either."""
        ...

    def memory(self, job: Job) -> int:
        """Return how many bytes a process will hold at most while it does `job`, as a glance at the photo tells.

        Asked before the job is given to anybody, in another process than the one that does it; never raises. 0 where
        it is not worth counting, more than there is where nothing can be told.
        """
        ...

    def close(self) -> None:
        """Close the tools, if any were opened in this process, and clear away what killed processes have left.

        Called at the end of every process that did jobs, and then in the one that gave them out.
        """
        ...


class Engine(Protocol):
    """Runs a task over jobs, once."""

    def run(self, task: Task, jobs: Iterable[Job]) -> Generator[PhotoResult, None, None]:
        """Yield exactly one result per job that was started, in any order. Jobs are drawn only when one can start.

        Closing the iterator early abandons the photos in hand at once.

        Raises:
            RunFailure: no photo can be done any more.
        """
        ...

    def stop(self) -> None:
        """Start no further job; those in hand are finished. May be called from a signal handler."""
        ...


class SerialEngine:
    """One photo after the other in this process, where a debugger can see it."""

    def __init__(self) -> None:
        self._is_stopping = False

    def run(self, task: Task, jobs: Iterable[Job]) -> Generator[PhotoResult, None, None]:
        """See `Engine.run`."""
        source = iter(jobs)
        try:
            while not self._is_stopping and (job := next(source, None)) is not None:
                yield attempt(task, job)
        finally:
            task.close()

    def stop(self) -> None:
        """See `Engine.stop`."""
        self._is_stopping = True


def attempt(task: Task, job: Job) -> PhotoResult:
    """Do one job; whatever goes wrong with this photo alone becomes its result.

    Raises:
        RunFailure: no other photo could be done either.
    """
    try:
        result = task(job)
        if result.key != job.key:
            raise AssertionError(f"the task answered for '{result.key}'")
    except RunFailure:
        raise
    except PhotoFailure as failure:
        return PhotoResult(job.key, Outcome.FAILED, error=PhotoError.from_failure(failure))
    except MemoryError:
        return failed_in_task(job, "out_of_memory", "there was not enough memory; use fewer --workers")
    except Exception as error:  # a bug met by one photo must not stop the others
        if isinstance(error, OSError) and error.errno in OUTPUT_ERRORS:
            raise CannotWrite(f"OUTPUT cannot be written: {error.strerror}") from error
        log.exception("%s: internal error; please report it with the lines that follow", job.key)
        return failed_in_task(job, "internal", f"internal error, please report: {type(error).__name__}: {error}")
    return result


def failed_in_task(job: Job, code: str, message: str) -> PhotoResult:
    """Return the result of a photo whose task did not answer properly."""
    return PhotoResult(job.key, Outcome.FAILED, error=PhotoError(code, message, "task"))
