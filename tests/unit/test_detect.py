"""Models are checked before they are believed, and their scores mean what their card says."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pii_blur.detect.card import ScoreCurve, read_card
from pii_blur.detect.detections import Detections
from pii_blur.detect.detector import load_detector
from pii_blur.detect.model_store import find_model, known_models, models_folder
from pii_blur.detect.retinanet import suppress_repeats
from pii_blur.errors import MissingDependency
from pii_blur.labels import Label
from pii_blur.pipeline import check_tools
from pii_blur.settings import DEFAULT_MODEL, Settings

STATUS = Path("/proc/self/status")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a copy of the embedded model's folder that may be damaged."""
    return Path(shutil.copytree(models_folder() / DEFAULT_MODEL, tmp_path / "model"))


def edit_card(folder: Path, **changes: object) -> None:
    """Change entries of a card."""
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_default_model_is_there() -> None:
    """A fresh clone works with no download."""
    assert DEFAULT_MODEL in known_models()
    assert find_model(DEFAULT_MODEL).labels == tuple(Label)


def test_unknown_model_names_the_known_ones() -> None:
    """The message says what could have been meant."""
    with pytest.raises(MissingDependency, match=DEFAULT_MODEL):
        find_model("no-such-model")


def test_changed_model_file_is_refused(model: Path) -> None:
    """One flipped bit in the weights must not go unnoticed."""
    file = model / "model.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(MissingDependency, match="damaged or not the file"):
        find_model(model)


def test_file_that_is_no_model_is_refused_before_the_first_photo(model: Path) -> None:
    """A checksum that fits does not make a model."""
    (model / "model.onnx").write_bytes(b"not a model")
    edit_card(model, sha256=hashlib.sha256(b"not a model").hexdigest())
    with pytest.raises(MissingDependency, match="cannot load"):
        load_detector(model)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"classes": ["person", "person", "truck", "bus", "motorcycle"]},
        {"classes": ["person", "zebra"]},
        {"file": "../other/model.onnx"},
        {"nms_iou": 0},
        {"calibration": {}},
        {"devices": "cpu"},
        {"devices": ["cpu", "gpu"]},
        {"input": {"dtype": "float32", "layout": "NHWC", "colour": "RGB", "size": [640, 640]}},
    ],
)
def test_unusable_cards_are_refused(model: Path, changes: dict[str, object]) -> None:
    """A card that cannot be followed is an error at start, never a guess."""
    edit_card(model, **changes)
    with pytest.raises(MissingDependency, match=r"card\.json"):
        read_card(model)


def test_score_curve_interpolates_and_must_rise() -> None:
    """Calibration never turns a better score into a worse one."""
    assert ScoreCurve((0, 0.5, 1), (0, 0.2, 1))([0.25, 0.75]) == pytest.approx([0.1, 0.6])
    with pytest.raises(ValueError, match="rise"):
        ScoreCurve((0, 0.5, 1), (0, 0.6, 0.5))


def test_repeats_go_and_neighbours_stay() -> None:
    """Only boxes that overlap a better one by more than the limit are dropped."""
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [6, 0, 16, 10], [40, 40, 50, 50]], np.float32)
    assert suppress_repeats(boxes, 0.6).tolist() == [0, 2, 3]
    assert suppress_repeats(boxes[:0], 0.6).tolist() == []


@pytest.mark.parametrize(
    ("box", "score"), [([5, 0, 5, 9], 0.5), ([0, 0, np.nan, 9], 0.5), ([0, 0, 9, 9], 1.5), ([0, 0, 9, 9], np.nan)]
)
def test_impossible_detections_are_refused(box: list[float], score: float) -> None:
    """A detector that goes wrong is stopped where its numbers enter."""
    with pytest.raises(ValueError, match=r"box|score"):
        Detections(np.array([box], np.float32), np.array([score], np.float32), np.array([0], np.int16))


def test_class_that_the_model_does_not_know_is_an_error(model: Path) -> None:
    """Looking for buses with a model that knows none must not look like 'no buses'."""
    card = json.loads((model / "card.json").read_text())
    edit_card(model, classes=["person", "car", "truck", "person"][:3], calibration=card["calibration"])
    detector = load_detector(model)
    with pytest.raises(MissingDependency, match="bus"):
        detector.detect(np.zeros((640, 640, 3), np.uint8), {Label.BUS: 0.4})


def test_a_model_made_for_processors_runs_on_nothing_else(model: Path) -> None:
    """A GPU's engine that cannot run part of a model runs that part elsewhere and says nothing."""
    edit_card(model, devices=["cpu", "openvino"])
    load_detector(model)
    with pytest.raises(MissingDependency, match=r"made for cpu and openvino, not for cuda.*--model"):
        load_detector(model, "cuda")
    with pytest.raises(MissingDependency, match="not for tensorrt"):
        check_tools(Settings(model=str(model)), device="tensorrt")


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux says how much memory a process has")
def test_a_resting_detector_gives_its_memory_back() -> None:
    """A photo of 60 megapixels needs the memory for itself while it is hidden and written."""
    detector = load_detector("street-retinanet-seed")
    crop = np.random.default_rng(5).integers(0, 255, (detector.size, detector.size, 3), dtype=np.uint8)
    detector.detect(crop, {Label.PERSON: 0.5})
    searching = resident_mib()
    detector.rest()
    assert resident_mib() < searching - 50
    assert len(detector.detect(crop, {Label.PERSON: 0.0001}).scores) > 0


def resident_mib() -> float:
    """Return the memory of this process."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
