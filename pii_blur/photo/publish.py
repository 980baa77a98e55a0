"""The last step: a finished file appears at its destination whole, or not at all. Knows bytes, nothing of photos."""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pii_blur.errors import CannotWrite, PhotoFailure

TEMPORARY_PREFIX, TEMPORARY_SUFFIX = ".pii-blur-", ".part"

# No space, quota used up, read-only: no other photo would fare better, so the run stops instead of failing thousands.
_HOPELESS = frozenset({errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)})


def publish(
    data: bytes, destination: Path, *, check: Callable[[bytes], object] | None = None, code: str = "write"
) -> None:
    """Write a file beside its destination, make sure it is on the disk, then give it its name.

    An existing file is replaced in one step. The modification time is that of the writing: what keeps copies in step
    (rsync, backups, web caches) goes by it, and when the photo was taken stands in its metadata.

    Args:
        data: the whole file.
        destination: its folder is made if missing.
        check: gets the file as it then lies on the disk, and raises what forbids to publish it.
        code: of the failure when it cannot be written.

    Raises:
        PhotoFailure: it cannot be written there (`code`), or what `check` raises; nothing is left behind.
        CannotWrite: nothing can be written there: disk full, quota used up, read-only.
    """
    temporary = destination.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        # PRIVACY: for the owner's eyes only until it is complete.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # PRIVACY: what is examined is the file itself, not what it was made from; until then it has no name.
        if check is not None:
            check(temporary.read_bytes())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(destination)
        _sync_folder(destination.parent)
    except OSError as error:
        shown = os.fsencode(destination).decode("utf-8", "backslashreplace")
        if error.errno in _HOPELESS:
            raise CannotWrite(f"'{shown}' cannot be written: {error.strerror}") from error
        raise PhotoFailure(f"'{shown}' cannot be written: {error.strerror}", code) from error
    finally:
        with suppress(OSError):  # after success, or with its folder, it is gone already
            temporary.unlink()


def _umask() -> int:
    """Return the umask. It can only be read by setting it: for that moment, to the most private one."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut; Windows does so itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
