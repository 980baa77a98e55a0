"""From the layers of keras-retinanet to ours, and which of its versions a file is. Knows nothing of graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pii_blur.weights.families import KERAS_2_0, KERAS_2_1, Family
from pii_blur.weights.keras_file import Arrays, KerasFile
from pii_blur.weights.layers import ANCHORS, Convolution, backbone_shapes, check_layers, fold

_PYRAMID = {f"lateral{level}": f"C{level}_reduced" for level in (3, 4, 5)}
_PYRAMID |= {f"smooth{level}": f"P{level}" for level in (3, 4, 5)} | {"p6": "P6", "p7": "P7"}
_HEADS = {"class": "classification_submodel", "box": "regression_submodel"}
_PARTS = {"1": "branch2a", "2": "branch2b", "3": "branch2c", "short": "branch1"}
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def family_of_keras(source: KerasFile, file_name: str) -> Family:
    """Return which network a file holds.

    Args:
        source: the file.
        file_name: decides between versions 2.0 and 2.1 where the file holds weights alone.

    Raises:
        ValueError: it cannot be told, or the file's own settings are not those of a version that is known.
    """
    # keras-resnet 0.1, with which the published files were trained, pads in a layer of its own; 0.2 does not.
    is_even = "padding_conv1" in source.layers
    family = _family_by_settings(source.settings["boxes"]) if "boxes" in source.settings else _family_by_name(file_name)
    family = replace(family, is_stem_padded_evenly=is_even)
    if source.settings:
        _check_settings(source.settings, family)
    return family


def layers_of_keras(source: KerasFile, family: Family) -> dict[str, Convolution]:
    """Return the layers of a keras-retinanet file, batch norms folded in.

    Raises:
        ValueError: these are not the weights of its RetinaNet with a ResNet-50 and COCO's classes.
    """
    try:
        layers = {}
        for name, _ in backbone_shapes():
            convolution, norm = _names_of(name)
            kernel = _kernel(dict(source.layers[convolution])["kernel"])
            numbers = dict(source.layers[norm])
            layers[name] = fold(kernel, [numbers[part] for part in _NORM], family.epsilon)
        layers |= {name: _convolution(source.layers[theirs]) for name, theirs in _PYRAMID.items()}
        for name, theirs in _HEADS.items():
            layers |= _head(name, source.layers[theirs])
    except KeyError as error:
        raise ValueError(
            f"these are not the weights of keras-retinanet's RetinaNet with a ResNet-50: no {error}"
        ) from error
    check_layers(layers, family.columns, p6_inputs=2048)
    return layers


def _family_by_name(file_name: str) -> Family:
    for family, version in ((KERAS_2_0, "v2.0."), (KERAS_2_1, "v2.1.")):
        if version in file_name:
            return family
    raise ValueError(
        "it does not say how its boxes are meant, and its name has neither v2.0. nor v2.1. in it. Give it the name "
        "under which it was published, e.g. resnet50_coco_best_v2.0.1.h5"
    )


def _family_by_settings(boxes: tuple[str, dict[str, Any]]) -> Family:
    kind, box = boxes
    if kind != "RegressBoxes":
        raise ValueError(f"its boxes are made by {kind}, not as keras-retinanet does it")
    for family in (KERAS_2_0, KERAS_2_1):
        if np.allclose(_numbers(box["std"]), family.box_scale) and np.allclose(_numbers(box["mean"]), 0):
            return family
    raise ValueError(f"its boxes are scaled by {box['std']}, as no version that is known does it")


def _check_settings(settings: Mapping[str, tuple[str, dict[str, Any]]], family: Family) -> None:
    """Refuse a network that is trained in another way than the published ones: it would run, and miss people."""
    padding = "valid" if family.is_stem_padded_evenly else "same"
    for name, key, wanted in (
        ("conv1", "padding", padding),
        ("pool1", "padding", "same"),
        ("P6", "padding", "same"),
        ("bn_conv1", "epsilon", family.epsilon),
        ("res3a_branch2a", "strides", [2, 2]),
    ):
        found = settings.get(name, ("", {}))[1].get(key)
        if isinstance(found, tuple):
            found = list(found)
        if found != wanted:
            raise ValueError(f"its layer {name} has {key} {found}, not {wanted}")
    for level in range(5):
        if f"anchors_{level}" not in settings:
            continue  # a network in training has none
        anchors = settings[f"anchors_{level}"][1]
        sizes = (anchors.get("size"), anchors.get("stride"))
        if sizes != (32 * 2**level, 8 * 2**level):
            raise ValueError(f"its anchors of level {level} have size and stride {sizes}, not the usual ones")
        ratios, scales = (_numbers(anchors.get(key, ())) for key in ("ratios", "scales"))
        if len(ratios) * len(scales) != ANCHORS or not (
            np.allclose(ratios, [0.5, 1, 2]) and np.allclose(scales, 2.0 ** (np.arange(3) / 3), atol=1e-4)
        ):
            raise ValueError(f"its anchors of level {level} have ratios {ratios} and scales {scales}")


def _numbers(value: Any) -> NDArray[np.float64]:
    """Return numbers of a list, or of an array as Keras writes one: {"type": "ndarray", "value": [...]}."""
    return np.asarray(value["value"] if isinstance(value, dict) else value, np.float64)


def _names_of(name: str) -> tuple[str, str]:
    """Return keras-resnet's names of a convolution and of its batch norm."""
    if name == "stem":
        return "conv1", "bn_conv1"
    stage, block, part = name.removeprefix("stage").split(".")
    rest = f"{stage}{'abcdef'[int(block)]}_{_PARTS[part]}"
    return f"res{rest}", f"bn{rest}"


def _head(name: str, arrays: Arrays) -> dict[str, Convolution]:
    """Return the five convolutions of a head, a model in the model whose layers' names vary, but not their order."""
    kinds = [kind for kind, _ in arrays]
    if kinds != ["kernel", "bias"] * 5:
        raise ValueError(f"its {_HEADS[name]} is not made of five convolutions")
    layers = [_convolution(arrays[start : start + 2]) for start in range(0, 10, 2)]
    return dict(zip([*(f"{name}{number}" for number in range(4)), name], layers, strict=True))


def _convolution(arrays: Arrays) -> Convolution:
    numbers = dict(arrays)
    return Convolution(_kernel(numbers["kernel"]), np.asarray(numbers["bias"], np.float64))


def _kernel(kernel: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (height, width, inputs, outputs) as (outputs, inputs, height, width)."""
    if kernel.ndim != 4:
        raise ValueError(f"a kernel has the shape {kernel.shape}")
    return np.asarray(kernel, np.float64).transpose(3, 2, 0, 1)
