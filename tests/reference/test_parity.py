"""Our converted networks answer as the packages of the original do, on the same crops and with the same weights.

The weights are random, but not degenerate: some hundred boxes a crop pass 5 per cent, the best far above.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import pytest

from pii_blur.detect.detector import load_detector
from pii_blur.labels import Label
from pii_blur.weights.anchors import grids
from pii_blur.weights.convert import convert
from pii_blur.weights.families import KERAS_2_0, KERAS_2_1, TORCHVISION, Family
from pii_blur.weights.graph import build_graph
from pii_blur.weights.source import read_source
from pii_blur.weights.torch_file import read_torch_file
from pii_blur.weights.torch_layers import layers_of_torch
from reference.original import IMAGEAI_2_1_5, IMAGEAI_2_1_6, IMAGEAI_3, Package, Running, is_set_up, make_crops

pytestmark = pytest.mark.reference

SIZE = 800  # to which the original packages enlarge, so that they leave the crops as they are
CROPS = 2
THRESHOLD = 0.05  # below which all of them drop boxes
MOST_BOXES = 300  # which all of them report at most
MOST_A_LEVEL = 1000  # torchvision looks at no more, ours at all
RAW_TOLERANCE = 1e-4
BOX_TOLERANCE_PX = 2e-3

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """A network of the original.

    Attributes:
        package: what runs it.
        answers: name of the file with its answers.
        weights: name of the file with its weights.
        family: what our converter must take it for.
    """

    package: Package
    answers: str
    weights: str
    family: Family


CASES = [
    Case(IMAGEAI_3, "torchvision", "torchvision.pth", TORCHVISION),
    Case(IMAGEAI_3, "imageai3", "torchvision.pth", replace(TORCHVISION, epsilon=1e-5)),
    Case(IMAGEAI_2_1_6, "keras-2.1", "resnet50_coco_best_v2.1.9.h5", KERAS_2_1),
    Case(IMAGEAI_2_1_6, "keras-2.1", "weights_alone_v2.1.9.h5", KERAS_2_1),
    Case(IMAGEAI_2_1_5, "keras-2.0", "resnet50_coco_best_v2.0.9.h5", KERAS_2_0),
    Case(IMAGEAI_2_1_5, "keras-2.0", "weights_alone_v2.0.9.h5", KERAS_2_0),
]


class Answers:
    """A folder with the crops, and weights and answers of those packages that have been asked."""

    def __init__(self, folder: Path) -> None:
        if not is_set_up():
            pytest.fail("the original's packages are not here; reference/setup.sh installs them")
        self._folder = folder
        self._asked: set[Package] = set()
        np.save(folder / "crops.npy", make_crops(CROPS, SIZE))

    def of(self, package: Package) -> Path:
        """Return the folder once `package` has answered."""
        if package not in self._asked:
            with Running(package, self._folder):
                self._asked.add(package)
        return self._folder


@pytest.fixture(scope="module")
def all_answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What has been asked stays known from test to test."""
    return Answers(tmp_path_factory.mktemp("reference"))


@pytest.fixture(params=CASES, ids=lambda case: f"{case.answers}-{case.weights}")
def case(request: pytest.FixtureRequest) -> Case:
    """Each network in turn."""
    return cast(Case, request.param)


@pytest.fixture
def folder(all_answers: Answers, case: Case) -> Path:
    """The folder with crops, weights and answers of the network in turn."""
    return all_answers.of(case.package)


def columns(family: Family) -> list[tuple[int, Label]]:
    """Return the original's columns of our classes, rising, and which class each is."""
    return sorted((column, label) for label, column in family.classes.items())


def test_raw_heads_are_equal(folder: Path, case: Case, record_property: Any) -> None:
    """Before anything is decoded: logits of our classes and the numbers that boxes are made of."""
    source = read_source(folder / case.weights)
    layers = source.layers
    if case.answers == "imageai3":  # runs torchvision's file with another epsilon
        layers = layers_of_torch(read_torch_file(folder / case.weights), case.family)
    else:
        assert source.family == case.family
    labels = [label for _, label in columns(case.family)]
    graph = build_graph(layers, case.family, SIZE, labels, with_raw_heads=True)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    answers = np.load(folder / f"{case.answers}.npz")
    for number, crop in enumerate(np.load(folder / "crops.npy")):
        logits, deltas = session.run(["logits", "deltas"], {"images": crop[None]})
        for name, ours in (("logits", logits[0]), ("deltas", deltas[0])):
            theirs = answers[name][number]
            assert ours.shape == theirs.shape
            difference = float(np.abs(ours - theirs).max())
            print(f"{case.answers}, {case.weights}, crop {number}, {name}: difference {difference:.1e}, ", end="")
            print(f"standard deviation of one answer over the places {spread(theirs):.2f}")
            assert difference < RAW_TOLERANCE
    assert np.ptp(answers["logits"].max(axis=(0, 2))) > 1, "weights of which a comparison says something"


def spread(answers: Array) -> float:
    """Return the standard deviation over the places, averaged over shapes of anchors and columns."""
    return float(answers.reshape(-1, 9, answers.shape[-1]).std(axis=0).mean())


def test_reported_boxes_are_equal(folder: Path, case: Case, tmp_path: Path) -> None:
    """After decoding and suppression, through the whole of our converter, detector and card."""
    if case.answers == "imageai3":
        pytest.skip("the converter uses torchvision's epsilon; what ImageAI reports has a test of its own")
    detector = load_detector(convert(folder / case.weights, tmp_path, size=SIZE))
    answers = np.load(folder / f"{case.answers}.npz")
    for number, crop in enumerate(np.load(folder / "crops.npy")):
        found = detector.detect(crop, dict.fromkeys(case.family.classes, THRESHOLD))
        theirs = [answers[f"{key}{number}"] for key in ("boxes", "scores", "labels")]
        x0, y0, x1, y1 = theirs[0].T
        theirs = [values[(x0 < x1) & (y0 < y1)] for values in theirs]  # theirs also report boxes of no area
        check_candidates(answers["logits"][number])
        assert 50 < len(found.scores) < MOST_BOXES
        ours_by_label = [(label, found.labels == label) for _, label in columns(case.family)]
        their_columns = {label: column for column, label in columns(case.family)}
        assert len(theirs[1]) == len(found.scores)
        worst = 0.0
        for label, is_ours in ours_by_label:
            is_theirs = theirs[2] == their_columns[label]
            boxes, scores = found.boxes_xyxy[is_ours], found.scores[is_ours]
            worst = max(worst, match(boxes, scores, theirs[0][is_theirs], theirs[1][is_theirs]))
        print(f"{case.answers}, {case.weights}, crop {number}: {len(found.scores)} boxes, scores up to ", end="")
        print(f"{found.scores.max():.2f}, corners differ by at most {worst:.1e} px")


def match(boxes: Array, scores: Array, their_boxes: Array, their_scores: Array) -> float:
    """Make sure that two sets are equal, in whatever order near ties are, and return the largest difference in px."""
    assert len(boxes) == len(their_boxes)
    if not len(boxes):
        return 0.0
    apart = np.abs(boxes[:, None] - their_boxes[None]).max(axis=-1)
    nearest = apart.argmin(axis=1)
    assert sorted(nearest) == list(range(len(boxes))), "one for one"
    np.testing.assert_allclose(scores, their_scores[nearest], atol=1e-5)
    worst = float(apart.min(axis=1).max())
    assert worst < BOX_TOLERANCE_PX
    return worst


def check_candidates(logits: Array) -> None:
    """Make sure that no level was cut off: there our networks would rightly find more."""
    start = 0
    for side in grids(SIZE):
        level = logits[start : start + 9 * side**2]
        start += len(level)
        assert (level > np.log(THRESHOLD / (1 - THRESHOLD))).sum() < MOST_A_LEVEL


def test_report_of_imageai_3_is_part_of_ours(all_answers: Answers) -> None:
    """What its own `detectObjectsFromImage` says: names, per cents and whole pixels, nothing below 50 per cent."""
    folder = all_answers.of(IMAGEAI_3)
    family = replace(TORCHVISION, epsilon=1e-5)
    layers = layers_of_torch(read_torch_file(folder / "torchvision.pth"), family)
    labels = [label for _, label in columns(family)]
    session = onnxruntime.InferenceSession(
        build_graph(layers, family, SIZE, labels), providers=["CPUExecutionProvider"]
    )
    answers = np.load(folder / "imageai3.npz")
    reported = 0
    for number, crop in enumerate(np.load(folder / "crops.npy")):
        boxes, scores = session.run(["boxes", "scores"], {"images": crop[None]})
        names, percents = answers[f"reported_names{number}"], answers[f"reported_percents{number}"]
        for name, percent, box in zip(names, percents, answers[f"reported_boxes{number}"], strict=True):
            assert percent >= 50
            column = scores[0, :, labels.index(Label.from_word(str(name)))]
            is_near = np.abs(100 * column - percent) < 0.02
            assert (np.abs(boxes[0][is_near] - box).max(axis=1) <= 1.001).any(), "whole pixels are cut off, not rounded"
            reported += 1
    print(f"ImageAI 3 reported {reported} boxes")
    assert reported > 0
