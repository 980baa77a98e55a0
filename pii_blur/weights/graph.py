"""Writes the ONNX graph of a RetinaNet: pictures as they are in, boxes and scores out, everything between inside."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import MissingDependency
from pii_blur.labels import Label
from pii_blur.weights.anchors import LEVELS, grids, make_anchors
from pii_blur.weights.families import Family
from pii_blur.weights.layers import ANCHORS, BLOCKS, Convolution

_OPSET, _IR_VERSION = 17, 8  # old enough for every ONNX Runtime and OpenVINO of the last years


def import_onnx() -> Any:
    """Return the library.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import onnx  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependency("converting weights needs onnx; pip install 'pii-blur[convert]'") from error
    return onnx


def build_graph(
    layers: Mapping[str, Convolution],
    family: Family,
    size: int,
    labels: Sequence[Label],
    *,
    with_raw_heads: bool = False,
) -> bytes:
    """Return the model file's bytes.

    Args:
        layers: checked ones.
        family: how they are put together.
        size: side of the square input in pixels, a multiple of 32.
        labels: the classes to keep; the others are cut off before anything runs.
        with_raw_heads: also give `logits` (n, anchors, labels) and `deltas` (n, anchors, 4), for comparing networks.

    Raises:
        MissingDependency: onnx is missing.
    """
    onnx = import_onnx()
    graph = _Graph(onnx)
    levels = _pyramid(graph, layers, family, _backbone(graph, layers, family, _normalised(graph, family)))
    kept = {"class": _cut(layers["class"], family, labels), "box": layers["box"]}
    logits = graph.node("Concat", [_head(graph, layers, kept, "class", level) for level in levels], axis=1)
    deltas = graph.node("Concat", [_head(graph, layers, kept, "box", level) for level in levels], axis=1)
    graph.node("Sigmoid", [logits], output="scores")
    _boxes(graph, family, size, deltas)
    outputs = {"boxes": 4, "scores": len(labels)}
    if with_raw_heads:
        graph.node("Identity", [logits], output="logits")
        graph.node("Identity", [deltas], output="deltas")
        outputs |= {"logits": len(labels), "deltas": 4}
    anchors = ANCHORS * sum(cells**2 for cells in grids(size))
    return graph.to_bytes(size, {name: (anchors, width) for name, width in outputs.items()})


class _Graph:
    """Nodes and constants of a graph in the making."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def node(self, kind: str, inputs: Iterable[str], *, output: str = "", **settings: Any) -> str:
        """Add a node and return the name of its output."""
        name = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], name=f"n_{name}", **settings))
        return name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant, unless it is there, and return its name."""
        if name not in self._constants:
            self._constants[name] = self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def convolution(self, name: str, layer: Convolution, source: str, **settings: Any) -> str:
        """Add a convolution and return the name of its output."""
        weight = self.constant(f"{name}.weight", layer.weight.astype(np.float32))
        bias = self.constant(f"{name}.bias", layer.bias.astype(np.float32))
        return self.node("Conv", [source, weight, bias], kernel_shape=list(layer.weight.shape[2:]), **settings)

    def halves(self, source: str) -> tuple[str, str]:
        """Add what splits (n, anchors, 4) into its first and its last two columns."""
        names = (f"{source}_first", f"{source}_last")
        two = self.constant("two", np.array([2, 2], np.int64))
        self._nodes.append(self._onnx.helper.make_node("Split", [source, two], list(names), axis=2))
        return names

    def relu(self, source: str) -> str:
        """Add what cuts off negative values."""
        return self.node("Relu", [source])

    def to_bytes(self, size: int, outputs: Mapping[str, tuple[int, int]]) -> bytes:
        """Return the finished model, checked by onnx itself."""
        helper, types = self._onnx.helper, self._onnx.TensorProto
        images = helper.make_tensor_value_info("images", types.UINT8, ["n", size, size, 3])
        answers = [helper.make_tensor_value_info(name, types.FLOAT, ["n", *shape]) for name, shape in outputs.items()]
        graph = helper.make_graph(self._nodes, "retinanet", [images], answers, list(self._constants.values()))
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="pii-blur", ir_version=_IR_VERSION)
        self._onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString()
        return data


def _normalised(graph: _Graph, family: Family) -> str:
    """Add what takes (n, size, size, 3) uint8 RGB to (n, 3, size, size) without the mean.

    The mean cannot go into the first convolution, as that pads with zeros after it. The deviation and the order of
    colours can: `_stem`.
    """
    planes = graph.node("Cast", [graph.node("Transpose", ["images"], perm=[0, 3, 1, 2])], to=1)
    return graph.node("Sub", [planes, graph.constant("mean", np.array(family.mean, np.float32).reshape(1, 3, 1, 1))])


def _stem(layer: Convolution, family: Family) -> Convolution:
    """Return the first convolution for RGB that is not yet divided by the deviation."""
    weight = layer.weight[:, ::-1] if family.is_bgr else layer.weight
    return Convolution(weight / np.array(family.deviation)[:, None, None], layer.bias)


def _padding(family: Family, kernel: int, stride: int) -> dict[str, Any]:
    if family.is_same_padding and stride > 1:
        return {"auto_pad": "SAME_UPPER", "strides": [stride] * 2}
    return {"pads": [kernel // 2] * 4, "strides": [stride] * 2}


def _backbone(graph: _Graph, layers: Mapping[str, Convolution], family: Family, source: str) -> dict[int, str]:
    """Add the ResNet-50 and return its outputs C3 to C5."""
    padding = {"pads": [3] * 4, "strides": [2, 2]} if family.is_stem_padded_evenly else _padding(family, 7, 2)
    x = graph.relu(graph.convolution("stem", _stem(layers["stem"], family), source, **padding))
    x = graph.node("MaxPool", [x], kernel_shape=[3, 3], **_padding(family, 3, 2))
    features = {}
    for stage, blocks in BLOCKS.items():
        for block in range(blocks):
            stride = 2 if stage > 2 and block == 0 else 1
            x = _bottleneck(graph, layers, family, f"stage{stage}.{block}", x, stride)
        features[stage] = x
    return features


def _bottleneck(
    graph: _Graph, layers: Mapping[str, Convolution], family: Family, name: str, source: str, stride: int
) -> str:
    first, second = (stride, 1) if family.is_stride_first else (1, stride)
    x = graph.relu(graph.convolution(f"{name}.1", layers[f"{name}.1"], source, strides=[first] * 2))
    x = graph.relu(graph.convolution(f"{name}.2", layers[f"{name}.2"], x, **_padding(family, 3, second)))
    x = graph.convolution(f"{name}.3", layers[f"{name}.3"], x)
    short = f"{name}.short"
    if short in layers:
        source = graph.convolution(short, layers[short], source, strides=[stride] * 2)
    return graph.relu(graph.node("Add", [x, source]))


def _pyramid(
    graph: _Graph, layers: Mapping[str, Convolution], family: Family, features: Mapping[int, str]
) -> list[str]:
    """Add the feature pyramid and return P3 to P7."""
    levels: dict[int, str] = {}
    above = ""
    for level in (5, 4, 3):
        merged = graph.convolution(f"lateral{level}", layers[f"lateral{level}"], features[level])
        if above:
            merged = graph.node("Add", [merged, _enlarged(graph, family, above)])
        above = merged
        levels[level] = graph.convolution(f"smooth{level}", layers[f"smooth{level}"], merged, pads=[1] * 4)
    source = features[5] if family.is_p6_from_c5 else levels[5]
    levels[6] = graph.convolution("p6", layers["p6"], source, **_padding(family, 3, 2))
    levels[7] = graph.convolution("p7", layers["p7"], graph.relu(levels[6]), **_padding(family, 3, 2))
    return [levels[level] for level in LEVELS]


def _enlarged(graph: _Graph, family: Family, source: str) -> str:
    """Add what makes a level twice as large."""
    scales = graph.constant("twice", np.array([1, 1, 2, 2], np.float32))
    mode = {"mode": "linear"} if family.is_smooth_pyramid else {"mode": "nearest", "nearest_mode": "floor"}
    # "asymmetric": pixel i of the result looks at i / 2, as resizing in torch ("nearest") and TensorFlow 1 has it.
    return graph.node("Resize", [source, "", scales], coordinate_transformation_mode="asymmetric", **mode)


def _cut(layer: Convolution, family: Family, labels: Sequence[Label]) -> Convolution:
    """Return the last convolution of the class head with the columns of `labels` alone."""
    columns = [family.classes[label] for label in labels]
    weight = layer.weight.reshape(ANCHORS, family.columns, *layer.weight.shape[1:])[:, columns]
    bias = layer.bias.reshape(ANCHORS, family.columns)[:, columns]
    return Convolution(weight.reshape(-1, *layer.weight.shape[1:]), bias.ravel())


def _head(
    graph: _Graph, layers: Mapping[str, Convolution], kept: Mapping[str, Convolution], name: str, level: str
) -> str:
    """Add a head on one level and return its answers (n, cells times anchors, columns)."""
    x = level
    for number in range(4):
        x = graph.relu(graph.convolution(f"{name}{number}", layers[f"{name}{number}"], x, pads=[1] * 4))
    x = graph.convolution(name, kept[name], x, pads=[1] * 4)
    columns = len(kept[name].bias) // ANCHORS
    shape = graph.constant(f"{name}.shape", np.array([0, -1, columns], np.int64))
    return graph.node("Reshape", [graph.node("Transpose", [x], perm=[0, 2, 3, 1]), shape])


def _boxes(graph: _Graph, family: Family, size: int, deltas: str) -> None:
    """Add what makes boxes of the answers."""
    anchors = make_anchors(family, size).astype(np.float64)
    sides = anchors[:, 2:] - anchors[:, :2]
    scale = np.array(family.box_scale)
    if family.is_box_by_corners:
        factors = graph.constant("anchor.factors", (np.tile(sides, 2) * scale).astype(np.float32))
        places = graph.constant("anchor.corners", anchors.astype(np.float32))
        boxes = graph.node("Add", [graph.node("Mul", [deltas, factors]), places])
    else:
        boxes = _boxes_by_logarithms(graph, family, deltas, anchors, sides)
    if family.clip is None:
        graph.node("Identity", [boxes], output="boxes")
        return
    low = graph.constant("low", np.array(0, np.float32))
    high = graph.constant("high", np.array(size - family.clip, np.float32))
    graph.node("Clip", [boxes, low, high], output="boxes")


def _boxes_by_logarithms(
    graph: _Graph, family: Family, deltas: str, anchors: NDArray[np.float64], sides: NDArray[np.float64]
) -> str:
    scale = np.array(family.box_scale)
    shifts, growths = graph.halves(deltas)
    reach = graph.constant("anchor.reach", (sides * scale[:2]).astype(np.float32))
    middle = graph.constant("anchor.middle", ((anchors[:, :2] + anchors[:, 2:]) / 2).astype(np.float32))
    centre = graph.node("Add", [graph.node("Mul", [shifts, reach]), middle])
    if not (scale[2:] == 1).all():
        growths = graph.node("Mul", [growths, graph.constant("growth", scale[2:].astype(np.float32))])
    most = graph.constant("most", np.array(math.log(family.most_growth), np.float32))
    growths = graph.node("Min", [growths, most])
    half = graph.constant("anchor.half", (sides / 2).astype(np.float32))
    reaches = graph.node("Mul", [graph.node("Exp", [growths]), half])
    corners = [graph.node("Sub", [centre, reaches]), graph.node("Add", [centre, reaches])]
    return graph.node("Concat", corners, axis=2)
