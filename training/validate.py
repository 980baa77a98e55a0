"""Measure a model on labelled pictures: `python -m training.validate DATA MODEL [--split val]`.

`val` are flat street pictures, labelled by hand; `held_out` are tiles of panoramas that training never sees, whose
labels are good enough to judge by as `training.relabel` mends them (`--labels`) only. MODEL is a checkpoint (.pth) or a
model (.onnx).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from training.metrics import Detected, Hits, Truth, average_precision, cover, join, match
from training.network import Deployed, Network, load_weights
from training.pictures import CLASSES, Picture, read_pictures

SIZE = 640
NMS_IOU = 0.6
LEAST_SCORE = 0.05
GREY = 127
HEIGHTS = ((12.0, 24.0), (24.0, 48.0), (48.0, 96.0), (96.0, np.inf))
"""Of people, in pixels of the 640 px crop."""

THRESHOLDS = [step / 40 for step in range(2, 38)]
FALSE_AREAS = (0.01, 0.02, 0.04, 0.06)

Predict = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""uint8 (640, 640, 3) -> boxes (n, 4), scores (n, classes)."""


def open_model(file: Path) -> Predict:
    """Return a model as a function.

    Raises:
        ValueError: neither checkpoint nor ONNX.
    """
    if file.suffix == ".onnx":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

        def run(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            boxes, scores = session.run(["boxes", "scores"], {"images": image[None]})
            return boxes[0], scores[0]

        return run
    if file.suffix != ".pth":
        raise ValueError(f"{file} is neither .pth nor .onnx")
    network = Network()
    load_weights(network, file)
    deployed = Deployed(network.to(memory_format=torch.channels_last), SIZE).eval()

    @torch.no_grad()
    def predict(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        boxes, scores = deployed(torch.from_numpy(image[None]))
        return boxes[0].numpy(), scores[0].numpy()

    return predict


def letterbox(picture: Picture) -> tuple[NDArray[np.uint8], Truth]:
    """Return the picture scaled so that its longer side fills the crop, with what is in it; the rest is grey."""
    pixels = picture.pixels()
    scale = SIZE / max(pixels.shape[:2])
    height, width = (round(side * scale) for side in pixels.shape[:2])
    crop = np.full((SIZE, SIZE, 3), GREY, np.uint8)
    crop[:height, :width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return crop, Truth(picture.boxes * scale, picture.classes, picture.ignore * scale, height, width)


def detect(predict: Predict, crop: NDArray[np.uint8]) -> Detected:
    """Return the boxes of all classes after suppression of repeats within each class."""
    boxes, scores = predict(crop)
    parts = []
    for label in range(len(CLASSES)):
        wanted = np.flatnonzero(scores[:, label] >= LEAST_SCORE)
        corners = boxes[wanted]
        rectangles = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        kept = cv2.dnn.NMSBoxes(rectangles.tolist(), scores[wanted, label].tolist(), LEAST_SCORE, NMS_IOU)
        parts.append((wanted[np.array(kept, int).ravel()], label))
    return Detected(
        np.concatenate([boxes[kept] for kept, _ in parts]),
        np.concatenate([scores[kept, label] for kept, label in parts]),
        np.concatenate([np.full(len(kept), label, np.int64) for kept, label in parts]),
    )


def of_classes(truth: Truth, detected: Detected, low: int, high: int) -> tuple[Truth, Detected]:
    """Return only the classes from `low` to below `high`."""
    real = (truth.classes >= low) & (truth.classes < high)
    said = (detected.classes >= low) & (detected.classes < high)
    return (
        Truth(truth.boxes[real], truth.classes[real], truth.ignore, truth.height, truth.width),
        Detected(detected.boxes[said], detected.scores[said], detected.classes[said]),
    )


def measure(pairs: list[tuple[Truth, Detected]]) -> dict[str, Any]:
    """Return the figures of a model: AP50 by class and height, share hidden at given false areas."""

    def hits(low: int, high: int, least: float = 0, most: float = np.inf) -> Hits:
        return join([match(*of_classes(*pair, low, high), least, most) for pair in pairs])

    by_class = {name: hits(label, label + 1) for label, name in enumerate(CLASSES)}
    people = {f"{low:.0f}-{high:.0f}": hits(0, 1, low, high) for low, high in HEIGHTS}
    return {
        "pictures": len(pairs),
        "objects": {name: found.objects for name, found in by_class.items()},
        "ap50": {name: _rounded(found) for name, found in by_class.items()},
        "ap50_vehicle": _rounded(hits(1, 5)),
        "ap50_person_by_height": {name: _rounded(found) for name, found in people.items()},
        "hidden": _hidden(pairs),
    }


def _rounded(hits: Hits) -> float | None:
    """Return the average precision, or None if there was nothing to find."""
    return round(average_precision(hits), 4) if hits.objects else None


def _hidden(pairs: list[tuple[Truth, Detected]]) -> dict[str, Any]:
    """Return the shares of people and vehicles hidden where the false area is just below each of `FALSE_AREAS`."""
    vain = np.zeros(len(THRESHOLDS))
    counts = {"people": np.zeros(len(THRESHOLDS)), "vehicles": np.zeros(len(THRESHOLDS))}
    objects = dict.fromkeys(counts, 0)
    for truth, detected in pairs:
        hidden, area = cover(truth, detected, THRESHOLDS)
        vain += area / len(pairs)
        seen = (truth.boxes[:, 3] - truth.boxes[:, 1]) >= 24
        for name, wanted in (("people", truth.classes == 0), ("vehicles", truth.classes > 0)):
            counts[name] += hidden[:, wanted & seen].sum(axis=1)
            objects[name] += int((wanted & seen).sum())
    found: dict[str, Any] = {"objects": objects}
    for area in FALSE_AREAS:
        index = int(np.argmax(vain <= area))
        shares = {name: round(float(counts[name][index] / max(objects[name], 1)), 4) for name in counts}
        found[f"{area:.0%}"] = {"score": THRESHOLDS[index], **shares}
    return found


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--split", default="val", choices=("train", "val", "held_out"))
    parser.add_argument("--labels", type=Path, help="label file instead of the folder's own")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    predict = open_model(arguments.model)
    pairs = []
    for picture in read_pictures(arguments.data, (arguments.split,), arguments.labels):
        crop, truth = letterbox(picture)
        pairs.append((truth, detect(predict, crop)))
    print(json.dumps(measure(pairs), indent=1))


if __name__ == "__main__":
    main()
