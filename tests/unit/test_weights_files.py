"""Files of weights from the web are read without running what is in them, and what is damaged is refused."""

from __future__ import annotations

import io
import os
import pickle
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pii_blur.errors import UsageFailure
from pii_blur.weights.families import KERAS_2_0, KERAS_2_1, TORCHVISION
from pii_blur.weights.keras_file import read_keras_file
from pii_blur.weights.keras_layers import family_of_keras
from pii_blur.weights.source import read_source
from pii_blur.weights.torch_file import read_torch_file
from pii_blur.weights.torch_layers import layers_of_torch
from pii_blur.weights.torch_pickle import read_pickle
from tests.weights import torch_pickle, torchvision_state, write_keras, write_torch, write_torch_plainly

FEW = {
    "kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "one": np.array([5], np.float32),
    "seen": np.array(7, np.int64),
}


class Trap:
    """Makes Python's own unpickler call `os.mkdir`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._folder),)


@pytest.mark.parametrize("write", [write_torch, write_torch_plainly])
def test_both_formats_of_torch_give_the_same_arrays(tmp_path: Path, write: Any) -> None:
    """The zip archives of today and the plain files before torch 1.6."""
    arrays = read_torch_file(write(tmp_path / "a.pth", FEW))
    assert list(arrays) == list(FEW)
    assert all((arrays[name] == FEW[name]).all() and arrays[name].shape == FEW[name].shape for name in FEW)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_nothing_in_a_pickle_is_executed(tmp_path: Path, protocol: int) -> None:
    """A file from the web cannot run a program here: not in an archive, not in a plain file, not anywhere in it."""
    folder = tmp_path / "made-by-the-pickle"
    trap = pickle.dumps({"kernel": Trap(folder)}, protocol)
    archive = write_torch(tmp_path / "a.pth", FEW, pickled=trap)
    plain = tmp_path / "b.pth"
    plain.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + trap)
    bare = tmp_path / "c.pth"
    bare.write_bytes(trap)
    for file in (archive, plain, bare):
        with pytest.raises(UsageFailure, match=r"mkdir|big-endian|instruction"):
            read_torch_file(file)
    assert not folder.exists()
    pickle.loads(trap)
    assert folder.exists(), "the trap itself works"


def test_known_tricks_of_pickles_are_refused() -> None:
    """Calls by other names, attributes set on classes, and objects made without a call."""
    for pickled in (
        b"cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        b"(X\x01\x00\x00\x001ios\nsystem\n.",
        b"(cos\nsystem\nX\x01\x00\x00\x001o.",
        b"\x80\x02cos\nsystem\n)\x81.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(X\x01\x00\x00\x001tR.",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x82\x01.",
        b"Pname\n.",
    ):
        with pytest.raises(ValueError, match=r"damaged|called|instruction"):
            read_pickle(io.BytesIO(pickled))


def test_a_pickle_without_end_is_refused() -> None:
    """A gigabyte of instructions is not worked through."""
    with pytest.raises(ValueError, match="longer"):
        read_pickle(io.BytesIO(b"\x80\x02" + b"N" * 300_000 + b"."))
    with pytest.raises(ValueError, match=r"."):
        read_pickle(io.BytesIO(b"\x80\x02NNN"))


def test_a_length_that_lies_takes_no_memory(tmp_path: Path) -> None:
    """Four gigabytes of text claimed by a file of a few bytes."""
    file = tmp_path / "a.pth"
    file.write_bytes(b"\x80\x02X\xff\xff\xff\xff" + b"a" * 100 + b".")
    tracemalloc.start()
    try:
        with pytest.raises(UsageFailure):
            read_torch_file(file)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("keep", [0, 1, 60, 400, -1])
@pytest.mark.parametrize("write", [write_torch, write_torch_plainly])
def test_cut_off_files_are_refused(tmp_path: Path, write: Any, keep: int) -> None:
    """A download that ended early is no model."""
    file = write(tmp_path / "a.pth", FEW)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UsageFailure):
        read_torch_file(file)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"(J\x02\x00\x00\x00J", b"(J\x03\x00\x00\x00J"),  # a tensor larger than its storage
        (b"J\x18\x00\x00\x00tQ", b"J\x18\x00\x00\x7ftQ"),  # a storage larger than the file
        (b"J\x00\x00\x00\x00(", b"J\x01\x00\x00\x00("),  # a tensor that begins too late
        (b"J\x0c\x00\x00\x00J", b"J\x00\x00\x00\x00J"),  # one that repeats the same numbers: a bomb
        (b"FloatStorage", b"BlackStorage"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(tmp_path: Path, was: bytes, becomes: bytes) -> None:
    """What the list of contents says is checked against the file."""
    pickled = torch_pickle(FEW)
    assert was in pickled
    file = write_torch(tmp_path / "a.pth", FEW, pickled=pickled.replace(was, becomes, 1))
    with pytest.raises(UsageFailure, match="safely"):
        read_torch_file(file)


def test_archives_that_are_packed_are_refused(tmp_path: Path) -> None:
    """torch packs nothing; a packed archive may be a bomb."""
    write_torch(tmp_path / "a.pth", FEW)
    with zipfile.ZipFile(tmp_path / "a.pth") as source, zipfile.ZipFile(tmp_path / "b.pth", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name), zipfile.ZIP_DEFLATED)
    with pytest.raises(UsageFailure, match="packed"):
        read_torch_file(tmp_path / "b.pth")


@pytest.fixture(scope="module")
def states() -> dict[bool, Any]:
    """The same network under today's names and under those of 2020."""
    return {is_of_2020: torchvision_state(is_of_2020=is_of_2020) for is_of_2020 in (False, True)}


def test_names_of_2020_and_of_today_mean_the_same(states: dict[bool, Any]) -> None:
    """The published file has the names of 2020, files saved today have others."""
    today, old = (layers_of_torch(states[key], TORCHVISION) for key in (False, True))
    assert today.keys() == old.keys()
    assert all(today[name].weight.shape == old[name].weight.shape for name in today)
    assert {name for name in today if not name.startswith("stage")} == {
        *("stem", "lateral3", "lateral4", "lateral5", "smooth3", "smooth4", "smooth5", "p6", "p7"),
        *("class0", "class1", "class2", "class3", "class", "box0", "box1", "box2", "box3", "box"),
    }
    kept = states[True]["head.classification_head.conv.6.weight"]
    assert (old["class3"].weight == kept).all()


def test_other_networks_are_refused(tmp_path: Path, states: dict[bool, Any]) -> None:
    """Weights that would give wrong boxes, or none, never become a model."""
    state = states[False]
    lacking = {name: array for name, array in state.items() if "layer3.5" not in name}
    fewer = {**state, "head.classification_head.cls_logits.weight": np.zeros((9 * 21, 256, 3, 3), np.float32)}
    second = {**state, "head.classification_head.conv.0.1.weight": np.zeros(256, np.float32)}
    broken = {**state, "backbone.body.bn1.running_var": np.zeros(64, np.float32)}
    for network, reason in ((lacking, "layer3.5"), (fewer, "shape"), (second, "v2"), (broken, "finite")):
        with pytest.raises(ValueError, match=reason):
            layers_of_torch(network, TORCHVISION)
    with pytest.raises(UsageFailure, match="not the weights"):
        read_source(write_torch(tmp_path / "a.pth", FEW))


@pytest.mark.parametrize("family", [KERAS_2_0, KERAS_2_1], ids=lambda family: family.name)
@pytest.mark.parametrize("is_even", [False, True])
def test_keras_files_tell_their_version(tmp_path: Path, family: Any, is_even: bool) -> None:
    """How boxes are coded and how the first layer is padded stands in the file; the name decides only without that."""
    wanted = replace(family, is_stem_padded_evenly=is_even)
    whole = read_keras_file(write_keras(tmp_path / "any.h5", wanted, is_hollow=True))
    assert family_of_keras(whole, "any.h5") == wanted
    alone = read_keras_file(write_keras(tmp_path / "alone.h5", wanted, is_whole=False, is_hollow=True))
    version = "2.0.1" if family is KERAS_2_0 else "2.1.0"
    assert family_of_keras(alone, f"resnet50_coco_best_v{version}.h5") == wanted
    with pytest.raises(ValueError, match="published"):
        family_of_keras(alone, "any.h5")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"boxes": {"std": [0.3, 0.3, 0.3, 0.3]}}, "scaled"),
        ({"anchors_0": {"size": 16}}, "anchors"),
        ({"anchors_4": {"ratios": [0.5, 1, 3]}}, "ratios"),
        ({"conv1": {"padding": "valid"}}, "padding"),
        ({"res3a_branch2a": {"strides": [1, 1]}}, "strides"),
        ({"bn_conv1": {"epsilon": 1e-3}}, "epsilon"),
    ],
)
def test_keras_files_of_other_networks_are_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    """A network trained with other scales would put every box in a wrong place."""
    odd = read_keras_file(write_keras(tmp_path / "a.h5", KERAS_2_1, is_hollow=True, **changes))
    with pytest.raises(ValueError, match=reason):
        family_of_keras(odd, "resnet50_coco_best_v2.1.0.h5")


def test_network_in_training_is_told_by_its_name(tmp_path: Path) -> None:
    """It has no layer that makes boxes, so its settings do not say how they are meant."""
    training = read_keras_file(write_keras(tmp_path / "a.h5", KERAS_2_0, is_hollow=True, boxes={"name": "other"}))
    assert family_of_keras(training, "resnet50_coco_best_v2.0.1.h5") == KERAS_2_0
    with pytest.raises(ValueError, match="published"):
        family_of_keras(training, "a.h5")


def test_damaged_keras_files_are_refused(tmp_path: Path) -> None:
    """Cut off, of another kind, or pointing to other files on this computer."""
    whole = write_keras(tmp_path / "a.h5", KERAS_2_1)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole.read_bytes()[:1_000_000])
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["numbers"] = np.arange(3)
    for file in (cut, other, tmp_path / "missing.h5"):
        with pytest.raises(UsageFailure, match=r"\.h5"):
            read_source(file)
    with h5py.File(whole, "r+") as file:
        del file["model_weights/P6/P6/kernel:0"]
        file["model_weights/P6/P6/kernel:0"] = h5py.ExternalLink(str(other), "/numbers")
    with pytest.raises(UsageFailure, match="P6"):
        read_source(whole)
