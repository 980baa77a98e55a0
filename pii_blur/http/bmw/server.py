"""Asks an inference server of BMW's API, and believes nothing it says: time, size and form of every answer are checked.

`GET models`, `models/{m}/labels`, `/config`, `/palette`; `POST models/{m}/predict` and `/inference` with a picture.
"""

from __future__ import annotations

import functools
import json
import math
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import anyio
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from pii_blur.errors import PhotoFailure

CONNECT_TIMEOUT_S = 5.0
# Of one answer, from the request to its last byte.
ANSWER_TIMEOUT_S = 60.0
# Of one that needs no look at a picture: names, classes, colours.
QUESTION_TIMEOUT_S = 10.0
_MAX_TEXT, _MAX_PICTURE = 4 << 20, 16 << 20
_MAX_NAMES = 10_000
_MAX_BOXES = 2000
_MAX_EDGE = 1e6
_KEPT_OPEN_S = 1.0  # less than servers do: one that closes while it is asked again would look like a failure


class Box(NamedTuple):
    """What a model found: edges in pixels of the picture it was shown, not empty, but perhaps beyond the picture."""

    class_name: str
    left: float
    top: float
    right: float
    bottom: float


class ServerFailure(PhotoFailure):
    """An inference server did not answer, or not as its API has it: nothing is known about the photo then."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "inference_server")


@dataclass(frozen=True, slots=True)
class Client:
    """Asks in an event loop of its own: httpx alone bounds each silence, and not an answer that drips.

    Attributes:
        portal: to the loop; several threads may use it at once.
        http: belongs to the loop.
    """

    portal: BlockingPortal
    http: httpx.AsyncClient


@contextmanager
def open_client() -> Iterator[Client]:
    """Yield a client that goes where it is sent and nowhere else: no redirects, no proxies."""
    http = httpx.AsyncClient(
        verify=_certificates(),
        follow_redirects=False,
        trust_env=False,
        limits=httpx.Limits(keepalive_expiry=_KEPT_OPEN_S),
        headers={"accept-encoding": "identity"},
        timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
    )
    with start_blocking_portal() as portal:
        try:
            yield Client(portal, http)
        finally:
            portal.call(http.aclose)


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates that this machine believes; reading them takes longer than a request."""
    return ssl.create_default_context()


class InferenceServer:
    """One server; several threads may ask at once."""

    def __init__(
        self, address: str, client: Client, *, timeout_s: float = ANSWER_TIMEOUT_S, end: float = math.inf
    ) -> None:
        """Take one that the operator allowed.

        Args:
            address: in its normal form.
            client: from `open_client`.
            timeout_s: of one answer as a whole.
            end: of all answers together (`time.monotonic`).
        """
        self.address = address
        self._client = client
        self._timeout_s = timeout_s
        self._end = end

    def models(self) -> list[str]:
        """Return the names of its models.

        Raises:
            ServerFailure: as of everything here.
        """
        data = self._data("models")
        return self._names(data.get("models") if isinstance(data, dict) else None, "models")

    def classes(self, model: str) -> list[str]:
        """Return the classes of a model; the number of each is its place in the list."""
        return self._names(self._data(_path(model, "labels")), "labels")

    def is_segmentation(self, model: str) -> bool:
        """Return whether a model finds masks and not boxes."""
        data = self._data(_path(model, "config"))
        kind = data.get("type") if isinstance(data, dict) else None
        if not isinstance(kind, str):
            raise self.wrong(f"does not say of which type the model {model} is")
        return "segmentation" in kind.casefold()

    def palette(self, model: str) -> list[tuple[int, int, int]]:
        """Return the colour of each class of a model in its masks."""
        data = self._data(_path(model, "palette"))
        entries = data if isinstance(data, list) else []
        flat = [part for entry in entries for part in (entry if isinstance(entry, list) else [entry])]
        is_colours = len(flat) % 3 == 0 and all(type(part) is int and 0 <= part < 256 for part in flat)
        if not isinstance(data, list) or not is_colours:
            raise self.wrong(f"has no palette of the model {model} that can be read")
        return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))

    def predict(self, model: str, png: bytes) -> list[Box]:
        """Return what a detection model finds in a picture."""
        data = self._data(_path(model, "predict"), png)
        boxes = data.get("bounding-boxes") if isinstance(data, dict) else None
        if not isinstance(boxes, list) or len(boxes) > _MAX_BOXES:
            raise self.wrong(f"answers without a list of bounding-boxes, or with more than {_MAX_BOXES}")
        return [self._box(entry) for entry in boxes]

    def inference(self, model: str, png: bytes) -> bytes:
        """Return the mask that a segmentation model makes of a picture: a PNG, not looked at yet."""
        return self._ask(_path(model, "inference"), png, _MAX_PICTURE)

    def _data(self, path: str, png: bytes | None = None) -> Any:
        """Return the part `data` of an answer."""
        text = self._ask(path, png, _MAX_TEXT)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.wrong(f"answers {path} with something else than JSON") from error
        if not isinstance(answer, dict) or answer.get("success") is False or "data" not in answer:
            raise self.wrong(f"answers {path} with an error")
        return answer["data"]

    def _ask(self, path: str, png: bytes | None, most: int) -> bytes:
        wait_s = min(self._timeout_s, self._end - time.monotonic())
        if wait_s <= 0:
            raise self.wrong(f"was not asked for {path}: there was no time left")
        try:
            return self._client.portal.call(self._exchange, path, png, most, wait_s)
        except TimeoutError as error:
            raise self.wrong(f"has not finished its answer to {path} after {wait_s:.0f} s") from error
        except httpx.HTTPError as error:
            raise self.wrong(f"does not answer {path} ({type(error).__name__})") from error

    async def _exchange(self, path: str, png: bytes | None, most: int, wait_s: float) -> bytes:
        """Return the body of an answer.

        Raises:
            TimeoutError: its last byte has not come within `wait_s`, counted from before the connection.
            httpx.HTTPError: there is none.
        """
        files = None if png is None else {"input_data": ("view.png", png, "image/png")}
        method, answer = "GET" if png is None else "POST", bytearray()
        with anyio.fail_after(wait_s):
            async with self._client.http.stream(method, self.address + path, files=files) as response:
                if response.status_code != 200 or "content-encoding" in response.headers:
                    raise self.wrong(f"answers {path} with status {response.status_code}")
                async for part in response.aiter_raw():  # as it comes: parts of a set size would be waited for
                    answer += part
                    if len(answer) > most:
                        raise self.wrong(f"answers {path} with more than {most >> 20} MiB")
        return bytes(answer)

    def _names(self, value: Any, what: str) -> list[str]:
        # Some servers of this API give an object whose keys are the names.
        names = list(value) if isinstance(value, (list, dict)) else None
        if names is None or len(names) > _MAX_NAMES or not all(_is_name(name) for name in names):
            raise self.wrong(f"has no list of {what} that can be read")
        return names

    def _box(self, entry: Any) -> Box:
        if isinstance(entry, Mapping) and isinstance(entry.get("coordinates"), Mapping):
            edges = [entry["coordinates"].get(side) for side in ("left", "top", "right", "bottom")]
            name = entry.get("ObjectClassName")
            if isinstance(name, str) and all(type(edge) in (int, float) and abs(edge) < _MAX_EDGE for edge in edges):
                (left, right), (top, bottom) = sorted(edges[::2]), sorted(edges[1::2])
                # One pixel at least: what has no size on paper is something all the same.
                return Box(name, left, top, max(right, left + 1), max(bottom, top + 1))
        # PRIVACY: it is there, but nobody knows where: the photo is not done.
        raise self.wrong("answers with a bounding box that cannot be read")

    def wrong(self, what: str) -> ServerFailure:
        """Return the failure of this server; `what` it did."""
        return ServerFailure(f"the inference server {self.address} {what}")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable() and name not in (".", "..")


def _path(model: str, what: str) -> str:
    return f"models/{quote(model, safe='')}/{what}"
