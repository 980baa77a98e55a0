"""What is printed where nobody reads it any more, as before `| head`: no traceback, and an exit code that means it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pii_blur.errors import ExitCode
from pii_blur.streams import dropped_when_cut_off, until_cut_off

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="pipes break in another way there")


def broken_pipe() -> int:
    """Return the end of a pipe that nobody reads."""
    there, here = os.pipe()
    os.close(there)
    return here


@POSIX
@pytest.mark.parametrize("words", [("config",), ("--help",), ("models", "list")])
def test_commands_that_print_end_quietly_when_cut_off(words: tuple[str, ...], tmp_path: Path) -> None:
    """Neither a traceback nor 'Exception ignored' of Python's own end."""
    pipe = broken_pipe()
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pii_blur", *words],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
            check=False,
        )
    finally:
        os.close(pipe)
    assert ended.returncode == ExitCode.CUT_OFF
    assert not [line for line in ended.stderr.splitlines() if not line.startswith("not set, but needed")]


@POSIX
def test_the_broken_pipe_of_a_worker_is_no_quiet_end() -> None:
    """A service that lost one would else be gone without a word, with the exit code of `| head`."""

    def ask_worker() -> int:
        with os.fdopen(broken_pipe(), "wb", buffering=0) as pipe:
            return pipe.write(b"do a.jpg")

    with pytest.raises(BrokenPipeError):
        until_cut_off(ask_worker)


@POSIX
def test_a_run_goes_on_when_nobody_reads_its_results() -> None:
    """Nothing is raised, neither when it is written nor when the stream is closed."""
    with os.fdopen(broken_pipe(), "w") as results, dropped_when_cut_off(results):
        for _ in range(100_000):
            print("do a.jpg", file=results)
        raise AssertionError("it was not cut off")
    with os.fdopen(broken_pipe(), "w") as results:
        with dropped_when_cut_off(results):
            print("{}", file=results)
        print("more", file=results)
