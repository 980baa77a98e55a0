"""INPUT and OUTPUT where at least one of them lies in a store. Looks at names, sizes and times, never into a photo."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pii_blur.batch.jobs import FoundPhoto, PhotoScan, failed, is_temporary
from pii_blur.batch.options import RunOptions
from pii_blur.batch.places import Places, check_side_folders
from pii_blur.cloud.address import Address
from pii_blur.cloud.store import Item, Store, load_botocore
from pii_blur.errors import CannotWrite, NoPhotos, UsageFailure
from pii_blur.results import Job, PhotoResult

NOWHERE = Path(os.devnull) / "in a store"
"""Stands where a path is asked for and there is none; no file can ever be there."""

Side = Path | Store
"""A folder, or a place in a store."""


@dataclass(slots=True)
class StoreFile:
    """A name in a store, with as much of a path as the journal asks for.

    Attributes:
        store, key: where.
        listed: names to look up instead of asking the store, None to ask it.
        seen: what lay there at the first look, which is remembered: it alone may be replaced later.
        is_seen: whether anybody has looked.
    """

    store: Store
    key: str
    listed: dict[str, Item] | None = field(default=None, repr=False)
    seen: Item | None = None
    is_seen: bool = False

    @property
    def name(self) -> str:
        """What it is called for people."""
        return self.key

    def lstat(self) -> Item:
        """Return what lies there.

        Raises:
            OSError: nothing.
        """
        if not self.is_seen:
            with suppress(FileNotFoundError):
                self.seen = self.store.look(self.key) if self.listed is None else self.listed.get(self.key)
            self.is_seen = True
        if self.seen is None:
            raise FileNotFoundError(0, "nothing lies there")
        return self.seen

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove it; whether it was there cannot be told."""
        self.store.remove(self.key)


@dataclass(frozen=True, slots=True)
class CloudJob(Job):
    """A job of which at least one end lies in a store; `source` or `destination` then says nothing.

    Attributes:
        item: the photo, if it lies in a store.
        replaces: what its result may take the place of there.
    """

    item: Item | None = None
    replaces: Item | None = None


class CloudPlaces:
    """The two ends of a run."""

    def __init__(self, source: Side, output: Side) -> None:
        """Check that the two lie apart.

        Raises:
            UsageFailure: they do not, or INPUT is not there.
        """
        self.source = source
        self.output = output
        self._listed: dict[str, Item] | None = None
        if isinstance(source, Store) and isinstance(output, Store) and _meet(source.address, output.address):
            raise UsageFailure(f"OUTPUT '{output}' and INPUT '{source}' must lie apart: originals are never touched")
        if isinstance(source, Path) and not source.is_dir():
            raise UsageFailure(f"INPUT '{source}' is no folder; only a folder can go to a store")

    @property
    def origin(self) -> str:
        """A digest of where INPUT lies; see `Places.origin`."""
        if isinstance(self.source, Path):
            return Places(self.source, self.source).origin
        return hashlib.sha256(str(self.source).encode()).hexdigest()[:16]

    def check(self) -> None:
        """Make sure that both can be reached.

        Raises:
            NoPhotos, CannotWrite: one cannot.
        """
        if isinstance(self.output, Store):
            try:
                self.output.check()
            except OSError as error:
                raise CannotWrite(f"OUTPUT '{self.output}' cannot be reached: {error.strerror}") from error
        self.check_input()

    def check_input(self) -> None:
        """Make sure that INPUT can be reached.

        Raises:
            NoPhotos: it cannot.
        """
        try:
            if isinstance(self.source, Store):
                self.source.check()
            else:
                next(self.source.iterdir(), None)
        except OSError as error:
            raise NoPhotos(f"INPUT '{self.source}' cannot be reached: {error.strerror}") from error

    def scan(self, extensions: tuple[str, ...]) -> Scan | PhotoScan:
        """Return the photos of INPUT. Meanwhile OUTPUT is known by one listing, not asked for each."""
        if isinstance(self.output, Store):
            self._listed = {item.key: item for item in self.output.items()}
        if isinstance(self.source, Store):
            return Scan(self.source, extensions)
        return PhotoScan(Places(self.source, self.output if isinstance(self.output, Path) else NOWHERE), extensions)

    def written_folders(self, options: RunOptions) -> list[Path]:
        """Return the folders that receive files, beside that of the journal."""
        return [folder for folder in options.written_folders if folder != NOWHERE]

    def forget_listing(self) -> None:
        """Ask the store from now on: the listing has grown old."""
        self._listed = None

    def look(self, key: str) -> tuple[FoundPhoto, Item | None]:
        """Return the photo called `key` as it is now, and the store's word for it.

        Raises:
            OSError: it cannot be looked at.
        """
        if isinstance(self.source, Store):
            item = self.source.look(key)
            return _photo(item), item
        return FoundPhoto.from_stat(key, (self.source / key).stat()), None

    def job(self, key: str) -> Job:
        """Return source and destination of the photo called `key`."""
        source = self.source / key if isinstance(self.source, Path) else NOWHERE
        if isinstance(self.output, Path):
            return Job(source, self.output / key, key)
        # It has what the journal asks of a path.
        return Job(source, cast(Path, StoreFile(self.output, key, listed=self._listed)), key)


def open_places(source: Path | Address, output: Path | Address, options: RunOptions) -> CloudPlaces | None:
    """Return INPUT and OUTPUT where at least one lies in a store, None where both are folders.

    Args:
        source, output: as they were given.
        options: whose `input` and `output` are `NOWHERE` for an address.

    Raises:
        UsageFailure: something is asked for that only folders can do, or two places meet that must not.
        MissingDependency: what reaches stores is not installed.
    """
    if isinstance(source, Path) and isinstance(output, Path):
        return None
    refused = {
        "--watch": options.watch,
        "--quarantine": options.quarantine is not None,
        "--done": options.done is not None,
        "--delete-source": options.delete_source,
    }
    for option, is_given in refused.items():
        if is_given:
            raise UsageFailure(f"{option} works with folders only, not with s3://; see docs/scale.md")
    if options.journal is None and isinstance(output, Address):
        raise UsageFailure("--journal DIR is needed: OUTPUT lies in a store, in which no journal can be kept")
    ends = (end if isinstance(end, Path) else Store(end) for end in (source, output))
    check_side_folders(options, Places(options.input, options.output))
    places = CloudPlaces(*ends)
    load_botocore()
    return places


class Scan:
    """Lists a place in a store; see `PhotoScan`."""

    def __init__(self, store: Store, extensions: tuple[str, ...]) -> None:
        self.problems: list[PhotoResult] = []
        self.ignored: Counter[str] = Counter()
        self._store = store
        self._suffixes = frozenset(f".{extension.lower()}" for extension in extensions)

    def __iter__(self) -> Iterator[FoundPhoto]:
        try:
            for item in self._store.items():
                if (photo := self._take(item)) is not None:
                    yield photo
        except OSError as error:
            raise NoPhotos(f"INPUT '{self._store}' cannot be listed: {error.strerror}") from error

    def _take(self, item: Item) -> FoundPhoto | None:
        parts = item.key.split("/")
        if any(is_temporary(part) for part in parts if part not in ("", ".", "..")):
            return None
        suffix = os.path.splitext(parts[-1])[1].lower()  # noqa: PTH122 (a Path for each of a million names is slow)
        if suffix not in self._suffixes:
            self.ignored[suffix] += 1
            return None
        # PRIVACY: in a store any text is a name; in a folder such a one would lead out of it.
        if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            message = "its name in the store is none that a file can have; rename it there"
            self.problems.append(failed(item.key, "name", message))
            return None
        return _photo(item)


def _meet(one: Address, other: Address) -> bool:
    return one.is_within(other) or other.is_within(one)


def _photo(item: Item) -> FoundPhoto:
    return FoundPhoto(item.key, item.st_size, item.st_mtime_ns, item.st_ctime_ns)
