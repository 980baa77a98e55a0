"""Settings refuse what makes no sense, and their digest changes with everything that changes pixels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pii_blur.labels import Label
from pii_blur.obfuscate.obfuscator import Strength
from pii_blur.settings import Settings
from pii_blur.zones import Zone

CHANGES = {
    "min_score": 0.3,
    "thresholds": ((Label.PERSON, 0.2),),
    "labels": (Label.PERSON,),
    "model": "another",
    "views": "fast",
    "second_look": False,
    "grow": 1.3,
    "method": "solid",
    "strength": Strength(2),
    "zones": (Zone("hide", 0, -90, 40, 40),),
}


@pytest.mark.parametrize("name", CHANGES)
def test_digest_changes_with_every_setting(name: str) -> None:
    """A photo done with another setting is done again."""
    assert replace(Settings(), **{name: CHANGES[name]}).digest() != Settings().digest()


def test_every_setting_is_in_that_list() -> None:
    """A new setting must not be forgotten in the digest."""
    assert set(CHANGES) == set(Settings.__dataclass_fields__)


def test_order_of_classes_does_not_change_the_digest() -> None:
    """The same classes in another order hide the same."""
    one, two = (Label.PERSON, Label.CAR), (Label.CAR, Label.PERSON)
    assert Settings(labels=one).digest() == Settings(labels=two).digest()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_score", 0.0),
        ("min_score", 1.01),
        ("min_score", float("nan")),
        ("thresholds", ((Label.CAR, 40.0),)),
        ("labels", ()),
        ("views", "best"),
        ("grow", 0.9),
        ("method", "none"),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: object) -> None:
    """Nonsense is an error before the first photo, with the range in the message."""
    with pytest.raises(ValueError, match=r"lies between|one of|at least"):
        replace(Settings(), **{name: value})  # type: ignore[arg-type]


def test_class_threshold_replaces_prob() -> None:
    """`--threshold` counts for its class alone."""
    settings = Settings(min_score=0.4, thresholds=((Label.PERSON, 0.2),))
    assert (settings.threshold(Label.PERSON), settings.threshold(Label.CAR)) == (0.2, 0.4)
