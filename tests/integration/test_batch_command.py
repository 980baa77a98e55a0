"""The real command on real files with the real model and exiftool: what stands in OUTPUT after good and bad ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from tests.scenes import background

ROOT = Path(__file__).resolve().parents[2]

ZONES = '{"schema": 1, "zones": [{"action": "hide", "yaw": 0, "pitch": 0, "width": 40, "height": 40}]}'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with two small panoramas, one of them in a sub-folder, and a file that only looks like one."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for seed, name in enumerate(("a.jpg", "sub/B.JPG")):
        _, coded = cv2.imencode(".jpg", background(512, 256, seed))
        (folder / name).write_bytes(coded.tobytes())
    (folder / "bad.jpg").write_bytes(b"\xff" * 1000)
    return folder


def command(source: Path, *options: str) -> list[str]:
    zones = source.parent / "zones.json"
    zones.write_text(ZONES)
    places = [str(source), str(source.parent / "out"), "40"]
    words = [*places, "--settle", "0", "--views", "fast", "--zones", str(zones), *options]
    return [sys.executable, str(ROOT / "pii-blur.py"), *words]


def run(source: Path) -> tuple[int, dict[str, int], str]:
    """Return exit code, counts and log of the command."""
    done = subprocess.run(command(source, "--json"), capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, json.loads(done.stdout)["photos"], done.stderr


def test_good_photos_are_done_and_the_bad_one_is_nowhere(source: Path) -> None:
    """One bad file stops nothing and leaves nothing; the next run does only it; nothing tells positions or paths."""
    output = source.parent / "out"
    code, photos, log = run(source)
    assert code == 4, log
    assert (photos["done"], photos["failed"], photos["total"]) == (2, 1, 3)
    files = {file.relative_to(output).as_posix() for file in output.rglob("*") if file.is_file()}
    state = {f".pii-blur/{name}" for name in ("journal.jsonl", "last-run.json", "lock")}
    assert files == {"a.jpg", "sub/B.JPG"} | state
    assert (output / "a.jpg").read_bytes() != (source / "a.jpg").read_bytes()

    told = log + "".join((output / ".pii-blur" / name).read_text() for name in ("journal.jsonl", "last-run.json"))
    assert str(source.parent) not in told, "a path of this machine"
    assert not re.search("yaw|pitch|corner|box|latitude|longitude|Traceback", told, re.IGNORECASE)

    code, photos, log = run(source)
    assert (code, photos["skipped"], photos["failed"]) == (4, 2, 1), log


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_run_leaves_no_process_and_no_half_photo(source: Path) -> None:
    """Workers and their exiftool end with the run, however it ends; the same command goes on."""
    process = subprocess.Popen(command(source, "--workers", "2"), stderr=subprocess.PIPE, start_new_session=True)
    journal = source.parent / "out" / ".pii-blur" / "journal.jsonl"
    deadline = time.monotonic() + 120
    while not journal.exists() or len(journal.read_bytes().splitlines()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    family = descendants(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    while any(Path(f"/proc/{pid}/cmdline").exists() and cmdline(pid) for pid in family):
        assert time.monotonic() < deadline, [cmdline(pid) for pid in family]
        time.sleep(0.01)
    code, photos, log = run(source)
    assert (code, photos["done"] + photos["skipped"], photos["failed"]) == (4, 2, 1), log
    assert not list((source.parent / "out").rglob(".pii-blur-*"))


def descendants(pid: int) -> set[int]:
    """Return the processes that descend from `pid`."""
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(Path(entry.path, "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has just ended
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def cmdline(pid: int) -> bytes:
    """Return the command of a process; empty for one that ended and waits for its parent."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
