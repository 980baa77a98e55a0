"""What people see of a run on stderr: a bar on a terminal, a line a photo elsewhere. Knows no positions, no paths."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

from pii_blur.batch.summary import count
from pii_blur.results import Outcome, PhotoResult

log = logging.getLogger(__name__)


class LineProgress:
    """One log line a photo."""

    def start(self, total: int) -> None:
        """See `batch.runner.Progress`."""
        log.info("%s to do", count(total, "photo"))

    def photo(self, result: PhotoResult) -> None:
        """See `batch.runner.Progress`."""
        level = logging.ERROR if result.outcome is Outcome.FAILED else logging.INFO
        log.log(level, "%s", describe(result))

    def close(self) -> None:
        """See `batch.runner.Progress`."""


class BarProgress:
    """A bar with photos done, photos a second, time left and what was hidden; failures get a line above it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: tqdm | None = None
        self._people = 0
        self._vehicles = 0

    def start(self, total: int) -> None:
        """See `batch.runner.Progress`."""
        self._bar = tqdm(
            total=total,
            unit=" photos",
            file=self._stream,
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{rate_noinv_fmt}, {remaining} left{postfix}]",
        )

    def photo(self, result: PhotoResult) -> None:
        """See `batch.runner.Progress`."""
        log.log(logging.ERROR if result.outcome is Outcome.FAILED else logging.DEBUG, "%s", describe(result))
        self._people += result.people
        self._vehicles += result.vehicles
        if self._bar is not None:
            hidden = f"{count(self._people, 'person', 'people')}, {count(self._vehicles, 'vehicle')}"
            self._bar.set_postfix_str(hidden, refresh=False)
            with self._terminal_may_be_gone():
                self._bar.update()

    def close(self) -> None:
        """See `batch.runner.Progress`."""
        if self._bar is not None:
            with self._terminal_may_be_gone():
                self._bar.close()

    @contextmanager
    def _terminal_may_be_gone(self) -> Iterator[None]:
        """Go on without the bar where it cannot be drawn any more: the photos in hand are still to be finished."""
        try:
            yield
        except OSError:
            if self._bar is not None:
                self._bar.disable = True
            self._bar = None


def describe(result: PhotoResult) -> str:
    """Return one line that says what became of a photo: counts and reasons, never where."""
    if result.outcome is Outcome.FAILED:
        assert result.error is not None
        return f"{result.key}: failed: {result.error.message} [{result.error.code}]"
    if result.outcome is Outcome.WAITING:
        return f"{result.key}: waiting: it changed a moment ago and may still be on its way"
    what = "nothing found"
    if result.outcome is Outcome.BLURRED:
        counts = f"{count(result.people, 'person', 'people')}, {count(result.vehicles, 'vehicle')}"
        what = f"hid {counts if result.regions else 'zones only'}"
    details = [detail for detail in (result.projection, result.way) if detail]
    if result.removed:
        details.append(f"removed {', '.join(result.removed)}")
    details.append(f"{sum(result.seconds.values()):.1f} s")
    return f"{result.key}: {what} ({'; '.join(details)})"
