"""A temporary folder that only its owner can look into, for files that exiftool must find on a disk.

What lies there was not blurred: it goes after every use, with the process, and, if the process was killed, at the next
start of any other.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pii_blur.errors import CannotWrite

_PREFIX = "pii-blur-private-"


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
    _sweep()
    try:
        folder = tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", ignore_cleanup_errors=True)
    except OSError as error:
        raise CannotWrite(f"no temporary folder can be made in '{tempfile.gettempdir()}': {error.strerror}") from error
    with folder as path:
        yield PrivateFolder(Path(path))


def _sweep() -> None:
    """Remove the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not _is_running(int(owner)):
            # PRIVACY: a killed run's thumbnails. Errors do not matter: another user's folder is that user's to sweep.
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    if sys.platform == "win32":  # there os.kill(pid, 0) would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
