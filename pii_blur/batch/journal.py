"""What became of every photo, one JSON line each, so that a second run does only what is left. Knows no positions.

The file belongs to its owner alone, is only ever appended to (and now and then rewritten without superseded lines), and
every line is on the disk before the next photo is reported. docs/journal.md describes the format.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pii_blur.batch.jobs import FoundPhoto
from pii_blur.errors import CannotWrite, UsageFailure
from pii_blur.results import Outcome, PhotoResult

log = logging.getLogger(__name__)

SCHEMA = 1
FILE_NAME = "journal.jsonl"
TEMPORARY_NAME = ".pii-blur-journal.part"

# Rewriting costs about a second per 100,000 photos; below this many dead lines it is never worth it.
COMPACT_FROM = 1000


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything beside the photo itself that decides its result.

    Attributes:
        run: digest of the settings, the model and the switches of the run.
        given: size and time of the detections file that the photo was done from, empty if it was searched.
        extras: kinds of files that are written beside the result.
    """

    run: str
    given: str = ""
    extras: frozenset[str] = frozenset()

    def covers(self, wanted: Recipe) -> bool:
        """Whether what was done this way needs not be done again as `wanted`."""
        return self.run == wanted.run and self.given == wanted.given and wanted.extras <= self.extras


@dataclass(frozen=True, slots=True)
class _Entry:
    """The newest line about one photo, as far as it must be remembered."""

    line: int
    is_done: bool
    size: int
    mtime_ns: int
    output_size: int
    recipe: Recipe


class Journal:
    """The journal of one OUTPUT: `load` it, ask `is_finished`; to write, `open` it once, `append`, `close`.

    Attributes:
        file: its path, whether it exists or not.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE_NAME
        self._entries: dict[str, _Entry] = {}
        self._lines = 0
        self._stream: BinaryIO | None = None
        self._has_header = False
        self._is_torn = False

    def load(self) -> None:
        """Read the file, if there is one. Lines that make no sense are passed over, the last one may be torn.

        Raises:
            UsageFailure: the file was written by a newer version.
            CannotWrite: it cannot be read.
        """
        unknown = 0
        for number, raw in self._read_lines():
            self._lines = number + 1
            self._is_torn = not raw.endswith(b"\n")
            try:
                unknown += not self._take(number, json.loads(raw))
            except (ValueError, TypeError, KeyError, RecursionError):
                unknown += 1
        if unknown:
            log.warning("%d lines of the journal %s make no sense and were passed over", unknown, self.file.name)

    def is_finished(self, photo: FoundPhoto, destination: Path, recipe: Recipe) -> bool:
        """Whether `photo` was done as it is now, in the same way, and its result is still there. Opens no photo.

        Args:
            photo: as the listing shows it.
            destination: where its result lies. One that the journal does not vouch for is never "done".
            recipe: how it would be done now.
        """
        entry = self._entries.get(photo.key)
        if entry is None or not entry.is_done or not entry.recipe.covers(recipe):
            return False
        if (entry.size, entry.mtime_ns) != (photo.size, photo.mtime_ns):
            return False
        try:
            status = os.lstat(destination)
        except OSError:
            return False
        # PRIVACY: a link is not our result, wherever it leads; S_IFREG alone is.
        return status.st_size == entry.output_size and (status.st_mode & 0o170000) == 0o100000

    def open(self, version: str) -> None:
        """Make the journal ready for `append`: folder, rights, torn last line, superseded lines.

        Args:
            version: of the program, for the header.

        Raises:
            CannotWrite: the folder or the file cannot be written.
        """
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._lines - len(self._entries) > max(COMPACT_FROM, len(self._entries)):
                self._compact()
            self._stream = _open_private(self.file, os.O_APPEND)
            if self._is_torn:
                self._write(b"\n")
            if not self._has_header:
                self._write(_line({"schema": SCHEMA, "kind": "pii-blur journal", "version": version}))
        except OSError as error:
            raise self._cannot_write(error) from error

    def append(self, result: PhotoResult, photo: FoundPhoto, recipe: Recipe) -> None:
        """Put what became of `photo` on the disk.

        Args:
            result: what became of it.
            photo: the photo as it was *before* it was read, so that a later change is noticed.
            recipe: how it was done.

        Raises:
            CannotWrite: it cannot be written, e.g. because the disk is full.
        """
        record = result.to_json() | {
            "size": photo.size,
            "mtime_ns": photo.mtime_ns,
            "run": recipe.run,
            "given": recipe.given,
            "extras": sorted(recipe.extras),
        }
        try:
            self._write(_line(record))
        except OSError as error:
            raise self._cannot_write(error) from error

    def close(self) -> None:
        """Close the file; nothing is lost if this is never called."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _take(self, number: int, record: dict[str, Any]) -> bool:
        if "key" not in record:
            if "schema" not in record:
                return False
            if record["schema"] > SCHEMA:
                raise _newer(self.file)
            self._has_header = True
            return True
        self._entries[str(record["key"])] = _Entry(
            line=number,
            is_done=record["outcome"] in (Outcome.BLURRED, Outcome.CLEAN),
            size=int(record["size"]),
            mtime_ns=int(record["mtime_ns"]),
            output_size=int(record["output_size"]),
            recipe=Recipe(sys.intern(str(record["run"])), str(record["given"]), frozenset(record["extras"])),
        )
        return True

    def _read_lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self.file.open("rb") as stream:
                yield from enumerate(stream)
        except FileNotFoundError:
            return
        except OSError as error:
            raise CannotWrite(f"the journal {self.file} cannot be read: {error.strerror}") from error

    def _compact(self) -> None:
        """Rewrite the file with the header and the newest line of each photo, atomically."""
        kept = {entry.line for entry in self._entries.values()}
        temporary = self.file.with_name(TEMPORARY_NAME)
        with _open_private(temporary, os.O_TRUNC) as stream:
            for number, raw in self._read_lines():
                if number in kept or (self._has_header and b'"kind"' in raw and b'"key"' not in raw):
                    stream.write(raw if raw.endswith(b"\n") else raw + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.file)
        self._is_torn = False
        log.debug("journal compacted from %d to %d lines", self._lines, len(kept))

    def _write(self, line: bytes) -> None:
        assert self._stream is not None, "open() comes first"
        self._stream.write(line)
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _cannot_write(self, error: OSError) -> CannotWrite:
        return CannotWrite(f"the journal {self.file} cannot be written: {error.strerror}; see --journal")


def _line(record: dict[str, Any]) -> bytes:
    # ASCII only: names whose bytes are no text survive as escaped surrogates, there and back.
    return json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def _open_private(file: Path, flags: int) -> BinaryIO:
    # PRIVACY: the journal names every photo that shows people; it is nobody else's business, whatever the umask.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0) | flags, 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "wb")


def _newer(file: Path) -> UsageFailure:
    return UsageFailure(f"the journal {file} was written by a newer version; update pii-blur, or use --journal")
