"""How many connections there may be, and how long one that makes no progress. Knows bytes on the wire, no requests.

uvicorn bounds the silence between an answer and the next request, and nothing else: neither a connection on which
nothing is ever asked, nor a header that comes letter by letter, nor an answer that is never read. Its
`limit_concurrency` refuses requests, but leaves such connections open. How long a body may take is for `upload_limits`,
a photo for `Blurrer`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from pii_blur.http.settings import ServiceSettings

log = logging.getLogger(__name__)

IDLE_S = 20.0
"""How long a connection may be open without a whole request on it."""

LOOK_S = 5.0
"""How often each connection is looked at; it may live so much longer than it may."""

SPARE = 200
"""Connections beside two for each photo that may be in the house: far below what a process may open by default."""

WARN_S = 60.0
"""How often it is said that connections are refused: a flood of them must not fill the log as well."""

HEADER_BYTES = 16 << 10
"""Most of a request before its body."""


class BoundedConnection(H11Protocol):
    """One connection of the service."""

    most = SPARE
    transfer_s = math.inf
    warned_at = -math.inf  # of all connections of a class together

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._looking: asyncio.TimerHandle | None = None
        self._seen: tuple[object, float] = (None, 0.0)
        self._since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._warn()
            transport.abort()
            return
        self._since = self.loop.time()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Look at it no more."""
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def _warn(self) -> None:
        """Say that a connection is refused, unless that was said just now."""
        if self.loop.time() - type(self).warned_at > WARN_S:
            type(self).warned_at = self.loop.time()
            log.warning("connections are refused: %d are open already; said once in %.0f s", self.most, WARN_S)

    def _look(self) -> None:
        """End the connection if what it waits for has taken too long."""
        now, seen = self.loop.time(), (self.cycle, self._patience_s())
        if seen != self._seen:
            self._seen, self._since = seen, now
        if now - self._since > seen[1]:
            self.transport.abort()
        else:
            self._looking = self.loop.call_later(LOOK_S, self._look)

    def _patience_s(self) -> float:
        """Return how long it may stay as it is now."""
        if self.transport.get_write_buffer_size():
            return self.transfer_s  # an answer that is not read
        if self.cycle is None:
            return IDLE_S
        if not self.cycle.response_complete:
            return math.inf
        # After a refusal before the body was read, the rest of that may still be coming.
        return self.transfer_s if self.cycle.more_body else IDLE_S


def connections_for(settings: ServiceSettings) -> type[BoundedConnection]:
    """Return the class of a service's connections."""

    class Connection(BoundedConnection):
        """With the operator's limits."""

        most = SPARE + 2 * settings.capacity
        transfer_s = settings.upload_s

    return Connection
