"""Who writes where: results to stdout, everything else, also what libraries print, to stderr. Knows nothing of runs."""

from __future__ import annotations

import copy
import logging
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from tqdm import tqdm

from pii_blur.batch.jobs import printable
from pii_blur.errors import ExitCode


@contextmanager
def stdout_for_results() -> Iterator[TextIO]:
    """Yield a stream to stdout that nobody else has; what libraries print goes to stderr during the `with`."""
    sys.stdout.flush()
    try:
        is_own_file = sys.stdout.fileno() == 1
    except (OSError, ValueError):
        is_own_file = False  # replaced by whoever called `main`
    if not is_own_file:
        yield sys.stdout
        return
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8", errors="surrogateescape") as results:
            yield results
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def exit_code_kept() -> Iterator[None]:
    """At the end of the `with`, drop what a closed terminal can show no more: Python would end with 120 for it."""
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                _drop(stream)


@contextmanager
def dropped_when_cut_off(stream: TextIO) -> Iterator[None]:
    """Within the `with`, write to `stream` as long as somebody reads it; then drop the rest and leave the `with`."""
    try:
        yield
        stream.flush()
    except BrokenPipeError:
        _drop(stream)


def until_cut_off(command: Callable[[], int]) -> int:
    """Return what `command` returns, or `CUT_OFF` where nobody reads to its end what it prints: ``| head``."""
    with exit_code_kept():
        try:
            try:
                return command()
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # also what --help leaves behind with its SystemExit
        except BrokenPipeError:
            if not _is_cut_off(sys.stdout):
                raise  # the pipe of a worker, or the like: that is no end to be quiet about
            return ExitCode.CUT_OFF


def _is_cut_off(stream: TextIO | None) -> bool:
    """Return whether nobody reads any more what is written to the pipe of `stream`."""
    try:
        descriptor = stream.fileno() if stream is not None else -1
    except (OSError, ValueError):
        return False
    if descriptor < 0 or not hasattr(select, "poll"):
        return False  # on Windows a broken pipe of stdout is another error
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _drop(stream: TextIO) -> None:
    """Drop what `stream` still holds and all that follows: Python would complain of it at the end."""
    with suppress(OSError, ValueError):
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
        stream.flush()


@contextmanager
def logging_to(stream: TextIO, level: int) -> Iterator[None]:
    """Write this package's log to `stream` during the `with`, with times where no person is watching."""
    handler = _AboveTheBar(stream)
    is_watched = stream.isatty()
    line = "%(levelname)s: %(message)s" if is_watched else "%(asctime)s %(levelname)s: %(message)s"
    handler.setFormatter(_OneLine(line, datefmt="%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("pii_blur")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class _AboveTheBar(logging.Handler):
    """Writes lines above the bar, if there is one."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            tqdm.write(self.format(record), file=self._stream)
        except (OSError, ValueError):
            self.handleError(record)


class _OneLine(logging.Formatter):
    """Escapes control characters, so that no file name can forge a second line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        shown = copy.copy(record)  # other handlers see the same record
        shown.levelname, shown.message = record.levelname.lower(), printable(record.message)
        return super().formatMessage(shown)
