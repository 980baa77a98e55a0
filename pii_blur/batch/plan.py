"""What a run would do: which photos are new, which are finished, which are still being written. Writes nothing."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pii_blur.batch.entry import Recipe
from pii_blur.batch.jobs import FoundPhoto, PhotoScan, failed, is_settled, printable
from pii_blur.batch.journal import Journal
from pii_blur.batch.lock import FILE_NAME as LOCK_NAME
from pii_blur.batch.options import RunOptions
from pii_blur.batch.places import Places
from pii_blur.errors import NoPhotos, UsageFailure
from pii_blur.results import Job, Outcome, PhotoError, PhotoResult, SideFiles

# Raised whenever less is believed of what photos say of themselves, so that what was believed is looked at again.
_TRUST = 2


@dataclass
class Plan:
    """What a run would do.

    Attributes:
        pending: photos to do, in order.
        waiting: photos that changed a moment ago.
        finished: how many need nothing.
        problems: failed results for what looked like a photo but cannot be one, or has failed too often.
        given_up: keys of those that have failed too often.
        retiring: finished photos whose originals are to be moved or deleted, if that was asked for.
        ignored: files that are no photos, by ending.
    """

    pending: list[FoundPhoto] = field(default_factory=list)
    waiting: list[FoundPhoto] = field(default_factory=list)
    finished: int = 0
    problems: list[PhotoResult] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    retiring: list[FoundPhoto] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many photos were found."""
        return len(self.pending) + len(self.waiting) + self.finished + len(self.problems)


def digest_run(options: RunOptions, settings_digest: str, model_sha256: str) -> str:
    """Return a digest of everything in the command that decides what a photo's result looks like."""
    values = [settings_digest, model_sha256, options.trust_mark and _TRUST, options.side.from_detections is not None]
    return hashlib.sha256(json.dumps(values).encode("ascii")).hexdigest()


class Trees(Protocol):
    """Where photos lie and where their results go."""

    def job(self, key: str) -> Job:
        """Return source and destination of the photo called `key`."""
        ...


class Scan(Protocol):
    """A listing of INPUT; the attributes are complete after the iteration. See `PhotoScan`."""

    problems: list[PhotoResult]
    ignored: Counter[str]

    def __iter__(self) -> Iterator[FoundPhoto]: ...


def make_plan(
    options: RunOptions, places: Trees, journal: Journal, run_digest: str, now_ns: int, scan: Scan | None = None
) -> Plan:
    """Look at every photo's name, size and times, and at the journal; open none.

    Args:
        options: of the run.
        places: from `find_places`.
        journal: loaded.
        run_digest: from `digest_run`.
        now_ns: nanoseconds since 1970.
        scan: the listing of INPUT; None for that of the folders in `places`.

    Raises:
        UsageFailure: INPUT cannot be read, or OUTPUT leads back into it or holds what is not this run's to replace.
        NoPhotos: INPUT holds none.
    """
    plan = Plan()
    if scan is None:
        assert isinstance(places, Places)
        scan = PhotoScan(places, options.extensions, fold_case=_folds_case(options))
    owners = _Owners(journal)
    foreign = []
    for photo in scan:
        error = None
        if options.force:
            is_finished = is_foreign = False
        else:
            owners.see(photo)
            recipe = recipe_for(photo.key, options.side, run_digest)
            is_finished = _is_finished(photo, options, places, journal, recipe)
            is_foreign = not is_finished and journal.is_foreign(photo.key, places.job(photo.key).destination)
            error = journal.given_up(photo, recipe, options.tries)
        if is_finished:
            plan.finished += 1
            if options.retires:
                plan.retiring.append(photo)
        elif is_foreign:
            plan.problems.append(not_ours(photo.key))
            foreign.append(photo.key)
        elif error is not None:
            plan.problems.append(_given_up(photo.key, error))
            plan.given_up.append(photo.key)
        else:
            (plan.pending if is_settled(photo, options.settle, now_ns) else plan.waiting).append(photo)
    owners.check(options, foreign)
    plan.problems = scan.problems + plan.problems
    plan.ignored = dict(scan.ignored)
    if not plan.total and not options.allow_empty:
        endings = ", ".join(options.extensions)
        raise NoPhotos(f"INPUT '{options.input}' holds no photo (files ending in {endings}); see --image-extensions")
    return plan


def not_ours(key: str) -> PhotoResult:
    """Return the failure of a photo whose destination holds something that is not its result."""
    message = "OUTPUT holds a file of this name that is not its result, or was changed since; move it away, or --force"
    return failed(key, "not_ours", message)


def _given_up(key: str, error: PhotoError) -> PhotoResult:
    message = f"{error.message} (it is not tried any more until it changes; see --tries)"
    return PhotoResult(key, Outcome.FAILED, error=replace(error, message=message))


class _Owners:
    """Finds out whether OUTPUT holds the results of this INPUT, of another one, or nobody knows what."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._moved = 0
        self._others: list[str] = []

    def see(self, photo: FoundPhoto) -> None:
        """Take a photo of INPUT into account."""
        is_other = self._journal.is_of_another_input(photo)
        if is_other:
            self._others.append(photo.key)
        self._moved += is_other is False

    def check(self, options: RunOptions, foreign: list[str]) -> None:
        """Refuse to replace the results of another INPUT, or files that no journal speaks of.

        Args:
            options: name the places.
            foreign: keys of photos at whose destination something unknown lies.

        Raises:
            UsageFailure: that is what the run would do.
        """
        # An INPUT that was moved is known by its photos: most of them are what they were.
        if len(self._others) > self._moved:
            raise UsageFailure(
                f"OUTPUT '{options.output}' holds results of another INPUT named like {_some(self._others)}; "
                "give another OUTPUT, or --force to replace them"
            )
        if foreign and self._journal.is_new:
            raise UsageFailure(
                f"OUTPUT '{options.output}' already holds files named like {_some(foreign)}, and no journal says that "
                "they are results; give another OUTPUT, or --force to replace them"
            )


def _some(keys: list[str]) -> str:
    return f"'{printable(keys[0])}'" + (f" and {len(keys) - 1} more photos" if len(keys) > 1 else "")


def recipe_for(key: str, side: SideFiles, run_digest: str) -> Recipe:
    """Return how the photo called `key` would be done now."""
    given = ""
    if side.from_detections is not None:
        try:
            status = (side.from_detections / f"{key}.json").stat()
            given = f"{status.st_size}:{status.st_mtime_ns}"
        except OSError:
            given = "missing"
    extras = set()
    if side.detections is not None:
        extras.add(f"detections:{side.detections_format}")
    if side.preview is not None:
        extras.add("preview")
    return Recipe(run_digest, given, frozenset(extras))


def _is_finished(photo: FoundPhoto, options: RunOptions, places: Trees, journal: Journal, recipe: Recipe) -> bool:
    return journal.is_finished(photo, places.job(photo.key).destination, recipe) and all(
        file.is_file() for file in _extra_files(options.side, photo.key)
    )


def _extra_files(side: SideFiles, key: str) -> list[Path]:
    files = []
    if side.detections is not None:
        files.append(side.detections / f"{key}.json")
    if side.preview is not None:
        files.append(side.preview / f"{key}.jpg")
    return files


def _folds_case(options: RunOptions) -> bool:
    """Whether OUTPUT's file system takes names that differ only in case for one; the lock file serves as the probe."""
    lock = options.state_folder / LOCK_NAME
    return lock.exists() and lock.with_name(LOCK_NAME.upper()).exists()
