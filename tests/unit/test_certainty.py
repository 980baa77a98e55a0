"""How sure the search must be: of no box is more asked than PROB, of small ones less."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pii_blur.certainty import FULL_SHARE, LEAST_PART, asked, highest_prob, least_asked
from pii_blur.labels import Label
from pii_blur.regions import Region
from pii_blur.settings import Settings
from pii_blur.sphere.extent import FlatExtent, PanoExtent
from pii_blur.sphere.quad import SphereQuad

PROBS = [0.01, 0.2, 0.4, 0.9, 1.0]
SHARES = np.geomspace(1e-7, 1.0, 50)


@pytest.mark.parametrize("prob", PROBS)
def test_never_more_is_asked_than_prob_and_never_less_than_the_search_looks_for(prob: float) -> None:
    """Else somebody near would be shown whom PROB hides, or somebody small be lost before anyone asks."""
    scores = asked(prob, SHARES)
    assert (scores <= prob).all()
    assert (scores >= least_asked(prob) - 1e-12).all()
    assert (np.diff(scores) >= 0).all()
    assert scores[-1] == pytest.approx(prob)


def test_odds_grow_with_the_side_of_a_box() -> None:
    """Half as wide and high is half the odds: at PROB 50, a third instead of a half."""
    assert asked(0.5, [FULL_SHARE, FULL_SHARE / 4]) == pytest.approx([1 / 2, 1 / 3])
    assert least_asked(0.5) == pytest.approx(LEAST_PART / (1 + LEAST_PART))


@pytest.mark.parametrize("prob", PROBS)
def test_highest_prob_is_where_a_box_is_just_hidden(prob: float) -> None:
    """The evaluation judges by it what the program does."""
    assert highest_prob(asked(prob, SHARES), SHARES) == pytest.approx(np.full(len(SHARES), prob))


def test_shares_are_of_the_picture() -> None:
    """A box of a panorama by its solid angle; the whole of a flat photo is all of it; half a panorama is half."""
    box = SphereQuad.from_angles(100, 80, 30, 30)
    full = PanoExtent.full(2000, 1000)
    assert full.solid_angle == pytest.approx(4 * math.pi)
    assert PanoExtent(2000, 1000, 500, 500, 1000, 500).solid_angle == pytest.approx(math.pi)
    assert Region(box, Label.CAR, 0.5).share(full) == pytest.approx(
        4 * math.asin(math.sin(math.pi / 12) ** 2) / (4 * math.pi)
    )
    flat = FlatExtent(800, 600)
    whole = SphereQuad(flat.to_directions([[0, 0], [800, 0], [800, 600], [0, 600]]))
    assert Region(whole, Label.CAR, 0.5).share(flat) == pytest.approx(1.0)


def test_settings_hide_small_boxes_below_prob_and_large_ones_at_it() -> None:
    """By each class's own PROB, and only wanted classes."""
    settings = Settings(min_score=0.4, thresholds=((Label.CAR, 0.8),), labels=(Label.PERSON, Label.CAR))
    assert settings.hides(Label.PERSON, 0.4, 1.0)
    assert not settings.hides(Label.PERSON, 0.39, 1.0)
    assert settings.hides(Label.PERSON, 0.2, 1e-5)
    assert not settings.hides(Label.CAR, 0.4, 1e-5)
    assert settings.hides(Label.CAR, 0.6, 1e-5)
    assert not settings.hides(Label.BUS, 1.0, 1.0)
