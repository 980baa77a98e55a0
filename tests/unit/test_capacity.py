"""Workers and threads never take more than the machine has, unless somebody asks for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pii_blur.batch.capacity import BYTES_PER_WORKER, available_cores, available_memory, share_cores

PLENTY = 1 << 40


@pytest.mark.parametrize(
    ("cores", "photos", "workers", "threads", "expected"),
    [
        (2, None, None, None, (2, 1)),
        (2, 1, None, None, (1, 2)),  # a photo that is alone gets all cores
        (8, None, 2, None, (2, 4)),
        (8, None, None, 4, (2, 4)),
        (2, None, 3, 3, (3, 3)),  # as asked for
        (2, None, 0, None, (0, 2)),  # in this process
        (1, None, None, None, (1, 1)),
    ],
)
def test_cores_are_shared(
    cores: int, photos: int | None, workers: int | None, threads: int | None, expected: tuple[int, int]
) -> None:
    """A table of what is sensible."""
    assert share_cores(cores, PLENTY, photos=photos, workers=workers, threads=threads) == expected


def test_little_memory_means_fewer_workers() -> None:
    """A worker that is killed for want of memory helps nobody."""
    assert share_cores(64, 8 * BYTES_PER_WORKER, photos=None, workers=None, threads=None) == (8, 8)
    assert share_cores(4, 1, photos=None, workers=None, threads=None) == (1, 4)
    assert share_cores(4, 0, photos=None, workers=None, threads=None) == (4, 1), "unknown"


@given(
    cores=st.integers(1, 512),
    memory=st.integers(0, PLENTY),
    photos=st.none() | st.just(1),
    threads=st.none() | st.integers(1, 64),
)
def test_product_never_exceeds_cores_without_a_wish_for_workers(
    cores: int, memory: int, photos: int | None, threads: int | None
) -> None:
    """Except that one worker with the threads asked for is the least there is."""
    workers, each = share_cores(cores, memory, photos=photos, workers=None, threads=threads)
    assert workers >= 1
    assert each >= 1
    assert workers * each <= max(cores, threads or 1)


def test_this_machine_has_something() -> None:
    """Whatever the system tells."""
    assert available_cores() >= 1
    assert available_memory() >= 0
