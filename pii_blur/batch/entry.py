"""One line of the journal: what it says of a photo and of the file that lies, or may lie, at its destination."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pii_blur.batch.jobs import FoundPhoto
from pii_blur.results import Outcome, PhotoError

STARTED = "started"
"""The outcome of a line that announces a photo, before anything of it can appear in OUTPUT."""

_DONE = (Outcome.BLURRED, Outcome.CLEAN)


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
        return self.hides_like(wanted) and wanted.extras <= self.extras

    def hides_like(self, other: Recipe) -> bool:
        """Whether the same photo gets the same result either way."""
        return (self.run, self.given) == (other.run, other.given)

    def to_json(self) -> dict[str, Any]:
        """Return the fields of a line."""
        return {"run": self.run, "given": self.given, "extras": sorted(self.extras)}


@dataclass(frozen=True, slots=True)
class Made:
    """What a result was made from, and how.

    Attributes:
        output_size: bytes of the result, 0 where there is none.
        size, mtime_ns: of the photo.
        recipe: how.
    """

    output_size: int
    size: int
    mtime_ns: int
    recipe: Recipe

    def is_of(self, photo: FoundPhoto) -> bool:
        """Whether it was made from `photo` as that is now."""
        return (self.size, self.mtime_ns) == (photo.size, photo.mtime_ns)

    def to_json(self) -> dict[str, Any]:
        """Return the fields of a line."""
        return {
            "output_size": self.output_size,
            "size": self.size,
            "mtime_ns": self.mtime_ns,
        } | self.recipe.to_json()

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Made:
        """Read the fields of a line.

        Raises:
            KeyError, TypeError, ValueError: it makes no sense.
        """
        recipe = Recipe(sys.intern(str(record["run"])), str(record["given"]), frozenset(record["extras"]))
        return cls(int(record.get("output_size", 0)), int(record["size"]), int(record["mtime_ns"]), recipe)


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest line about one photo, as far as it must be remembered.

    Attributes:
        outcome: an `Outcome`, or `STARTED`.
        origin: digest of the INPUT that the photo was in, empty if unknown.
        made: what the line says of the photo, and of its result if it is done.
        earlier: of a photo that failed or was only started, the result from before that lay in OUTPUT.
        before: of a photo that was only started, what lay at its destination, see `look`.
        tries: how often in a row the photo has failed as it is, see `Journal.given_up`.
        version: of the program that tried.
        error: why it failed.
    """

    outcome: str
    origin: str
    made: Made
    earlier: Made | None
    before: str
    tries: int
    version: str
    error: PhotoError | None

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Entry:
        """Read a line.

        Raises:
            KeyError, TypeError, ValueError: it makes no sense.
        """
        earlier, error = record.get("earlier"), record.get("error")
        return cls(
            sys.intern(str(record["outcome"])),
            sys.intern(str(record.get("input", ""))),
            Made.from_json(record),
            Made.from_json(earlier) if earlier is not None else None,
            str(record.get("before", "")),
            int(record.get("tries", 0)),
            sys.intern(str(record.get("version", ""))),
            PhotoError(str(error["code"]), str(error["message"]), str(error["stage"])) if error else None,
        )

    @property
    def is_done(self) -> bool:
        """Whether the photo was done."""
        return self.outcome in _DONE

    def tries_of(self, photo: FoundPhoto, recipe: Recipe, version: str) -> int:
        """Return how often in a row `photo`, as it is now, has failed this way with this version of the program."""
        is_same = self.made.is_of(photo) and self.made.recipe.hides_like(recipe) and self.version == version
        return self.tries if is_same else 0

    def result_at(self, destination: Path) -> Made | None:
        """Return what is known of the file at `destination` if it is our result, else None.

        A run that was killed between giving a result its name and writing its line left a file that is not the one
        which lay there when the photo was started: that is ours too.
        """
        seen = look(destination)
        if not seen:
            return None
        size = int(seen.partition(":")[0])
        if self.outcome == STARTED and seen != self.before:
            return replace(self.made, output_size=size)
        known = self.made if self.is_done else self.earlier
        return known if known is not None and known.output_size == size else None


def look(destination: Path) -> str:
    """Return size and time of last change of an ordinary file, as text; empty where there is none."""
    try:
        status = destination.lstat()  # also of what is like a path: a name in a store
    except OSError:
        return ""
    # PRIVACY: a link is not our result, wherever it leads; S_IFREG alone is.
    return f"{status.st_size}:{status.st_mtime_ns}" if (status.st_mode & 0o170000) == 0o100000 else ""


def is_taken(destination: Path) -> bool:
    """Whether anything lies there, be it a link that leads nowhere."""
    try:
        destination.lstat()
    except (OSError, ValueError):
        return False
    return True
