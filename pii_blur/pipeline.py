"""The story of one photo: read it, look for people and vehicles, hide them, write it. Start reading here.

    read_photo -> find_regions -> hide_regions -> write_photo

`blur_photo` tells it from file to file and never raises for a bad photo; `find_regions` and `hide_regions` are its two
middle steps, without files, for everything else that wants to search or hide.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import cv2
import numpy as np

from pii_blur.detect.detector import Detector, load_detector
from pii_blur.detect.devices import DEFAULT_DEVICE, check_device
from pii_blur.detect.model_store import find_model
from pii_blur.errors import MissingDependency, PhotoFailure, RunFailure
from pii_blur.obfuscate.paint import Canvas, paint, restore
from pii_blur.photo.exiftool import ExifTool, check_exiftool, open_exiftool
from pii_blur.photo.exiftool_trial import try_out, try_out_after
from pii_blur.photo.header import expected_memory
from pii_blur.photo.metadata import Mark
from pii_blur.photo.photo import HiddenPhoto, Photo
from pii_blur.photo.preview import write_preview
from pii_blur.photo.private_folder import sweep
from pii_blur.photo.read import MAX_PIXELS, read_photo
from pii_blur.photo.turbojpeg import load_turbojpeg
from pii_blur.photo.write import copy_clean, write_photo
from pii_blur.regions import Region, count_things
from pii_blur.regions_file import read_regions, write_regions
from pii_blur.results import Job, Outcome, PhotoError, PhotoResult, SideFiles
from pii_blur.search import find_regions
from pii_blur.settings import Settings
from pii_blur.sphere.project import Pyramid
from pii_blur.version import __version__

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What is opened once and used for many photos.

    Attributes:
        detector: the model in memory.
        exiftool: a running exiftool.
        threads: how many views are searched at a time.
    """

    detector: Detector
    exiftool: ExifTool
    threads: int = 1


@contextmanager
def open_tools(settings: Settings, *, threads: int = 0, device: str = DEFAULT_DEVICE) -> Iterator[Tools]:
    """Open what `blur_photo` needs; it closes at the end of the `with`.

    Args:
        settings: names the model.
        threads: how many views are searched at a time; 0 for one per core.
        device: what the model runs on, one of `DEVICES`.

    Raises:
        MissingDependency: the model, the device or exiftool is missing or unusable.
    """
    threads = threads or os.cpu_count() or 1
    detector = load_detector(settings.model, device, threads=threads)
    with open_exiftool() as exiftool:
        try_out(exiftool)
        yield Tools(detector, exiftool, threads)


def check_tools(settings: Settings, *, device: str = DEFAULT_DEVICE) -> str:
    """Make sure that everything `open_tools` needs is there, and return the model's SHA-256 (hex).

    Raises:
        MissingDependency: something is missing; says what and how to get it.
    """
    card = find_model(settings.model)
    missing = [label.word for label in settings.labels if label not in card.labels]
    if missing:
        raise MissingDependency(f"the model {card.name} does not know {', '.join(missing)}; see --classes and --model")
    card.check_made_for(device)
    check_device(device)
    load_turbojpeg()
    check_exiftool()
    # Python settles on a temporary folder that has room. Later, with that full, it would look for left-overs elsewhere.
    sweep()
    return card.sha256


def hide_regions(photo: Photo, regions: Sequence[Region], settings: Settings) -> HiddenPhoto:
    """Hide regions and the always-hidden zones, leave the never-hidden zones as they are.

    Args:
        photo: the untouched photo.
        regions: boxes as found; they are grown by `settings.grow` here.
        settings: margin, method, strength and zones.

    Returns:
        New pixels, and the mask of those that may differ from the photo's.
    """
    pyramid = Pyramid(photo.pixels)
    canvas = Canvas(photo.pixels.copy(), np.zeros(photo.pixels.shape[:2], np.uint8))
    quads = [region.quad.grown(settings.grow) for region in regions]
    kept = [zone.quad for zone in settings.zones if zone.action == "keep"]
    hidden = [zone.quad for zone in settings.zones if zone.action == "hide"]
    paint(pyramid, photo.extent, quads + hidden, method=settings.method, strength=settings.strength, canvas=canvas)
    restore(photo.pixels, photo.extent, kept, canvas, but=hidden)
    return HiddenPhoto(canvas.pixels, canvas.mask)


def blur_photo(
    source: str | Path,
    destination: str | Path,
    settings: Settings,
    tools: Tools | None = None,
    *,
    side: SideFiles | None = None,
    key: str | None = None,
    trust_mark: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> PhotoResult:
    """Do one photo from file to file.

    Args:
        source: a photo of any format in docs/formats.md; never changed.
        destination: where the result goes; an existing file is replaced at the very end, if everything worked.
        settings: what to hide and how.
        tools: from `open_tools`, for many photos; without it they are opened for this one.
        side: files to write or read beside it.
        key: the photo's name in reports and side files; by default the source's file name.
        trust_mark: do not search a photo that says that all of this was hidden in it already; zones are hidden all the
            same.
        max_pixels: larger pictures are refused by their header.

    Returns:
        What became of it. A photo that cannot be done gives the outcome FAILED, and no file at the destination; the
        reason is in `error`.

    Raises:
        RunFailure: something that concerns every photo: a missing model or program, a full disk.
    """
    if tools is None:
        with open_tools(settings) as opened:
            return blur_photo(
                source,
                destination,
                settings,
                opened,
                side=side,
                key=key,
                trust_mark=trust_mark,
                max_pixels=max_pixels,
            )
    source, destination, side = Path(source), Path(destination), side or SideFiles()
    key = source.name if key is None else key
    watch = _Stopwatch()
    result = PhotoResult(
        key, Outcome.CLEAN, settings_digest=settings.digest(), model_sha256=tools.detector.sha256, seconds=watch.seconds
    )
    try:
        photo = watch.time("read", read_photo, source, max_pixels=max_pixels)
        facts = photo.facts
        assert facts is not None
        result = replace(result, projection=facts.projection, source_sha256=facts.sha256)
        if trust_mark and facts.claim is not None and facts.claim.covers(settings.claim()):
            regions: list[Region] = []
        elif side.from_detections is None:
            regions = watch.time("detect", find_regions, photo, tools.detector, settings, threads=tools.threads)
        else:
            regions = watch.time("detect", read_regions, side.from_detections, key, photo, settings)
        if side.detections is not None:
            watch.time("report", write_regions, side, key, photo, regions, settings, tools.detector)
        is_hidden = bool(regions) or any(zone.action == "hide" for zone in settings.zones)
        hidden = watch.time("hide", hide_regions, photo, regions, settings) if is_hidden else None
        if side.preview is not None:
            watch.time("report", _preview, side.preview / f"{key}.jpg", photo, hidden, regions, settings)
        # Last of all: when anything before this failed, there is no file at the destination.
        if hidden is None:
            written = watch.time("write", copy_clean, photo, destination, exiftool=tools.exiftool)
        else:
            claim = settings.vouched() if side.from_detections is None else None
            mark = Mark(__version__, tools.detector.name, settings.min_score, len(regions), claim)
            written = watch.time("write", write_photo, photo, hidden, destination, exiftool=tools.exiftool, mark=mark)
    except PhotoFailure as failure:
        failure.stage = failure.stage or watch.stage
        try_out_after(failure, tools.exiftool)
        return replace(result, outcome=Outcome.FAILED, error=PhotoError.from_failure(failure))
    except RunFailure:
        raise
    except Exception as bug:  # in one photo: the others are none the worse
        log.exception("%s: internal error while it was at '%s'", key, watch.stage)
        message = f"{key}: internal error, please report it: {type(bug).__name__}: {bug}"
        error = PhotoError("internal", message, watch.stage)
        return replace(result, outcome=Outcome.FAILED, error=error)
    counts = count_things(regions)
    return replace(
        result,
        outcome=Outcome.CLEAN if hidden is None else Outcome.BLURRED,
        people=counts.people,
        vehicles=counts.vehicles,
        regions=len(regions),
        way=written.way,
        removed=written.removed,
        output_sha256=written.sha256,
        output_size=written.size,
    )


def _preview(
    path: Path, photo: Photo, hidden: HiddenPhoto | None, regions: Sequence[Region], settings: Settings
) -> None:
    """Draw the grown boxes over the hidden pixels."""
    pixels = photo.pixels if hidden is None else hidden.pixels
    quads = [region.quad.grown(settings.grow) for region in regions]
    captions = [f"{region.label.word} {100 * region.score:.0f}" for region in regions]
    write_preview(path, pixels, photo.extent, quads, captions)


P = ParamSpec("P")
R = TypeVar("R")


class _Stopwatch:
    """Wall time per stage, and the name of the stage under way."""

    def __init__(self) -> None:
        self.stage = ""
        self.seconds: dict[str, float] = {}

    def time(self, stage: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` as `stage`."""
        self.stage = stage
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


@dataclass(slots=True)
class BlurTask:
    """`blur_photo` as a callable that can be sent to another process; opens its tools at the first photo there.

    Attributes:
        settings, side, trust_mark: see `blur_photo`.
        threads: how many views are searched at a time; 0 for one per core.
        device: see `open_tools`.
    """

    settings: Settings
    side: SideFiles = field(default_factory=SideFiles)
    threads: int = 0
    trust_mark: bool = False
    device: str = DEFAULT_DEVICE
    _tools: ExitStack | None = field(default=None, init=False, repr=False)
    _opened: Tools | None = field(default=None, init=False, repr=False)

    def __call__(self, job: Job) -> PhotoResult:
        """Do one photo."""
        if self._opened is None:
            if self.threads:  # OpenCV would else take every core in each of several processes
                cv2.setNumThreads(self.threads)
            self._tools = ExitStack()
            self._opened = self._tools.enter_context(
                open_tools(self.settings, threads=self.threads, device=self.device)
            )
        return blur_photo(
            job.source,
            job.destination,
            self.settings,
            self._opened,
            side=self.side,
            key=job.key,
            trust_mark=self.trust_mark,
        )

    def memory(self, job: Job) -> int:
        """Return the bytes that the photo is expected to take, from its header."""
        return expected_memory(job.source)

    def close(self) -> None:
        """Close the tools, if they were opened, and clear away the temporary files of processes that were killed."""
        if self._tools is not None:
            self._tools.close()
        self._tools = self._opened = None
        sweep()

    def __getstate__(self) -> tuple[Settings, SideFiles, int, bool, str]:
        return self.settings, self.side, self.threads, self.trust_mark, self.device

    def __setstate__(self, state: tuple[Settings, SideFiles, int, bool, str]) -> None:
        self.settings, self.side, self.threads, self.trust_mark, self.device = state
        self._tools = self._opened = None
