"""What became of one photo, as plain data that pickles and turns into JSON. Knows no pixels and no positions."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pii_blur.errors import PhotoFailure

DETECTIONS_FORMATS = ("pii-blur", "understand-ai")


class Outcome(enum.StrEnum):
    """How a photo ended."""

    BLURRED = "blurred"  # something was hidden
    CLEAN = "clean"  # nothing found: copied
    SKIPPED = "skipped"  # finished by an earlier run
    WAITING = "waiting"  # changed a moment ago, perhaps still being uploaded: left for the next run
    FAILED = "failed"  # nothing was written


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to do.

    Attributes:
        source: the photo, never changed.
        destination: where the result goes; its folder may not exist yet.
        key: path relative to INPUT with forward slashes, the photo's name in journal and log.
    """

    source: Path
    destination: Path
    key: str


@dataclass(frozen=True, slots=True)
class SideFiles:
    """Optional files beside the main job; each path mirrors the photo's key with another suffix.

    Attributes:
        detections: folder that receives one JSON a photo, or None.
        detections_format: one of `DETECTIONS_FORMATS`.
        from_detections: folder to read the regions from instead of detecting, or None.
        preview: folder that receives the blurred photo with boxes drawn on it, or None.

    Raises:
        ValueError: an unknown format.
    """

    detections: Path | None = None
    detections_format: str = "pii-blur"
    from_detections: Path | None = None
    preview: Path | None = None

    def __post_init__(self) -> None:
        if self.detections_format not in DETECTIONS_FORMATS:
            known = ", ".join(DETECTIONS_FORMATS)
            raise ValueError(f"detections_format is one of {known}, not '{self.detections_format}'")


@dataclass(frozen=True, slots=True)
class PhotoError:
    """Why a photo failed: stable `code`, `message` for people, `stage` in which it happened."""

    code: str
    message: str
    stage: str

    @classmethod
    def from_failure(cls, failure: PhotoFailure) -> PhotoError:
        """Make the record of a raised `PhotoFailure`."""
        return cls(failure.code, failure.message, failure.stage)


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """What became of one photo.

    Attributes:
        key: the job's key.
        outcome: see `Outcome`; FAILED if and only if `error` is set.
        people, vehicles: how many distinct ones were hidden (boxes of several views merged, for counting only).
        regions: how many boxes were hidden.
        error: why it failed.
        projection: how the picture was understood, in words, e.g. ``full panorama (GPano)``.
        way: how the file was written, e.g. ``lossless``, ``re-encoded (CMYK)``, ``copied``.
        removed: embedded pictures, films and trailers that were taken out, by name.
        source_sha256, output_sha256, output_size: of the files; empty and 0 where there is none.
        settings_digest, model_sha256: what the photo was done with.
        seconds: wall time per stage.
    """

    key: str
    outcome: Outcome
    people: int = 0
    vehicles: int = 0
    regions: int = 0
    error: PhotoError | None = None
    projection: str = ""
    way: str = ""
    removed: tuple[str, ...] = ()
    source_sha256: str = ""
    output_sha256: str = ""
    output_size: int = 0
    settings_digest: str = ""
    model_sha256: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.error is not None) != (self.outcome is Outcome.FAILED):
            raise ValueError(f"{self.key}: an error belongs to the outcome FAILED and to no other")

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain values, ready for `json.dumps`."""
        record = asdict(self)
        record["outcome"] = self.outcome.value
        record["removed"] = list(self.removed)
        record["seconds"] = {stage: round(spent, 4) for stage, spent in self.seconds.items()}
        return record
