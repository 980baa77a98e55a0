"""A temporary folder that only its owner can look into, for files that exiftool must find on a disk.

What lies there was not blurred: it goes after every use, with the process, and, if the process was killed, at the next
start of any other.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pii_blur.errors import CannotWrite

_PREFIX, _BARE_PREFIX = "pii-blur-private-", "pii-blur-bare-"


class PrivateFolder:
    """Holds files for a moment at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def files(self, files: Mapping[str, bytes]) -> Iterator[list[Path]]:
        """Write files, by name, and give their paths; at the end the folder is empty again.

        Raises:
            CannotWrite: the temporary folder cannot be written.
        """
        paths = [self.path / name for name in files]
        try:
            for path, data in zip(paths, files.values(), strict=True):
                path.write_bytes(data)
            yield paths
        except OSError as error:
            raise CannotWrite(f"the temporary folder '{self.path}' cannot be used: {error.strerror}") from error
        finally:
            # PRIVACY: they hold the photo's unblurred thumbnail; nothing may stay, whatever happened.
            self._empty()

    def _empty(self) -> None:
        if self.path.is_dir():
            for left in self.path.iterdir():
                left.unlink(missing_ok=True)


@contextmanager
def open_private_folder() -> Iterator[PrivateFolder]:
    """Make a folder in the system's place for temporary files (``TMPDIR``), mode 0700; gone at the end.

    Raises:
        CannotWrite: there is no place for it.
    """
    sweep()
    try:
        # It gets the name that sweeps look for once it is locked: a process that sweeps never finds it unlocked before.
        bare = Path(tempfile.mkdtemp(prefix=_BARE_PREFIX))
        lock = _lock(bare)
        path = bare.rename(bare.with_name(_PREFIX + bare.name.removeprefix(_BARE_PREFIX)))
    except OSError as error:
        raise CannotWrite(f"no temporary folder can be made in '{tempfile.gettempdir()}': {error.strerror}") from error
    folder = PrivateFolder(path)
    # Also runs when the interpreter ends without having left the `with`.
    remove = weakref.finalize(folder, _remove, path, lock)
    try:
        yield folder
    finally:
        remove()


def _remove(path: Path, lock: int | None) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def sweep() -> None:
    """Remove the folders of processes that were killed: those that can be locked.

    A process id would not tell: containers that share a temporary folder have one numbering each.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            lock = _lock(folder)
        except OSError:
            continue  # it belongs to a running process, to another user, or has just gone
        if lock is not None:
            # PRIVACY: a killed run's thumbnails.
            _remove(folder, lock)


if sys.platform == "win32":

    def _lock(folder: Path) -> int | None:
        """Return None: folders cannot be locked there, so that those of killed processes are left to the system."""
        return None
else:
    import fcntl

    def _lock(folder: Path) -> int | None:
        """Lock a folder until the returned file is closed or this process ends, however it ends.

        Raises:
            OSError: another process holds it, or the file system knows no locks.
        """
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)  # close-on-exec, as all of Python's files
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        return lock
