"""Time how long a run takes to find out that there is nothing to do: 100,000 finished photos in 100 folders.

    python benchmarks/bench_scan.py [PHOTOS]

Makes PHOTOS tiny files, their results and a journal in a temporary folder, then plans twice. The first plan finds the
names in the system's cache too, because they were just written; a cold disk or a network share adds its own time.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pii_blur.batch.jobs import FoundPhoto
from pii_blur.batch.journal import Journal, Recipe
from pii_blur.batch.options import RunOptions
from pii_blur.batch.places import find_places
from pii_blur.batch.plan import make_plan
from pii_blur.results import Outcome, PhotoResult

FOLDERS = 100


def main() -> None:
    """Prepare, plan, print."""
    photos = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(prefix="pii-blur-bench-") as folder:
        options = RunOptions(Path(folder, "in"), Path(folder, "out"), settle=0.0)
        prepare(options, photos)
        print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        for attempt in ("first", "second"):
            start = time.perf_counter()
            journal = Journal(options.journal_folder)
            journal.load()
            loaded = time.perf_counter()
            plan = make_plan(options, find_places(options), journal, "run", time.time_ns())
            done = time.perf_counter()
            assert (plan.finished, plan.total) == (photos, photos)
            print(
                f"{attempt} plan of {photos:,} finished photos: {done - start:.2f} s "
                f"(journal {loaded - start:.2f} s, listing {done - loaded:.2f} s)"
            )


def prepare(options: RunOptions, photos: int) -> None:
    """Write the photos, their results and the journal, its lines as long as real ones."""
    options.journal_folder.mkdir(parents=True)
    lines = []
    for number in range(photos):
        key = f"{number % FOLDERS:03}/street-{number:06}.jpg"
        for top in (options.input, options.output):
            if number < FOLDERS:
                (top / key).parent.mkdir(parents=True)
            (top / key).write_bytes(b"x")
        result = PhotoResult(
            key,
            Outcome.BLURRED,
            people=3,
            vehicles=5,
            regions=40,
            projection="full panorama (GPano)",
            way="re-encoded with the source's tables",
            source_sha256="0" * 64,
            output_sha256="1" * 64,
            output_size=1,
            settings_digest="2" * 64,
            model_sha256="3" * 64,
            seconds={"read": 0.1, "detect": 0.9, "hide": 0.2, "write": 0.3},
        )
        lines.append((result, FoundPhoto.from_stat(key, (options.input / key).stat())))
    journal = Journal(options.journal_folder)
    journal.open("bench")
    sync, os.fsync = os.fsync, lambda _: None  # 100,000 of them would only time this disk
    for result, photo in lines:
        journal.append(result, photo, Recipe("run"))
    os.fsync = sync
    journal.close()


if __name__ == "__main__":
    main()
