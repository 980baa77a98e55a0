"""Runs inputs in child processes that may hang, crash or eat memory without taking the run with them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from pii_blur.photo.exiftool import open_exiftool
from tests.fuzz.inputs import make_input
from tests.fuzz.judge import FoundBug, judge

LIMIT_S = 20.0
LIMIT_MIB = 2048
_EXIFTOOL_S = 10.0  # shorter than the limit, so that a hanging exiftool is told from a hanging program
_START_S = 60.0
_MARGIN_MIB = 1024  # of address space beyond the limit: what is reserved is not used


@dataclass(frozen=True)
class Report:
    """What became of an input.

    Attributes:
        number: of the input.
        recipe: how it was made.
        kind: of the verdict, or ``bug``.
        reason: the way it was written, the code of the refusal, or what is wrong.
        seconds: the whole took.
        peak_mib: most memory in use during it; 0 where that cannot be measured.
        noise: what a library printed past the program.
    """

    number: int
    recipe: str
    kind: str
    reason: str
    seconds: float = 0.0
    peak_mib: int = 0
    noise: str = ""


def run_inputs(seeds: Mapping[str, bytes], seed: int, numbers: Iterable[int], *, workers: int = 2) -> Iterator[Report]:
    """Run inputs and yield their reports, in the order in which they end.

    Args:
        seeds: sound files by name.
        seed: of the run.
        numbers: of the inputs.
        workers: how many processes.
    """
    waiting = iter(numbers)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        (folder / "seeds").write_bytes(pickle.dumps(dict(seeds)))
        running = [_Worker(folder, seed) for _ in range(workers)]
        try:
            while running:
                for worker in [one for one in running if one.number is None]:
                    number = next(waiting, None)
                    if number is None:
                        worker.stop()
                        running.remove(worker)
                    else:
                        worker.give(number)
                wait([one.connection for one in running], timeout=0.5)
                for place, worker in enumerate(running):
                    report, is_usable = worker.look()
                    if report is not None:
                        yield report
                    if not is_usable:
                        worker.stop()
                        running[place] = _Worker(folder, seed)
        finally:
            for worker in running:
                worker.stop()


class _Worker:
    """One child process and the input that it has."""

    def __init__(self, folder: Path, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(folder, seed, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.number: int | None = None
        self._deadline = 0.0
        self._is_new = True

    def give(self, number: int) -> None:
        """Let it do an input."""
        self.number = number
        self._deadline = time.monotonic() + LIMIT_S + (_START_S if self._is_new else 0)
        self._is_new = False
        self.connection.send(number)

    def look(self) -> tuple[Report | None, bool]:
        """Return its report, if there is one, and whether it can go on."""
        number, self.number = self.number, None
        assert number is not None
        try:
            if self.connection.poll():
                report: Report = self.connection.recv()
                if report.seconds > LIMIT_S:
                    report = Report(number, report.recipe, "bug", "takes too long", report.seconds)
                return report, report.peak_mib < LIMIT_MIB
        except (EOFError, OSError):
            self._process.join(5)
            return Report(number, "", "bug", f"the process died with {self._process.exitcode}"), False
        if time.monotonic() > self._deadline:
            return Report(number, "", "bug", "hangs", LIMIT_S), False
        self.number = number
        return None, True

    def stop(self) -> None:
        """End it."""
        with suppress(OSError):
            self.connection.send(None)
        self._process.join(0.1 if self.number is not None else 5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.connection.close()


def _work(folder: Path, seed: int, connection: Connection) -> None:
    """Do inputs until there are no more."""
    seeds = pickle.loads((folder / "seeds").read_bytes())
    own = Path(tempfile.mkdtemp(dir=folder))
    tempfile.tempdir = str(own)
    noise = _catch_noise(own / "noise")
    logging.getLogger("pii_blur").addHandler(logging.NullHandler())
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.simplefilter("error")
    _limit_memory()
    (own / "photos").mkdir()
    with open_exiftool(timeout_s=_EXIFTOOL_S) as exiftool, suppress(EOFError, KeyboardInterrupt):
        while (number := connection.recv()) is not None:
            item = make_input(seeds, seed, number)
            _reset_peak()
            started = time.perf_counter()
            try:
                verdict = judge(item, own / "photos", exiftool)
                kind, reason = verdict.kind, verdict.reason
            except FoundBug as bug:
                kind, reason = "bug", str(bug)
            seconds, peak = time.perf_counter() - started, _peak_mib()
            if list(own.glob("pii-blur-private-*/*")):
                kind, reason = "bug", "something was left in the private folder"
            if peak >= LIMIT_MIB:
                kind, reason = "bug", f"takes more than {LIMIT_MIB} MiB"
            connection.send(Report(number, item.recipe, kind, reason, seconds, peak, _heard(noise)))


def _catch_noise(file: Path) -> int:
    """Send what libraries print to a file and return its descriptor."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    return descriptor


def _heard(noise: int) -> str:
    if not os.fstat(noise).st_size:
        return ""
    heard = os.pread(noise, 1000, 0).decode("utf-8", "replace").strip()
    os.ftruncate(noise, 0)
    return heard


def _limit_memory() -> None:
    """Make memory beyond the limit an error, so that a runaway input does not take the machine with it."""
    try:
        import resource  # noqa: PLC0415 - not on Windows

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + (LIMIT_MIB + _MARGIN_MIB << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ImportError, OSError):
        pass


def _reset_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> int:
    """Return the most memory this process had in use since `_reset_peak`, in MiB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM")), 0)
