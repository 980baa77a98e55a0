"""What a run would do: which photos are new, which are finished, which are still being written. Writes nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from pii_blur.batch.jobs import FoundPhoto, PhotoScan, is_settled
from pii_blur.batch.journal import Journal, Recipe
from pii_blur.batch.lock import FILE_NAME as LOCK_NAME
from pii_blur.batch.options import RunOptions
from pii_blur.batch.places import Places
from pii_blur.errors import NoPhotos
from pii_blur.results import PhotoResult, SideFiles


@dataclass
class Plan:
    """What a run would do.

    Attributes:
        pending: photos to do, in order.
        waiting: photos that changed a moment ago.
        finished: how many need nothing.
        problems: failed results for what looked like a photo but cannot be one.
        ignored: files that are no photos, by ending.
    """

    pending: list[FoundPhoto] = field(default_factory=list)
    waiting: list[FoundPhoto] = field(default_factory=list)
    finished: int = 0
    problems: list[PhotoResult] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many photos were found."""
        return len(self.pending) + len(self.waiting) + self.finished + len(self.problems)


def digest_run(options: RunOptions, settings_digest: str, model_sha256: str) -> str:
    """Return a digest of everything in the command that decides what a photo's result looks like."""
    values = [settings_digest, model_sha256, options.trust_mark, options.side.from_detections is not None]
    return hashlib.sha256(json.dumps(values).encode("ascii")).hexdigest()


def make_plan(options: RunOptions, places: Places, journal: Journal, run_digest: str, now_ns: int) -> Plan:
    """Look at every photo's name, size and times, and at the journal; open none.

    Args:
        options: of the run.
        places: from `find_places`.
        journal: loaded.
        run_digest: from `digest_run`.
        now_ns: nanoseconds since 1970.

    Raises:
        UsageFailure: INPUT cannot be read, or OUTPUT leads back into it.
        NoPhotos: INPUT holds none.
    """
    plan = Plan()
    scan = PhotoScan(places, options.extensions, fold_case=_folds_case(options))
    for photo in scan:
        if not options.force and _is_finished(photo, options, places, journal, run_digest):
            plan.finished += 1
        else:
            (plan.pending if is_settled(photo, options.settle, now_ns) else plan.waiting).append(photo)
    plan.problems = scan.problems
    plan.ignored = dict(scan.ignored)
    if not plan.total and not options.allow_empty:
        endings = ", ".join(options.extensions)
        raise NoPhotos(f"INPUT '{options.input}' holds no photo (files ending in {endings}); see --image-extensions")
    return plan


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


def _is_finished(photo: FoundPhoto, options: RunOptions, places: Places, journal: Journal, run_digest: str) -> bool:
    recipe = recipe_for(photo.key, options.side, run_digest)
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
