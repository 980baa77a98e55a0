"""Fit what a score means: `python -m training.calibrate DATA MODEL --labels labels.jsonl`, written into `card.json`.

A detection of score s is right (overlap of half with an object of its group, people or vehicles, whether or not other
detections have it too) with a probability that a monotone curve gives, one for each class, fitted by isotonic
regression on the flat validation pictures, labelled by hand, and on the held-out views of panoramas, whose labels were
looked at (`relabel`). Training saw none of them; the seed that it started from saw those views, with other labels. Each
set counts the same, whatever its size: one is a film of a motorway.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.isotonic import fit
from training.metrics import Detected, Truth, touch
from training.pictures import CLASSES, read_pictures
from training.validate import detect, letterbox, of_classes, open_model

POOLED = ("car", "truck", "bus")
"""Classes that share a curve: the flat pictures are roads full of lorries and buses, and curves of their own would
carry that into places where they are rare."""


@dataclass(frozen=True)
class Verdicts:
    """Scores of detections of one class, which of them lie on an object of its group, and how much each counts."""

    scores: NDArray[np.float32]
    right: NDArray[np.bool_]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, label: int, judged: list[tuple[Truth, Detected, float]]) -> Verdicts:
        """Judge the detections of a class in pictures with their weights."""
        low, high = (0, 1) if label == 0 else (1, len(CLASSES))
        parts = []
        for truth, detected, weight in judged:
            of_group, _ = of_classes(truth, detected, low, high)
            _, of_class = of_classes(truth, detected, label, label + 1)
            hits = touch(of_group, of_class)
            parts.append(cls(hits.scores, hits.right, np.full(len(hits.scores), weight)))
        return cls.join(parts)

    @classmethod
    def join(cls, parts: list[Verdicts]) -> Verdicts:
        """Return several as one."""
        return cls(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.right for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )

    def curve(self) -> dict[str, list[float]]:
        """Return what a score means."""
        return fit(self.scores, self.right, self.weights)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path, metavar="MODEL", help="its folder")
    parser.add_argument("--labels", type=Path, required=True, help="label file of training.relabel")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    predict = open_model(arguments.folder / "model.onnx")
    pictures = read_pictures(arguments.data, ("val", "held_out"), arguments.labels)
    sizes = Counter(picture.origin for picture in pictures)
    judged = []
    for picture in pictures:
        crop, truth = letterbox(picture)
        judged.append((truth, detect(predict, crop), len(pictures) / (len(sizes) * sizes[picture.origin])))
    by_class = {name: Verdicts.of(label, judged) for label, name in enumerate(CLASSES)}
    shared = Verdicts.join([by_class[name] for name in POOLED])
    curves = {}
    for name, own in by_class.items():
        curves[name] = (shared if name in POOLED else own).curve()
        print(f"{name}: {len(own.scores)} detections, {int(own.right.sum())} right")
    path = arguments.folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["calibration"] = curves
    path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
