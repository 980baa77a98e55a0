"""Does the photos of all contracts: a body comes in, the work is done by a worker, something is collected.

Knows no routes: whoever has a file and a `Work` can have it done.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from anyio import to_thread

from pii_blur.batch.engine import Task
from pii_blur.batch.failing import without_paths
from pii_blur.errors import RunFailure
from pii_blur.http.gate import Gate
from pii_blur.http.metrics import Metrics
from pii_blur.http.pool import Order, Pool, Work
from pii_blur.http.refusals import Refusal
from pii_blur.http.settings import ServiceSettings
from pii_blur.http.works import BlurWork
from pii_blur.http.workspace import KEY, Workspace
from pii_blur.photo.encode import make_thumbnail
from pii_blur.photo.private_folder import open_private_folder
from pii_blur.results import PhotoResult

log = logging.getLogger(__name__)

T = TypeVar("T")

GRACE_S = 30.0
"""How long photos in hand may take once the service is to end."""


class Blurrer:
    """A pool of workers and the folder for what they work on.

    Attributes:
        failure: why no photo can be done, empty as long as one can.
        is_ready: whether a photo was done from end to end since the start.
    """

    def __init__(self, settings: ServiceSettings, task: Task, gate: Gate, metrics: Metrics) -> None:
        self.failure = ""
        self.is_ready = False
        self._settings, self._gate, self._metrics = settings, gate, metrics
        self._pool = Pool(task, settings.workers, settings.patience_s)
        self._stack = ExitStack()
        self._base = Path()
        self._warming: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Sweep what killed processes left, make the folder, start the workers and let each do a picture of its own.

        Raises:
            CannotWrite: there is no place for temporary files.
        """
        self._base = self._stack.enter_context(open_private_folder()).path
        self._pool.start()
        self._warming = [asyncio.create_task(self._warm_up()) for _ in range(self._settings.workers)]

    def close(self) -> None:
        """End the workers after the photos in hand, or after `GRACE_S`; remove the folder."""
        for warming in self._warming:
            warming.cancel()
        self._pool.close(GRACE_S)
        self._stack.close()

    async def do(self, photo: BinaryIO, work: Work, collect: Callable[[Workspace, PhotoResult], T]) -> T:
        """Have one photo done: `receive` and `process`."""
        return await self.process(await self.receive(photo), work, collect)

    async def make_room(self) -> Workspace:
        """Return an empty workspace; whoever asked for it removes it."""
        return await to_thread.run_sync(Workspace, self._base)

    async def receive(self, photo: BinaryIO) -> Workspace:
        """Return a workspace with a photo in it, for `process`.

        Args:
            photo: an open file, read from where it stands.
        """
        room = await self.make_room()
        try:
            await to_thread.run_sync(_write, photo, room.photo)
        except BaseException:
            room.remove()
            raise
        return room

    async def process(self, room: Workspace, work: Work, collect: Callable[[Workspace, PhotoResult], T]) -> T:
        """Have the photo in a workspace done. The workspace is gone at the end, whatever happens.

        Args:
            room: from `receive`.
            work: what is done with it.
            collect: called in a thread once it is done; what it returns is returned.

        Raises:
            Refusal: the photo cannot be done, or not now.
        """
        future = self._pool.submit(Order(room.photo, room.result, KEY, work))
        start = time.monotonic()
        try:
            result = await asyncio.wait_for(asyncio.wrap_future(future), self._settings.patience_s)
            self._take_down(result, time.monotonic() - start)
            if result.error is not None:
                raise Refusal.of_photo(without_paths(result, [room.path]).error or result.error)
            return await to_thread.run_sync(collect, room, result)
        except TimeoutError:
            message = f"the photo was not done within {self._settings.patience_s:g} s; try again later"
            raise Refusal(503, "timeout", message) from None
        except RunFailure as failure:
            self.failure = str(failure)
            raise Refusal(503, "unavailable", "the service cannot do any photo at present; ask its operator") from None
        finally:
            # A worker may still be at it: what it writes yet must go with the folder. Called at once if none is.
            future.add_done_callback(lambda _: room.remove())

    def _take_down(self, result: PhotoResult, waited_s: float) -> None:
        self.failure = ""
        self.is_ready = True
        self._gate.note(sum(result.seconds.values()))
        self._metrics.note(result, waited_s)

    async def _warm_up(self) -> None:
        """Do a small picture from end to end, so that the first caller need not wait and what is missing shows."""
        try:
            room = Workspace(self._base)
            try:
                room.photo.write_bytes(make_thumbnail(np.full((160, 160, 3), 128, np.uint8)))
                order = Order(room.photo, room.result, KEY, BlurWork(self._settings.hiding))
                result = await asyncio.wrap_future(self._pool.submit(order))
            finally:
                room.remove()
            self.is_ready = result.error is None
            self.failure = "" if result.error is None else result.error.message
        except RunFailure as failure:
            self.failure = str(failure)
        except Exception as bug:  # whatever it is, nobody must wait for a service that will never be ready
            log.exception("the first picture could not be done")
            self.failure = f"{type(bug).__name__}: {bug}"
        if self.failure:
            log.error("no photo can be done: %s", self.failure)


def _write(photo: BinaryIO, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(photo, file, 1 << 20)
