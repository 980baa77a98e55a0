"""Fit what a score means: `python -m training.calibrate DATA MODEL_FOLDER`, written into the folder's `card.json`.

A detection of score s is right (overlap of half with an object of its group, people or vehicles, whether or not other
detections have it too) with a probability that a monotone curve gives, one for each class, fitted by isotonic regression on the flat validation pictures: labelled
by hand, and never seen by training. (The held-out views of panoramas the seed model saw: they would flatter.)
"""

from __future__ import annotations

import argparse
import json
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


def verdicts(pairs: list[tuple[Truth, Detected]], label: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the scores of the detections of one class, and which lie on an object of its group."""
    low, high = (0, 1) if label == 0 else (1, len(CLASSES))
    parts = []
    for truth, detected in pairs:
        of_group, _ = of_classes(truth, detected, low, high)
        _, of_class = of_classes(truth, detected, label, label + 1)
        parts.append(touch(of_group, of_class))
    return np.concatenate([part.scores for part in parts]), np.concatenate([part.right for part in parts])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path, help="folder of the model")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    predict = open_model(arguments.folder / "model.onnx")
    pairs = []
    for picture in read_pictures(arguments.data, ("val",)):
        crop, truth = letterbox(picture)
        pairs.append((truth, detect(predict, crop)))
    by_class = [verdicts(pairs, label) for label in range(len(CLASSES))]
    pooled = [pair for name, pair in zip(CLASSES, by_class, strict=True) if name in POOLED]
    scores, right = (np.concatenate(parts) for parts in zip(*pooled, strict=True))
    shared = fit(scores, right)
    curves = {}
    for name, (own_scores, own_right) in zip(CLASSES, by_class, strict=True):
        curves[name] = shared if name in POOLED else fit(own_scores, own_right)
        print(f"{name}: {len(own_scores)} detections, {int(own_right.sum())} right")
    path = arguments.folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["calibration"] = curves
    path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
