"""One photo from file to file, as the wishes of a request say: read, look, hide, write, with the same guard as ever."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pii_blur.errors import PhotoFailure, RunFailure
from pii_blur.http.bmw.hide import hide_finds
from pii_blur.http.bmw.search import Find, find_all
from pii_blur.http.bmw.server import Client, open_client
from pii_blur.http.bmw.techniques import load_techniques, look_of
from pii_blur.http.bmw.wishes import BUILT_IN, Wish
from pii_blur.labels import Label
from pii_blur.photo.exiftool_trial import try_out_after
from pii_blur.photo.metadata import Mark
from pii_blur.photo.read import read_photo
from pii_blur.photo.write import copy_clean, write_photo
from pii_blur.pipeline import Tools
from pii_blur.regions import Counts, Region, count_things
from pii_blur.results import Job, Outcome, PhotoError, PhotoResult
from pii_blur.settings import Settings
from pii_blur.version import __version__

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AnonymiseWork:
    """Hides in a photo what some wishes name.

    Attributes:
        wishes: from `Catalogue.wishes`.
        settings: the operator's: how closely and how surely the built-in model looks, margin, zones.
        max_pixels: larger photos are refused.
        search_s: how long inference servers may take over all views of a photo together.
        allow_weak: whether the operator permits hiding that can be undone.
    """

    wishes: tuple[Wish, ...]
    settings: Settings
    max_pixels: int
    search_s: float
    allow_weak: bool = False

    def __call__(self, job: Job, tools: Tools) -> PhotoResult:
        """Do one photo; never raises for a bad one.

        Raises:
            RunFailure: no photo could be done.
        """
        laps = _Laps()
        try:
            with open_client() as client:
                return self._do(job, tools, client, laps)
        except PhotoFailure as failure:
            failure.stage = failure.stage or laps.stage
            try_out_after(failure, tools.exiftool)
            error = PhotoError.from_failure(failure)
        except RunFailure:
            raise
        except Exception as bug:  # in one photo: the others are none the worse
            log.exception("%s: internal error while it was at '%s'", job.key, laps.stage)
            message = f"internal error, please report it: {type(bug).__name__}: {bug}"
            error = PhotoError("internal", message, laps.stage)
        return PhotoResult(job.key, Outcome.FAILED, error=error, seconds=laps.seconds)

    def _do(self, job: Job, tools: Tools, client: Client, laps: _Laps) -> PhotoResult:
        laps.start("read")
        photo = read_photo(job.source, max_pixels=self.max_pixels)
        assert photo.facts is not None
        laps.start("detect")
        base = job.source.parent.parent  # the service's private folder, in which each request has one of its own
        finds = find_all(photo, self.wishes, self.settings, tools, client, search_s=self.search_s, folder=base)
        laps.start("hide")
        hidden = hide_finds(photo, finds, self.settings, load_techniques(), allow_weak=self.allow_weak)
        laps.start("write")
        regions = sum(len(find.quads) for find in finds)
        if hidden is None:
            written = copy_clean(photo, job.destination, exiftool=tools.exiftool)
        else:
            mark = self._mark(tools, regions)
            written = write_photo(photo, hidden, job.destination, exiftool=tools.exiftool, mark=mark)
        laps.start("")
        counts = _counts(finds)
        return PhotoResult(
            job.key,
            Outcome.CLEAN if hidden is None else Outcome.BLURRED,
            people=counts.people,
            vehicles=counts.vehicles,
            regions=regions,
            projection=photo.facts.projection,
            way=written.way,
            removed=written.removed,
            source_sha256=photo.facts.sha256,
            output_sha256=written.sha256,
            output_size=written.size,
            seconds=laps.seconds,
        )

    def _mark(self, tools: Tools, regions: int) -> Mark | None:
        own = {wish.class_name for wish in self.wishes if wish.model.address == BUILT_IN and not self._is_weak(wish)}
        if not own.issuperset(label.word for label in self.settings.labels):
            # PRIVACY: --trust-mark would take a photo for done in which nobody has looked for people yet.
            return None
        names = [tools.detector.name if wish.model.address == BUILT_IN else wish.model.name for wish in self.wishes]
        return Mark(
            __version__, ", ".join(dict.fromkeys(names)), self.settings.min_score, regions, self.settings.vouched()
        )

    def _is_weak(self, wish: Wish) -> bool:
        return look_of(load_techniques()[wish.technique], wish.degree, allow_weak=self.allow_weak).is_weak


def _counts(finds: Sequence[Find]) -> Counts:
    """Count what our own model found; what the classes of others are, nobody here knows."""
    own = [find for find in finds if find.wish.model.address == BUILT_IN]
    return count_things(
        [Region(quad, Label.from_word(find.wish.class_name), 1.0) for find in own for quad in find.quads]
    )


class _Laps:
    """Wall time per stage.

    Attributes:
        stage: the one under way.
        seconds: of those that are over.
    """

    def __init__(self) -> None:
        self.stage = ""
        self.seconds: dict[str, float] = {}
        self._begun = time.perf_counter()

    def start(self, stage: str) -> None:
        """End the stage under way and begin another."""
        now = time.perf_counter()
        if self.stage:
            self.seconds[self.stage] = now - self._begun
        self.stage, self._begun = stage, now
