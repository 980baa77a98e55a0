"""One at a time, across all workers of the service: for servers that mix up what they are asked at the same time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pii_blur.batch.lock import hold_lock
from pii_blur.errors import AlreadyRunning

_LOOK_AGAIN_S = 0.02


@contextmanager
def turn(folder: Path, address: str, end: float) -> Iterator[None]:
    """Hold the turn at a server during the `with`.

    Args:
        folder: a private one that all workers share.
        address: of the server.
        end: when to give up, by `time.monotonic`.

    Raises:
        TimeoutError: it is then.
        CannotWrite: the folder cannot be written.
    """
    place = folder / f"server-{hashlib.sha256(address.encode()).hexdigest()[:16]}"
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(hold_lock(place))
                break
            except AlreadyRunning:
                if time.monotonic() > end:
                    raise TimeoutError from None
                time.sleep(_LOOK_AGAIN_S)
        yield
