"""One run per OUTPUT: a lock of the operating system, which dies with its holder. Knows nothing of photos."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pii_blur.errors import AlreadyRunning, CannotWrite

FILE_NAME = "lock"

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # A byte far behind the text, because what Windows locks nobody else can read.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` during the `with`; the folder is made if missing, the lock file stays behind.

    The lock belongs to the open file: it goes when this process ends, however it ends. The file is not inherited by
    programs and workers that this process starts, so none of them can keep it.

    Raises:
        AlreadyRunning: another process holds it.
        CannotWrite: folder or file cannot be written, or the file system knows no locks.
    """
    file = folder / FILE_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)  # close-on-exec, as all of Python's files
    except OSError as error:
        raise CannotWrite(f"'{folder}' cannot be written: {error.strerror}") from error
    try:
        _acquire(descriptor, folder)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        yield
    finally:
        # Closing releases the lock. The file is not removed: a run that is just opening it would lock a ghost.
        os.close(descriptor)


def _acquire(descriptor: int, folder: Path) -> None:
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise CannotWrite(f"'{folder}' cannot be locked: {error.strerror}; use a local disk") from error
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
        who = f" (process {holder})" if holder.isdigit() else ""
        message = f"another run{who} is working on '{folder.parent}'; wait for it, or stop it first"
        raise AlreadyRunning(message) from None
