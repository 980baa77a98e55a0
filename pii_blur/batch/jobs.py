"""INPUT -> the photos in it, in an order that never changes. Looks at names and times, never into a photo."""

from __future__ import annotations

import logging
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pii_blur.batch.places import Places, is_within
from pii_blur.errors import UsageFailure
from pii_blur.results import Outcome, PhotoError, PhotoResult

log = logging.getLogger(__name__)

Identity = tuple[int, int]

TEMPORARY_STARTS = (".", "~$")
TEMPORARY_ENDS = ("~", ".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".temp")
# Small copies and deleted files that network storage, archives and operating systems keep beside the photos.
FOREIGN_FOLDERS = frozenset(
    {"@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", "lost+found"}
)


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo as the listing of its folder shows it.

    Attributes:
        key: path below INPUT with forward slashes. Bytes that are no text stand in it as lone surrogates.
        size: bytes.
        mtime_ns, ctime_ns: nanoseconds since 1970 of the last change of content, and of content or name.
    """

    key: str
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def from_stat(cls, key: str, status: os.stat_result) -> FoundPhoto:
        """Make the record of a photo from what the system says of its file."""
        return cls(key, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_settled(photo: FoundPhoto, settle: float, now_ns: int) -> bool:
    """Whether the photo has been left alone for `settle` seconds, so that nobody is still writing it.

    A time further ahead than `settle` is a wrong clock, says nothing, and is ignored: else the photo would wait for
    ever. One that is a little ahead (a file server's clock) counts as now.
    """
    span_ns = int(settle * 1e9)
    return not any(now_ns - span_ns < time_ns <= now_ns + span_ns for time_ns in (photo.mtime_ns, photo.ctime_ns))


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is hidden, half written, or not the photographer's."""
    return name.startswith(TEMPORARY_STARTS) or name.endswith(TEMPORARY_ENDS) or name in FOREIGN_FOLDERS


def failed(key: str, code: str, message: str) -> PhotoResult:
    """Return the result of a photo that failed before any stage of the pipeline saw it."""
    return PhotoResult(key, Outcome.FAILED, error=PhotoError(code, message, "find"))


class PhotoScan:
    """Walks INPUT; iterating yields the photos folder by folder, each folder's files before its sub-folders.

    Links to files are followed, and so are links to folders unless they lead back to a folder they lie in (a loop)
    or into OUTPUT. Links into OUTPUT are left alone, whatever they are: results are no originals.

    Attributes:
        problems: failed results for what looked like a photo but cannot be one; complete after the iteration.
        ignored: how many files of which other ending were left alone; complete after the iteration.
    """

    def __init__(self, places: Places, extensions: tuple[str, ...], *, fold_case: bool = False) -> None:
        """Prepare a walk.

        Args:
            places: checked by `find_places`.
            extensions: endings of photos, without dot.
            fold_case: whether OUTPUT takes names that differ in case only for one; the second such photo becomes a
                problem instead of replacing the first one's result.
        """
        self.problems: list[PhotoResult] = []
        self.ignored: Counter[str] = Counter()
        self._places = places
        self._suffixes = frozenset(f".{extension.lower()}" for extension in extensions)
        self._taken: dict[str, str] | None = {} if fold_case else None

    def __iter__(self) -> Iterator[FoundPhoto]:
        if self._places.only is not None:
            source = self._places.root / self._places.only
            if not stat.S_ISREG(source.stat().st_mode):
                raise UsageFailure(f"INPUT '{source}' is neither a photo nor a folder")
            yield FoundPhoto.from_stat(self._places.only, source.stat())
            return
        folders: list[tuple[str, tuple[Identity, ...]]] = [("", (_identity(self._places.root),))]
        while folders:
            prefix, chain = folders.pop()
            entries = self._entries(prefix)
            for entry in entries:
                if (photo := self._photo(prefix, entry)) is not None:
                    yield photo
            for entry in reversed(entries):
                if (identity := self._folder(entry, chain)) is not None:
                    folders.append((f"{prefix}{entry.name}/", (*chain, identity)))

    def _entries(self, prefix: str) -> list[os.DirEntry[str]]:
        folder = self._places.root / prefix
        self._check_destination(folder, self._places.output / prefix)
        try:
            with os.scandir(folder) as entries:
                return sorted((e for e in entries if not is_temporary(e.name)), key=lambda e: e.name)
        except OSError as error:
            if not prefix:
                raise UsageFailure(f"INPUT '{folder}' cannot be read: {error.strerror}") from error
            message = f"the folder cannot be read ({error.strerror}); its photos were not done"
            self.problems.append(failed(prefix, "unreadable_folder", message))
            return []

    def _check_destination(self, folder: Path, destination: Path) -> None:
        # PRIVACY: a link inside OUTPUT must not turn "write the result" into "overwrite the original".
        if destination.exists() and (is_within(destination, self._places.root) or destination.samefile(folder)):
            raise UsageFailure(f"'{destination}' in OUTPUT leads back into INPUT; remove that link")

    def _photo(self, prefix: str, entry: os.DirEntry[str]) -> FoundPhoto | None:
        suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 (a Path for each of 100,000 names is slow)
        if suffix not in self._suffixes:
            if entry.is_file(follow_symlinks=False):
                self.ignored[suffix] += 1
            return None
        key = prefix + entry.name
        status = self._status(key, entry)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        if entry.is_symlink() and self._is_result(key):
            log.warning("%s: a link to a result in OUTPUT; left alone", printable(key))
            return None
        return None if self._is_taken(key) else FoundPhoto.from_stat(key, status)

    def _status(self, key: str, entry: os.DirEntry[str]) -> os.stat_result | None:
        try:
            return entry.stat()
        except FileNotFoundError:
            if entry.is_symlink():
                self.problems.append(failed(key, "dangling_link", "the link leads nowhere"))
            # Else it went since the folder was listed, and is no photo any more.
        except OSError as error:
            self.problems.append(failed(key, "unreadable", f"the file cannot be looked at ({error.strerror})"))
        return None

    def _is_result(self, key: str) -> bool:
        job = self._places.job(key)
        original = Path(os.path.realpath(job.source))
        destination = Path(os.path.realpath(job.destination.parent)) / job.destination.name
        return is_within(original, self._places.output) or original == destination

    def _is_taken(self, key: str) -> bool:
        if self._taken is None:
            return False
        first = self._taken.setdefault(unicodedata.normalize("NFC", key.casefold()), key)
        if first == key:
            return False
        message = f"OUTPUT cannot tell this name from '{printable(first)}'; rename one of the two"
        self.problems.append(failed(key, "name_collision", message))
        return True

    def _folder(self, entry: os.DirEntry[str], chain: tuple[Identity, ...]) -> Identity | None:
        try:
            if not entry.is_dir():
                return None
            identity = _identity(Path(entry.path))
        except OSError:
            return None  # gone, or a link that leads to itself
        if entry.is_symlink() and (identity in chain or is_within(Path(entry.path), self._places.output)):
            log.warning("%s: a folder link that leads back; not followed", printable(entry.name))
            return None
        return identity


def printable(text: str) -> str:
    """Return `text` fit for one line of a log: control characters and bytes that are no text as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _identity(folder: Path) -> Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino
