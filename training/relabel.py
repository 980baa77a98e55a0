"""Clean the labels of the tiles with a trained model: what label and model agree on stays, what they do not is unsure.

A detector labelled the tiles, several views of each panorama, and its boxes were merged on the sphere. Small boxes came
out well; large ones are often loose, doubled, shifted between views, or on nothing at all. Learnt from as they are,
they teach a network to hide large areas for nothing. A model that learnt from them repeats their mistakes, so on them
somebody's eyes decide (`tile_audit.json`).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from training.anchors import areas, iou_matrix, shared_areas
from training.network import Deployed, Network, load_weights
from training.pictures import TILES, Picture, panorama_of, read_pictures

SIZES = (320, 640)
"""Sides to which a tile is scaled for the model; at the small one it judges large objects better."""

LEAST_SCORE, NMS_IOU = 0.15, 0.6

SMALL, LARGE = 60.0, 150.0
"""Longer sides in pixels: labels under `SMALL` need no second opinion, those over `LARGE` count
only where the audit trusts them."""

AUDIT = Path(__file__).with_name("tile_audit.json")


@dataclass(frozen=True)
class Found:
    """What the model found in one picture, in its pixels: boxes (n, 4), scores (n,), vehicle or person (n,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    vehicle: NDArray[np.bool_]


@dataclass(frozen=True)
class Audit:
    """What eyes said about the large labels: panorama -> `person` or `vehicle`."""

    trusted: dict[str, str]
    nothing: dict[str, str]

    @classmethod
    def read(cls) -> Audit:
        """Read the file beside this one."""
        stored = json.loads(AUDIT.read_text(encoding="utf-8"))
        return cls(stored["trusted"], stored["nothing"])

    def says(self, verdicts: dict[str, str], file: str, vehicle: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which labels of one tile a list of verdicts is about."""
        group = verdicts.get(panorama_of(file))
        return np.full(len(vehicle), group is not None) & (vehicle == (group == "vehicle"))


def revise(line: dict[str, Any], found: Found, audit: Audit) -> dict[str, Any]:
    """Return a line of the label file with the labels of one tile revised."""
    labels = np.array(line["boxes"], np.float32).reshape(-1, 5)
    ignore = np.array([box[:4] for box in line["ignore"]], np.float32).reshape(-1, 4)
    boxes, vehicle = labels[:, :4], labels[:, 4] > 0
    longest = _longest(boxes)
    same = vehicle[:, None] == found.vehicle[None]
    overlap = np.where(same, iou_matrix(boxes, found.boxes), 0)
    support = np.where(overlap >= 0.5, found.scores[None], 0).max(axis=1, initial=0)
    large = longest >= LARGE
    nothing = large & audit.says(audit.nothing, line["file"], vehicle)
    keep = (longest < SMALL) | (~large & (support >= 0.3))
    keep |= large & (support >= 0.5) & audit.says(audit.trusted, line["file"], vehicle)
    keep &= ~_doubled(boxes, vehicle, support)
    # A large doubt that the model does not share is background.
    doubt = iou_matrix(ignore, found.boxes)
    shared = np.where(doubt >= 0.4, found.scores[None], 0).max(axis=1, initial=0)
    told_nothing = panorama_of(line["file"]) in audit.nothing
    ignore = ignore[(_longest(ignore) < LARGE) | ((shared >= 0.3) & (not told_nothing))]
    missed = (found.scores >= 0.6) & (_longest(found.boxes) < LARGE)
    missed &= iou_matrix(found.boxes, boxes).max(axis=1, initial=0) < 0.3
    unsure = np.concatenate([ignore, boxes[~keep & ~nothing], found.boxes[missed]]).astype(float).round(1)
    sure = [[*map(float, box.round(1)), int(label)] for box, label in zip(boxes[keep], labels[keep, 4], strict=True)]
    return {**line, "boxes": sure, "ignore": unsure.tolist()}


def _doubled(boxes: NDArray[np.float32], vehicle: NDArray[np.bool_], support: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which labels overlap a better supported one so much that both must mean the same object."""
    if not len(boxes):
        return np.zeros(0, bool)
    covered = shared_areas(boxes, boxes) / np.maximum(areas(boxes), 1)[:, None]
    repeats = (iou_matrix(boxes, boxes) > 0.45) | (covered > 0.8)
    better = (support[None] > support[:, None]) & (vehicle[:, None] == vehicle[None])
    return (repeats & better).any(axis=1)


def _longest(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)


@torch.no_grad()
def search(network: Network, pictures: list[Picture], device: torch.device) -> dict[str, Found]:
    """Return what the network finds in square pictures, scaled to all `SIZES`."""
    parts: dict[str, list[NDArray[np.float32]]] = {picture.file: [] for picture in pictures}
    for size in SIZES:
        deployed = Deployed(network, size).eval().to(device)
        for picture in pictures:
            pixels = picture.pixels()
            shrinks = size < pixels.shape[1]
            image = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            with torch.autocast(device.type, torch.bfloat16):
                boxes, scores = deployed(torch.from_numpy(image[None]).to(device))
            scale = pixels.shape[1] / size
            rows = torch.cat([boxes[0].float() * scale, scores[0].float()], dim=1).cpu().numpy()
            parts[picture.file].append(rows[rows[:, 4:].max(axis=1) >= LEAST_SCORE])
    return {file: found_from_rows(np.concatenate(rows)) for file, rows in parts.items()}


def found_from_rows(rows: NDArray[np.float32]) -> Found:
    """Return boxes and scores from rows of x0 y0 x1 y1 and the scores of all classes, repeats dropped."""
    scores = rows[:, 4:].max(axis=1)
    rectangles = np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2]], axis=1)
    kept = np.array(cv2.dnn.NMSBoxes(rectangles.tolist(), scores.tolist(), LEAST_SCORE, NMS_IOU), int).ravel()
    return Found(rows[kept, :4], scores[kept], rows[kept, 4:].argmax(axis=1) > 0)


def main() -> None:
    """Write a label file whose tiles are revised; all other lines stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the shards and labels.jsonl")
    parser.add_argument("weights", type=Path, help="checkpoint of the model that judges")
    parser.add_argument("labels", type=Path, help="label file to write")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = Network()
    load_weights(network, arguments.weights)
    tiles = [picture for picture in read_pictures(arguments.data, ("train", "held_out")) if picture.origin == TILES]
    found = search(network, tiles, device)
    lines = [json.loads(line) for line in (arguments.data / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    audit = Audit.read()
    revised = [revise(line, found[line["file"]], audit) if line["file"] in found else line for line in lines]
    arguments.labels.write_text("".join(json.dumps(line) + "\n" for line in revised), encoding="utf-8")


if __name__ == "__main__":
    main()
