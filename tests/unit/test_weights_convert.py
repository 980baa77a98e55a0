"""A converted network looks at pictures as its package did, and becomes a model folder or nothing at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from pii_blur.detect.detector import load_detector
from pii_blur.detect.model_store import find_model
from pii_blur.errors import CannotWrite, MissingDependency, RunFailure, UsageFailure
from pii_blur.labels import Label
from pii_blur.weights.anchors import grids, make_anchors
from pii_blur.weights.convert import convert
from pii_blur.weights.families import KERAS_2_0, KERAS_2_1, TORCHVISION, Family
from pii_blur.weights.graph import build_graph
from pii_blur.weights.layers import Convolution
from tests.weights import THIN, thin_layers, torchvision_state, write_keras, write_torch

SIZE = 320
LABELS = tuple(Label)
FAMILIES = (TORCHVISION, KERAS_2_0, KERAS_2_1)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights of torchvision's network."""
    return write_torch(tmp_path_factory.mktemp("weights") / "retinanet.pth", torchvision_state())


def answer(family: Family, deltas: list[float]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return boxes and scores of a thin network whose heads answer `deltas`, and for each class its column over 10."""
    layers = thin_layers()
    layers["class"] = Convolution(
        np.zeros((9 * family.columns, THIN, 3, 3)), np.tile(np.arange(family.columns) / 10, 9)
    )
    layers["box"] = Convolution(np.zeros((36, THIN, 3, 3)), np.tile(deltas, 9))
    graph = build_graph(layers, family, SIZE, LABELS)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    boxes, scores = session.run(["boxes", "scores"], {"images": np.zeros((1, SIZE, SIZE, 3), np.uint8)})
    return boxes[0], scores[0]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_classes_keep_their_columns(family: Family) -> None:
    """A person must come out as a person although 75 classes between were cut off."""
    columns = {"resnet50-torchvision": [1, 3, 8, 6, 4]}.get(family.name, [0, 2, 7, 5, 3])
    _, scores = answer(family, [0, 0, 0, 0])
    expected = 1 / (1 + np.exp(-np.array(columns) / 10))
    assert scores.shape == (9 * sum(side**2 for side in grids(SIZE)), len(LABELS))
    np.testing.assert_allclose(scores, np.broadcast_to(expected, scores.shape), atol=1e-6)


def test_boxes_of_torchvision() -> None:
    """Worked out by hand for an anchor of 45 x 23, rounded, about pixel (80, 80): cell 10 of level 3."""
    boxes, _ = answer(TORCHVISION, [0.1, -0.2, np.log(2), np.log(0.5)])
    anchor = 9 * (40 * 10 + 10)
    x, y = 80 + 0.1 * 46, 80 - 0.2 * 22
    np.testing.assert_allclose(boxes[anchor], [x - 46, y - 5.5, x + 46, y + 5.5], atol=1e-3)
    assert boxes.min() == 0
    assert boxes.max() == SIZE, "boxes end where the picture ends"


def test_boxes_of_keras_2_1() -> None:
    """Corners move by fifths of the anchor; nothing is rounded; cells are about their middles."""
    boxes, _ = answer(KERAS_2_1, [1, -1, 0, 0.5])
    width, height = 32 * 2**0.5, 32 / 2**0.5
    x0, y0 = 84 - width / 2, 84 - height / 2
    expected = [x0 + 0.2 * width, y0 - 0.2 * height, x0 + width, y0 + 1.1 * height]
    np.testing.assert_allclose(boxes[9 * (40 * 10 + 10)], expected, atol=1e-3)
    assert boxes.max() == SIZE - 1


def test_boxes_of_keras_2_0() -> None:
    """The file that the README of 2020 asks for has its boxes by centre and size, and does not clip them."""
    boxes, _ = answer(KERAS_2_0, [1, -1, 5 * np.log(2), 0])
    width, height = 32 * 2**0.5, 32 / 2**0.5
    x, y = 84 + 0.1 * width, 84 - 0.1 * height
    expected = [x - width, y - height / 2, x + width, y + height / 2]
    np.testing.assert_allclose(boxes[9 * (40 * 10 + 10)], expected, atol=1e-3)
    assert boxes.min() < 0
    assert boxes.max() > SIZE


@pytest.mark.parametrize(("centred", "last"), [(False, 228.0), (True, 320.0)])
def test_strides_of_coarse_levels(centred: bool, last: float) -> None:
    """At 800 px torchvision's coarsest cells are 114 px apart, since 800 // 7 is, and not 128 as they really are."""
    family = TORCHVISION if not centred else KERAS_2_1
    anchors = make_anchors(family, 800)
    assert grids(800) == [100, 50, 25, 13, 7]
    assert len(anchors) == 120_087
    coarse = anchors[-9 * 49 :].reshape(7, 7, 9, 4)
    centres = (coarse[..., :2] + coarse[..., 2:]) / 2
    np.testing.assert_allclose(centres[0, 2, :, 0], last, atol=1e-3)
    np.testing.assert_allclose(centres[2, 0, :, 1], last, atol=1e-3)


@pytest.mark.slow
def test_torch_file_becomes_a_model(file: Path, tmp_path: Path) -> None:
    """From file to folder to detector; the folder has the papers that every model must have."""
    made = convert(file, tmp_path / "models", size=SIZE)
    assert made == tmp_path / "models" / "resnet50-torchvision-320"
    card = find_model(made)
    assert (card.name, card.size, card.labels) == (made.name, SIZE, LABELS)
    assert card.licence == "BSD-3-Clause"
    written = json.loads((made / "card.json").read_text(encoding="utf-8"))
    assert written["training"]["data"]
    assert written["training"]["labels_by"]
    assert card.licence in (made / "README.md").read_text(encoding="utf-8")
    assert "not calibrated" in (made / "README.md").read_text(encoding="utf-8")
    found = load_detector(made).detect(np.full((SIZE, SIZE, 3), 90, np.uint8), {Label.PERSON: 0.01})
    assert len(found.scores) > 0


@pytest.mark.slow
@pytest.mark.parametrize("family", [KERAS_2_0, KERAS_2_1], ids=lambda family: family.name)
def test_keras_file_becomes_a_model(family: Family, tmp_path: Path) -> None:
    """From file to folder to detector, with the input that Keras wants."""
    made = convert(write_keras(tmp_path / "a.h5", family), tmp_path, size=SIZE, name="mine")
    assert made == tmp_path / "mine"
    found = load_detector(made).detect(np.full((SIZE, SIZE, 3), 90, np.uint8), {Label.PERSON: 0.01})
    assert len(found.scores) > 0
    assert find_model(made).licence == "Apache-2.0"


@pytest.mark.slow
def test_a_model_that_is_there_is_replaced_only_on_demand(file: Path, tmp_path: Path) -> None:
    """Nobody's model goes by accident, and a replacement that fails leaves the old one."""
    made = convert(file, tmp_path, size=SIZE, name="mine")
    before = (made / "card.json").read_bytes()

    def refuse(_: Path) -> None:
        raise MissingDependency("does not run here")

    with pytest.raises(UsageFailure, match="--force"):
        convert(file, tmp_path, size=SIZE, name="mine")
    with pytest.raises(MissingDependency, match="does not run"):
        convert(file, tmp_path, size=352, name="mine", is_replacing=True, check=refuse)
    assert (made / "card.json").read_bytes() == before
    convert(file, tmp_path, size=352, name="mine", is_replacing=True)
    assert find_model(made).size == 352
    assert [path.name for path in tmp_path.iterdir()] == ["mine"], "nothing is left lying about"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"size": 650}, "multiple of 32"),
        ({"size": 32}, "from 320"),
        ({"name": "../a"}, "--name"),
        ({"name": ".a"}, "--n"),
    ],
)
def test_impossible_wishes_are_refused(file: Path, tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    """Before anything is written."""
    with pytest.raises(UsageFailure, match=reason):
        convert(file, tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_missing_library_is_named(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks onnx or h5py reads what to install."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pii-blur\[convert\]'"):
        convert(file, tmp_path)
    monkeypatch.undo()
    keras = write_keras(tmp_path / "a.h5", KERAS_2_1)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pii-blur\[convert\]'"):
        convert(keras, tmp_path)


def test_folder_that_cannot_be_written_is_an_error(file: Path, tmp_path: Path) -> None:
    """E.g. the folder of an installed package that belongs to root."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite):
        convert(file, tmp_path / "file", size=SIZE)


def test_weights_named_as_a_model_say_what_to_do(tmp_path: Path) -> None:
    """The way of 2020 was to name the file of weights itself."""
    with pytest.raises(RunFailure, match=r"pii-blur models add .*resnet50_coco_best_v2\.0\.1\.h5"):
        find_model(tmp_path / "resnet50_coco_best_v2.0.1.h5")
