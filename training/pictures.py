"""The labelled pictures: WebP in tar shards beside `labels.jsonl`; see the README for the format and the sets."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLASSES = ("person", "car", "truck", "bus", "motorcycle")
"""By number, in labels and in the network's answers."""

TILES = "tiles"
"""The set of perspective views of panoramas: what the detector is for."""

HELD_OUT_EVERY = 10
"""Of the panoramas behind the tiles one in so many is kept out of training, with all its tiles."""


@dataclass(frozen=True)
class Picture:
    """One labelled picture, still packed."""

    file: str
    origin: str
    """Name of the set."""
    split: str
    """`train`, `val` (flat pictures) or `held_out` (tiles of panoramas that training never sees)."""
    packed: bytes
    height: int
    width: int
    boxes: NDArray[np.float32]
    """float32 (m, 4), x0 y0 x1 y1 in pixels."""
    classes: NDArray[np.int64]
    ignore: NDArray[np.float32]
    """float32 (k, 4), neither object nor background."""

    def pixels(self) -> NDArray[np.uint8]:
        """Return uint8 RGB (height, width, 3)."""
        return np.array(Image.open(io.BytesIO(self.packed)).convert("RGB"))


def read_pictures(folder: Path, splits: tuple[str, ...], labels: Path | None = None) -> list[Picture]:
    """Return the pictures of some splits, in the order of the label file (by default the folder's own)."""
    file = labels or folder / "labels.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    held_out = held_out_panoramas({line["file"] for line in lines if line["set"] == TILES})
    packed = _read_shards(folder)
    pictures = []
    for line in lines:
        split = "held_out" if line["set"] == TILES and panorama_of(line["file"]) in held_out else line["split"]
        if split not in splits:
            continue
        boxes = np.array(line["boxes"], np.float32).reshape(-1, 5)
        ignore = np.array([box[:4] for box in line["ignore"]], np.float32).reshape(-1, 4)
        name = line["file"]
        classes = boxes[:, 4].astype(np.int64)
        size = (line["height"], line["width"])
        pictures.append(Picture(name, line["set"], split, packed[name], *size, boxes[:, :4], classes, ignore))
    return pictures


def panorama_of(file: str) -> str:
    """Return which panorama a tile was cut from: `tile_012_03.webp` -> `012`."""
    return file.split("_")[1]


def held_out_panoramas(files: set[str]) -> set[str]:
    """Return the panoramas that training never sees; whole panoramas, or a tile's neighbour would give it away."""
    return set(sorted({panorama_of(file) for file in files})[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY])


def _read_shards(folder: Path) -> dict[str, bytes]:
    """Return the packed pictures by name; 120 MB in all."""
    packed = {}
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    packed[Path(member.name).name] = content.read()
    return packed
