"""Clears away the half-written files of a run that was killed, and of no other run. Only for the holder of the lock."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

from pii_blur.batch.lock import FILE_NAME as LOCK_NAME
from pii_blur.batch.lock import hold_lock
from pii_blur.batch.options import STATE_FOLDER
from pii_blur.errors import RunFailure

log = logging.getLogger(__name__)


def sweep(output: Path, folders: Collection[Path] | None = None) -> None:
    """Remove half-written files from OUTPUT.

    Where one OUTPUT lies inside another, a file may be the other run's: its folders are swept only while its lock can
    be held as well. The folders of --detections and --preview are left alone: several runs may share them, and what
    lies there half written was blurred or holds no picture.

    Args:
        output: OUTPUT.
        folders: those in it that are looked into, but not below them; None for all that there are.
    """
    with ExitStack() as stack:
        locks = _Locks(stack)
        above = [folder for folder in Path(os.path.realpath(output)).parents if _is_output(folder)]
        if not all(map(locks.can_have, above)):
            log.debug("'%s' is not swept: a run is working on a folder above it", output)
            return
        for folder, files in _all_in(output, locks) if folders is None else _these_in(output, locks, folders):
            for name in files:
                # PRIVACY: such a file may still hold the unblurred thumbnail.
                if name.startswith(".pii-blur-") and ".part" in name:
                    remove(folder / name)


def remove(file: Path) -> None:
    """Remove a file, or say that it must be removed by hand."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        log.error("'%s' is left over and cannot be removed (%s); remove it by hand", file.name, error.strerror)


def _all_in(output: Path, locks: _Locks) -> Iterator[tuple[Path, list[str]]]:
    """Yield OUTPUT and all its folders that are ours, each with its files."""
    for folder, names, files in os.walk(output):
        if Path(folder) != output and not locks.can_have(Path(folder)):
            names.clear()
            continue
        yield Path(folder), files


def _these_in(output: Path, locks: _Locks, folders: Collection[Path]) -> Iterator[tuple[Path, list[str]]]:
    """Yield those of some folders in OUTPUT that are ours, each with its files."""
    root = os.path.realpath(output)
    for folder in sorted(folders):
        way = folder.relative_to(output)
        # What lies behind a link may be anybody's.
        if os.path.realpath(folder) != str(Path(root, way)):
            continue
        if not all(locks.can_have(output / one) for one in (way, *way.parents) if one.parts):
            continue
        try:
            with os.scandir(folder) as entries:
                files = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # a photo that failed has made no folder
        yield folder, files


class _Locks:
    """The locks of other OUTPUTs, each held from the first question until the end of `stack`."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._had: dict[Path, bool] = {}

    def can_have(self, folder: Path) -> bool:
        """Return whether `folder` is no OUTPUT, or one at which no run is at work."""
        if not _is_output(folder):
            return True
        if folder not in self._had:
            try:
                self._stack.enter_context(hold_lock(folder / STATE_FOLDER))
                self._had[folder] = True
            except (RunFailure, OSError):  # held, or not ours to write
                self._had[folder] = False
        return self._had[folder]


def _is_output(folder: Path) -> bool:
    return os.access(folder / STATE_FOLDER / LOCK_NAME, os.F_OK)  # a folder above may be none of our business
