"""Write trained weights as a model folder: `python -m training.export CHECKPOINT FOLDER --name NAME --version 0.2`.

The folder gets `model.onnx` (uint8 RGB pictures in, boxes in pixels and raw scores out, no suppression of repeats) and
`card.json`; `training.calibrate` adds what the scores mean.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from training.network import Deployed, Network, SamePad, load_weights
from training.pictures import CLASSES
from training.validate import NMS_IOU, SIZE

OPSET = 17
TOLERANCE = {"boxes": 0.01, "scores": 1e-4}
"""Largest difference between the file and the network that it came from; boxes in pixels."""


def write_onnx(network: Network, file: Path) -> None:
    """Write the network for crops of `SIZE` px, batch norm folded, any number of crops at once."""
    deployed = Deployed(network.eval(), SIZE).eval()
    example = torch.zeros((1, SIZE, SIZE, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        # The older exporter is asked for on purpose: it folds batch norm, and what it warns of is that it is older.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            deployed,
            (example,),
            str(file),
            input_names=["images"],
            output_names=["boxes", "scores"],
            dynamic_axes={name: {0: "n"} for name in ("images", "boxes", "scores")},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(str(file))
    fuse_padding(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(file))
    check(deployed, file)


def fuse_padding(model: onnx.ModelProto) -> None:
    """Let each convolution pad by itself, as `SamePad` before it does: the same numbers in three quarters of the time.

    PyTorch's convolutions cannot pad two sides only, ONNX's can. A padding of its own copies everything once more and
    takes it out of the layout in which the engine's convolutions are fast.
    """
    graph = model.graph
    convolutions = {node.input[0]: node for node in graph.node if node.op_type == "Conv"}
    for node in [node for node in graph.node if node.op_type == "Pad"]:
        convolution = convolutions[node.output[0]]
        attributes = {attribute.name: attribute for attribute in convolution.attribute}
        left, right, top, bottom = SamePad(attributes["strides"].ints[0]).sides
        attributes["pads"].ints[:] = [top, left, bottom, right]
        convolution.input[0] = node.input[0]
    while unused := _unused(graph):
        for node in unused:
            graph.node.remove(node)


def _unused(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes of whose answers nobody takes any."""
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    return [node for node in graph.node if used.isdisjoint(node.output)]


@torch.no_grad()
def check(deployed: Deployed, file: Path) -> None:
    """Compare file and network on two random pictures.

    Raises:
        ValueError: they differ by more than `TOLERANCE`.
    """
    pictures = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    theirs = dict(zip(TOLERANCE, session.run(list(TOLERANCE), {"images": pictures}), strict=True))
    ours = dict(zip(TOLERANCE, deployed(torch.from_numpy(pictures)), strict=True))
    for name, limit in TOLERANCE.items():
        difference = float(np.abs(theirs[name] - ours[name].numpy()).max())
        if difference > limit:
            raise ValueError(f"{name} of {file} differ by {difference:g} from the network's, more than {limit:g}")


def write_card(folder: Path, name: str, version: str, steps: int) -> None:
    """Write `card.json` without a calibration: scores are then as they come."""
    identity = {"raw": [0.0, 1.0], "probability": [0.0, 1.0]}
    card = {
        "schema": 1,
        "name": name,
        "version": version,
        "architecture": "RetinaNet, MobileNetV2-FPN 96",
        "file": "model.onnx",
        "sha256": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(),
        "input": {"name": "images", "dtype": "uint8", "layout": "NHWC", "colour": "RGB", "size": [SIZE, SIZE]},
        "outputs": {
            "boxes": "xyxy, pixels of the crop",
            "scores": "sigmoid per class, raw (calibrate before comparing with PROB)",
        },
        "classes": list(CLASSES),
        "nms_iou": NMS_IOU,
        "calibration": dict.fromkeys(CLASSES, identity),
        "licence": "AGPL-3.0-or-later",
        "training": {
            "steps": steps,
            "data": "see training/README.md; licences CC BY 4.0, MIT, COCO terms, open panorama licences",
            "labels_by": "hand; gaps and tiles by YOLO11n (Ultralytics, AGPL-3.0), the tiles then mended by hand",
            "backbone": "MobileNetV2 1.0 ImageNet, Apache-2.0",
        },
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="state of a run or a flat state dict")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--earlier-steps", type=int, default=0, help="that the starting weights had behind them")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    network = Network()
    load_weights(network, arguments.checkpoint)
    write_onnx(network, arguments.folder / "model.onnx")
    stored = torch.load(arguments.checkpoint, map_location="cpu", weights_only=True)
    steps = arguments.earlier_steps + int(stored.get("step", 0))
    write_card(arguments.folder, arguments.name, arguments.version, steps)


if __name__ == "__main__":
    main()
