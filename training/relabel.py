"""Clean the labels of the tiles with a trained model: `python -m training.relabel DATA CHECKPOINT LABELS`.

What label and model agree on stays, what they do not is unsure; see `revise` for the reasons and the rules.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from training.network import Deployed, Network, load_weights
from training.pictures import TILES, Picture, read_pictures
from training.revise import LEAST_SCORE, Audit, Found, found_from_rows, revise

SIZES = (320, 640)
"""Sides to which a tile is scaled for the model; at the small one it judges large objects better."""


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
