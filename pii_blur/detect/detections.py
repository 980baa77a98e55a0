"""The boxes that a detector found in one view: three arrays of equal length, checked when made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes in one view.

    Attributes:
        boxes_xyxy: float32 (n, 4), x0 y0 x1 y1 in view pixels (edges); may reach past the view.
        scores: float32 (n,), calibrated, 0 to 1.
        labels: int16 (n,), values of `Label`.

    Raises:
        ValueError: shapes that do not fit, boxes that are empty or not finite, scores outside 0..1.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int16]

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes_xyxy.shape != (count, 4) or self.scores.shape != (count,) or self.labels.shape != (count,):
            raise ValueError(
                f"shapes do not fit: boxes {self.boxes_xyxy.shape}, scores {self.scores.shape}, "
                f"labels {self.labels.shape}"
            )
        if not np.isfinite(self.boxes_xyxy).all():
            raise ValueError("a box is not finite")
        if not (self.boxes_xyxy[:, :2] < self.boxes_xyxy[:, 2:]).all():
            raise ValueError("a box is empty")
        if count and not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise ValueError("a score lies outside 0..1")
        for array in (self.boxes_xyxy, self.scores, self.labels):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls) -> Detections:
        """Return the detections of a view in which nothing was found."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int16))
