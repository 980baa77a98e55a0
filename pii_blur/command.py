"""What is asked for -> settings and run options. Knows nothing of where it was said: see `configuration`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pii_blur.batch.capacity import available_cores, available_memory, share_cores
from pii_blur.batch.options import RunOptions
from pii_blur.cloud.address import Address
from pii_blur.cloud.places import NOWHERE
from pii_blur.cluster.engines import DEFAULT_ENGINE
from pii_blur.errors import UsageFailure
from pii_blur.labels import Label
from pii_blur.obfuscate.obfuscator import Strength
from pii_blur.results import SideFiles
from pii_blur.settings import Settings
from pii_blur.zones import read_zones

log = logging.getLogger(__name__)

T = TypeVar("T")


class Command:
    """The values of all options, one attribute each; docs/usage.md explains them."""

    input: Path | Address
    output: Path | Address
    prob: float
    model: str
    classes: tuple[Label, ...]
    threshold: tuple[tuple[Label, float], ...] | None
    views: str
    second_look: bool
    zones: Path | None
    trust_mark: bool
    grow: float
    method: str
    strength: float
    obfuscation_kernel: tuple[int, float, int] | None
    allow_weak: bool
    detections: Path | None
    detections_format: str
    from_detections: Path | None
    preview: Path | None
    image_extensions: tuple[str, ...]
    settle: float
    watch: bool
    rescan: float
    workers: int | None
    threads: int | None
    device: str
    engine: str
    address: str
    journal: Path | None
    tries: int
    quarantine: Path | None
    done: Path | None
    delete_source: bool
    force: bool
    dry_run: bool
    allow_empty: bool
    json: bool
    quiet: bool
    verbose: bool

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Take over `values`, by attribute."""
        vars(self).update(values)

    def settings(self) -> Settings:
        """Return what decides which pixels change.

        Raises:
            UsageFailure: a value out of range; names the option.
        """
        thresholds = self.threshold or ()
        for label, _ in thresholds:
            if label not in self.classes:
                raise UsageFailure(f"--threshold: {label.word} is not hidden; add it to --classes")
        strength = _name("--strength", lambda: Strength(self.strength, allow_weak=self.allow_weak))
        strength = _name("--obfuscation-kernel", lambda: replace(strength, kernel=self.obfuscation_kernel))
        zones = read_zones(self.zones) if self.zones is not None else ()
        settings = Settings(strength=strength, zones=zones, model=self.model)
        settings = _name("PROB", lambda: replace(settings, min_score=self.prob / 100))
        settings = _name("--threshold", lambda: replace(settings, thresholds=thresholds))
        settings = _name("--classes", lambda: replace(settings, labels=self.classes))
        settings = _name("--views", lambda: replace(settings, views=self.views, second_look=self.second_look))
        settings = _name("--grow", lambda: replace(settings, grow=self.grow))
        return _name("--method", lambda: replace(settings, method=self.method))

    def side_files(self) -> SideFiles:
        """Return what is written and read beside the photos."""
        return SideFiles(self.detections, self.detections_format, self.from_detections, self.preview)

    def options(self, workers: int) -> RunOptions:
        """Return how the run behaves.

        Args:
            workers: from `share`.

        Raises:
            UsageFailure: a value out of range; names the option.
        """
        options = RunOptions(
            _folder(self.input),
            _folder(self.output),
            side=self.side_files(),
            journal=self.journal,
            force=self.force,
            dry_run=self.dry_run,
            allow_empty=self.allow_empty,
            watch=self.watch,
        )
        options = _name("--trust-mark with --from-detections", lambda: replace(options, trust_mark=self.trust_mark))
        options = _name("--tries", lambda: replace(options, tries=self.tries))
        options = _name("--quarantine", lambda: replace(options, quarantine=self.quarantine))
        options = replace(options, done=self.done)
        options = _name("--delete-source", lambda: replace(options, delete_source=self.delete_source))
        options = _name("--workers", lambda: replace(options, workers=workers))
        options = _name("--settle", lambda: replace(options, settle=self.settle))
        options = _name("--rescan", lambda: replace(options, rescan=self.rescan))
        return _name("--image-extensions", lambda: replace(options, extensions=self.image_extensions))

    def share(self) -> tuple[int, int]:
        """Return (workers, threads per worker), sensible for this machine where the user has no wish.

        Raises:
            UsageFailure: threads below 1.
        """
        if self.threads is not None and self.threads < 1:
            raise UsageFailure(f"--threads: 1 or more is needed, not {self.threads}")
        if self.engine != DEFAULT_ENGINE:
            return self.workers or 1, self.threads or 1  # of machines that are not known yet
        cores, memory, photos = available_cores(), available_memory(), 1 if _folder(self.input).is_file() else None
        workers, threads = share_cores(cores, memory, photos=photos, workers=self.workers, threads=self.threads)
        if workers * threads > cores:
            log.warning("%d workers with %d threads are more than the %d cores there are", workers, threads, cores)
        return workers, threads


def _folder(place: Path | Address) -> Path:
    return place if isinstance(place, Path) else NOWHERE


def _name(option: str, make: Callable[[], T]) -> T:
    """Return `make()`; where it refuses a value, name the option that gave it."""
    try:
        return make()
    except ValueError as error:
        raise UsageFailure(f"{option}: {error}") from error
