"""Waits until something has changed in INPUT. The only file that knows watchfiles; does not look at photos.

Events are a hint, not the truth: network folders send none, queues overflow. So a watch also looks every now and then.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


class Alarm:
    """Wakes who waits, when something changes or the run is to stop."""

    def __init__(self) -> None:
        # Not an Event: a signal handler that sets one while this thread is inside its lock waits for ever.
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_stopping = False
        self._also_stop: Callable[[], None] | None = None

    def ring(self) -> None:
        """Something has changed. May be called from any thread."""
        self._calls.put(None)

    def stop(self) -> None:
        """End the watch. May be called from a signal handler."""
        self._is_stopping = True
        self._calls.put(None)
        if self._also_stop is not None:
            self._also_stop()

    def stop_with(self, stop: Callable[[], None]) -> None:
        """Call `stop` together with `self.stop`, also if that was called before."""
        self._also_stop = stop
        if self._is_stopping:
            stop()

    def wait(self, at_most: float, at_least: float) -> bool:
        """Wait for a change, but not longer than `at_most` and not shorter than `at_least` seconds.

        Returns:
            False if the watch is to end; then it does not wait.
        """
        start = time.monotonic()
        end = start + max(at_most, at_least)
        while not self._is_stopping and (left := end - time.monotonic()) > 0:
            try:
                self._calls.get(timeout=left)
            except queue.Empty:
                break
            end = min(end, max(start + at_least, time.monotonic()))
        while not self._calls.empty():
            self._calls.get_nowait()
        return not self._is_stopping


@contextmanager
def watching(folder: Path, alarm: Alarm) -> Iterator[None]:
    """Ring `alarm` when something changes in `folder` or below, during the `with`, as far as the system tells."""
    try:
        import watchfiles  # noqa: PLC0415 - an extra
    except ImportError:
        log.warning(
            "without watchfiles (pip install 'pii-blur[watch]') new photos are only seen every --rescan seconds"
        )
        yield
        return
    end = threading.Event()

    def listen() -> None:
        try:
            # Polling is ours to do, and less often than the library would.
            for _ in watchfiles.watch(
                folder, watch_filter=None, stop_event=end, rust_timeout=1000, force_polling=False
            ):
                alarm.ring()
        except (OSError, RuntimeError) as error:
            log.warning("the system does not tell of new photos (%s); they are seen every --rescan seconds", error)

    thread = threading.Thread(target=listen, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
