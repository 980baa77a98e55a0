"""RetinaNet on one crop: run the graph, calibrate the scores, drop repeated boxes of the same view."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pii_blur.detect.card import ModelCard
from pii_blur.detect.detections import Detections
from pii_blur.detect.devices import Session
from pii_blur.errors import MissingDependency
from pii_blur.labels import Label


class RetinaNet:
    """A RetinaNet whose graph ends in decoded boxes and per-class scores (anchors and decoding live in the graph)."""

    def __init__(self, card: ModelCard, session: Session) -> None:
        """Read what `session`, opened from the card's file, says as the card tells."""
        self._card = card
        self._session = session

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self._card.size

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{self._card.name} {self._card.version}"

    @property
    def sha256(self) -> str:
        """Of the model file."""
        return self._card.sha256

    def detect(self, crop: NDArray[np.uint8], thresholds: Mapping[Label, float]) -> Detections:
        """Return what is found in a uint8 RGB (size, size, 3) crop; see `Detector.detect`.

        Raises:
            MissingDependency: the model gives numbers that are not finite, or lacks a wanted class.
        """
        missing = [label.word for label in thresholds if label not in self._card.labels]
        if missing:
            raise MissingDependency(f"the model {self.name} does not know {', '.join(missing)}; see --classes, --model")
        boxes, raw = self._session.run(crop[None])
        if not (np.isfinite(boxes).all() and np.isfinite(raw).all()):
            raise MissingDependency(f"the model {self.name} gives numbers that are not finite: it is damaged")
        found = [self._of_one_class(label, boxes[0], raw[0], least) for label, least in thresholds.items()]
        return Detections(
            np.concatenate([part.boxes_xyxy for part in found]),
            np.concatenate([part.scores for part in found]),
            np.concatenate([part.labels for part in found]),
        )

    def rest(self) -> None:
        """Give back the memory that only searching needs."""
        self._session.shrink(np.zeros((1, self.size, self.size, 3), dtype=np.uint8))

    def _of_one_class(
        self, label: Label, boxes: NDArray[np.float32], raw: NDArray[np.float32], least: float
    ) -> Detections:
        """Return the boxes of one class with a calibrated score of at least `least`, best first."""
        column = self._card.labels.index(label)
        scores = self._card.curves[column](raw[:, column])
        # An empty box is no box: the graph may decode one at the picture's edge.
        wanted = (scores >= least) & (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
        boxes, scores, ties = boxes[wanted], scores[wanted], raw[wanted, column]
        order = np.lexsort((-ties, -scores))  # calibration has plateaus: the raw score decides within one
        boxes, scores = boxes[order], scores[order]
        kept = suppress_repeats(boxes, self._card.nms_iou)
        return Detections(boxes[kept], scores[kept], np.full(len(kept), label, np.int16))


def suppress_repeats(boxes_xyxy: NDArray[np.float32], iou: float) -> NDArray[np.intp]:
    """Return the indices that non-maximum suppression keeps, in order.

    Args:
        boxes_xyxy: float32 (n, 4), best first.
        iou: a box that overlaps a kept one by more than this is dropped.
    """
    x0, y0, x1, y1 = boxes_xyxy.T
    areas = (x1 - x0) * (y1 - y0)
    left = np.arange(len(boxes_xyxy))
    kept = []
    while len(left):
        best, rest = left[0], left[1:]
        kept.append(best)
        width = np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest])
        height = np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        left = rest[shared <= iou * (areas[best] + areas[rest] - shared)]
    return np.array(kept, dtype=np.intp)
