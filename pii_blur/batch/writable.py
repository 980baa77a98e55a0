"""Whether folders can be written, tried out on a file that nobody sees. Knows nothing of photos."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pii_blur.errors import CannotWrite

# A photo that failed on a disk with less room than this beside its own size failed for want of it.
SPARE_BYTES = 1 << 20


def check_writable(folders: Iterable[Path]) -> None:
    """Make folders, and make sure that files can be written and renamed there, down to the disk.

    Raises:
        CannotWrite: they cannot.
    """
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _try_out(folder)
        except OSError as error:
            raise CannotWrite(f"'{folder}' cannot be written: {error.strerror}") from error


def _try_out(folder: Path) -> None:
    token = secrets.token_hex(8)
    first, second = (folder / f".pii-blur-{token}-{number}.part" for number in (1, 2))
    try:
        with first.open("xb") as probe:
            probe.write(b"?")
            probe.flush()
            os.fsync(probe.fileno())
        first.replace(second)
    finally:
        for file in (first, second):
            with suppress(OSError):
                file.unlink(missing_ok=True)


def check_still_writable(folders: Iterable[Path], needed: int) -> None:
    """Stop the run where a full or broken disk is the reason for a failure, instead of failing all others.

    Args:
        folders: as they were found writable before.
        needed: bytes of the photo that has just failed.

    Raises:
        CannotWrite: a folder is full, broken, or has become read-only.
    """
    for folder in folders:
        try:
            free = shutil.disk_usage(folder).free  # what has gone is not made again
        except OSError as error:
            raise CannotWrite(f"'{folder}' cannot be written any more: {error.strerror}") from error
        if free < needed + SPARE_BYTES:
            raise CannotWrite(f"the disk of '{folder}' is full; make room and run the same command again")
        check_writable([folder])
