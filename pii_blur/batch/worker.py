"""The other end of `ProcessEngine`: what runs in a worker process. Must not know how many workers there are."""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pii_blur.batch.engine import Task, attempt
from pii_blur.errors import RunFailure
from pii_blur.results import Job, PhotoResult


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker's first message: it is up, and its task arrived in one piece."""


Message = Ready | PhotoResult | RunFailure | logging.LogRecord

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_OOM_SCORE = "500"  # of -1000 to 1000, proc(5)


def serve(connection: Connection, lifeline: Connection, task: Task, log_level: int) -> None:
    """Do jobs from `connection` until None or the end of the parent comes.

    Args:
        connection: jobs in, messages out.
        lifeline: nothing ever comes through it; it ends when the parent does.
        task: what to do with each job.
        log_level: of the parent, which receives and prints what is logged here.
    """
    faulthandler.enable()
    _leave_no_core()
    _leave_signals_to_parent()
    _go_first_when_memory_runs_out()
    _die_with_parent(lifeline)
    outbox = _Outbox(connection)
    _send_log_to_parent(outbox, log_level)
    outbox.put_nowait(Ready())
    try:
        while (job := _next_job(connection)) is not None:
            try:
                outbox.put_nowait(attempt(task, job))
            except RunFailure as failure:
                outbox.put_nowait(failure)
    finally:
        task.close()


def _next_job(connection: Connection) -> Job | None:
    try:
        job: Job | None = connection.recv()
    except EOFError:
        return None
    return job


def _leave_no_core() -> None:
    """PRIVACY: the memory of a worker that crashes holds an unblurred photo; the system must not write it to a disk."""
    with suppress(ImportError):  # Windows has neither
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _leave_signals_to_parent() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP reach only the parent, which lets photos in hand finish. Programs inherit this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if hasattr(os, "setsid"):
        # exiftool installs its own Ctrl-C handler, so it must not sit in the terminal's process group at all.
        os.setsid()


def _go_first_when_memory_runs_out() -> None:
    """Let the system's out-of-memory killer take this process, which costs a photo a try, rather than any other."""
    if sys.platform == "linux":
        with suppress(OSError):  # /proc is not everywhere
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")


def _die_with_parent(lifeline: Connection) -> None:
    """Make sure that this process does not outlive its parent, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def wait_for_end() -> None:
        try:
            lifeline.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)

    # Also covers a parent that died before the request above, and systems that know no such request.
    threading.Thread(target=wait_for_end, name="lifeline", daemon=True).start()


class _Outbox:
    """The way to the parent, for one thread at a time. Looks like a queue, so that `QueueHandler` can log into it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def put_nowait(self, message: Message) -> None:
        with self._lock:
            self._connection.send(message)


def _send_log_to_parent(outbox: _Outbox, level: int) -> None:
    handler: Any = QueueHandler(outbox)  # type: ignore[arg-type]  # needs nothing of a queue but `put_nowait`
    logging.getLogger().handlers[:] = [handler]
    logging.getLogger("pii_blur").setLevel(level)
