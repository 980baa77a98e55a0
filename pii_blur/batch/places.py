"""Where a run reads and writes, and which places must never meet. Looks at folders, never into a photo."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pii_blur.batch.options import RunOptions
from pii_blur.errors import UsageFailure
from pii_blur.results import Job


@dataclass(frozen=True, slots=True)
class Places:
    """The two trees of a run, after `find_places` has found them apart.

    Attributes:
        root: the folder that keys are relative to: INPUT, or the folder of the one photo that INPUT names.
        output: the folder that receives the results.
        only: name of the photo if INPUT is a single one, else None.
    """

    root: Path
    output: Path
    only: str | None = None

    @property
    def origin(self) -> str:
        """A digest of where INPUT really lies: tells one INPUT from another without naming it."""
        return hashlib.sha256(os.fsencode(os.path.realpath(self.root))).hexdigest()[:16]

    def job(self, key: str) -> Job:
        """Return the job of the photo called `key`, a path below `root` with forward slashes."""
        return Job(source=self.root / key, destination=self.output / key, key=key)


def find_places(options: RunOptions) -> Places:
    """Check that nothing which is written can reach what is read, and return the trees.

    Links are resolved first, also those above folders that do not exist yet, and folders are compared by identity
    where they exist, so that neither a link nor a second mount of the same folder goes unnoticed.

    Raises:
        UsageFailure: INPUT is missing, or two places meet that must not.
    """
    source, output = options.input, options.output
    if not source.exists():
        raise UsageFailure(f"INPUT '{source}' does not exist")
    if output.exists() and not output.is_dir():
        raise UsageFailure(f"OUTPUT '{output}' is a file; give a folder")
    if source.is_dir():
        places = Places(source, output)
        _check_folders(source, output)
    else:
        places = Places(source.parent, output, source.name)
        _check_single_photo(source, options)
    check_side_folders(options, places)
    _check_folders_of_originals(options, places)
    return places


def is_within(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or lies inside it, once links are resolved; neither needs to exist."""
    real_path, real_folder = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    return any(_is_same(ancestor, real_folder) for ancestor in (real_path, *real_path.parents))


def _is_same(first: Path, second: Path) -> bool:
    if first == second:
        return True
    try:
        return first.samefile(second)
    except OSError:
        return False  # one of them does not exist or cannot be looked at: the names above have decided


def _check_folders(source: Path, output: Path) -> None:
    if is_within(output, source):
        what = "is INPUT itself" if is_within(source, output) else "lies inside INPUT"
        raise UsageFailure(f"OUTPUT '{output}' {what}; give a folder elsewhere: originals are never touched")
    if is_within(source, output):
        raise UsageFailure(f"OUTPUT '{output}' contains INPUT; give a folder elsewhere: originals are never touched")


def _check_single_photo(source: Path, options: RunOptions) -> None:
    output = options.output
    if not output.exists() and output.suffix[1:].lower() in options.extensions:
        raise UsageFailure(f"OUTPUT '{output}' looks like a photo; give the folder that receives the result")
    # PRIVACY: the only original of a photo must never be overwritten, also where INPUT is a link to it.
    original = Path(os.path.realpath(source))
    for folder, name in ((source.parent, source.name), (original.parent, original.name)):
        if name == source.name and _is_same(Path(os.path.realpath(output)), Path(os.path.realpath(folder))):
            raise UsageFailure(f"OUTPUT '{output}' is the folder of the photo itself; give another folder")


def check_side_folders(options: RunOptions, places: Places) -> None:
    """Check that what tells where people stood lands neither in OUTPUT nor in INPUT.

    Raises:
        UsageFailure: it would.
    """
    side = options.side
    for name, folder in (("--detections", side.detections), ("--preview", side.preview)):
        if folder is None:
            continue
        # PRIVACY: these files tell where people stood; OUTPUT is what gets published.
        if is_within(folder, options.output) or is_within(options.output, folder):
            raise UsageFailure(
                f"{name} '{folder}' and OUTPUT must lie apart: these files tell where people stood and must not be "
                "published with the photos"
            )
        _refuse_within_input(name, folder, places)
    if options.journal is not None:
        # PRIVACY: it names every photo in which somebody was found; OUTPUT/.pii-blur alone is known as not to publish.
        if is_within(options.journal, options.output) and not is_within(options.journal, options.state_folder):
            raise UsageFailure(f"--journal '{options.journal}' lies inside OUTPUT, which gets published; give another")
        _refuse_within_input("--journal", options.journal, places)
    if side.from_detections is not None:
        if not side.from_detections.is_dir():
            raise UsageFailure(f"--from-detections '{side.from_detections}' is not a folder")
        # PRIVACY: as above. Nothing is written there, but it would be published all the same.
        if is_within(side.from_detections, options.output):
            raise UsageFailure(
                f"--from-detections '{side.from_detections}' lies inside OUTPUT: such files tell where people stood "
                "and must not be published with the photos; move them"
            )
        if side.detections is not None and _is_same(side.detections, side.from_detections):
            raise UsageFailure("--detections and --from-detections must be two folders: the second is only read")


def _check_folders_of_originals(options: RunOptions, places: Places) -> None:
    for name, folder in (("--quarantine", options.quarantine), ("--done", options.done)):
        if folder is None:
            continue
        # PRIVACY: what lies there shows people; OUTPUT is what gets published.
        if is_within(folder, options.output) or is_within(options.output, folder):
            raise UsageFailure(f"{name} '{folder}' and OUTPUT must lie apart: originals show people")
        _refuse_within_input(name, folder, places)
        if is_within(places.root, folder):
            raise UsageFailure(f"{name} '{folder}' contains INPUT; give a folder elsewhere")
        for other, written in (("--detections", options.side.detections), ("--preview", options.side.preview)):
            # The preview of a.jpg is called a.jpg.jpg, and takes the place of whatever is called so.
            if written is not None and (is_within(folder, written) or is_within(written, folder)):
                raise UsageFailure(
                    f"{name} '{folder}' and {other} '{written}' must lie apart: originals are never replaced"
                )


def _refuse_within_input(name: str, folder: Path, places: Places) -> None:
    is_refused = _is_same(folder, places.root) if places.only else is_within(folder, places.root)
    if is_refused:
        raise UsageFailure(f"{name} '{folder}' lies inside INPUT; give a folder elsewhere: originals are never touched")
