"""Who may come in: by token, and on the loop-back address by what tells a program from a web page in a browser."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pii_blur.http.refusals import Refusal, Wording
from pii_blur.http.settings import ServiceSettings

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

OPEN = frozenset({("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/blur/"), ("HEAD", "/blur/")})
"""What everybody may ask: whether the service is well, and for the page that has nothing in it but a form."""


class Doorkeeper:
    """ASGI middleware that refuses before anything of the body is read."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, wording: Wording) -> None:
        self._app, self._wording = app, wording
        self._tokens = [_digest(token) for token in settings.tokens]
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        if settings.is_loopback:
            self._hosts |= _LOOPBACK_NAMES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            if (scope["method"], scope["path"]) not in OPEN:
                self._check_token(headers)
        except Refusal as refusal:
            await self._wording.answer(scope["path"], refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_host(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            # A web page whose name was made to lead here (DNS rebinding) speaks under its own name.
            raise Refusal(421, "wrong_host", "the service does not go by this name; see --allowed-host")
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host.lower():
            raise Refusal(403, "foreign_origin", "requests of other web sites are not answered")

    def _check_token(self, headers: Headers) -> None:
        if self._tokens and not _is_any(_digest(_token(headers.get("authorization", ""))), self._tokens):
            message = "a token is needed: Authorization: Bearer TOKEN"
            raise Refusal(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"})


def _name(host: str) -> str:
    """Return the name or address in the header Host, lower case, without port and brackets; empty if it has none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _place(origin: str) -> str:
    """Return name and port in the header Origin, lower case; empty if it has none, which is no host's."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _token(authorization: str) -> str:
    """Return the token of ``Bearer TOKEN``, or the password of ``Basic``: clients that know nothing but an address."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""
    return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _is_any(digest: bytes, known: Sequence[bytes]) -> bool:
    """Compare with all of them, in a time that tells nothing."""
    return sum(hmac.compare_digest(digest, one) for one in known) > 0
