"""Objects checked by hand in real panoramas, and how much of each a set of regions covers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pii_blur.photo.photo import Photo
from pii_blur.regions import Region
from pii_blur.sphere.axes import Floats
from pii_blur.sphere.quad import SphereQuad

HIDDEN_CLASSES = {"person", "car", "truck", "bus"}
SAMPLES = 20


@dataclass(frozen=True)
class KnownObject:
    """One object: (n, 3) directions spread over its box, and how high it is in picture pixels."""

    kind: str
    directions: Floats
    height_px: float


def known_objects(annotations: dict[str, Any]) -> Iterator[KnownObject]:
    """Yield what counts of an annotation file: nothing flagged, nothing too wide for its box to be exact."""
    for entry in annotations["objects"]:
        is_flagged = any(entry.get(flag) for flag in ("ignore", "depiction", "ego"))
        if is_flagged or entry["cls"] not in HIDDEN_CLASSES or max(entry["w"], entry["h"]) > 85:
            continue
        x, y = np.tan(np.radians([entry["w"] / 2, entry["h"] / 2]))
        ticks = (np.arange(SAMPLES) + 0.5) / SAMPLES * 2 - 1
        grid = np.stack([*np.meshgrid(ticks * x, ticks * y), np.ones((SAMPLES, SAMPLES))], axis=-1).reshape(-1, 3)
        quad = SphereQuad.from_angles(entry["yaw"], entry["pitch"], entry["w"], entry["h"])
        yield KnownObject(entry["cls"], grid @ quad.axes().T, entry["h"] / 180 * annotations["height"])


def load(shared: Path, name: str) -> tuple[Photo, list[KnownObject]]:
    """Return a panorama of the evaluation set and its objects."""
    annotations = json.loads((shared / "eval" / "gt" / f"{name}.json").read_text(encoding="utf-8"))
    pixels = cv2.imread(str(shared / "eval" / "panos" / annotations["file"]), cv2.IMREAD_COLOR_RGB)
    return Photo.from_pixels(np.asarray(pixels, dtype=np.uint8), is_panorama=True), list(known_objects(annotations))


def is_covered(known: Floats, regions: Sequence[Region], grow: float) -> bool:
    """Return whether the grown regions cover at least nine tenths of an object's (n, 3) directions."""
    covered = np.zeros(len(known), bool)
    for region in regions:
        covered |= region.quad.grown(grow).contains(known)
    return bool(covered.mean() >= 0.9)
