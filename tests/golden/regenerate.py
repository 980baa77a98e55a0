"""Stores what the embedded model finds in three crops: `python -m tests.golden.regenerate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data

from pii_blur.detect.detector import Detector, load_detector
from pii_blur.labels import Label
from pii_blur.settings import DEFAULT_MODEL

STORED = Path(__file__).with_name("model_outputs.json")


def crops() -> dict[str, np.ndarray]:
    """Return 640 x 640 RGB crops by name."""
    astronaut, coffee = skimage.data.astronaut()[..., :3], skimage.data.coffee()
    return {
        "astronaut": _placed(astronaut, 140),
        "small astronaut": _placed(astronaut, 70),
        "coffee": _placed(coffee, 400),
    }


def _placed(picture: np.ndarray, height: int) -> np.ndarray:
    """Put a picture, scaled to `height` pixels, in the middle of a grey crop."""
    width = round(picture.shape[1] / picture.shape[0] * height)
    crop = np.full((640, 640, 3), 128, np.uint8)
    top, left = (640 - height) // 2, (640 - width) // 2
    crop[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return crop


def find(detector: Detector, crop: np.ndarray) -> list[dict[str, Any]]:
    """Return what is found at 30 per cent and more, best first."""
    found = detector.detect(crop, dict.fromkeys(Label, 0.3))
    order = np.lexsort((found.labels, -found.scores))
    return [
        {
            "class": Label(int(found.labels[k])).word,
            "score": round(float(found.scores[k]), 4),
            "box": [round(float(edge), 2) for edge in found.boxes_xyxy[k]],
        }
        for k in order
    ]


if __name__ == "__main__":
    detector = load_detector(DEFAULT_MODEL)
    STORED.write_text(json.dumps({name: find(detector, crop) for name, crop in crops().items()}, indent=1) + "\n")
