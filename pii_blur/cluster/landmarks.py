"""Marks by which the machines of a cluster recognise the folders that all of them must see."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pii_blur.cluster.ray_worker import Landmark
from pii_blur.errors import CannotWrite
from pii_blur.results import Job


@contextmanager
def set_landmarks(first: Job, folders: tuple[Path, ...]) -> Iterator[tuple[Landmark, ...]]:
    """Give a landmark for INPUT, the first photo itself, and put one into each folder; these go at the end.

    Args:
        first: the first photo.
        folders: that are written to.

    Raises:
        CannotWrite: a folder cannot be written.
    """
    made: list[Path] = []
    try:
        yield (*_of_photo(first), *(_put_into(folder, made) for folder in folders))
    finally:
        for file in made:
            with suppress(OSError):
                file.unlink()


def _of_photo(first: Job) -> tuple[Landmark, ...]:
    try:
        return (Landmark.of(first.source, "INPUT"),)
    except OSError:
        return ()  # it has just gone, and fails in its own time


def _put_into(folder: Path, made: list[Path]) -> Landmark:
    # Called like a half-written file, so that it is swept after a run that was killed.
    file = folder / f".pii-blur-{secrets.token_hex(8)}.part"
    made.append(file)
    try:
        file.write_text("Here the machines of a cluster meet.\n", encoding="ascii")
        return Landmark.of(file, f"'{folder}'")
    except OSError as error:
        raise CannotWrite(f"'{folder}' cannot be written: {error.strerror}") from error
