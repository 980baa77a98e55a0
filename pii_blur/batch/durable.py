"""Files of our own that survive a power cut, and that nobody else reads. Knows nothing of what is in them."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import BinaryIO


def open_private(file: Path, flags: int) -> BinaryIO:
    """Open a file for writing that only its owner may read, whatever the umask, also if it was there before.

    Args:
        file: its folder exists.
        flags: of `os.open`, beside those for writing and creating.
    """
    # PRIVACY: such files name photos that show people, or hold them.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0) | flags, 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "wb")


def replace_private(file: Path, data: bytes, temporary: Path) -> None:
    """Give a file a new content in one step.

    Args:
        file: the file.
        data: all of it.
        temporary: a name in the same folder that nothing else uses.
    """
    with open_private(temporary, os.O_TRUNC) as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut; Windows does so itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, as hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
