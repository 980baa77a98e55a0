"""How large a body may be, and how long its sending may take. What its header calls too large is not even read."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pii_blur.http.refusals import Refusal, Wording


class UploadLimits:
    """ASGI middleware round everything that reads bodies."""

    def __init__(self, app: ASGIApp, max_bytes: int, upload_s: float, wording: Wording) -> None:
        self._app, self._max_bytes, self._upload_s, self._wording = app, max_bytes, upload_s, wording

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a watched body, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > self._max_bytes:
            await self._wording.answer(scope["path"], self._too_large())(scope, receive, send)
            return
        received, is_whole, deadline = 0, False, asyncio.get_running_loop().time() + self._upload_s

        async def watched() -> Message:
            nonlocal received, is_whole
            if is_whole:  # whoever asks on waits for the caller to hang up
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                late = f"the body did not arrive within {self._upload_s:g} s"
                raise Refusal(408, "upload_timeout", late, {"Connection": "close"}) from None
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._too_large()
            is_whole = not message.get("more_body", False)
            return message

        await self._app(scope, watched, send)

    def _too_large(self) -> Refusal:
        most = f"{self._max_bytes / (1 << 20):g} MiB"
        return Refusal(413, "too_large", f"the body is larger than {most}", {"Connection": "close"})
