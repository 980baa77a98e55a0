"""What became of every photo, one JSON line each, so that a second run does only what is left. Knows no positions.

The file belongs to its owner alone, is only ever appended to (and now and then rewritten without superseded lines, also
under way), and every line is on the disk before the next photo is reported. docs/journal.md describes the format.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from pii_blur.batch.durable import open_private, sync_folder
from pii_blur.batch.entry import STARTED, Entry, Made, Recipe, is_taken, look
from pii_blur.batch.failing import OF_THE_PLACE
from pii_blur.batch.jobs import FoundPhoto
from pii_blur.errors import CannotWrite, UsageFailure
from pii_blur.results import Outcome, PhotoError, PhotoResult
from pii_blur.version import __version__

log = logging.getLogger(__name__)

SCHEMA = 1
FILE_NAME = "journal.jsonl"
TEMPORARY_NAME = ".pii-blur-journal.part"

# Rewriting costs about a second per 100,000 photos; below this many dead lines it is never worth it.
COMPACT_FROM = 1000


class Journal:
    """The journal of one OUTPUT: `load` it, ask; to write, `open` it once, `start` and `append` each photo, `close`.

    Attributes:
        file: its path, whether it exists or not.
    """

    def __init__(self, folder: Path, origin: str = "") -> None:
        """Prepare a journal; nothing is read yet.

        Args:
            folder: where it lies.
            origin: digest of INPUT's path, from `Places.origin`.
        """
        self.file = folder / FILE_NAME
        self._origin = origin
        self._entries: dict[str, Entry] = {}
        self._newest: dict[str, int] = {}  # the number of the line that counts
        self._lines = 0
        self._no_compaction_before = 0  # this many lines, after one that failed
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

    @property
    def is_new(self) -> bool:
        """Whether there is no journal yet, or not any more."""
        return not self._lines

    def is_finished(self, photo: FoundPhoto, destination: Path, recipe: Recipe) -> bool:
        """Whether `photo` was done as it is now, in the same way, and its result is still there. Opens no photo.

        Args:
            photo: as the listing shows it.
            destination: where its result lies. One that the journal does not vouch for is never "done".
            recipe: how it would be done now.
        """
        entry = self._entries.get(photo.key)
        if entry is None or not (entry.is_done and entry.made.is_of(photo) and entry.made.recipe.covers(recipe)):
            return False
        return entry.result_at(destination) is not None

    def given_up(self, photo: FoundPhoto, recipe: Recipe, tries: int) -> PhotoError | None:
        """Return why `photo` is not tried any more, None if it is.

        Args:
            photo: as the listing shows it: a photo that has changed is tried again.
            recipe: how it would be done now: another one is tried, and so is a new version of the program.
            tries: how often a photo may fail; 0 for no end.
        """
        entry = self._entries.get(photo.key)
        if entry is None or entry.outcome != Outcome.FAILED or not tries:
            return None
        return entry.error if entry.tries_of(photo, recipe, __version__) >= tries else None

    def checksums(self, keys: Collection[str]) -> dict[str, tuple[str, str]]:
        """Return the SHA-256 of each photo and of its result, as the lines that count have them.

        They are read from the file: to remember those of a million photos would take too much memory.
        """
        wanted = {self._newest[key]: key for key in keys if key in self._newest}
        found = {}
        for number, raw in self._read_lines() if wanted else ():
            if (key := wanted.get(number)) is not None:
                record = json.loads(raw)
                found[key] = str(record.get("source_sha256", "")), str(record.get("output_sha256", ""))
        return found

    def result_at(self, key: str, destination: Path) -> Made | None:
        """Return what is known of the file at `destination` if the journal vouches for it as the result of `key`."""
        entry = self._entries.get(key)
        return entry.result_at(destination) if entry is not None else None

    def is_foreign(self, key: str, destination: Path) -> bool:
        """Whether something lies at `destination` that the journal does not vouch for: it must not be touched."""
        return is_taken(destination) and self.result_at(key, destination) is None

    def is_of_another_input(self, photo: FoundPhoto) -> bool | None:
        """Whether the journal knows a photo of that name from another INPUT.

        Returns:
            None if it does not, False if that was this very photo, by size and time (INPUT has moved), True otherwise.
        """
        entry = self._entries.get(photo.key)
        if entry is None or entry.origin in ("", self._origin):
            return None
        return not entry.made.is_of(photo)

    def open(self, version: str) -> None:
        """Make the journal ready for `append`: folder, rights, torn last line, superseded lines.

        Args:
            version: of the program, for the header.

        Raises:
            CannotWrite: the folder or the file cannot be written.
        """
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._is_bloated:
                self._compact()
            self._stream = open_private(self.file, os.O_APPEND)
            sync_folder(self.file.parent)
            if self._is_torn:
                self._write(b"\n")
            if not self._has_header:
                self._write(_line({"schema": SCHEMA, "kind": "pii-blur journal", "version": version}))
                self._has_header = True
                self._lines += 1
        except OSError as error:
            raise self._cannot_write(error) from error

    def start(self, photo: FoundPhoto, destination: Path, recipe: Recipe) -> None:
        """Put on the disk that `photo` is about to be done, and what lies at its destination before that.

        Raises:
            CannotWrite: it cannot be written, e.g. because the disk is full.
        """
        record: dict[str, Any] = {"key": photo.key, "outcome": STARTED, "before": look(destination)}
        if tries := self._tries(photo, recipe):
            record |= {"tries": tries, "version": __version__}
        self._add(record, photo, recipe, self.result_at(photo.key, destination))

    def append(self, result: PhotoResult, photo: FoundPhoto, recipe: Recipe, earlier: Made | None = None) -> None:
        """Put what became of `photo` on the disk.

        Args:
            result: what became of it.
            photo: the photo as it was *before* it was read, so that a later change is noticed.
            recipe: how it was done.
            earlier: of a photo that failed, the result from before that is still in OUTPUT.

        Raises:
            CannotWrite: it cannot be written, e.g. because the disk is full.
        """
        record = result.to_json()
        if result.error is not None:
            tries = self._tries(photo, recipe) + (result.error.code not in OF_THE_PLACE)
            record |= {"tries": tries, "version": __version__}
        self._add(record, photo, recipe, earlier)

    def _tries(self, photo: FoundPhoto, recipe: Recipe) -> int:
        entry = self._entries.get(photo.key)
        return entry.tries_of(photo, recipe, __version__) if entry is not None else 0

    def _add(self, record: dict[str, Any], photo: FoundPhoto, recipe: Recipe, earlier: Made | None) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        record |= {"time": now, "size": photo.size, "mtime_ns": photo.mtime_ns, "input": self._origin}
        record |= recipe.to_json()
        if earlier is not None:
            record["earlier"] = earlier.to_json()
        try:
            self._write(_line(record))
        except OSError as error:
            raise self._cannot_write(error) from error
        self._take(self._lines, record)
        self._lines += 1
        if self._is_bloated:
            self._compact_under_way()

    def close(self) -> None:
        """Close the file; nothing is lost if this is never called."""
        if self._stream is not None:
            with suppress(OSError):  # of a line that a full disk has cut off: that was said when it was written
                self._stream.close()
            self._stream = None

    def _take(self, number: int, record: dict[str, Any]) -> bool:
        if "key" not in record:
            if "schema" not in record:
                return False
            if record["schema"] > SCHEMA:
                message = f"the journal {self.file} was written by a newer version; update pii-blur, or use --journal"
                raise UsageFailure(message)
            self._has_header = True
            return True
        key = str(record["key"])
        self._entries[key] = Entry.from_json(record)
        self._newest[key] = number
        return True

    def _read_lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self.file.open("rb") as stream:
                yield from enumerate(stream)
        except FileNotFoundError:
            return
        except OSError as error:
            raise CannotWrite(f"the journal {self.file} cannot be read: {error.strerror}") from error

    @property
    def _is_bloated(self) -> bool:
        is_worth_it = self._lines - len(self._entries) > max(COMPACT_FROM, len(self._entries))
        return is_worth_it and self._lines >= self._no_compaction_before

    def _compact(self) -> None:
        """Rewrite the file with the header and the newest line of each photo, atomically."""
        numbers: dict[int, int] = {}
        kept = set(self._newest.values())
        temporary = self.file.with_name(TEMPORARY_NAME)
        with open_private(temporary, os.O_TRUNC) as stream:
            for number, raw in self._read_lines():
                if number in kept or (self._has_header and b'"kind"' in raw and b'"key"' not in raw):
                    numbers[number] = len(numbers)
                    stream.write(raw if raw.endswith(b"\n") else raw + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        if not kept <= numbers.keys():
            raise OSError(errno.ESTALE, "somebody else has changed it")
        temporary.replace(self.file)
        log.debug("journal compacted from %d to %d lines", self._lines, len(numbers))
        self._newest = {key: numbers[number] for key, number in self._newest.items()}
        self._lines = len(numbers)
        self._is_torn = False

    def _compact_under_way(self) -> None:
        """Do so between two photos of a run that may go on for months. The old file is as good where that fails."""
        assert self._stream is not None, "open() comes first"
        try:
            self._compact()
        except (OSError, CannotWrite) as error:
            log.warning("the journal %s cannot be rewritten and goes on growing: %s", self.file.name, error)
            with suppress(OSError):
                self.file.with_name(TEMPORARY_NAME).unlink()
            self._no_compaction_before = self._lines + COMPACT_FROM
            return
        self._stream.close()
        try:
            self._stream = open_private(self.file, os.O_APPEND)
            sync_folder(self.file.parent)
        except OSError as error:
            raise self._cannot_write(error) from error

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
