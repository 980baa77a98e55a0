"""Runs the service under uvicorn until a signal ends it; photos in hand are finished first."""

from __future__ import annotations

import logging
import socket

import uvicorn
from fastapi import FastAPI

from pii_blur.errors import UsageFailure
from pii_blur.http.app import make_app
from pii_blur.http.blurrer import GRACE_S
from pii_blur.http.connections import HEADER_BYTES, connections_for
from pii_blur.http.settings import ServiceSettings

log = logging.getLogger(__name__)


def run(settings: ServiceSettings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        UsageFailure: it cannot listen there.
    """
    listener = _listen(settings)
    address, port = listener.getsockname()[:2]
    _log_with_ours("uvicorn.error")
    config = make_config(make_app(settings), settings)
    log.info("listening on http://%s:%d", f"[{address}]" if ":" in address else address, port)
    uvicorn.Server(config).run(sockets=[listener])


def make_config(app: FastAPI, settings: ServiceSettings) -> uvicorn.Config:
    """Return how uvicorn serves the service."""
    return uvicorn.Config(
        app,
        http=connections_for(settings),
        ws="none",  # there is nothing to talk about on them, and nothing that would bound them
        h11_max_incomplete_event_size=HEADER_BYTES,
        # PRIVACY: its access log would hold the keys in queries, and who asks.
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(GRACE_S),
    )


def _listen(settings: ServiceSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise UsageFailure(f"it cannot listen on {settings.host}, port {settings.port}: {error.strerror}") from error
    return listener


def _log_with_ours(name: str) -> None:
    """Let a library's warnings go where ours go."""
    ours, theirs = logging.getLogger("pii_blur"), logging.getLogger(name)
    theirs.handlers[:] = ours.handlers
    theirs.setLevel(logging.WARNING)
    theirs.propagate = False
