"""From the names of torchvision's RetinaNet to ours. Knows nothing of files or graphs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pii_blur.weights.families import Family
from pii_blur.weights.layers import Convolution, backbone_shapes, check_layers, fold

Tensors = Mapping[str, NDArray[Any]]

_PYRAMID = {f"lateral{level}": f"backbone.fpn.inner_blocks.{level - 3}" for level in (3, 4, 5)}
_PYRAMID |= {f"smooth{level}": f"backbone.fpn.layer_blocks.{level - 3}" for level in (3, 4, 5)}
_PYRAMID |= {"p6": "backbone.fpn.extra_blocks.p6", "p7": "backbone.fpn.extra_blocks.p7"}
_HEADS = {f"class{number}": f"head.classification_head.conv.{number}" for number in range(4)}
_HEADS |= {f"box{number}": f"head.regression_head.conv.{number}" for number in range(4)}
_HEADS |= {"class": "head.classification_head.cls_logits", "box": "head.regression_head.bbox_reg"}


def layers_of_torch(tensors: Tensors, family: Family) -> dict[str, Convolution]:
    """Return the layers of a torchvision state dict, batch norms folded in.

    Args:
        tensors: by torchvision's names, those of 2020 or today's.
        family: of the network.

    Raises:
        ValueError: these are not the weights of torchvision's first RetinaNet with a ResNet-50 and COCO's classes.
    """
    tensors = {_today(name): tensor for name, tensor in tensors.items()}
    if any("head.classification_head.conv.0.1." in name for name in tensors):
        raise ValueError("these are the weights of RetinaNet v2, which is not read; the first version is")
    try:
        layers = {name: _with_norm(tensors, name, family.epsilon) for name, _ in backbone_shapes()}
        for name, theirs in (_PYRAMID | _HEADS).items():
            layers[name] = Convolution(_exact(tensors[f"{theirs}.weight"]), _exact(tensors[f"{theirs}.bias"]))
    except KeyError as error:
        raise ValueError(
            f"these are not the weights of torchvision's RetinaNet with a ResNet-50: no {error}"
        ) from error
    check_layers(layers, family.columns, p6_inputs=256)
    return layers


def _today(name: str) -> str:
    """Return the one form of a name: torchvision wrapped these convolutions in lists of layers in 2022."""
    wrapped = re.fullmatch(r"(.*\.(?:inner_blocks|layer_blocks|conv)\.\d)\.0\.(weight|bias)", name)
    if wrapped:
        return f"{wrapped[1]}.{wrapped[2]}"
    # In the file of 2020 a head is one list of convolutions and activations: 0, 2, 4, 6.
    old = re.fullmatch(r"(head\.\w+\.conv)\.([0246])\.(weight|bias)", name)
    return f"{old[1]}.{int(old[2]) // 2}.{old[3]}" if old else name


def _with_norm(tensors: Tensors, name: str, epsilon: float) -> Convolution:
    convolution, norm = _names_of(name)
    parts = [tensors[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    return fold(tensors[f"{convolution}.weight"], parts, epsilon)


def _names_of(name: str) -> tuple[str, str]:
    """Return torchvision's names of a convolution and of its batch norm."""
    if name == "stem":
        return "backbone.body.conv1", "backbone.body.bn1"
    stage, block, part = name.removeprefix("stage").split(".")
    root = f"backbone.body.layer{int(stage) - 1}.{block}"
    if part == "short":
        return f"{root}.downsample.0", f"{root}.downsample.1"
    return f"{root}.conv{part}", f"{root}.bn{part}"


def _exact(tensor: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(tensor, np.float64)
