"""What people see of a run: counts and names, above the bar, one line each."""

from __future__ import annotations

import errno
import io
import logging
import os

import pytest

from pii_blur.progress import BarProgress, LineProgress, describe
from pii_blur.results import Outcome, PhotoError, PhotoResult
from pii_blur.streams import logging_to

BLURRED = PhotoResult(
    "s/a.jpg",
    Outcome.BLURRED,
    people=1,
    vehicles=3,
    regions=9,
    projection="full panorama (GPano)",
    way="re-encoded",
    removed=("MPF", "trailer"),
    seconds={"read": 0.5, "detect": 0.75},
)
FAILED = PhotoResult("b.jpg", Outcome.FAILED, error=PhotoError("truncated", "it is cut off", "read"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (
            BLURRED,
            "s/a.jpg: hid 1 person, 3 vehicles (full panorama (GPano); re-encoded; removed MPF, trailer; 1.2 s)",
        ),
        (PhotoResult("a.jpg", Outcome.BLURRED, way="lossless"), "a.jpg: hid zones only (lossless; 0.0 s)"),
        (PhotoResult("a.jpg", Outcome.CLEAN, way="copied"), "a.jpg: nothing found (copied; 0.0 s)"),
        (PhotoResult("a.jpg", Outcome.WAITING), "a.jpg: waiting: it changed a moment ago and may still be on its way"),
        (FAILED, "b.jpg: failed: it is cut off [truncated]"),
    ],
)
def test_each_outcome_has_its_line(result: PhotoResult, line: str) -> None:
    """What was hidden, how the picture was understood and written, what was taken out, how long it took."""
    assert describe(result) == line


def test_bar_shows_counts_and_failures_get_a_line_above_it() -> None:
    """On a terminal, done photos are on the bar only."""
    stream = Terminal()
    progress = BarProgress(stream)
    with logging_to(stream, logging.INFO):
        progress.start(2)
        progress.photo(BLURRED)
        progress.photo(FAILED)
        progress.close()
    shown = stream.getvalue()
    assert "2/2" in shown
    assert "1 person, 3 vehicles" in shown
    assert "error: b.jpg: failed: it is cut off [truncated]\n" in shown
    assert "s/a.jpg" not in shown


class ClosedTerminal(Terminal):
    is_closed = False

    def write(self, text: str) -> int:
        if self.is_closed:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().write(text)


def test_terminal_that_goes_stops_nothing() -> None:
    """Photos in hand are finished after the window was closed."""
    stream = ClosedTerminal()
    progress = BarProgress(stream)
    progress.start(2)
    stream.is_closed = True
    progress.photo(BLURRED)
    progress.photo(BLURRED)
    progress.close()


def test_elsewhere_each_photo_has_a_line_with_its_time() -> None:
    """In a log file nobody sees a bar."""
    stream = io.StringIO()
    progress = LineProgress()
    with logging_to(stream, logging.INFO):
        progress.start(2)
        progress.photo(BLURRED)
        progress.photo(FAILED)
        progress.close()
    lines = stream.getvalue().splitlines()
    assert [line[20:].partition(":")[0] for line in lines] == ["info", "info", "error"]
    assert "2 photos to do" in lines[0]


def test_logging_ends_with_the_run() -> None:
    """Whoever calls `main` finds logging as it was."""
    logger = logging.getLogger("pii_blur")
    before = logger.level, list(logger.handlers)
    with logging_to(io.StringIO(), logging.DEBUG):
        assert logger.level == logging.DEBUG
    assert (logger.level, list(logger.handlers)) == before
