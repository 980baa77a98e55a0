"""BMW's body shape, and what a configuration with mistakes is answered with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pii_blur.http.refusals import Refusal

ASK_METHODS = "Some data in your configuration file need to be modified. Check the /available_methods/ endpoint"


class Mistakes(Refusal):
    """A configuration that is not as it must be; nothing was done.

    Attributes:
        details: every mistake by itself.
    """

    def __init__(self, details: Sequence[str]) -> None:
        super().__init__(422, "configuration", ASK_METHODS)
        # JSON may hold halves of characters, which no answer can.
        self.details = [what.encode("utf-8", "backslashreplace").decode() for what in details]


def refused_body(refusal: Refusal) -> dict[str, Any]:
    """Return the body of a refusal, in the shape that BMW's clients know."""
    details = refusal.details if isinstance(refusal, Mistakes) else None
    return {"success": False, "data": details, "error": refusal.message}


def done_body(data: object) -> dict[str, Any]:
    """Return the body of an answer that is no picture."""
    return {"success": True, "data": data, "error": ""}
