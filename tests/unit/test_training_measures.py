"""The figures that decide between two models, and the clock that ends a run."""

from __future__ import annotations

import numpy as np
import pytest

from training.isotonic import fit, isotonic
from training.metrics import Detected, Hits, Truth, average_precision, cover, join, match, recall_at, touch
from training.schedule import trapezium


def truth(
    *rows: tuple[float, float, float, float], ignore: tuple[tuple[float, float, float, float], ...] = ()
) -> Truth:
    known = np.array(rows, np.float32).reshape(-1, 4)
    return Truth(known, np.zeros(len(known), np.int64), np.array(ignore, np.float32).reshape(-1, 4), 200, 200)


def detected(*rows: tuple[float, float, float, float, float]) -> Detected:
    found = np.array(rows, np.float32).reshape(-1, 5)
    return Detected(found[:, :4], found[:, 4], np.zeros(len(found), np.int64))


def test_average_precision_by_hand() -> None:
    """Right, wrong, right of two objects: 1 x 1/2 + 2/3 x 1/2."""
    hits = Hits(np.array([0.9, 0.8, 0.7], np.float32), np.array([True, False, True]), 2)
    assert average_precision(hits) == pytest.approx(0.5 + 1 / 3)
    assert recall_at(hits, 0.75) == 0.5
    assert average_precision(Hits(np.zeros(0, np.float32), np.zeros(0, bool), 3)) == 0


def test_an_object_found_twice_counts_once() -> None:
    """The second box is a false alarm."""
    hits = match(truth((0, 0, 50, 50)), detected((0, 0, 50, 50, 0.9), (2, 2, 50, 50, 0.8)))
    assert hits.right.tolist() == [True, False]


def test_a_score_is_right_however_many_boxes_lie_on_the_object() -> None:
    """Both hide somebody; neither a box on nothing nor one on something ignored does."""
    scene = truth((0, 0, 50, 50), ignore=((100, 100, 200, 200),))
    found = detected((0, 0, 50, 50, 0.9), (2, 2, 50, 50, 0.8), (60, 0, 90, 30, 0.7), (110, 110, 150, 150, 0.6))
    hits = touch(scene, found)
    assert hits.right.tolist() == [True, True, False]
    assert hits.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])


def test_what_lies_in_ignored_boxes_is_not_judged() -> None:
    """Neither a hit nor a false alarm."""
    hits = match(truth(ignore=((0, 0, 100, 100),)), detected((10, 10, 40, 40, 0.9), (150, 150, 190, 190, 0.8)))
    assert hits.right.tolist() == [False]


def test_height_ranges_ignore_the_others() -> None:
    """A large person found is no false alarm among the small ones."""
    scene = truth((0, 0, 20, 20), (50, 50, 150, 150))
    found = detected((50, 50, 150, 150, 0.9), (0, 0, 20, 20, 0.8), (160, 0, 180, 20, 0.7))
    hits = match(scene, found, 12, 24)
    assert hits.objects == 1
    assert hits.right.tolist() == [True, False]
    assert join([hits, hits]).objects == 2


def test_cover_counts_hidden_objects_and_area_in_vain() -> None:
    """An object is hidden by boxes together; area next to an object is not in vain."""
    scene = truth((20, 20, 60, 60))
    halves = detected((20, 20, 40, 60, 0.9), (40, 20, 60, 60, 0.9), (100, 100, 140, 140, 0.5))
    hidden, vain = cover(scene, halves, [0.3, 0.7, 0.95])
    assert hidden[:, 0].tolist() == [True, True, False]
    assert vain[1] == 0
    assert vain[0] == pytest.approx((40 * 1.15) ** 2 / 200**2, rel=0.15)


def test_the_rate_rises_stays_and_ends_at_zero() -> None:
    """Averaged weights are good only after a cooldown, so the end must not come as a surprise."""
    assert trapezium(0, 100, 0.0, 0.3) == pytest.approx(0.01)
    assert trapezium(500, 100, 0.5, 0.3) == 1
    assert trapezium(900, 100, 0.85, 0.3) == pytest.approx(0.5)
    assert trapezium(999, 100, 0.999, 0.3) == pytest.approx(0.0033, rel=0.02)
    assert trapezium(1000, 100, 1.0, 0.3) is None


def test_isotonic_regression_by_hand() -> None:
    """What falls is averaged with its weight until nothing falls."""
    assert isotonic(np.array([0.1, 0.5, 0.3, 0.9]), np.array([1.0, 1.0, 3.0, 1.0])).tolist() == pytest.approx(
        [0.1, 0.35, 0.35, 0.9]
    )


def test_the_curve_finds_what_scores_mean() -> None:
    """Scores that are right with the square of their value are calibrated to about that, and the curve never falls."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.05, 0.95, 20000).astype(np.float32)
    curve = fit(scores, rng.random(20000) < scores**2)
    assert curve["raw"][0] == curve["probability"][0] == 0
    assert curve["raw"][-1] == curve["probability"][-1] == 1
    assert (np.diff(curve["raw"]) > 0).all()
    assert (np.diff(curve["probability"]) >= 0).all()
    middle = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(np.interp(middle, curve["raw"], curve["probability"]), middle**2, atol=0.03)


def test_the_curve_heeds_weights() -> None:
    """Where one right box counts as much as three wrong ones, half of them are right."""
    scores = np.tile(np.linspace(0.1, 0.9, 400, dtype=np.float32), 4)
    right = np.repeat([True, False, False, False], 400)
    curve = fit(scores, right, np.where(right, 1.5, 0.5))
    assert np.interp(0.5, curve["raw"], curve["probability"]) == pytest.approx(0.5, abs=0.05)
