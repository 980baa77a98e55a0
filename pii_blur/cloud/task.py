"""A task for photos in a store: fetch one, have it done in a private folder, publish the result, forget both."""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pii_blur.batch.engine import Task
from pii_blur.cloud.places import CloudJob, Side
from pii_blur.cloud.store import Store
from pii_blur.errors import CannotWrite, NoPhotos, PhotoFailure
from pii_blur.photo.private_folder import PrivateFolder, open_private_folder
from pii_blur.results import Job, Outcome, PhotoResult

log = logging.getLogger(__name__)

_GLANCE = 1 << 18  # bytes in which the size of a picture stands


class CloudTask:
    """Wraps a task that knows files. No more than the one photo in hand lies on this machine.

    The private folder is in the system's place for temporary files; what a killed process leaves there is swept by the
    next one, see `open_private_folder`.
    """

    def __init__(self, task: Task, source: Side, output: Side) -> None:
        self._task = task
        self._source = source
        self._output = output
        self._stack: ExitStack | None = None
        self._opened: PrivateFolder | None = None

    def __getstate__(self) -> tuple[Task, Side, Side]:
        return self._task, self._source, self._output

    def __setstate__(self, state: tuple[Task, Side, Side]) -> None:
        self._task, self._source, self._output = state
        self._stack = self._opened = None

    def __call__(self, job: Job) -> PhotoResult:
        """Do one photo.

        Raises:
            PhotoFailure: it cannot be fetched or published.
            RunFailure: no other one could be done either.
        """
        assert isinstance(job, CloudJob)
        folder = self._folder()
        # PRIVACY: the original lies here for as long as it is being done.
        fetched = folder.path / f"source{Path(job.key).suffix}"
        made = folder.path / f"result{Path(job.key).suffix}"
        try:
            if isinstance(self._source, Store):
                self._fetch(self._source, job, fetched)
            inner = Job(
                fetched if isinstance(self._source, Store) else job.source,
                made if isinstance(self._output, Store) else job.destination,
                job.key,
            )
            result = _by_its_name(self._task(inner), folder.path, job.key)
            if isinstance(self._output, Store) and result.outcome in (Outcome.BLURRED, Outcome.CLEAN):
                self._publish(self._output, job, made, result)
            return result
        finally:
            for file in folder.path.iterdir():
                file.unlink(missing_ok=True)

    def memory(self, job: Job) -> int:
        """See `Task.memory`: from the first bytes of the photo, which have to be fetched for that."""
        if not isinstance(self._source, Store):
            return self._task.memory(job)
        assert isinstance(job, CloudJob) and job.item is not None
        glance = self._folder().path / f"glance{Path(job.key).suffix}"
        try:
            self._source.fetch(job.item, glance, _GLANCE)
            os.truncate(glance, job.item.st_size)  # costs nothing, and the size of the file counts too
            return self._task.memory(Job(glance, job.destination, job.key))
        except OSError:
            return self._task.memory(Job(glance.with_name("nothing"), job.destination, job.key))
        finally:
            glance.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the task's tools, and remove the private folder."""
        self._task.close()
        if self._stack is not None:
            self._stack.close()
        self._stack = self._opened = None

    def _folder(self) -> PrivateFolder:
        if self._opened is None:
            self._stack = ExitStack()
            self._opened = self._stack.enter_context(open_private_folder())
        return self._opened

    def _fetch(self, store: Store, job: CloudJob, file: Path) -> None:
        assert job.item is not None
        try:
            store.fetch(job.item, file)
        except FileNotFoundError as error:
            raise PhotoFailure("the photo is not in the store any more", "missing", "read") from error
        except FileExistsError as error:
            raise PhotoFailure("the photo has been replaced meanwhile; run again", "changed", "read") from error
        except PermissionError as error:
            message = f"the store does not give the photo ({error.strerror}); look at its rights"
            raise PhotoFailure(message, "permission", "read") from error
        except ConnectionError as error:
            raise NoPhotos(f"INPUT '{store}' cannot be reached any more: {error.strerror or error}") from error
        except OSError as error:
            raise CannotWrite(f"the temporary folder '{file.parent}' cannot be written: {error.strerror}") from error

    def _publish(self, store: Store, job: CloudJob, made: Path, result: PhotoResult) -> None:
        data = made.read_bytes()
        # PRIVACY: what goes out is what was verified, not what may lie here by now.
        if result.output_sha256 and hashlib.sha256(data).hexdigest() != result.output_sha256:
            raise PhotoFailure("the finished file changed before it was published; nothing was", "verify", "write")
        try:
            store.publish(job.key, data, job.replaces)
        except FileExistsError as error:
            message = "OUTPUT holds an object of this name that is not its result, or was changed just now; see --force"
            raise PhotoFailure(message, "not_ours", "write") from error
        except OSError as error:
            raise CannotWrite(f"OUTPUT '{store}' cannot be written: {error.strerror}") from error


def _by_its_name(result: PhotoResult, folder: Path, key: str) -> PhotoResult:
    """Return `result` with the photo called by its key, not by the file that it was for a while."""
    if result.error is None:
        return result
    message = result.error.message
    for name in ("source", "result"):
        message = message.replace(f"{folder / name}{Path(key).suffix}", key)
    return replace(result, error=replace(result.error, message=message))
