"""The command as a process among others: killed, stopped, started twice. The task is a stand-in, the rest is real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes import make_photo, make_photos

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

# What stands for the pipeline: argv is the folder of records, the gate (or "-"), then the command line.
DRIVER = """
import signal, sys, types
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):  # the tests may run where they are ignored, as with nohup
    signal.signal(number, signal.SIG_DFL)
from pathlib import Path
import pii_blur.cli
from tests.fakes import FakeTask
record, gate = Path(sys.argv[1]), None if sys.argv[2] == "-" else Path(sys.argv[2])
pipeline = types.ModuleType("pii_blur.pipeline")
pipeline.check_tools = lambda *_, **__: "0" * 64
pipeline.BlurTask = lambda *_: FakeTask(record, gate=gate)
sys.modules["pii_blur.pipeline"] = pipeline
sys.exit(pii_blur.cli.main(sys.argv[3:]))
"""


class Stage:
    """INPUT, OUTPUT and the records of a test."""

    def __init__(self, folder: Path) -> None:
        self.source, self.output = folder / "in", folder / "out"
        self.record, self.gate = folder / "record", folder / "gate"
        self.record.mkdir()
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *options: str, gate: bool = True) -> subprocess.Popen[str]:
        """Start the command; with a gate no photo gets done until `gate` exists."""
        words = [str(self.record), str(self.gate) if gate else "-", str(self.source), str(self.output), "40"]
        command = [sys.executable, "-c", DRIVER, *words, "--settle", "0", *options]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.running.append(process)
        return process

    def finish(self, *options: str) -> tuple[int, str, str]:
        """Run the command to its end, without a gate."""
        process = self.start(*options, gate=False)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def started(self) -> dict[str, list[int]]:
        """Return the worker processes that took each photo."""
        return {
            file.name: [int(pid) for pid in file.read_text().split()]
            for file in self.record.glob("*.jpg")
            if file.stat().st_size
        }

    def results(self) -> set[str]:
        """Return the names of the files in OUTPUT."""
        return {file.name for file in self.output.rglob("*") if file.is_file() and ".pii-blur" not in file.parts}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    for process in stage.running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    except OSError:
        return False
    return state != "Z"


def test_killed_run_goes_on_with_the_same_command(stage: Stage) -> None:
    """kill -9 in the middle: workers die too, the lock is free, finished photos stay, half-written ones go."""
    make_photos(stage.source, **{f"p{number}": "blur" for number in range(8)})
    make_photo(stage.source / "q" / "stuck.jpg")
    process = stage.start("--workers", "2")
    wait_until(lambda: len(stage.started()) == 2)
    make_photo(stage.output / ".pii-blur-half.part", "unblurred")
    process.kill()
    process.wait()
    workers = [pid for pids in stage.started().values() for pid in pids]
    wait_until(lambda: not any(is_alive(pid) for pid in workers))
    assert stage.results() == {".pii-blur-half.part"}

    code, _, err = stage.finish("--workers", "2")
    assert code == 0, err
    assert stage.results() == {*(f"p{number}.jpg" for number in range(8)), "stuck.jpg"}
    assert "done 9, nothing found 0, skipped 0" in err


def test_run_killed_after_some_photos_does_only_the_rest(stage: Stage) -> None:
    """What the journal vouches for is not done again."""
    make_photos(stage.source, a="blur", b="blur", c="blur")
    assert stage.finish("--workers", "1")[0] == 0
    make_photos(stage.source, d="blur", e="blur")
    process = stage.start("--workers", "1")
    wait_until(lambda: "d.jpg" in stage.started())
    process.kill()
    process.wait()
    code, _, err = stage.finish("--workers", "1")
    assert (code, "done 2, nothing found 0, skipped 3" in err) == (0, True), err
    assert [len(pids) for _, pids in sorted(stage.started().items())] == [1, 1, 1, 2, 1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_signal_finishes_the_photo_in_hand(stage: Stage, number: signal.Signals, code: int) -> None:
    """Exit code of the signal, a whole journal, and the same command goes on. All processes get it, as from Ctrl-C."""
    make_photos(stage.source, a="blur", b="blur", c="blur")
    process = stage.start("--workers", "1")
    wait_until(stage.started)
    os.killpg(process.pid, number)
    assert process.stderr is not None
    while "stopping after the photos in hand" not in process.stderr.readline():
        assert process.poll() is None
    stage.gate.touch()
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert stage.results() == {"a.jpg"}
    assert "done 1" in err
    assert "left for the next run 2" in err

    code, _, err = stage.finish("--workers", "1")
    assert (code, "done 2, nothing found 0, skipped 1" in err) == (0, True), err


def test_closed_terminal_finishes_the_photo_in_hand(stage: Stage) -> None:
    """The signal comes, and nothing can be shown any more."""
    make_photos(stage.source, a="blur", b="blur")
    here, there = os.openpty()
    words = [str(stage.record), str(stage.gate), str(stage.source), str(stage.output), "40", "--settle", "0"]
    command = [sys.executable, "-c", DRIVER, *words, "--workers", "1"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=there, stdout=there, stderr=there, start_new_session=True)
    os.close(there)
    wait_until(stage.started)
    process.send_signal(signal.SIGHUP)
    shown = b""
    while b"stopping after the photos in hand" not in shown:
        shown += os.read(here, 1000)
    os.close(here)
    stage.gate.touch()
    assert process.wait(timeout=60) == 129
    assert stage.results() == {"a.jpg"}
    assert stage.finish()[0] == 0


def test_second_signal_stops_at_once(stage: Stage) -> None:
    """Photos in hand are abandoned, no worker stays behind, nothing is at their destinations."""
    make_photos(stage.source, a="blur", b="blur")
    process = stage.start("--workers", "2")
    wait_until(lambda: len(stage.started()) == 2)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "stopping after the photos in hand" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert stage.results() == set()
    assert not any(is_alive(pid) for pids in stage.started().values() for pid in pids)


def test_second_run_on_one_output_says_so_and_leaves(stage: Stage) -> None:
    """Exit code 75; the first run is not disturbed."""
    make_photos(stage.source, a="blur")
    first = stage.start("--workers", "1")
    wait_until(stage.started)
    code, _, err = stage.finish("--workers", "1")
    assert code == 75
    assert f"process {first.pid}" in err
    stage.gate.touch()
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_worker_killed_from_outside_costs_nothing(stage: Stage) -> None:
    """Its photo is tried again in a fresh worker."""
    make_photos(stage.source, a="blur", b="blur")
    process = stage.start("--workers", "1")
    wait_until(stage.started)
    os.kill(stage.started()["a.jpg"][0], signal.SIGKILL)
    wait_until(lambda: len(stage.started()["a.jpg"]) == 2)
    stage.gate.touch()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "trying once more" in err
    assert stage.results() == {"a.jpg", "b.jpg"}


def test_photo_that_kills_its_workers_fails_alone(stage: Stage) -> None:
    """Exit code 4 and the reason in --json."""
    make_photos(stage.source, a="kill", b="blur")
    code, out, _ = stage.finish("--workers", "1", "--json")
    assert code == 4
    assert [failure["code"] for failure in json.loads(out)["failures"]] == ["worker_died"]
    assert stage.results() == {"b.jpg"}


def test_output_that_cannot_be_written_is_exit_code_6(stage: Stage) -> None:
    """Before any photo is read."""
    make_photos(stage.source, a="blur")
    if os.geteuid() != 0:
        stage.output.mkdir(mode=0o555)
    else:
        stage.output = Path("/sys/pii-blur")  # where not even root may make a folder
    code, _, err = stage.finish()
    assert code == 6, err
    assert "cannot be written" in err
    assert not stage.started()


def test_stdout_holds_the_summary_and_nothing_else(stage: Stage) -> None:
    """Whatever libraries and workers print goes to stderr."""
    make_photos(stage.source, a="blur", b="print")
    code, out, err = stage.finish("--json", "--workers", "1")
    assert (code, json.loads(out)["photos"]["done"]) == (0, 2)
    assert "a library speaks" in err
