"""exiftool is removed under way: the run ends with 3 and says how to install it, and goes on when it is back."""

from __future__ import annotations

import os
import shutil
import signal
import sys

import pytest

from tests.crash.stage import Stage, ended, family, wait_until

PHOTOS = [f"{number:02}.jpg" for number in range(12)]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def test_exiftool_that_is_removed_under_way_ends_the_run(stage: Stage) -> None:
    """An update that goes wrong, say. The one that runs is not enough: it may die at any time."""
    stage.draw(*PHOTOS)
    real = shutil.which("exiftool")
    assert real is not None
    programs = stage.temporary.with_name("programs")
    programs.mkdir()
    stand_in = programs / "exiftool"
    stand_in.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    stand_in.chmod(0o755)
    stage.environment["PATH"] = f"{programs}{os.pathsep}{stage.environment['PATH']}"
    process = stage.start()
    wait_until(stage.has_begun, "the first photo")
    stand_in.unlink()
    for pid in [pid for pid, line in family(process).items() if b"-stay_open" in line]:
        os.kill(pid, signal.SIGKILL)
    code, log = ended(process)
    if code == 0:
        stage.check_all_done_once()
        pytest.skip("all photos were done before exiftool was gone")
    assert code == 3, log
    assert "exiftool" in log.splitlines()[-1] or "exiftool" in log
    assert log.count(": failed:") <= 1
    stage.check()
    code, log = stage.finish()  # the one further along PATH is found
    assert code == 0, log
    stage.check_all_done_once()
