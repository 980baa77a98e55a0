"""The embedded model finds what it found when these values were stored.

Stored by `python -m tests.golden.regenerate`; a change means another model, another runtime or another decoding, and
must be explained where it is committed. Photographs: scikit-image's own (public domain and CC0), read from its wheel.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pii_blur.detect.detector import load_detector
from pii_blur.labels import Label
from pii_blur.settings import DEFAULT_MODEL
from tests.golden.regenerate import STORED, crops, find

# ONNX Runtime picks other kernels on other processors; in float32 the boxes move by far less than a pixel.
BOX_TOLERANCE_PX = 0.5
SCORE_TOLERANCE = 0.01


@pytest.mark.parametrize("name", ["astronaut", "small astronaut", "coffee"])
def test_model_finds_what_it_found(name: str) -> None:
    """Same boxes, same calibrated scores, same classes."""
    stored = json.loads(Path(STORED).read_text(encoding="utf-8"))[name]
    found = find(load_detector(DEFAULT_MODEL), crops()[name])
    assert [entry["class"] for entry in found] == [entry["class"] for entry in stored]
    for entry, expected in zip(found, stored, strict=True):
        assert np.abs(np.subtract(entry["box"], expected["box"])).max() < BOX_TOLERANCE_PX
        assert abs(entry["score"] - expected["score"]) < SCORE_TOLERANCE


def test_the_astronaut_is_found() -> None:
    """A person in the middle of the view is found there, with a score above the usual PROB."""
    found = find(load_detector(DEFAULT_MODEL), crops()["astronaut"])
    people = [entry for entry in found if entry["class"] == Label.PERSON.word and entry["score"] > 0.4]
    assert any(x0 < 320 < x1 and y0 < 320 < y1 for x0, y0, x1, y1 in (entry["box"] for entry in people))
