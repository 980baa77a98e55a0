"""Make an INT8 copy of a model folder: `python -m training.quantise MODEL_FOLDER NEW_FOLDER DATA`.

Static, quantise-dequantise form, one scale per channel of the weights; the ranges of the activations come from pictures
of the training set. In whole numbers go the feature pyramid and the heads: wide, dense layers, half of the time. The
backbone stays float, for its channels differ in range by orders of magnitude, and so do the last layers, whose outputs
are the boxes and scores themselves. Measured on version 0.3 (103 pictures, boxes with a score above 0.2, mean change of
the score): all but the last layers 0.070, without the first three blocks of the backbone 0.026, without seven 0.016,
without the whole backbone 0.003; what is kept float in pyramid and heads makes no difference.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from training.pictures import CLASSES, TILES, Picture, read_pictures

DEVICES = ("cpu", "openvino")
"""What the copy is for: GPUs would undo the rounding, or refuse it, and run the rest on the processor."""

TILES_SHOWN, OTHERS_SHOWN = 40, 20
"""Pictures from which the ranges are taken."""

GREY = 114
_BACKBONE = re.compile(r"/f\.\d+/")


class Crops(CalibrationDataReader):
    """Shows pictures to the network, each fitted into a crop."""

    def __init__(self, pictures: list[Picture], size: int) -> None:
        self._crops: Iterator[NDArray[np.uint8]] = (_fitted(picture.pixels(), size) for picture in pictures)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next crop, (1, size, size, 3), or None after the last."""
        crop = next(self._crops, None)
        return None if crop is None else {"images": crop[None]}


def quantise(source: Path, target: Path, pictures: list[Picture], size: int) -> None:
    """Write an INT8 copy of an ONNX file.

    Args:
        source: the float model.
        target: where the copy goes.
        pictures: typical ones.
        size: side of the model's crops.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Crops(pictures, size),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=float_layers(onnx.load(prepared)),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Seven bits: with eight, sums overflow silently on processors without VNNI, and people would be missed.
            reduce_range=True,
        )


def float_layers(model: onnx.ModelProto) -> list[str]:
    """Return the names of the convolutions that stay float."""
    weights = {entry.name: entry.dims for entry in model.graph.initializer}
    names = []
    for node in model.graph.node:
        if node.op_type == "Conv":
            is_last = weights[node.input[1]][0] in (4, len(CLASSES))
            if is_last or _BACKBONE.search(node.name):
                names.append(node.name)
    return names


def typical(pictures: list[Picture]) -> list[Picture]:
    """Return a fixed choice, most of it views of panoramas."""
    draw = random.Random(1)
    tiles = [picture for picture in pictures if picture.origin == TILES]
    others = [picture for picture in pictures if picture.origin != TILES]
    return draw.sample(tiles, TILES_SHOWN) + draw.sample(others, OTHERS_SHOWN)


def _fitted(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    scale = size / max(pixels.shape[:2])
    width, height = (max(round(side * scale), 1) for side in (pixels.shape[1], pixels.shape[0]))
    crop = np.full((size, size, 3), GREY, np.uint8)
    crop[:height, :width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return crop


def main() -> None:
    """Read the command line and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="MODEL_FOLDER")
    parser.add_argument("target", type=Path, metavar="NEW_FOLDER")
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with labels.jsonl and the shards")
    options = parser.parse_args()
    card = json.loads((options.source / "card.json").read_text(encoding="utf-8"))
    options.target.mkdir(parents=True)
    file = options.target / card["file"]
    quantise(
        options.source / card["file"], file, typical(read_pictures(options.data, ("train",))), card["input"]["size"][0]
    )
    card["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    card["architecture"] += ", pyramid and heads in INT8"
    card["devices"] = list(DEVICES)
    (options.target / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    if (options.source / "README.md").exists():
        shutil.copy(options.source / "README.md", options.target)


if __name__ == "__main__":
    main()
