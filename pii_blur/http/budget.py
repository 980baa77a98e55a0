"""How much memory all photos in hand may take together. Several threads share one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """Bytes that are lent for as long as a photo is being done. One that fits beside nothing is done alone."""

    def __init__(self, most: int) -> None:
        """Make a budget.

        Args:
            most: bytes to lend in all; 0 for no bound.
        """
        self._most, self._lent, self._borrowers = most, 0, 0
        self._changed = threading.Condition()

    @contextmanager
    def lend(self, need: int) -> Iterator[None]:
        """Wait until there is room for `need` bytes, and hold it during the `with`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._most or not self._borrowers or self._lent + need <= self._most)
            self._lent += need
            self._borrowers += 1
        try:
            yield
        finally:
            with self._changed:
                self._lent -= need
                self._borrowers -= 1
                self._changed.notify_all()
