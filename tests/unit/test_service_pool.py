"""The line of photos before several workers: no failure of one of them holds up the others."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pii_blur.errors import CannotWrite
from pii_blur.http import pool as pools
from pii_blur.http.pool import Order, Pool
from pii_blur.pipeline import Tools
from pii_blur.results import Job, Outcome, PhotoResult
from tests.fakes import FakeTask, make_photo

NEED = 80


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Two workers, with memory for one photo."""
    monkeypatch.setattr(pools, "available_memory", lambda: NEED)
    pool = Pool(FakeTask(need=NEED), workers=2, patience_s=60)
    pool.start()
    yield pool
    pool.close(30)


def nothing(job: Job, tools: Tools) -> PhotoResult:
    raise AssertionError("the task does it")


def order(folder: Path, text: str) -> Order:
    return Order(make_photo(folder / text, text), folder / "out" / text, "photo", nothing)


def test_a_full_disk_gives_back_the_memory_it_was_lent(pool: Pool, tmp_path: Path) -> None:
    """Even while its failure is still being looked at: the next photo is done as soon as there is room."""
    gc.disable()
    try:
        with pytest.raises(CannotWrite) as failure:
            pool.submit(order(tmp_path, "full")).result(60)
        assert pool.submit(order(tmp_path, "blur")).result(60).outcome is Outcome.BLURRED
        assert failure.value is not None
    finally:
        gc.enable()
