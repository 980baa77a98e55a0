"""Where a batch on a cluster stops scaling: the driver's own work, with workers that are only imagined.

There are no workers here and no pictures. What is measured is what one driver must do itself, however many machines
work for it: list INPUT, plan, look at each photo before it is handed out, write two lines of the journal to the disk.
The engine below keeps as many jobs in hand as there are workers and answers at once, so the driver never waits: the
photos a second that come out are the most that any cluster can be given.

    python benchmarks/sim_cluster.py                       # 1,000 workers, 100,000 names
    python benchmarks/sim_cluster.py --names 1000000       # takes some minutes and about 3 GB
    python benchmarks/sim_cluster.py --only ray            # what Ray itself carries, on this machine
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pii_blur.batch.engine import Task
from pii_blur.batch.entry import Recipe
from pii_blur.batch.jobs import FoundPhoto
from pii_blur.batch.journal import Journal
from pii_blur.batch.options import RunOptions
from pii_blur.batch.runner import plan_run, run_batch
from pii_blur.cloud.address import parse_address
from pii_blur.cloud.batch import plan_cloud
from pii_blur.cloud.places import NOWHERE, CloudPlaces
from pii_blur.cloud.store import Store
from pii_blur.results import Job, Outcome, PhotoResult

PARTS = ("journal", "driver", "folder", "store", "ray")

SECONDS = {"read": 0.1234, "detect": 1.2345, "hide": 0.1234, "write": 0.2345}


class ImaginedWorkers:
    """An engine of so many workers, each with one job in hand, of which any may answer next."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, task: Task, jobs: Iterable[Job]) -> Generator[PhotoResult, None, None]:
        """See `Engine.run`."""
        source, in_hand, chance = iter(jobs), [], random.Random(1)
        while True:
            while len(in_hand) < self._workers and (job := next(source, None)) is not None:
                in_hand.append(job)
            if not in_hand:
                return
            yield task(in_hand.pop(chance.randrange(len(in_hand))))

    def stop(self) -> None:
        """See `Engine.stop`."""


class NoWork:
    """A task that answers as the real one does, without a picture."""

    def __call__(self, job: Job) -> PhotoResult:
        """See `Task`."""
        return blurred(job.key)

    def memory(self, job: Job) -> int:
        """See `Task`."""
        return 0

    def close(self) -> None:
        """See `Task`."""


def blurred(key: str) -> PhotoResult:
    """Return a result as large as a real one."""
    digest = "0123456789abcdef" * 4
    return PhotoResult(
        key,
        Outcome.BLURRED,
        people=3,
        vehicles=2,
        regions=17,
        projection="full panorama (GPano)",
        way="lossless",
        removed=("EXIF thumbnail (made anew)",),
        source_sha256=digest,
        output_sha256=digest,
        output_size=4_000_000,
        settings_digest=digest,
        model_sha256=digest,
        seconds=SECONDS,
    )


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000, help="(default: %(default)s)")
    parser.add_argument("--photos", type=int, default=10_000, help="that are handed out (default: %(default)s)")
    parser.add_argument("--names", type=int, default=100_000, help="that are listed (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: that of temporary files)")
    parser.add_argument("--only", choices=PARTS, action="append", help="leave out the other parts")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    print("| what | how many | seconds | of them CPU | a second | peak MB |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        work = Path(folder)
        parts = {
            "journal": lambda: journal_alone(work / "journal", arguments.photos),
            "driver": lambda: driver(work / "driver", arguments.photos, arguments.workers),
            "folder": lambda: listing_of_folder(work / "folder", arguments.names),
            "store": lambda: listing_of_store(work / "store", arguments.names),
            "ray": lambda: ray_alone(work / "ray", min(arguments.photos, 1000)),
        }
        for part in arguments.only or PARTS[:-1]:
            parts[part]()
    return 0


class Watch:
    """Time since its making: of the clock, and of this process's CPU, which a busy machine does not stretch."""

    def __init__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Return both, in seconds."""
        return time.perf_counter() - self._clock, time.process_time() - self._cpu


def show(what: str, number: int, spent: tuple[float, float]) -> None:
    """Print a row."""
    seconds, cpu = spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {what} | {number:,} | {seconds:.1f} | {cpu:.1f} | {number / seconds:,.0f} | {peak:,.0f} |", flush=True)


def journal_alone(folder: Path, photos: int) -> None:
    """Two lines a photo, each on the disk before the next."""
    recipe = Recipe("0" * 64)
    with closing(Journal(folder)) as journal:
        journal.load()
        journal.open("1")
        watch = Watch()
        for number in range(photos):
            photo = FoundPhoto(name(number), 4_000_000, number, number)
            journal.start(photo, NOWHERE, recipe)
            journal.append(blurred(photo.key), photo, recipe)
        show("journal alone: two lines a photo, each forced to the disk", photos, watch.read())


def driver(folder: Path, photos: int, workers: int) -> None:
    """A whole run: listing, plan, a look at each photo, journal, summary."""
    make_files(folder / "in", photos)
    watch = Watch()
    options = RunOptions(folder / "in", folder / "out", settle=0.0)
    summary = run_batch(options, NoWork(), run_digest="1", engine=ImaginedWorkers(workers))
    assert summary.counts[Outcome.BLURRED] == photos, summary.to_json()
    show(f"the whole driver, {workers:,} workers that answer at once", photos, watch.read())
    shutil.rmtree(folder)


def listing_of_folder(folder: Path, names: int) -> None:
    """The plan of a run over a folder where all is new, and where all is finished."""
    make_files(folder / "in", names)
    (folder / "out").mkdir()
    options = RunOptions(folder / "in", folder / "out", settle=0.0)
    watch = Watch()
    plan = plan_run(options, "1")
    assert len(plan.pending) == names
    show("listing and plan of a folder, all new", names, watch.read())
    make_files(folder / "out", names)
    photos = (FoundPhoto.from_stat(name(n), (folder / "in" / name(n)).stat()) for n in range(names))
    fill_journal(folder / "out" / ".pii-blur", photos, size=1)
    watch = Watch()
    plan = plan_run(options, "1")
    assert plan.finished == names, (plan.finished, plan.problems[:1])
    show("listing, journal and plan of a folder, all finished", names, watch.read())
    shutil.rmtree(folder)


class ImaginedStore(Store):
    """Pages of names without a network: what is left is this program's own work."""

    def __init__(self, url: str, names: int) -> None:
        super().__init__(parse_address(url))
        self._names = names

    def _connect(self) -> Any:
        return self

    def list_objects_v2(self, *, Prefix: str, MaxKeys: int, ContinuationToken: str = "0", **_: Any) -> dict[str, Any]:
        """Answer as botocore does."""
        first = int(ContinuationToken)
        last = min(first + MaxKeys, self._names)
        found = [
            {"Key": Prefix + name(n), "Size": 1, "LastModified": _MODIFIED, "ETag": f'"{n:032x}"'}
            for n in range(first, last)
        ]
        return {"Contents": found, "IsTruncated": last < self._names, "NextContinuationToken": str(last)}


_MODIFIED = datetime(2026, 1, 1, tzinfo=UTC)


def listing_of_store(folder: Path, names: int) -> None:
    """The plan of a run from store to store where all is finished: two listings and a journal."""
    places = CloudPlaces(ImaginedStore("s3://a/in", names), ImaginedStore("s3://a/out", names))
    photos = (FoundPhoto(one.key, one.st_size, one.st_mtime_ns, 0) for one in ImaginedStore("s3://a/in", names).items())
    fill_journal(folder, photos, size=1)
    options = RunOptions(NOWHERE, NOWHERE, settle=0.0, journal=folder)
    watch = Watch()
    plan = plan_cloud(options, places, "1")
    assert plan.finished == names
    requests = 2 * -(-names // 1000)
    show(f"two listings, journal and plan of a store, all finished ({requests:,} requests that take no time)", names,
         watch.read())  # fmt: skip
    shutil.rmtree(folder)


def ray_alone(folder: Path, photos: int) -> None:
    """Jobs without work through Ray: what its messages cost with all its processes on this machine."""
    from pii_blur.cluster.ray_engine import RayEngine, Share  # noqa: PLC0415

    make_files(folder / "in", photos)
    options = RunOptions(folder / "in", folder / "out", settle=0.0)
    progress = Stopwatch()
    run_batch(options, NoWork(), run_digest="1", engine=RayEngine("local", share=Share(memory=0)), progress=progress)
    show("Ray on this machine, workers that answer at once (without its start)", photos - 1, progress.spent)
    shutil.rmtree(folder)


class Stopwatch:
    """Time from the first result to the last."""

    def __init__(self) -> None:
        self._watch: Watch | None = None
        self.spent = 0.0, 0.0

    def start(self, total: int) -> None:
        """See `Progress`."""

    def photo(self, result: PhotoResult) -> None:
        """See `Progress`."""
        self._watch = self._watch or Watch()
        self.spent = self._watch.read()

    def close(self) -> None:
        """See `Progress`."""


def name(number: int) -> str:
    """Return the name of a photo, a thousand to a folder."""
    return f"{number // 1000:05}/{number:08}.jpg"


def make_files(folder: Path, number: int) -> None:
    """Make so many files of one byte."""
    for n in range(number):
        file = folder / name(n)
        if n % 1000 == 0:
            file.parent.mkdir(parents=True)
        file.write_bytes(b"x")


def fill_journal(folder: Path, photos: Iterator[FoundPhoto], size: int) -> None:
    """Write the journal of runs that have finished all photos; not forced to the disk line by line."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "journal.jsonl").open("w", encoding="ascii") as stream:
        stream.write('{"schema":1,"kind":"pii-blur journal","version":"1"}\n')
        common = Recipe("1").to_json() | {"time": "2026-01-01T00:00:00Z"}
        record = blurred("").to_json() | common | {"output_size": size}
        for photo in photos:
            line = record | {"key": photo.key, "size": photo.size, "mtime_ns": photo.mtime_ns}
            stream.write(json.dumps(line, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    sys.exit(main())
