"""Inference servers: whatever one answers, a photo is hidden as it must be or not done at all."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from fastapi.responses import StreamingResponse
from PIL import Image

from pii_blur.http.bmw.pictures import parts, read_masks
from pii_blur.http.bmw.server import InferenceServer, ServerFailure, open_client
from tests import inference_server as remote
from tests.patience import ends


@pytest.fixture(scope="module")
def running() -> Iterator[remote.InferenceServer]:
    """A server that tests tell how to misbehave."""
    with remote.inference_server() as server:
        yield server


@pytest.fixture
def state(running: remote.InferenceServer) -> remote.InferenceServer:
    """The same, well again."""
    running.fault, running.in_colours = "", False
    running.asked.clear()
    running.pictures.clear()
    return running


@pytest.fixture
def server(state: remote.InferenceServer) -> Iterator[InferenceServer]:
    """Our side of it."""
    with open_client() as client:
        yield InferenceServer(state.address, client, timeout_s=3)


def test_what_a_sound_server_says_is_understood(server: InferenceServer) -> None:
    """Models, classes, types and colours."""
    assert server.models() == ["boxes", "masks"]
    assert server.classes("boxes") == remote.CLASSES
    assert (server.is_segmentation("boxes"), server.is_segmentation("masks")) == (False, True)
    assert server.palette("masks") == [(0, 0, 0), (200, 30, 30), (30, 30, 200)]


def test_nothing_is_asked_when_the_time_is_over(state: remote.InferenceServer) -> None:
    """A server with many models, each of which takes its time, is not waited for without an end."""
    with open_client() as client, pytest.raises(ServerFailure, match="no time left"):
        InferenceServer(state.address, client, end=time.monotonic()).models()
    assert state.asked == []


@pytest.mark.parametrize("fault", ["error", "false", "text", "huge", "packed", None, 5, "text in data", {"models": 5}])
def test_a_server_that_errs_is_a_failure_that_names_it(
    state: remote.InferenceServer, server: InferenceServer, fault: Any
) -> None:
    """Also where the status says that all is well."""
    state.fault = fault
    with pytest.raises(ServerFailure, match=r"127\.0\.0\.1"):
        server.models()
    assert ServerFailure("").code == "inference_server"


def test_redirects_are_not_followed(state: remote.InferenceServer, server: InferenceServer) -> None:
    """An allowed server must not send us where the operator did not."""
    state.fault = "redirect"
    with pytest.raises(ServerFailure, match="307"):
        server.models()
    assert state.asked == ["models"]


def test_a_server_that_is_not_there_is_a_failure() -> None:
    """And not an empty answer."""
    with socket.socket() as taken, open_client() as client:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        with pytest.raises(ServerFailure, match="does not answer"):
            InferenceServer(f"http://127.0.0.1:{taken.getsockname()[1]}/", client).models()


def test_a_server_that_drips_is_given_up(state: remote.InferenceServer, server: InferenceServer) -> None:
    """Each byte comes in time, the answer never."""
    is_given_up = threading.Event()

    def drops() -> Iterator[bytes]:
        for _ in range(1000):
            is_given_up.wait(0.1)
            yield b" "

    state.fault = StreamingResponse(drops())
    try:
        with pytest.raises(ServerFailure, match="not finished"):
            server.models()
    finally:
        is_given_up.set()


def test_a_server_whose_headers_drip_is_given_up() -> None:
    """However long each byte keeps the connection from being silent: threads and photos would wait for hours."""
    is_given_up = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-")
            while not is_given_up.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener, open_client() as client:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        try:
            with ends(), pytest.raises(ServerFailure, match="not finished"):
                InferenceServer(address, client, timeout_s=0.5).models()
        finally:
            is_given_up.set()
            thread.join()


@pytest.mark.parametrize(
    "boxes",
    [
        None,
        [5],
        [{}],
        [{"ObjectClassName": "face"}],
        [{"ObjectClassName": "face", "coordinates": {"left": 1, "top": 1, "right": 5}}],
        [{"ObjectClassName": "face", "coordinates": {"left": 1, "top": 1, "right": 5, "bottom": "9"}}],
        [{"ObjectClassName": "face", "coordinates": {"left": 1, "top": 1, "right": 5, "bottom": 1e300}}],
        [{}] * 2001,
        [{"ObjectClassName": 7, "coordinates": {"left": 1, "top": 1, "right": 5, "bottom": 9}}],
    ],
)
def test_a_box_that_cannot_be_read_fails_the_photo(
    state: remote.InferenceServer, server: InferenceServer, boxes: Any
) -> None:
    """Something is there, and nobody knows where."""
    state.fault = {"bounding-boxes": boxes}
    with pytest.raises(ServerFailure):
        server.predict("boxes", _png())


def test_boxes_turned_round_or_without_size_are_hidden_all_the_same(
    state: remote.InferenceServer, server: InferenceServer
) -> None:
    """At least one pixel wide and high."""
    edges = {"left": 9, "top": 5, "right": 1, "bottom": 5}
    state.fault = {"bounding-boxes": [{"ObjectClassName": "face", "coordinates": edges}]}
    assert server.predict("boxes", _png()) == [("face", 1, 5, 9, 6)]


@pytest.mark.parametrize("png", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"<svg/>"])
def test_a_mask_that_is_no_png_is_refused(png: bytes) -> None:
    """And not taken for an empty one."""
    with pytest.raises(ValueError, match="PNG"):
        read_masks(png, 64, {"face": 1}, [])


def test_a_mask_of_specks_takes_no_more_memory_than_one() -> None:
    """A part holds its own pixels, not the whole view again."""
    mask = np.zeros((640, 640), np.bool_)
    mask[::9, ::9] = True
    found = list(parts(mask, 3))
    assert len(found) == mask.sum()
    assert sum(part.inside.size for part in found) <= mask.size


def _png() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return data.getvalue()
