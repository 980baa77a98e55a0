"""A RetinaNet with a ResNet-50, layer by layer, under one set of names whatever file the weights come from.

stem                            7 x 7, stride 2
stageS.B.{1,2,3,short}          the bottlenecks of stages 2 to 5: 1 x 1, 3 x 3, 1 x 1 and the short cut of the first
lateral{3,4,5} smooth{3,4,5}    the feature pyramid
p6 p7                           its two coarsest levels
class{0..3} class               the head that names things, one for all levels
box{0..3} box                   the head that places them
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}
ANCHORS = 9
WIDTH = 256


@dataclass(frozen=True, slots=True)
class Convolution:
    """Weights of a convolution with its batch norm folded in.

    Attributes:
        weight: float64 (outputs, inputs, height, width).
        bias: float64 (outputs,).
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


def fold(weight: ArrayLike, norm: Iterable[ArrayLike], epsilon: float) -> Convolution:
    """Return a convolution and the batch norm after it as one convolution.

    Args:
        weight: (outputs, inputs, height, width).
        norm: factor, shift, mean and variance, each (outputs,).
        epsilon: of the batch norm.
    """
    kernel = np.asarray(weight, np.float64)
    scale, shift, mean, variance = (np.asarray(numbers, np.float64) for numbers in norm)
    with np.errstate(divide="ignore", invalid="ignore"):  # `check_layers` names the layer that went wrong
        factor = scale / np.sqrt(variance + epsilon)
        bias = shift - mean * factor
        return Convolution(kernel * factor[:, None, None, None], bias)


def backbone_shapes() -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """Yield name and shape of every convolution of the ResNet-50, all of which have a batch norm."""
    yield "stem", (64, 3, 7, 7)
    inputs = 64
    for stage, blocks in BLOCKS.items():
        width = 64 * 2 ** (stage - 2)
        for block in range(blocks):
            name = f"stage{stage}.{block}"
            yield f"{name}.1", (width, inputs, 1, 1)
            yield f"{name}.2", (width, width, 3, 3)
            yield f"{name}.3", (4 * width, width, 1, 1)
            if block == 0:
                yield f"{name}.short", (4 * width, inputs, 1, 1)
            inputs = 4 * width


def check_layers(layers: Mapping[str, Convolution], columns: int, p6_inputs: int) -> None:
    """Make sure that every layer is there, has its shape and holds numbers.

    Args:
        layers: by name.
        columns: classes of the class head.
        p6_inputs: channels of what `p6` looks at.

    Raises:
        ValueError: naming the first layer that is wrong.
    """
    shapes = dict(backbone_shapes())
    shapes |= {f"lateral{level}": (WIDTH, 256 * 2 ** (level - 2), 1, 1) for level in (3, 4, 5)}
    shapes |= {f"smooth{level}": (WIDTH, WIDTH, 3, 3) for level in (3, 4, 5)}
    shapes |= {"p6": (WIDTH, p6_inputs, 3, 3), "p7": (WIDTH, WIDTH, 3, 3)}
    shapes |= {f"{head}{number}": (WIDTH, WIDTH, 3, 3) for head, number in product(("class", "box"), range(4))}
    shapes |= {"class": (ANCHORS * columns, WIDTH, 3, 3), "box": (ANCHORS * 4, WIDTH, 3, 3)}
    for name, shape in shapes.items():
        layer = layers[name]
        if layer.weight.shape != shape or layer.bias.shape != shape[:1]:
            raise ValueError(f"layer {name} has the shape {layer.weight.shape}, not {shape}")
        if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
            raise ValueError(f"layer {name} holds numbers that are not finite")
