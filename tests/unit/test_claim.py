"""What a photo says of itself is believed only where it covers all that is wanted, and only word for word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pii_blur.labels import Label
from pii_blur.obfuscate.obfuscator import Strength
from pii_blur.photo.jpeg_segments import Segment
from pii_blur.photo.metadata import MARK_NAMESPACE, claim_in, without_claim
from pii_blur.settings import Settings
from pii_blur.sphere.views import PLANS
from pii_blur.zones import Zone

FULL = Settings().claim()


def block(*texts: str) -> bytes:
    """Return XMP as exiftool writes it, but for what plays no part."""
    tags = "".join(f"<PiiBlur:Hidden>{text}</PiiBlur:Hidden>" for text in texts)
    return b"<x xmlns:PiiBlur='" + MARK_NAMESPACE + b"'>" + tags.encode() + b"</x>"


@pytest.mark.parametrize(
    ("settings", "is_enough"),
    [
        (Settings(), True),
        (Settings(min_score=0.2, views="thorough", labels=tuple(Label)), True),
        (Settings(labels=(Label.BUS,)), False),
        (Settings(min_score=0.41), False),
        (Settings(thresholds=((Label.PERSON, 0.6),)), False),
        (Settings(thresholds=((Label.PERSON, 0.1),)), True),
        (Settings(views="fast"), False),
        (Settings(grow=1.1), False),
        (Settings(grow=1.5), True),
        (Settings(second_look=False), False),
    ],
)
def test_less_than_is_wanted_is_not_enough(settings: Settings, is_enough: bool) -> None:
    """Neither fewer classes nor a higher score, of all or of one, nor fewer views, a smaller margin or one look."""
    assert settings.claim().covers(FULL) is is_enough
    assert settings.claim().covers(settings.claim())


def test_where_something_found_may_be_seen_nothing_is_vouched_for() -> None:
    """In a zone that is kept; one that is hidden makes no difference."""
    assert Settings(zones=(Zone("keep", 0, -90, 40, 40),)).vouched() is None
    assert Settings(zones=(Zone("hide", 0, -90, 40, 40),)).vouched() == FULL


def test_what_is_hidden_weakly_is_not_vouched_for() -> None:
    """Else --trust-mark lets people through who were blurred so little that they can be recognised."""
    assert Settings(strength=Strength(0.2, allow_weak=True)).vouched() is None
    assert Settings(strength=Strength(kernel=(21, 2, 9), allow_weak=True)).vouched() is None
    assert Settings(strength=Strength(2, allow_weak=True)).vouched() == FULL


@given(
    st.dictionaries(st.sampled_from(list(Label)), st.floats(0.01, 1), min_size=1),
    st.sampled_from(list(PLANS)),
    st.floats(1, 3),
    st.booleans(),
)
def test_a_claim_comes_back_as_it_was_written(
    scores: dict[Label, float], views: str, grow: float, second_look: bool
) -> None:
    """Whatever the settings: else a run would not believe its own results."""
    claim = Settings(
        labels=tuple(scores), thresholds=tuple(scores.items()), views=views, grow=grow, second_look=second_look
    ).claim()
    assert claim_in([block(str(claim))]) == claim
    assert claim.covers(claim)


@pytest.mark.parametrize(
    "blocks",
    [
        [],
        [b"<x xmlns:PiiBlur='" + MARK_NAMESPACE + b"'/>"],
        [block(str(FULL)).replace(MARK_NAMESPACE, b"https://other.example/")],
        [block("")],
        [block("person 40; views closest; grow 1.15; looks 2")],
        [block("person 40, ; views balanced; grow 1.15; looks 2")],
        [block("person -40; views balanced; grow 1.15; looks 2")],
        [block("person; views balanced; grow 1.15; looks 2")],
        [block("person 40")],
        [block("person 40; views balanced")],
        [block("person 40; views balanced; grow 1.15; looks 3")],
        [block("person 40; views balanced; grow ; looks 2")],
        [block("person 40; views balanced; grow 1.15; looks 2;")],
        [block(str(FULL), "bus 40; views balanced; grow 1.15; looks 2")],
        [block(str(FULL)), block("bus 40; views balanced; grow 1.15; looks 2")],
        [block("persön 40; views balanced; grow 1.15; looks 2")],
    ],
)
def test_what_cannot_be_understood_vouches_for_nothing(blocks: list[bytes]) -> None:
    """Nor does what says two things."""
    assert claim_in(blocks) is None


def test_a_claim_can_be_taken_back() -> None:
    """Without changing anything else, lengths included; where there is none, not at all."""
    marked, plain = Segment(0xE1, block(str(FULL))), Segment(0xE1, b"<PiiBlur:Hidden>x</PiiBlur:Hidden>")
    bare = without_claim(marked)
    assert claim_in([bare.payload]) is None
    assert bare.payload == marked.payload.replace(str(FULL).encode(), b" " * len(str(FULL)))
    assert without_claim(plain) == plain
