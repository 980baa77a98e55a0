"""The measures by which models are chosen: what counts as hidden, what as false area, and how sure a figure is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks.judging import (
    NEAR,
    PEOPLE,
    VEHICLES,
    Footprints,
    Group,
    Judgement,
    Scene,
    Share,
    false_area,
    hidden,
    known_object,
    threshold_for,
)
from benchmarks.reliability import reliability, verdicts
from benchmarks.searching import Search
from pii_blur.sphere.quad import SphereQuad
from pii_blur.sphere.views import PerspectiveView

PERSON = {"cls": "person", "yaw": 30.0, "pitch": -5.0, "w": 6.0, "h": 12.0}


def scene(*entries: dict[str, Any]) -> Scene:
    """Return a panorama of 2000 x 1000 pixels with these objects."""
    return Scene([known_object(entry, "p", 1000) for entry in entries])


def judge(one: Scene, quads: Sequence[SphereQuad], scores: Sequence[float]) -> Judgement:
    """Return what quads with scores hide."""
    return one.judge(Footprints.of([one.footprint(quad) for quad in quads]), np.array(scores))


def box(entry: dict[str, Any], *, left: float = -1.0, right: float = 1.0) -> SphereQuad:
    """Return the part of an object's box between two of its widths: -1 is its left edge, 1 its right edge."""
    known = known_object(entry, "p", 1000)
    middle = SphereQuad(known.corners())
    x, y = known.reach
    flat = np.array([[left * x, -y, 1], [right * x, -y, 1], [right * x, y, 1], [left * x, y, 1]])
    return SphereQuad(flat @ middle.axes().T)


def test_object_is_hidden_by_all_boxes_together_at_the_score_of_the_last_one_needed() -> None:
    """Two halves hide it at the lower of their scores; a threshold above that leaves half of it to see."""
    judged = judge(scene(PERSON), [box(PERSON, right=0.02), box(PERSON, left=-0.02)], [0.9, 0.4])
    assert judged.hidden_at.tolist() == [0.4]
    assert hidden([judged], 0.4, Group(PEOPLE)) == Share(1, 1)
    assert hidden([judged], 0.41, Group(PEOPLE)) == Share(0, 1)


@pytest.mark.parametrize(("right", "at"), [(0.72, 0.0), (0.88, 0.7), (1.0, 0.7)])
def test_nine_tenths_must_be_covered(right: float, at: float) -> None:
    """86 per cent of a person is not hidden, 94 per cent is."""
    assert judge(scene(PERSON), [box(PERSON, right=right)], [0.7]).hidden_at.tolist() == [at]


def test_loose_boxes_need_less() -> None:
    """The box of a lorry all round the camera says little: six tenths of it are enough."""
    lorry = {"cls": "truck", "yaw": 0.0, "pitch": 0.0, "w": 110.0, "h": 40.0}
    assert judge(scene(lorry), [box(lorry, right=0.3)], [0.7]).hidden_at.tolist() == [0.7]
    assert judge(scene(lorry), [box(lorry, right=0.1)], [0.7]).hidden_at.tolist() == [0.0]


@pytest.mark.parametrize(
    ("yaw", "pitch", "place"), [(180, 0, "seam"), (-179, -20, "seam"), (10, -88, "poles"), (0, 5, "horizon")]
)
def test_seam_and_poles_are_judged_like_the_rest(yaw: float, pitch: float, place: str) -> None:
    """A box on the object hides it, one beside it does not, and its surroundings are no false area."""
    entry = PERSON | {"yaw": float(yaw), "pitch": float(pitch)}
    one = scene(entry)
    assert one.objects[0].place == place
    on, beside = box(entry), SphereQuad.from_angles(yaw + 12 / max(math.cos(math.radians(pitch)), 0.05), pitch, 6, 12)
    assert judge(one, [on], [0.5]).hidden_at.tolist() == [0.5]
    assert judge(one, [on.grown(NEAR - 0.02)], [0.5]).false_area(0.5) == 0.0
    if place != "poles":
        assert judge(one, [beside], [0.5]).hidden_at.tolist() == [0.0]
        assert judge(one, [beside], [0.5]).false_area(0.5) > 0.0


@pytest.mark.parametrize("flag", ["ignore", "depiction", "ego"])
def test_flagged_objects_are_neither_hit_nor_miss_nor_false(flag: str) -> None:
    """Nobody is missed in a poster, and hiding it costs nothing either."""
    judged = judge(scene(PERSON | {flag: True}), [box(PERSON)], [0.5])
    assert (hidden([judged], 0.1, Group(PEOPLE)).count, judged.false_area(0.1)) == (0, 0.0)


def test_false_area_is_the_share_of_what_lies_elsewhere() -> None:
    """A box of 20 x 10 degrees on the horizon is 200 of 64,800 square degrees, nearly all of them elsewhere."""
    judged = judge(scene(PERSON), [SphereQuad.from_angles(-100, 0, 20, 10)], [0.6])
    assert judged.false_area(0.6) == pytest.approx(20 * 10 / (360 * 180), rel=0.05)
    assert judged.false_area(0.61) == 0.0


def test_false_area_by_weight_is_the_share_of_what_lies_elsewhere() -> None:
    """Hiding a half of all detail is 50 per cent, though it is a small part of the sky."""
    one = scene(PERSON)
    weights = np.zeros(one.is_elsewhere.shape)
    rows, columns = weights.shape
    weights[rows // 2, [columns // 4, columns * 3 // 4]] = 1.0  # yaw -90 and 90
    judged = judge(one, [SphereQuad.from_angles(-90, 0, 5, 5)], [0.6])
    assert judged.false_area(0.5, weights) == pytest.approx(0.5)


def test_equal_false_area_takes_the_lowest_threshold_that_keeps_within_it() -> None:
    """Two wrong boxes of one size: only the better is within the area of one and a half."""
    wrong = [SphereQuad.from_angles(yaw, 0, 10, 10) for yaw in (-100, -150)]
    judged = [judge(scene(PERSON), [*wrong, box(PERSON)], [0.8, 0.3, 0.5])]
    at = threshold_for(judged, 1.5 * false_area(judged, 0.8))
    assert at == pytest.approx(0.3, abs=1e-5)
    assert at > 0.3
    assert hidden(judged, at, Group(PEOPLE)).hits == 1


def test_groups_are_by_class_size_and_place() -> None:
    """12 degrees of 1000 pixels are 67 pixels; a class is only in its own group."""
    judged = [judge(scene(PERSON, PERSON | {"cls": "car", "yaw": 180.0}), [], [])]
    assert hidden(judged, 0.5, Group(PEOPLE, 48, 96)).count == 1
    assert hidden(judged, 0.5, Group(PEOPLE, 24, 48)).count == 0
    assert hidden(judged, 0.5, Group(VEHICLES, place="seam")).count == 1
    assert hidden(judged, 0.5, Group(PEOPLE, place="seam")).count == 0


@pytest.mark.parametrize(
    ("share", "low", "high"),
    [(Share(0, 10), 0.0, 0.2775), (Share(10, 10), 0.7225, 1.0), (Share(81, 263), 0.2553, 0.3662)],
)
def test_interval_is_wilsons(share: Share, low: float, high: float) -> None:
    """Known values; all of ten is no certainty."""
    assert share.interval == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_reliability_counts_right_boxes_only_and_leaves_flagged_ones_out() -> None:
    """In one view: a box on a person, one a car's width beside it, a vehicle on a person, one on a poster."""
    view = PerspectiveView(30.0, -5.0, 60.0, 640)
    poster = PERSON | {"yaw": 45.0, "ignore": True}
    objects = [known_object(entry, "p", 1000) for entry in (PERSON, poster)]
    half = 320 * math.tan(math.radians(3)) / math.tan(math.radians(30))
    on = [320 - half, 320 - 2 * half, 320 + half, 320 + 2 * half]
    middle = 320 + 320 * math.tan(math.radians(15)) / math.tan(math.radians(30))
    boxes = np.array([on, [x + 3 * half * (k % 2 == 0) for k, x in enumerate(on)], on, on], np.float32)
    boxes[3, [0, 2]] += middle - 320
    search = Search([view], np.zeros(4, np.intp), boxes, np.full(4, 0.95, np.float32), np.array([0, 0, 1, 0], np.int16))
    right = verdicts(search, objects)
    assert right.tolist() == [1, 0, 0, -1]
    ((mean, share),) = reliability(search.raw, right)
    assert (mean, share) == (pytest.approx(0.95), Share(1, 3))
