"""Searches photos once and keeps what was found, with raw scores, so that `evaluate.py` can judge any threshold."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pii_blur.detect.card import ModelCard, ScoreCurve
from pii_blur.detect.detections import Detections
from pii_blur.detect.devices import DEFAULT_DEVICE, open_session
from pii_blur.detect.retinanet import RetinaNet
from pii_blur.labels import Label
from pii_blur.photo.photo import Photo
from pii_blur.regions import Region, lift
from pii_blur.sphere.project import Pyramid, render_view
from pii_blur.sphere.views import PLANS, PerspectiveView, Ring

# The 30 views of the first published figures of the seed model and of YOLO11n.
SEED_PLAN = (Ring(-30, 90, 8), Ring(20, 90, 8), Ring(-12, 50, 12), Ring(90, 90, 1), Ring(-90, 90, 1))
KNOWN_PLANS = PLANS | {"seed": SEED_PLAN}

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

    def regions(self) -> Iterator[Region | None]:
        """Yield what each box is on the sphere, with its raw score; None where it shows nothing of its view."""
        for index, view in enumerate(self.view):
            box = slice(index, index + 1)
            detection = Detections(self.boxes[box].copy(), self.raw[box].copy(), self.labels[box].copy())
            yield next(iter(lift(self.views[view], detection)), None)


class Searcher:
    """A model that searches photos by one plan of views, each photo once."""

    def __init__(self, card: ModelCard, plan: str, least: float, cache: Path, *, device: str = DEFAULT_DEVICE) -> None:
        """Load a model.

        Args:
            card: of the model.
            plan: a key of `KNOWN_PLANS`.
            least: the lowest raw score that is kept.
            cache: folder of the files of earlier searches; made if missing.
            device: what the model runs on.
        """
        self._rings = KNOWN_PLANS[plan]
        self._thresholds = dict.fromkeys(card.labels, least)
        self._cache = cache
        session = open_session(card.file, device, threads=os.cpu_count() or 1)
        self._detector = RetinaNet(replace(card, curves=tuple(_UNCHANGED for _ in card.curves)), session)

    def search(self, photo: Photo, path: Path) -> Search:
        """Return all that the model sees in a photo, of the file `path`; from the cache if it was searched before."""
        size = self._detector.size
        views = [view for ring in self._rings for view in ring.views(size, photo.pose_pitch, photo.pose_roll)]
        asked = repr((self._detector.sha256, [asdict(ring) for ring in self._rings], self._thresholds, path.name))
        file = self._cache / f"{path.stem}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}.npz"
        if not file.is_file():
            self._cache.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(f".{os.getpid()}.npz")
            np.savez_compressed(partial, **self._look(photo, views))
            partial.rename(file)
        with np.load(file) as kept:
            return Search(views, kept["view"], kept["boxes"], kept["raw"], kept["labels"])

    def _look(self, photo: Photo, views: Sequence[PerspectiveView]) -> dict[str, NDArray[np.generic]]:
        """Search all views; the arrays of `Search`."""
        pyramid = Pyramid(photo.pixels)
        crops = (render_view(pyramid, photo.extent, view) for view in views)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(lambda crop: self._detector.detect(crop, self._thresholds), crops))
        return {
            "view": np.repeat(np.arange(len(views)), [len(detections) for detections in found]),
            "boxes": np.concatenate([detections.boxes_xyxy for detections in found]),
            "raw": np.concatenate([detections.scores for detections in found]),
            "labels": np.concatenate([detections.labels for detections in found]),
        }
