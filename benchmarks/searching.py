"""Searches photos once and keeps what was found, with raw scores, so that `evaluate.py` can judge any threshold."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pii_blur import second_look
from pii_blur.detect.card import ModelCard, ScoreCurve
from pii_blur.detect.detections import Detections
from pii_blur.detect.devices import DEFAULT_DEVICE, open_session
from pii_blur.detect.retinanet import RetinaNet
from pii_blur.labels import Label
from pii_blur.photo.photo import Photo
from pii_blur.regions import Region, lift
from pii_blur.sphere.close_up import close_up
from pii_blur.sphere.project import Pyramid, render_view
from pii_blur.sphere.views import PLANS, PerspectiveView, Ring

# The 30 views of the first published figures of the seed model and of YOLO11n.
SEED_PLAN = (Ring(-30, 90, 8), Ring(20, 90, 8), Ring(-12, 50, 12), Ring(90, 90, 1), Ring(-90, 90, 1))
KNOWN_PLANS = PLANS | {"seed": SEED_PLAN}

Kept = dict[str, NDArray[Any]]

_UNCHANGED = ScoreCurve((0.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True, eq=False)
class Search:
    """Every box that a model sees in a photo, from a low score on.

    Attributes:
        views: where the model looked.
        view: intp (n,), which of `views` each box is from.
        boxes: float32 (n, 4), x0 y0 x1 y1 in pixels of its view.
        raw: float32 (n,), scores before calibration.
        labels: int16 (n,).
    """

    views: Sequence[PerspectiveView]
    view: NDArray[np.intp]
    boxes: NDArray[np.float32]
    raw: NDArray[np.float32]
    labels: NDArray[np.int16]

    def calibrated(self, card: ModelCard) -> NDArray[np.float32]:
        """Return float32 (n,), what the card says the raw scores mean."""
        scores = np.zeros(len(self.raw), np.float32)
        for label, curve in zip(card.labels, card.curves, strict=True):
            mine = self.labels == label
            scores[mine] = curve(self.raw[mine])
        return scores

    def only(self, labels: Collection[Label]) -> Search:
        """Return what was found of some classes."""
        kept = np.isin(self.labels, [int(label) for label in labels])
        return replace(self, view=self.view[kept], boxes=self.boxes[kept], raw=self.raw[kept], labels=self.labels[kept])

    def regions(self, scores: NDArray[np.float32]) -> Iterator[Region | None]:
        """Yield what each box is on the sphere, with one of `scores`; None where it shows nothing of its view."""
        for index, view in enumerate(self.view):
            box = slice(index, index + 1)
            detection = Detections(self.boxes[box].copy(), scores[box].copy(), self.labels[box].copy())
            yield next(iter(lift(self.views[view], detection)), None)


class Searcher:
    """A model that searches photos by one plan of views."""

    def __init__(self, card: ModelCard, plan: str, least: float, cache: Path, *, device: str = DEFAULT_DEVICE) -> None:
        """Load a model.

        Args:
            card: of the model.
            plan: a key of `KNOWN_PLANS`.
            least: the lowest raw score that is kept.
            cache: folder of the files of earlier searches; made if missing.
            device: what the model runs on.
        """
        session = open_session(card.file, device, threads=os.cpu_count() or 1)
        self.card = card
        self._rings = KNOWN_PLANS[plan]
        self._thresholds = dict.fromkeys(card.labels, least)
        self._cache = cache
        self._raw = RetinaNet(replace(card, curves=tuple(_UNCHANGED for _ in card.curves)), session)
        self._calibrated = RetinaNet(card, session)

    def search(self, photo: Photo, path: Path) -> Search:
        """Return all that the model sees in a photo, of the file `path`; from the cache if it was searched before."""
        size = self._raw.size
        views = [view for ring in self._rings for view in ring.views(size, photo.pose_pitch, photo.pose_roll)]
        asked = (self.card.sha256, [asdict(ring) for ring in self._rings], self._thresholds)
        kept = self.kept(path, asked, lambda: self._look(photo, views))
        return Search(views, kept["view"], kept["boxes"], kept["raw"], kept["labels"])

    def look_again(self, photo: Photo, found: Search, regions: Sequence[Region]) -> NDArray[np.float32]:
        """Return (n,) the scores of calibrated regions of a search after the second look that the program takes."""
        looked = second_look.look_again(
            regions,
            self._calibrated,
            sorted({region.label for region in regions}),
            most_crops=max(len(found.views) // second_look.VIEWS_PER_CROP, 1),
            close_up=partial(close_up, photo.extent, pose_pitch=photo.pose_pitch, pose_roll=photo.pose_roll),
            render=partial(render_view, Pyramid(photo.pixels), photo.extent, is_in_plan=False),
            threads=os.cpu_count() or 1,
        )
        return np.array([region.score for region in looked], np.float32)

    def kept(self, path: Path, asked: tuple[Any, ...], find: Callable[[], Kept]) -> Kept:
        """Return the arrays that `find` gives for a photo, from the cache if it was `asked` the same before."""
        file = self._cache / f"{path.stem}-{hashlib.sha256(repr((path.name, asked)).encode()).hexdigest()[:16]}.npz"
        if not file.is_file():
            self._cache.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(f".{os.getpid()}.npz")
            np.savez_compressed(unfinished, **find())
            unfinished.rename(file)
        with np.load(file) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def _look(self, photo: Photo, views: Sequence[PerspectiveView]) -> Kept:
        """Search all views; the arrays of `Search`."""
        pyramid = Pyramid(photo.pixels)
        crops = (render_view(pyramid, photo.extent, view) for view in views)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(lambda crop: self._raw.detect(crop, self._thresholds), crops))
        return {
            "view": np.repeat(np.arange(len(views)), [len(detections) for detections in found]),
            "boxes": np.concatenate([detections.boxes_xyxy for detections in found]),
            "raw": np.concatenate([detections.scores for detections in found]),
            "labels": np.concatenate([detections.labels for detections in found]),
        }


def digest_code(*modules: Any) -> str:
    """Return a SHA-256 (hex) of the source of modules, so that what they made is made anew when they change."""
    return hashlib.sha256("".join(inspect.getsource(module) for module in modules).encode()).hexdigest()
