"""For input that is made to cost time: a test of it ends, at the latest, with a failure that says so."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest


@contextmanager
def ends(seconds: int = 60) -> Iterator[None]:
    """Fail if what stands in the `with` hangs; how fast it is does not matter. A sound program needs some seconds."""
    if not hasattr(signal, "SIGALRM"):
        pytest.skip("this system has no alarm")

    def give_up(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it hangs: not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
