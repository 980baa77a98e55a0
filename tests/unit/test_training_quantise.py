"""The INT8 copy of a model: which layers stay float, and that it still says what the model says."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from training.pictures import CLASSES, Picture
from training.quantise import float_layers, quantise

SIDE = 32


def conv(name: str, source: str, target: str, channels: int, inputs: int) -> tuple[onnx.NodeProto, onnx.TensorProto]:
    weights = np.random.default_rng(channels).normal(0, 0.2, (channels, inputs, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", [source, f"{target}.weight"], [target], name, kernel_shape=[3, 3], pads=[1] * 4)
    return node, numpy_helper.from_array(weights, f"{target}.weight")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One layer of each kind: of the backbone, of a head, the last of scores and of boxes."""
    layers = [
        conv("/f.2/conv/Conv", "in", "early", 8, 3),
        conv("/cls/conv/Conv", "early", "late", 8, 8),
        conv("/co/Conv", "late", "scores", len(CLASSES), 8),
        conv("/ro/Conv", "late", "boxes", 4, 8),
    ]
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["in"], perm=[0, 3, 1, 2]),
        *[node for node, _ in layers],
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("scores", "boxes")],
        [weights for _, weights in layers],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file = tmp_path / "model.onnx"
    onnx.save(made, file)
    return file


def picture(seed: int) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "WEBP", lossless=True)
    nothing = np.zeros((0, 4), np.float32)
    return Picture("a.webp", "tiles", "train", packed.getvalue(), SIDE, SIDE, nothing, np.zeros(0, np.int64), nothing)


def answers(file: Path, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found: list[NDArray[np.float32]] = session.run(["scores", "boxes"], {"images": image[None]})
    return found


def test_the_backbone_and_the_last_layers_stay_float(model: Path) -> None:
    """Quantised too, they would move boxes and lose people."""
    assert float_layers(onnx.load(model)) == ["/f.2/conv/Conv", "/co/Conv", "/ro/Conv"]


def test_the_copy_says_nearly_the_same(model: Path, tmp_path: Path) -> None:
    """The layer of the head is computed in whole numbers, and the answers are those of the model but for rounding."""
    copy = tmp_path / "copy.onnx"
    pictures = [picture(seed) for seed in range(4)]
    quantise(model, copy, pictures, SIDE)
    nodes = onnx.load(copy).graph.node
    fed_by = {output: node.op_type for node in nodes for output in node.output}
    quantised = [
        node.name for node in nodes if node.op_type == "Conv" and fed_by.get(node.input[1]) == "DequantizeLinear"
    ]
    assert quantised == ["/cls/conv/Conv"]
    image = picture(9).pixels()
    for exact, rounded in zip(answers(model, image), answers(copy, image), strict=True):
        assert np.abs(rounded - exact).mean() < 0.02 * np.abs(exact).mean()
