"""kill -9 at random moments: of the run, of its workers, of exiftool. The same command goes on each time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.stage import Stage, ended, family, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

PHOTOS = [*(f"{number:02}.jpg" for number in range(16)), *(f"sub/{number:02}.jpg" for number in range(8))]


@pytest.mark.parametrize("kills", [4, pytest.param(200, marks=pytest.mark.crash)])
def test_killed_runs_leave_whole_hidden_photos_and_the_rest_is_done(stage: Stage, kills: int) -> None:
    """Whenever it hits: no half photo, nothing unblurred, no process left, and every photo is done in the end."""
    dice = random.Random(kills)  # the moments are random all the same: no two runs take equally long
    stage.draw(*PHOTOS)
    longest, killed = 0.0, 0
    while killed < kills:
        if not missing(stage):
            stage.check_all_done_once()
            stage.draw(*PHOTOS, seed=killed + 1)
        start = time.monotonic()
        process = stage.start("--workers", str(dice.choice((1, 2))))
        with suppress(subprocess.TimeoutExpired):
            process.wait(dice.uniform(0, longest) if longest else None)
        if process.poll() is not None:
            code, log = ended(process)
            assert code == 0, log
            longest = time.monotonic() - start
            continue
        left = family(process)
        process.kill()
        ended(process)
        killed += 1
        wait_until(lambda left=left: not any(alive(pid, line) for pid, line in left.items()), "the workers' end")
        stage.check(is_over=False)
    code, log = stage.finish()
    assert code == 0, log
    stage.check_all_done_once()


@pytest.mark.parametrize("kills", [2, pytest.param(100, marks=pytest.mark.crash)])
@pytest.mark.parametrize("victim", [b"multiprocessing", b"-stay_open"], ids=["worker", "exiftool"])
def test_killed_workers_and_programs_cost_no_more_than_a_photo(stage: Stage, victim: bytes, kills: int) -> None:
    """A worker's photo gets another try, exiftool's may fail: every photo is done or named, and the code says which."""
    dice = random.Random(kills)
    stage.draw(*PHOTOS)
    killed = 0
    while killed < kills:
        process = stage.start("--workers", "2")
        while process.poll() is None and killed < kills:
            time.sleep(dice.uniform(0.2, 2.0))
            victims = [
                pid for pid, line in family(process).items() if victim in line and b"resource_tracker" not in line
            ]
            if victims:
                with suppress(ProcessLookupError):
                    os.kill(dice.choice(victims), signal.SIGKILL)
                    killed += 1
        code, log = ended(process)
        named = {line.split(": failed:")[0].split("error: ")[1] for line in log.splitlines() if ": failed:" in line}
        assert code == (4 if named else 0), log
        assert missing(stage) == named, log
        stage.check()
        if not named:
            stage.draw(*PHOTOS, seed=killed + 1)
    code, log = stage.finish("--tries", "0")
    assert code == 0, log
    stage.check_all_done_once()


def missing(stage: Stage) -> set[str]:
    """Return the photos whose newest version has no result that the journal vouches for."""
    done = {}
    with suppress(FileNotFoundError):
        done = {line.get("key"): line for line in stage.journal()}
    found = set()
    for name in PHOTOS:
        line = done.get(name, {})
        is_done = line.get("outcome") == "blurred" and line["mtime_ns"] == (stage.source / name).stat().st_mtime_ns
        if not (is_done and (stage.output / name).exists()):
            found.add(name)
    return found


def alive(pid: int, line: bytes) -> bool:
    """Whether the process that had this command line still runs."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes() == line
    return False
