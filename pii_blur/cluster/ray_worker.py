"""What runs on the machines of a cluster: one worker, a process that Ray keeps. Must not know how many there are."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any

from pii_blur.batch.engine import Task, attempt
from pii_blur.errors import RunFailure
from pii_blur.results import Job, PhotoResult
from pii_blur.version import __version__


@dataclass(frozen=True, slots=True)
class Landmark:
    """A file that every machine must see alike: then the folder it lies in is the same everywhere.

    Attributes:
        file: its path.
        size, mtime_ns: as the driver sees it.
        what: the folder it stands for, for people.
    """

    file: Path
    size: int
    mtime_ns: int
    what: str

    @classmethod
    def of(cls, file: Path, what: str) -> Landmark:
        """Take the file as this machine sees it."""
        status = file.stat()
        return cls(file, status.st_size, status.st_mtime_ns, what)

    def is_seen(self) -> bool:
        """Whether this machine sees that very file. The time may differ by what a file server rounds off."""
        try:
            status = self.file.stat()
        except OSError:
            return False
        return status.st_size == self.size and abs(status.st_mtime_ns - self.mtime_ns) < 2_000_000_000


@dataclass(frozen=True, slots=True)
class Greeting:
    """A worker's first word.

    Attributes:
        machine: where it is.
        version: of the program there.
        unseen: folders that it does not see as the driver does.
    """

    machine: str
    version: str
    unseen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a job, and what was logged meanwhile."""

    result: PhotoResult | RunFailure
    records: tuple[logging.LogRecord, ...]


class RayWorker:
    """Does one job at a time; its task opens the model once, at the first of them."""

    def __init__(self, task: Task, log_level: int) -> None:
        self._task = task
        self._log = _Log()
        # What a worker logs may name photos: it goes to the driver alone, not to the files that Ray keeps.
        handler: Any = QueueHandler(self._log)  # type: ignore[arg-type]  # needs nothing of a queue but `put_nowait`
        logging.getLogger().handlers[:] = [handler]
        logging.getLogger("pii_blur").setLevel(log_level)

    def greet(self, landmarks: Sequence[Landmark]) -> Greeting:
        """Say where this is and what cannot be seen from here."""
        unseen = tuple(one.what for one in landmarks if not one.is_seen())
        return Greeting(f"{socket.gethostname()} (process {os.getpid()})", __version__, unseen)

    def do(self, job: Job) -> Answer:
        """Do one job."""
        result: PhotoResult | RunFailure
        try:
            result = attempt(self._task, job)
        except RunFailure as failure:
            result = failure
        return Answer(result, self._log.take())

    def close(self) -> None:
        """Close the tools."""
        self._task.close()


class _Log:
    """Keeps records until they are fetched."""

    def __init__(self) -> None:
        self._records: list[logging.LogRecord] = []

    def put_nowait(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    def take(self) -> tuple[logging.LogRecord, ...]:
        taken, self._records = tuple(self._records), []
        return taken
