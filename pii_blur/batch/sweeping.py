"""Clears away the half-written files of a run that was killed, and of no other run. Only for the holder of the lock."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from pathlib import Path

from pii_blur.batch.lock import FILE_NAME as LOCK_NAME
from pii_blur.batch.lock import hold_lock
from pii_blur.batch.options import STATE_FOLDER
from pii_blur.errors import RunFailure

log = logging.getLogger(__name__)


def sweep(output: Path) -> None:
    """Remove half-written files from OUTPUT and its sub-folders.

    Where one OUTPUT lies inside another, a file may be the other run's: its folders are swept only while its lock can
    be held as well. The folders of --detections and --preview are left alone: several runs may share them, and what
    lies there half written was blurred or holds no picture.
    """
    with ExitStack() as locks:
        above = [folder for folder in Path(os.path.realpath(output)).parents if _is_output(folder)]
        if not all(_is_ours_too(folder, locks) for folder in above):
            log.debug("'%s' is not swept: a run is working on a folder above it", output)
            return
        for folder, names, files in os.walk(output):
            if Path(folder) != output and _is_output(Path(folder)) and not _is_ours_too(Path(folder), locks):
                names.clear()
                continue
            for name in files:
                # PRIVACY: such a file may still hold the unblurred thumbnail.
                if name.startswith(".pii-blur-") and ".part" in name:
                    remove(Path(folder, name))


def remove(file: Path) -> None:
    """Remove a file, or say that it must be removed by hand."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        log.error("'%s' is left over and cannot be removed (%s); remove it by hand", file.name, error.strerror)


def _is_output(folder: Path) -> bool:
    return os.access(folder / STATE_FOLDER / LOCK_NAME, os.F_OK)  # a folder above may be none of our business


def _is_ours_too(folder: Path, locks: ExitStack) -> bool:
    """Take the lock of another OUTPUT as well, if no run holds it."""
    try:
        locks.enter_context(hold_lock(folder / STATE_FOLDER))
    except RunFailure:  # held, or not ours to write
        return False
    return True
