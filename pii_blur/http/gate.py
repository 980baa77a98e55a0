"""Lets only so many photos into the house; the others are sent away before their bodies are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from pii_blur.http.refusals import Refusal

_LONGEST_S = 120
_MEMORY = 0.8  # how much of the mean the next photo leaves as it was


class Gate:
    """Counts the photos in the house. Lives in the event loop's thread.

    Attributes:
        inside: how many there are.
    """

    def __init__(self, capacity: int, workers: int) -> None:
        """Open a gate.

        Args:
            capacity: how many photos may be inside.
            workers: how many of them are done at a time.
        """
        self.inside = 0
        self._capacity = capacity
        self._workers = workers
        self._mean_s = 1.0

    def enter(self) -> Slot:
        """Return a place for one photo.

        Raises:
            Refusal: 429, with the seconds after which it may be tried again.
        """
        if self.inside >= self._capacity:
            wait_s = min(_LONGEST_S, max(1, math.ceil(self._mean_s * self.inside / self._workers / 2)))
            message = f"{self.inside} photos are being done or waiting already; try again in {wait_s} s"
            raise Refusal(429, "busy", message, {"Retry-After": str(wait_s)})
        self.inside += 1
        return Slot(self)

    def leave(self) -> None:
        """Give one place back; `Slot` does it once."""
        self.inside -= 1

    def note(self, seconds: float) -> None:
        """Take into account how long a photo took a worker."""
        self._mean_s = _MEMORY * self._mean_s + (1 - _MEMORY) * seconds


class Slot:
    """A place in the house. It is free again at the end of the request, or, if it was kept, when it is released."""

    def __init__(self, gate: Gate) -> None:
        self.is_kept = False
        self._gate: Gate | None = gate

    def keep(self) -> None:
        """Hold it beyond the end of the request, until `release`."""
        self.is_kept = True

    def release(self) -> None:
        """Give it back; once is enough."""
        if self._gate is not None:
            self._gate.leave()
            self._gate = None


def photo_route(gate: Gate) -> type[APIRoute]:
    """Return the class of routes that take photos: `APIRouter(route_class=photo_route(gate))`.

    FastAPI reads the body before it asks any dependency; this asks before that. The place is `request.state.slot`.
    """

    class PhotoRoute(APIRoute):
        """A route behind the gate."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """Return FastAPI's handler with the gate before it."""
            handle = super().get_route_handler()

            async def enter_and_handle(request: Request) -> Response:
                slot = request.state.slot = gate.enter()
                try:
                    return await handle(request)
                finally:
                    if not slot.is_kept:
                        slot.release()

            return enter_and_handle

    return PhotoRoute
