"""What a watch remembers from round to round, told by its plans alone."""

from __future__ import annotations

from pii_blur.batch.jobs import FoundPhoto, failed
from pii_blur.batch.plan import Plan
from pii_blur.batch.vigil import Vigil

PHOTO = FoundPhoto("a.jpg", 1, 2, 3)


def fail(vigil: Vigil) -> None:
    """Let the photo fail in a round."""
    vigil.without_failed(Plan(pending=[PHOTO]))
    vigil.photo(failed("a.jpg", "truncated", "the picture breaks off"))


def test_photo_that_failed_is_left_alone_and_still_counts() -> None:
    """As long as it is there as it was."""
    vigil = Vigil(None)
    fail(vigil)
    assert vigil.without_failed(Plan(pending=[PHOTO])).pending == []
    assert vigil.summary().exit_code == 4
    given_up = failed("a.jpg", "truncated", "the picture breaks off (it is not tried any more)")
    vigil.without_failed(Plan(problems=[given_up], given_up=["a.jpg"]))
    assert vigil.summary().exit_code == 4


def test_failure_of_a_photo_that_was_taken_away_is_forgotten() -> None:
    """Else the daily check would alert until the watch is started anew, though somebody did what it asked for."""
    vigil = Vigil(None)
    fail(vigil)
    vigil.without_failed(Plan())
    assert vigil.summary().exit_code == 0
    assert vigil.without_failed(Plan(pending=[PHOTO])).pending == [PHOTO]
