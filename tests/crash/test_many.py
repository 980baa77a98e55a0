"""Ten thousand photos, and two schedulers over one OUTPUT. The task is a stand-in, the rest is real."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fakes import make_photo
from tests.integration.test_batch_processes import Stage

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    for process in stage.running:
        if process.poll() is None:
            process.kill()
            process.communicate()


def keys(folder: Path) -> set[str]:
    """Return the photos below `folder`."""
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*.jpg") if ".pii-blur" not in file.parts}


def tries(stage: Stage) -> Counter[str]:
    """Return how often each photo was started."""
    return Counter({file.name: len(file.read_text().split()) for file in stage.record.glob("*.jpg")})


@pytest.mark.parametrize(("photos", "kills"), [(300, 1), pytest.param(10_000, 5, marks=pytest.mark.crash)])
def test_many_photos_each_once_through_kills(stage: Stage, photos: int, kills: int) -> None:
    """In many folders; only what a killed run had in hand is done again."""
    for number in range(photos):
        make_photo(stage.source / f"{number % 97:02}" / f"{number}.jpg", "clean" if number % 7 else "blur")
    dice = random.Random(0)
    for kill in range(1, kills + 1):
        process = stage.start("--workers", "2", "--quiet", gate=False)
        enough = photos * kill // (kills + 1)
        while process.poll() is None and len(list(stage.record.glob("*.jpg"))) < enough:
            time.sleep(0.05)
        time.sleep(dice.uniform(0, 0.2))
        process.kill()
        process.communicate()
    process = stage.start("--workers", "2", "--quiet", gate=False)
    _, log = process.communicate(timeout=1800)
    assert process.returncode == 0, log[-2000:]
    assert keys(stage.output) == keys(stage.source)
    assert not list(stage.output.rglob(".pii-blur-*"))
    started = tries(stage)
    assert len(started) == photos
    assert sum(started.values()) <= photos + 2 * kills, "two workers, so at most two photos a kill"


@pytest.mark.parametrize(("rounds", "kills"), [(4, 0), pytest.param(40, 10, marks=pytest.mark.crash)])
def test_two_schedulers_never_do_a_photo_twice(stage: Stage, rounds: int, kills: int) -> None:
    """Two crontabs with one OUTPUT, while photos come in: one works, the other leaves with 75."""
    codes: list[int] = []
    logs: list[str] = []
    left = [kills]

    def schedule(seed: int) -> None:
        dice = random.Random(seed)
        for number in range(rounds):
            make_photo(stage.source / f"{seed}-{number}.jpg")
            process = stage.start("--workers", "1", gate=False)
            if left[0] > 0 and dice.random() < 0.25:
                left[0] -= 1
                with suppress(subprocess.TimeoutExpired):
                    process.wait(dice.uniform(0.0, 3.0))
                process.kill()
            _, log = process.communicate(timeout=300)
            codes.append(process.returncode)
            logs.append(log)

    threads = [threading.Thread(target=schedule, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes) <= ({0, 75, -9} if kills else {0, 75}), "\n".join(logs)[-4000:]
    code, _, log = stage.finish("--workers", "1")
    assert code == 0, log
    assert keys(stage.output) == keys(stage.source)
    started = tries(stage)
    assert sum(started.values()) - len(started) <= codes.count(-9), "a photo was done twice"
