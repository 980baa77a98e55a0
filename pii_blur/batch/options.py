"""What one run is asked to do. Knows nothing of how photos are searched or hidden: that is `Settings`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from pii_blur.results import SideFiles

# What cameras, phones and stitching programs call the formats of docs/formats.md.
DEFAULT_EXTENSIONS = ("jpg", "jpeg", "jpe", "jfif", "png", "tif", "tiff", "webp", "heic", "heif", "hif", "avif")

STATE_FOLDER = ".pii-blur"
"""Name of the folder in OUTPUT that holds the lock and, unless it was moved, the journal."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Which photos, where to, and how the run behaves.

    Attributes:
        input: a photo, or a folder that is searched with all its sub-folders.
        output: the folder that receives the results; made if missing.
        extensions: file name endings of photos, without dot, in any case.
        side: optional files beside the main job.
        journal: folder of the journal; None means `STATE_FOLDER` in `output`.
        settle: seconds for which a photo must have been left alone before it is touched.
        workers: processes; 0 works in this process, for debugging.
        trust_mark: copy photos that carry this program's mark instead of processing them.
        tries: how often a photo may fail as it is before it is not tried any more; 0 for no end.
        quarantine: folder that gets a hard link to what is not tried any more, or a copy of it, or None.
        done: folder to which the originals of finished photos are moved, or None.
        delete_source: delete the originals of finished photos.
        force: do everything again, whatever the journal says.
        dry_run: find out what would be done, write nothing at all.
        allow_empty: an INPUT without photos is no error.
        watch: stay and do the photos that come, until a signal.
        rescan: seconds after which a watch looks at INPUT, whether something has changed or not.

    Raises:
        ValueError: a value out of range.
    """

    input: Path
    output: Path
    extensions: tuple[str, ...] = DEFAULT_EXTENSIONS
    side: SideFiles = field(default_factory=SideFiles)
    journal: Path | None = None
    settle: float = 10.0
    workers: int = 1
    trust_mark: bool = False
    tries: int = 3
    quarantine: Path | None = None
    done: Path | None = None
    delete_source: bool = False
    force: bool = False
    dry_run: bool = False
    allow_empty: bool = False
    watch: bool = False
    rescan: float = 60.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.settle) and self.settle >= 0):
            raise ValueError(f"settle is a number of seconds, 0 or more, not {self.settle:g}")
        if not (math.isfinite(self.rescan) and self.rescan >= 1):
            raise ValueError(f"rescan is a number of seconds, 1 or more, not {self.rescan:g}")
        if self.workers < 0:
            raise ValueError(f"workers is 0 or more, not {self.workers}")
        if self.tries < 0:
            raise ValueError(f"tries is 0 or more, not {self.tries}")
        if self.quarantine is not None and not self.tries:
            raise ValueError("where photos are tried for ever (--tries 0), none is ever put into quarantine")
        if self.done is not None and self.delete_source:
            raise ValueError("originals can be moved or deleted, not both")
        if self.trust_mark and self.side.from_detections is not None:
            raise ValueError("they contradict each other for a photo that has both")
        if not self.extensions:
            raise ValueError("at least one file name ending is needed")
        for extension in self.extensions:
            if not extension or "." in extension or "/" in extension or extension != extension.strip():
                raise ValueError(f"'{extension}' is not a file name ending such as jpg")

    @property
    def retires(self) -> bool:
        """Whether the originals of finished photos are moved or deleted."""
        return self.done is not None or self.delete_source

    @property
    def state_folder(self) -> Path:
        """The folder in OUTPUT that holds the lock."""
        return self.output / STATE_FOLDER

    @property
    def journal_folder(self) -> Path:
        """The folder that holds the journal."""
        return self.journal if self.journal is not None else self.state_folder

    @property
    def written_folders(self) -> list[Path]:
        """The folders that receive files, beside that of the journal."""
        return [folder for folder in (self.output, self.side.detections, self.side.preview) if folder is not None]
