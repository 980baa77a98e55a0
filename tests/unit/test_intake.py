"""What is in hand at a time fits into memory; nothing is forgotten for it."""

from __future__ import annotations

from pathlib import Path

from pii_blur.batch.intake import Intake
from pii_blur.results import Job

MEMORY = 100


def intake(*needs: int, memory: int = MEMORY) -> Intake:
    jobs = [Job(Path(f"{number}.jpg"), Path("out"), f"{number}:{need}") for number, need in enumerate(needs)]
    return Intake(jobs, lambda job: int(job.key.partition(":")[2]), memory)


def test_two_large_photos_are_never_in_hand_together() -> None:
    """The second waits for the first, and the order stays."""
    photos = intake(60, 60, 10)
    assert photos.next(0, 0) is not None
    assert photos.next(1, 60) is None
    assert photos.next(1, 60) is None, "a small one does not overtake: the large one would wait for ever"
    drawn = photos.next(0, 5)
    assert drawn is not None
    assert (drawn[0].key, drawn[1]) == ("1:60", 60)
    assert photos.next(1, 60) is not None
    assert photos.next(0, 0) is None


def test_photo_that_fits_nowhere_is_done_alone() -> None:
    """Whether it can be opened at all is not for the estimate to say."""
    photos = intake(10, 10**18)
    assert photos.next(0, 0) is not None
    assert photos.next(1, 10) is None
    assert photos.next(0, 50) is not None


def test_idle_workers_count() -> None:
    """What they keep is not free."""
    assert intake(60).next(1, 30) is not None
    assert intake(60).next(1, 50) is None


def test_without_a_bound_everything_may_start() -> None:
    """And no photo is looked at for it."""
    photos = Intake([Job(Path("a"), Path("b"), "a")], lambda job: 1 // 0, 0)
    assert photos.next(7, 10**18) is not None


def test_photo_that_killed_its_worker_is_tried_again_alone_and_first() -> None:
    """Its neighbours may have been the reason."""
    photos = intake(10)
    job = Job(Path("again.jpg"), Path("out"), "again")
    photos.put_back(job)
    assert photos.next(1, 10) is None
    assert photos.next(0, 0) == (job, MEMORY)
    assert photos.next(1, MEMORY) is None, "none beside it"


def test_stopping_draws_no_photo_but_gives_those_drawn_before() -> None:
    """One that was drawn has a line in the journal that says it was started."""
    photos = intake(60, 60, 60)
    photos.next(0, 0)
    assert photos.next(1, 60) is None
    assert photos.next(1, 60, is_stopping=True) is None
    assert photos.next(0, 0, is_stopping=True) is not None
    assert photos.next(0, 0, is_stopping=True) is None
