"""Files of weights as torch and Keras write them, made without either: small random numbers under the right names."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pii_blur.weights.families import KERAS_2_0, KERAS_2_1, Family
from pii_blur.weights.layers import ANCHORS, BLOCKS, Convolution, backbone_shapes

Array = np.ndarray[Any, Any]
SMALL = 0.01
THIN = 2


def thin_layers() -> dict[str, Convolution]:
    """Return a network of our own names with two channels everywhere, for questions that need no real one."""
    shapes = {name: (THIN, 3 if name == "stem" else THIN, *shape[2:]) for name, shape in backbone_shapes()}
    shapes |= {f"lateral{level}": (THIN, THIN, 1, 1) for level in (3, 4, 5)}
    wide = ["smooth3", "smooth4", "smooth5", "p6", "p7", *(f"{head}{n}" for head in ("class", "box") for n in range(4))]
    shapes |= dict.fromkeys(wide, (THIN, THIN, 3, 3))
    shapes |= {"class": (ANCHORS * 91, THIN, 3, 3), "box": (ANCHORS * 4, THIN, 3, 3)}
    numbers = np.random.default_rng(1)
    return {name: Convolution(numbers.normal(0, 0.3, shape), np.zeros(shape[0])) for name, shape in shapes.items()}


def torchvision_state(*, is_of_2020: bool = False) -> dict[str, Array]:
    """Return a state dict of torchvision's RetinaNet, under today's names or those of the file of 2020."""
    numbers = np.random.default_rng(1)
    state: dict[str, Array] = {}

    def convolution(name: str, *shape: int, has_bias: bool = True) -> None:
        state[f"{name}.weight"] = SMALL * numbers.standard_normal(shape, np.float32)
        if has_bias:
            state[f"{name}.bias"] = numbers.normal(0, SMALL, shape[:1]).astype(np.float32)

    def with_norm(name: str, norm: str, *shape: int) -> None:
        convolution(name, *shape, has_bias=False)
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{part}"] = numbers.uniform(0.5, 1, shape[:1]).astype(np.float32)
        if not is_of_2020:
            state[f"{norm}.num_batches_tracked"] = np.array(7, np.int64)

    with_norm("backbone.body.conv1", "backbone.body.bn1", 64, 3, 7, 7)
    inputs = 64
    for stage, blocks in BLOCKS.items():
        width = 2 ** (stage + 4)
        for block in range(blocks):
            root = f"backbone.body.layer{stage - 1}.{block}"
            with_norm(f"{root}.conv1", f"{root}.bn1", width, inputs, 1, 1)
            with_norm(f"{root}.conv2", f"{root}.bn2", width, width, 3, 3)
            with_norm(f"{root}.conv3", f"{root}.bn3", 4 * width, width, 1, 1)
            if block == 0:
                with_norm(f"{root}.downsample.0", f"{root}.downsample.1", 4 * width, inputs, 1, 1)
            inputs = 4 * width
    end = "" if is_of_2020 else ".0"
    for number in range(3):
        convolution(f"backbone.fpn.inner_blocks.{number}{end}", 256, 512 * 2**number, 1, 1)
        convolution(f"backbone.fpn.layer_blocks.{number}{end}", 256, 256, 3, 3)
    for level in ("p6", "p7"):
        convolution(f"backbone.fpn.extra_blocks.{level}", 256, 256, 3, 3)
    for head, last, columns in (("classification", "cls_logits", 91), ("regression", "bbox_reg", 4)):
        for number in range(4):
            place = f"{2 * number}" if is_of_2020 else f"{number}.0"
            convolution(f"head.{head}_head.conv.{place}", 256, 256, 3, 3)
        convolution(f"head.{head}_head.{last}", 9 * columns, 256, 3, 3)
    return state


KINDS = {"float32": "FloatStorage", "int64": "LongStorage"}


def torch_pickle(state: Mapping[str, Array]) -> bytes:
    """Return the list of contents of a state dict, instruction by instruction as torch writes it (protocol 2)."""

    def text(value: str) -> bytes:
        return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    out = b"\x80\x02ccollections\nOrderedDict\n)R("
    for key, (name, array) in enumerate(state.items()):
        strides = tuple(stride // array.itemsize for stride in array.strides)
        storage = b"(" + text("storage") + f"ctorch\n{KINDS[array.dtype.name]}\n".encode()
        storage += text(str(key)) + text("cpu") + number(array.size) + b"tQ"
        out += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(0) + numbers(array.shape)
        out += numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtR"
    return out + b"u."


def write_torch(file: Path, state: Mapping[str, Array], *, pickled: bytes | None = None) -> Path:
    """Write a state dict as torch 1.6 and later do."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled or torch_pickle(state))
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(state.values()):
            archive.writestr(f"archive/data/{key}", array.tobytes())
    return file


def write_torch_plainly(file: Path, state: Mapping[str, Array]) -> Path:
    """Write a state dict as torch before 1.6 did."""
    pieces = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    pieces += [torch_pickle(state), pickle.dumps([str(key) for key in range(len(state))], 2)]
    for array in state.values():
        pieces += [array.size.to_bytes(8, "little"), array.tobytes()]
    file.write_bytes(b"".join(pieces))
    return file


def write_keras(
    file: Path, family: Family, *, is_whole: bool = True, is_hollow: bool = False, **changes: dict[str, Any]
) -> Path:
    """Write a network of keras-retinanet as Keras 2 did, whole or its weights alone.

    Args:
        file: where to.
        family: `KERAS_2_0` or `KERAS_2_1`, with the padding of the first convolution that is wanted.
        is_whole: with the settings of the layers.
        is_hollow: with kernels of one number each.
        changes: other settings of layers, by name.
    """
    assert family.name in (KERAS_2_0.name, KERAS_2_1.name)
    numbers = np.random.default_rng(1)
    layers: dict[str, list[tuple[str, Array]]] = {}

    def kernel(*shape: int) -> Array:
        return SMALL * numbers.standard_normal([1] * len(shape) if is_hollow else shape, np.float32)

    def with_norm(rest: str, *shape: int) -> None:
        first, norm = ("conv1", "bn_conv1") if rest == "conv1" else (f"res{rest}", f"bn{rest}")
        layers[first] = [(f"{first}/kernel:0", kernel(*shape))]
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        layers[norm] = [(f"{norm}/{part}:0", numbers.uniform(0.5, 1, shape[-1:]).astype(np.float32)) for part in parts]

    def convolution(layer: str, name: str, *shape: int) -> None:
        arrays = [(f"{name}/kernel:0", kernel(*shape)), (f"{name}/bias:0", kernel(shape[-1]))]
        layers.setdefault(layer, []).extend(arrays)

    if family.is_stem_padded_evenly:
        layers["padding_conv1"] = []
    with_norm("conv1", 7, 7, 3, 64)
    inputs = 64
    for stage, blocks in BLOCKS.items():
        width = 2 ** (stage + 4)
        for block in range(blocks):
            root = f"{stage}{'abcdef'[block]}_branch"
            with_norm(f"{root}2a", 1, 1, inputs, width)
            with_norm(f"{root}2b", 3, 3, width, width)
            with_norm(f"{root}2c", 1, 1, width, 4 * width)
            if block == 0:
                with_norm(f"{root}1", 1, 1, inputs, 4 * width)
            inputs = 4 * width
    for level in (3, 4, 5):
        convolution(f"C{level}_reduced", f"C{level}_reduced", 1, 1, 2 ** (level + 6), 256)
        convolution(f"P{level}", f"P{level}", 3, 3, 256, 256)
    convolution("P6", "P6", 3, 3, 2048, 256)
    convolution("P7", "P7", 3, 3, 256, 256)
    for head, columns in (("classification", 80), ("regression", 4)):
        for number in range(4):
            convolution(f"{head}_submodel", f"pyramid_{head}_{number}", 3, 3, 256, 256)
        convolution(f"{head}_submodel", f"pyramid_{head}", 3, 3, 256, 9 * columns)

    with h5py.File(file, "w") as root_group:
        group = root_group.create_group("model_weights") if is_whole else root_group
        group.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer, arrays in layers.items():
            made = group.create_group(layer)
            made.attrs["weight_names"] = [name.encode() for name, _ in arrays]
            for name, array in arrays:
                made[name] = array
        if is_whole:
            root_group.attrs["model_config"] = json.dumps(_settings(family, changes))
    return file


def _settings(family: Family, changes: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what Keras says of the layers, as far as anybody asks."""
    layers = [
        ("Conv2D", {"name": "conv1", "padding": "valid" if family.is_stem_padded_evenly else "same"}),
        ("BatchNormalization", {"name": "bn_conv1", "epsilon": 1e-5}),
        ("MaxPooling2D", {"name": "pool1", "padding": "same"}),
        ("Conv2D", {"name": "res3a_branch2a", "strides": [2, 2]}),
        ("Conv2D", {"name": "P6", "padding": "same"}),
        ("RegressBoxes", {"name": "boxes", "mean": [0, 0, 0, 0], "std": list(family.box_scale)}),
    ]
    ratios, scales = [0.5, 1, 2], [1, 2 ** (1 / 3), 2 ** (2 / 3)]
    for level in range(5):
        anchors = {"size": 32 * 2**level, "stride": 8 * 2**level, "ratios": ratios, "scales": scales}
        layers.append(("Anchors", {"name": f"anchors_{level}", **anchors}))
    changed = [(kind, config | changes.get(str(config["name"]), {})) for kind, config in layers]
    return {"config": {"layers": [{"class_name": kind, "config": config} for kind, config in changed]}}
