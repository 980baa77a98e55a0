"""Stand-ins at the seam between the batch and what is done with a photo. They pickle, and need no model or exiftool.

A photo here is any small file; its text tells the task what to do with it:

    blur        writes "hidden: ..." to the destination
    clean       copies
    fail        raises PhotoFailure
    bug         raises ValueError
    kill        kills its own process, each time
    kill-once   kills its own process at the first try
    hang        never answers
    full        raises what a full disk raises
    missing     raises MissingDependency
    print       prints, as careless libraries do
    litter      leaves a temporary file and kills its own process
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from pii_blur.batch.options import RunOptions
from pii_blur.batch.runner import run_batch
from pii_blur.batch.summary import Summary
from pii_blur.errors import MissingDependency, PhotoFailure
from pii_blur.results import Job, Outcome, PhotoResult

log = logging.getLogger("pii_blur.fakes")


@dataclass
class FakeTask:
    """Does what the photo's text says.

    Attributes:
        record: folder in which each started photo leaves a file with one line per try, or None.
        seconds: how long each photo takes.
        gate: a photo waits until this file exists, or None.
        need: bytes of memory that each photo says it will take.
    """

    record: Path | None = None
    seconds: float = 0.0
    gate: Path | None = None
    need: int = 0

    def __call__(self, job: Job) -> PhotoResult:
        tries = self._note(job)
        text = job.source.read_text()
        if self.gate is not None:
            while not self.gate.exists():
                time.sleep(0.01)
        time.sleep(self.seconds)
        return self._do(text, job, tries)

    def memory(self, job: Job) -> int:
        """Return what was said."""
        return self.need

    def close(self) -> None:
        """Leave a mark that the tools were closed."""
        if self.record is not None:
            (self.record / f"closed-{os.getpid()}").touch()

    def _note(self, job: Job) -> int:
        if self.record is None:
            return 1
        with (self.record / job.key.replace("/", "_")).open("a+") as file:
            file.write(f"{os.getpid()}\n")
            file.seek(0)
            return len(file.readlines())

    def _do(self, text: str, job: Job, tries: int) -> PhotoResult:
        match text:
            case "fail":
                raise PhotoFailure(f"{job.key}: it is truncated", "truncated", "read")
            case "bug":
                raise ValueError("an unexpected value")
            case "hang":
                time.sleep(3600)
            case "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case "missing":
                raise MissingDependency("exiftool is gone; install it again")
            case "log":
                log.warning("a line from the worker about %s", job.key)
            case "print":
                os.write(1, b"a library speaks\n")
            case "litter":
                job.destination.parent.mkdir(parents=True, exist_ok=True)
                (job.destination.parent / ".pii-blur-x1.part").write_text("unblurred")
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill-once" if tries == 1:
                os.kill(os.getpid(), signal.SIGKILL)
        return write_result(job, text)


def write_result(job: Job, text: str) -> PhotoResult:
    """Write a result as the real task would, and report it."""
    is_clean = text == "clean"
    result = text if is_clean else f"hidden: {text}"
    job.destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = job.destination.with_name(f".pii-blur-{job.destination.name}.part")
    temporary.write_text(result)
    temporary.replace(job.destination)
    if is_clean:
        return PhotoResult(job.key, Outcome.CLEAN, way="copied", output_size=len(result))
    return PhotoResult(
        job.key, Outcome.BLURRED, people=2, vehicles=1, regions=5, way="lossless", output_size=len(result)
    )


class UnpicklableTask(FakeTask):
    """Cannot reach a worker in one piece."""

    def __reduce__(self) -> tuple[object, ...]:
        return _refuse, ()


def _refuse() -> None:
    raise RuntimeError("this task cannot be made here")


@dataclass
class Watcher:
    """A `Progress` that remembers what it was told."""

    total: int = -1
    results: list[PhotoResult] = field(default_factory=list)
    is_closed: bool = False

    def start(self, total: int) -> None:
        """See `Progress`."""
        self.total = total

    def photo(self, result: PhotoResult) -> None:
        """See `Progress`."""
        self.results.append(result)

    def close(self) -> None:
        """See `Progress`."""
        self.is_closed = True


def run_fake(
    source: Path, output: Path, task: FakeTask | None = None, run_digest: str = "1", **options: object
) -> Summary:
    """Run a stand-in task over `source`, by default in this process and without waiting for photos to settle."""
    values: dict[str, object] = {"settle": 0.0, "workers": 0} | options
    return run_batch(RunOptions(source, output, **values), task or FakeTask(), run_digest=run_digest)  # type: ignore[arg-type]


def counts(summary: Summary) -> dict[str, int]:
    """Return how many photos ended how."""
    return {outcome.value: number for outcome, number in summary.counts.items() if number}


def codes(summary: Summary) -> dict[str, str]:
    """Return why which photo failed."""
    return {failure.key: failure.error.code for failure in summary.failures if failure.error}


def results(output: Path) -> dict[str, str]:
    """Return the files in OUTPUT and what is in them."""
    files = sorted(file for file in output.rglob("*") if file.is_file() and ".pii-blur" not in file.parts)
    return {file.relative_to(output).as_posix(): file.read_text() for file in files}


def make_photos(folder: Path, **texts: str) -> None:
    """Write one photo per keyword (``a="blur"`` becomes ``a.jpg``), long settled."""
    for name, text in texts.items():
        make_photo(folder / f"{name}.jpg", text)


def make_photo(file: Path, text: str = "blur") -> Path:
    """Write one photo, long settled as far as its mtime tells."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    return file
