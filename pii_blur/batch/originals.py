"""What becomes of originals, where it was asked for: kept aside once given up, moved or deleted once they are done.

PRIVACY: an original is the only one there is. It goes only when its result in OUTPUT, and itself, are byte for byte
what the journal says, and nothing that lies in the folder it goes to is ever replaced.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import stat
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from pii_blur.batch.durable import open_private, sha256_of, sync_folder
from pii_blur.batch.jobs import FoundPhoto
from pii_blur.batch.options import RunOptions
from pii_blur.batch.places import Places, is_within
from pii_blur.errors import CannotWrite

log = logging.getLogger(__name__)

AGAIN_S = 3600.0
"""After so long a watch looks once more at an original that had to stay: all of it must be read for that."""


class Originals:
    """Deals with the originals of one INPUT."""

    def __init__(self, options: RunOptions, places: Places) -> None:
        self._options = options
        self._places = places
        # A watch comes here again and again.
        self._quarantined: dict[str, tuple[int, ...]] = {}
        self._told: dict[str, tuple[str, tuple[object, ...], float]] = {}

    def prepare(self) -> None:
        """Make sure that everything that was asked for can be done, before the first photo is read.

        Raises:
            CannotWrite: a folder cannot be written, or nothing can be taken out of INPUT.
        """
        options = self._options
        for folder in (options.quarantine, options.done):
            if folder is None:
                continue
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._temporary(folder).unlink(missing_ok=True)
                with open_private(self._temporary(folder), os.O_EXCL):
                    pass
                self._temporary(folder).unlink()
            except OSError as error:
                raise CannotWrite(f"'{folder}' cannot be written: {error.strerror}") from error
        if options.retires and not os.access(self._places.root, os.W_OK):
            option = "--delete-source" if options.delete_source else "--done"
            raise CannotWrite(f"nothing can be taken out of INPUT '{self._places.root}', as {option} asks for")

    def quarantine(self, key: str) -> None:
        """Keep a hard link to a photo that is not tried any more, or a copy of it, in the folder of --quarantine."""
        if self._options.quarantine is None:
            return
        try:
            source = Path(os.path.realpath(self._places.job(key).source))
            if self._quarantined.get(key) == (seen := _identity(source)):
                return
            self._quarantined[key] = seen
            self._keep(source, self._options.quarantine, key)
        except OSError as error:
            log.error("%s: cannot be kept in the folder of --quarantine (%s)", key, error.strerror)

    def retire(self, photo: FoundPhoto, source_sha256: str, output_sha256: str) -> str:
        """Move or delete the original of a photo that is done, if that was asked for.

        Args:
            photo: as it was before it was read.
            source_sha256, output_sha256: of the original and of its result, as the journal has them.

        Returns:
            Why the original stays where it is, empty if it does not or may.
        """
        if not self._options.retires:
            return ""
        told, told_of, told_at = self._told.pop(photo.key, ("", (), 0.0))
        done = photo.size, photo.mtime_ns, source_sha256, output_sha256
        if told_of == done and time.monotonic() < told_at + AGAIN_S:
            self._told[photo.key] = told, told_of, told_at
            return told
        try:
            reason = self._retire(photo, source_sha256, output_sha256)
        except OSError as error:
            reason = f"its original cannot be moved or deleted ({error.strerror})"
        if reason:
            if reason != told:
                log.error("%s: %s", photo.key, reason)
            self._told[photo.key] = reason, done, time.monotonic()
        return reason

    def _retire(self, photo: FoundPhoto, source_sha256: str, output_sha256: str) -> str:
        job = self._places.job(photo.key)
        if Path(os.path.realpath(job.source)) != Path(os.path.realpath(self._places.root)) / photo.key:
            return "its original is reached by a link, and stays where it is"
        if not _is_regular(job.destination) or sha256_of(job.destination) != output_sha256:
            return "its result in OUTPUT is not what was written there, so that its original stays"
        _sync_up_to(self._places.output, job.destination.parent)
        seen = _identity(job.source)
        if seen[2:] != (photo.size, photo.mtime_ns):
            return ""  # it is another photo now, which the next run does
        if sha256_of(job.source) != source_sha256:
            return "it is not the photo that was done, though of the same size and time; see --force"
        if self._options.done is not None:
            kept = self._keep(job.source, self._options.done, photo.key)
            if not kept.samefile(job.source) and sha256_of(kept) != source_sha256:
                return "its original was not copied rightly, and stays where it is"
        if _identity(job.source) == seen:
            job.source.unlink()
            sync_folder(job.source.parent)
        return ""

    def _keep(self, source: Path, folder: Path, key: str) -> Path:
        """Return where `source` now lies in `folder` too; what lies there already is never replaced."""
        _make_private((folder / key).parent, folder)
        self._refuse_way_back(source, (folder / key).parent)
        names = _names(folder / key)
        target = next(name for name in names if _is_free_for(source, name))
        while not os.path.lexists(target):
            try:
                self._put(source, target, folder)
            except FileExistsError:  # another run keeps its originals here too, and has just taken this name
                target = next(name for name in names if _is_free_for(source, name))
        return target

    def _put(self, source: Path, target: Path, folder: Path) -> None:
        """Let `source` appear at `target` too, whole or not at all, by a link or a copy.

        Raises:
            FileExistsError: something lies there; it is not touched.
        """
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError:  # another disk, or a system without links
            temporary = self._temporary(folder)
            _copy(source, temporary)
            try:
                os.link(temporary, target)
            except FileExistsError:
                raise
            except OSError:
                # Takes the name, so that nobody else does, and fails where somebody has.
                os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                temporary.replace(target)
            else:
                temporary.unlink()
        _sync_up_to(folder, target.parent)

    def _refuse_way_back(self, source: Path, parent: Path) -> None:
        """Make sure that no link or mount leads from the folder of originals to where they come from, or to OUTPUT.

        Raises:
            OSError: one does.
        """
        # PRIVACY: an original that "lies there too" would be the only one there is, and one in OUTPUT gets published.
        places = self._places
        is_back = parent.samefile(source.parent) or (places.only is None and is_within(parent, places.root))
        if is_back or is_within(parent, places.output):
            raise OSError(errno.ELOOP, f"'{parent}' leads into INPUT or OUTPUT")

    def _temporary(self, folder: Path) -> Path:
        # Always the same name, so that what a killed run leaves goes with the next; one for each OUTPUT, since two runs
        # over one INPUT may be at work.
        output = hashlib.sha256(os.fsencode(os.path.realpath(self._places.output))).hexdigest()[:16]
        return folder / f".pii-blur-{self._places.origin}-{output}.part"


def _identity(file: Path) -> tuple[int, int, int, int]:
    """Return what tells a file, with this content, from every other: device, number, size and time of last change."""
    status = os.lstat(file)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _names(wanted: Path) -> Iterator[Path]:
    """Yield ``a.jpg``, ``a (2).jpg``, ``a (3).jpg`` and so on."""
    yield wanted
    for number in count(2):
        yield wanted.with_name(f"{wanted.stem} ({number}){wanted.suffix}")


def _is_free_for(source: Path, target: Path) -> bool:
    """Whether nothing lies at `target`, or the very photo, as after a run that was killed."""
    if not os.path.lexists(target):
        return True
    if not _is_regular(target) or target.stat().st_size != source.stat().st_size:
        return False
    return target.samefile(source) or sha256_of(target) == sha256_of(source)


def _copy(source: Path, target: Path) -> None:
    """Copy a file with its time, for the owner only, down to the disk."""
    target.unlink(missing_ok=True)  # not overwritten: what a killed run left may have its right name too by now
    with source.open("rb") as original, open_private(target, os.O_EXCL) as copy:
        shutil.copyfileobj(original, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
    status = source.stat()
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _is_regular(file: Path) -> bool:
    return os.path.lexists(file) and stat.S_ISREG(os.lstat(file).st_mode)


def _sync_up_to(top: Path, folder: Path) -> None:
    """Make the names in `folder`, and its own and those of the folders above it up to `top`, survive a power cut."""
    for part in (folder, *folder.parents):
        sync_folder(part)
        if part == top:
            return


def _make_private(folder: Path, top: Path) -> None:
    """Make `folder` below `top`, and the folders between them, for their owner only."""
    for part in (*reversed(folder.relative_to(top).parents), folder.relative_to(top)):
        (top / part).mkdir(mode=0o700, exist_ok=True)
