"""A running service on loop-back whose workers find the people of `tests.scenes` by their colour.

Some photos tell the worker what to do with them: bytes behind a JPEG's end that begin with ``test:``.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import requests
import uvicorn

from pii_blur.batch.engine import Task
from pii_blur.http.app import make_app
from pii_blur.http.pool import WorkTask
from pii_blur.http.server import make_config
from pii_blur.http.settings import ServiceSettings
from pii_blur.photo.exiftool import open_exiftool
from pii_blur.pipeline import Tools
from pii_blur.results import Job, PhotoResult
from pii_blur.sphere.extent import PanoExtent
from pii_blur.sphere.quad import SphereQuad
from tests.scenes import ColourDetector, background, draw_people

PEOPLE = [(20, -5, 12, 30), (180, 0, 14, 25), (-60, 40, 12, 20)]


@contextmanager
def open_colour_tools() -> Iterator[Tools]:
    """The colour detector and the real exiftool."""
    with open_exiftool() as exiftool:
        yield Tools(ColourDetector(), exiftool)


@dataclass
class ScriptedTask:
    """Does orders as the service does, but for photos that ask for something else."""

    task: WorkTask

    def __call__(self, job: Job) -> PhotoResult:
        script = job.source.read_bytes().rpartition(b"test:")[2][:20]
        if script.startswith(b"hang"):
            time.sleep(3600)
        if script.startswith(b"kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if script.startswith(b"wait"):
            time.sleep(1)
        if script.startswith(b"linger"):
            time.sleep(4)
        if script.startswith(b"bug"):
            raise ValueError("an unexpected value")
        ColourDetector.score = 0.45 if script.startswith(b"doubt") else 0.9
        return self.task(job)

    def memory(self, job: Job) -> int:
        return self.task.memory(job)

    def close(self) -> None:
        self.task.close()


@dataclass(frozen=True)
class Caller:
    """Sends requests to one service."""

    address: str

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.address + path, timeout=60, **options)

    def blur(self, photo: bytes, **options: Any) -> requests.Response:
        """Post a photo as Panoramax does."""
        files = {"picture": ("picture.jpg", photo, "image/jpeg")}
        return self("POST", "/blur/", files=files, **options)

    def photo(self, photo: bytes, path: str = "/v1/photos", **options: Any) -> requests.Response:
        """Post a photo to our own API."""
        return self("POST", path, files={"photo": ("secret-name.jpg", photo)}, **options)


@contextmanager
def running(task: Task | None = None, **changes: Any) -> Iterator[Caller]:
    """Run a service in a thread, its workers in processes of their own.

    Args:
        task: what the workers do.
        changes: fields of `ServiceSettings`.
    """
    settings = ServiceSettings(port=0, **changes)
    config = make_config(make_app(settings, task=task or ScriptedTask(WorkTask(open_colour_tools, 1))), settings)
    config.port = settings.port
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            time.sleep(0.01)
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield Caller(f"http://{host}:{port}")
    finally:
        server.should_exit = True
        thread.join()


def panorama(width: int = 512, seed: int = 0) -> bytes:
    """Return a panorama of three people as a JPEG."""
    extent = PanoExtent.full(width, width // 2)
    quads = [SphereQuad.from_angles(*place) for place in PEOPLE]
    return jpeg(draw_people(background(width, width // 2, seed), extent, quads))


def jpeg(pixels: np.ndarray) -> bytes:
    """Return RGB pixels as a JPEG that keeps colours well."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def decoded(data: bytes) -> np.ndarray:
    """Return the RGB pixels of a photo as stored."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), flags), cv2.COLOR_BGR2RGB)


def purple(pixels: np.ndarray) -> np.ndarray:
    """Return where the colour detector sees a person."""
    red, green, blue = np.moveaxis(pixels.astype(int), -1, 0)
    return (red - green > 60) & (blue - green > 60)


def parts(answer: requests.Response) -> dict[str, bytes]:
    """Return the parts of a multipart answer by name."""
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    beginning, *blocks, end = answer.content.split(b"--" + boundary)
    assert (beginning, end) == (b"", b"--\r\n")
    found = {}
    for block in blocks:
        head, _, body = block.partition(b"\r\n\r\n")
        name = re.search(rb'; name="(\w+)"', head)
        assert name is not None
        assert body.endswith(b"\r\n")
        found[name[1].decode()] = body[:-2]
    return found
