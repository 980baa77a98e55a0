"""Keeps redirects where the caller came in: of a proxy that adds TLS nothing is known here."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class LocalRedirects:
    """ASGI middleware that leaves path and query of every Location, which clients read as of the same place."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and look at where the answer leads."""

        async def shortened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                if (location := headers.get("location")) is not None:
                    # PRIVACY: a photo that was posted to https: would be posted once more to http:, readable.
                    parts = urlsplit(location)
                    headers["location"] = parts._replace(scheme="", netloc="").geturl()
            await send(message)

        await self._app(scope, receive, shortened)
