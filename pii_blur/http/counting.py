"""One line in the log and one count for each request: method, pattern of the path, status and time. Nothing else."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pii_blur.http.metrics import Metrics

log = logging.getLogger(__name__)

_QUIET = ("/healthz", "/readyz", "/metrics")  # asked every few seconds by machines
_WRONG_METHOD = 405


class Counting:
    """ASGI middleware round the whole service."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and look at the status of the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = 500, time.monotonic()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            # PRIVACY: the path may hold a job's name, the query a key. Only the route's pattern is told.
            route = getattr(scope.get("route"), "path", "")
            # Callers may invent methods, and each would be counted by itself for ever.
            method = scope["method"] if route and status != _WRONG_METHOD else ""
            self._metrics.note_request(route, method, status)
            level = logging.DEBUG if route in _QUIET else logging.INFO
            log.log(level, "%s %s: %d (%.2f s)", scope["method"], route or "?", status, time.monotonic() - start)
