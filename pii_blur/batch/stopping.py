"""Ctrl-C, SIGTERM and SIGHUP: the first lets photos in hand finish, the second stops at once."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from pii_blur.errors import ExitCode

log = logging.getLogger(__name__)

EXIT_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
if sys.platform != "win32":
    EXIT_CODES[signal.SIGHUP] = ExitCode.HANGUP  # the terminal or the connection has gone


class StopOnSignals:
    """Calls `stop` at the first signal and raises KeyboardInterrupt at the second, during the `with`.

    Outside the main thread, where Python lets nobody handle signals, it does nothing.

    Attributes:
        exit_code: of the first signal, or OK if there was none.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.exit_code = ExitCode.OK
        self._stop = stop
        self._before: dict[
            signal.Signals, signal.Handlers | Callable[[int, FrameType | None], object] | int | None
        ] = {}

    def __enter__(self) -> StopOnSignals:
        if threading.current_thread() is threading.main_thread():
            for number in EXIT_CODES:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell sets it for background jobs, and nohup
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.exit_code is not ExitCode.OK:
            raise KeyboardInterrupt
        self.exit_code = EXIT_CODES[signal.Signals(number)]
        log.warning("stopping after the photos in hand; once more to stop at once")
        self._stop()
