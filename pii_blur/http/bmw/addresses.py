"""Addresses of inference servers: one way of writing each, and only those that the operator allowed.

PRIVACY: requests go to these addresses, with parts of photos in them. Whoever may post a photo must not be able to send
them, or this server, anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from pii_blur.errors import UsageFailure
from pii_blur.http.refusals import Refusal

_PORTS = {"http": 80, "https": 443}
_MAX_LENGTH = 500


def normal_address(text: str) -> str:
    """Return an address as ``http://host:port/path/``.

    Raises:
        ValueError: it is none, or has more in it than that: a user, a query, a fragment, dots or escapes in the path.
    """
    if not text.isascii() or not text.isprintable() or len(text) > _MAX_LENGTH or set(text) & set(" \\%@?#"):
        raise ValueError("it has characters that such an address does not need")
    parts = urlsplit(text)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("expected format: http://ip:port/")
    port = parts.port or _PORTS[parts.scheme]  # a ValueError where it is none
    if any(step in (".", "..") for step in parts.path.split("/")):
        raise ValueError("its path has dots")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    return f"{parts.scheme}://{host}:{port}{path}"


class AllowedAddresses:
    """The inference servers that the operator permits; none by default."""

    def __init__(self, addresses: Iterable[str] = ()) -> None:
        """Take them as the operator wrote them: each permits itself and what lies below its path.

        Raises:
            UsageFailure: one is no address.
        """
        self._allowed: list[str] = []
        for address in addresses:
            try:
                self._allowed.append(normal_address(address))
            except ValueError as error:
                raise UsageFailure(f"'{address}' is not the address of an inference server: {error}") from error

    def __contains__(self, address: str) -> bool:
        # All end with a slash, so that no address is the beginning of another host, port or folder.
        return any(address.startswith(allowed) for allowed in self._allowed)

    def check(self, text: str) -> str:
        """Return an address in its normal form.

        Raises:
            Refusal: it is none, or not allowed.
        """
        try:
            address = normal_address(text)
        except ValueError as error:
            raise Refusal(422, "invalid_request", f"wrong url: {error}") from error
        if address not in self:
            message = f"{address} is not among the inference servers that the operator of this service allows"
            raise Refusal(403, "forbidden", message)
        return address
