"""What is answered instead of a photo: a status, a code for programs and a sentence for people.

Each contract has its own body for it; the status and the words are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from pii_blur.results import PhotoError

# What is wrong with the photo is the caller's to mend (4xx), what is wrong here is not (5xx). See docs/errors.md.
_STATUS = {
    "too_large": 413,
    "not_an_image": 415,
    "unsupported": 415,
    "inference_server": 502,
    "internal": 500,
    "technique": 500,
    "verify": 500,
    "leak": 500,
    "write": 503,
    "exiftool": 503,
    "out_of_memory": 503,
    "worker_died": 503,
}
_CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}


class Refusal(HTTPException):
    """A request that is not granted. FastAPI lets it through even while it reads a body.

    Attributes:
        status_code: of HTTP.
        code: stable short name for programs.
        message: what happened and what to do; holds no name and no path.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.code = code
        self.message = message

    @classmethod
    def of_photo(cls, error: PhotoError) -> Refusal:
        """Return the refusal for a photo that could not be done."""
        return cls(_STATUS.get(error.code, 422), error.code, error.message)


class Problem(BaseModel):
    """Why a request was not granted."""

    detail: str = Field(description="what happened, for people", examples=["the picture is cut off"])
    code: str = Field(description="the same for programs; docs/errors.md has those of photos", examples=["truncated"])


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 408, 413, 415, 421, 422, 429, 500, 503)
}
"""For `responses` of the routes that take photos."""

Body = Callable[[Refusal], dict[str, Any]]
"""How a contract words a refusal."""


def plain_body(refusal: Refusal) -> dict[str, Any]:
    """Return the body of our own API, which is FastAPI's with a code."""
    return {"detail": refusal.message, "code": refusal.code}


class Wording:
    """Finds the body for a path: that of the contract whose first path segment it has."""

    def __init__(self, bodies: Mapping[str, Body]) -> None:
        self._bodies = dict(bodies)

    def answer(self, path: str, refusal: Refusal) -> JSONResponse:
        """Return the response for a refused request to `path`."""
        body = self._bodies.get(path.strip("/").partition("/")[0], plain_body)
        return JSONResponse(body(refusal), refusal.status_code, refusal.headers)


def install_refusals(app: FastAPI, wording: Wording) -> None:
    """Give every error of `app` the body of its contract; nothing of a request is repeated in it."""

    def refused(request: Request, error: Exception) -> JSONResponse:
        return wording.answer(request.url.path, _as_refusal(error))

    def failed(request: Request, _: Exception) -> JSONResponse:
        # The server logs where it happened.
        return wording.answer(request.url.path, Refusal(500, "internal", "internal error, please report it"))

    for kind in (StarletteHTTPException, RequestValidationError):
        app.add_exception_handler(kind, refused)
    app.add_exception_handler(Exception, failed)


def _as_refusal(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, RequestValidationError):
        wrong = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        return Refusal(422, "invalid_request", "; ".join(wrong))
    assert isinstance(error, StarletteHTTPException)
    return Refusal(
        error.status_code, _CODES.get(error.status_code, "refused"), str(error.detail), dict(error.headers or {})
    )
