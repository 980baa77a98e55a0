"""How many photos a second does a batch do: with one worker, with two, with Ray?

Every way does the same photos with the real command, one way after the other, and all of them again in each round, so
that a change of the machine's speed hits all alike. What a run needs to start (the model, the processes) is counted, as
it is when a timer starts it.

    python benchmarks/bench_batch.py                             # 24 photos: the evaluation data, else drawn ones
    python benchmarks/bench_batch.py --photos FOLDER --rounds 3
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pii_blur.arguments import OPTIONS  # noqa: E402
from pii_blur.photo.header import read_header  # noqa: E402

SHARED = Path(os.environ.get("PII_BLUR_SHARED") or ROOT.parent / "shared")

FIRST = "1 worker, 1 thread"
WAYS = {
    FIRST: ["--workers", "1", "--threads", "1"],
    "1 worker, 2 threads": ["--workers", "1", "--threads", "2"],
    "2 workers, 1 thread each": ["--workers", "2", "--threads", "1"],
}
RAY = {"ray": ["--engine", "ray", "--threads", "1"]}


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder to take photos from (default: the evaluation data)")
    parser.add_argument("--count", type=int, default=24, help="how many (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="the median is taken (default: %(default)s)")
    parser.add_argument("--views", default="balanced", help="(default: %(default)s)")
    arguments = parser.parse_args()
    ways = WAYS | (RAY if _has_ray() else {})
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        source.mkdir()
        megapixels = _collect(source, arguments.photos, arguments.count)
        print(f"{arguments.count} photos, {megapixels:.1f} megapixels on average, views {arguments.views}", flush=True)
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(arguments.rounds):
            for way, options in ways.items():
                spent = _run(source, Path(folder, "out"), [*options, "--views", arguments.views])
                seconds[way].append(spent)
                print(f"round {number + 1}: {way}: {spent:.1f} s", file=sys.stderr, flush=True)
    first = statistics.median(seconds[FIRST])
    print(f"\n| way | seconds | photos a second | against {FIRST} |\n|---|---|---|---|")
    for way, values in seconds.items():
        spent = statistics.median(values)
        print(f"| {way} | {spent:.1f} | {arguments.count / spent:.2f} | {first / spent:.2f} |")
    return 0


def _has_ray() -> bool:
    """Whether this version can use Ray, and Ray is there."""
    return "engine" in OPTIONS and importlib.util.find_spec("ray") is not None


def _collect(source: Path, given: Path | None, count: int) -> float:
    """Put `count` photos into `source`; return their mean megapixels."""
    folder = given or SHARED / "eval" / "panos"
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg"))
    if not found and given is None:
        found = [Path(tempfile.gettempdir(), "pii-blur-demo.jpg")]
        subprocess.run([sys.executable, "-m", "contrib.demo", "draw", str(found[0])], cwd=ROOT, check=True)
    if not found:
        raise SystemExit(f"no photos in {folder}")
    pixels = 0
    for number in range(count):
        photo = found[number % len(found)]
        shutil.copyfile(photo, source / f"{number:03}{photo.suffix}")
        pixels += _pixels(photo)
    return pixels / count / 1e6


def _pixels(photo: Path) -> int:
    header = read_header(photo)
    return header.width * header.height if header is not None else 0


def _run(source: Path, output: Path, options: list[str]) -> float:
    """Do all photos anew and return the wall seconds of the whole command."""
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, str(ROOT / "pii-blur.py"), str(source), str(output), "40", "--settle", "0", *options]
    start = time.perf_counter()
    done = subprocess.run([*command, "--json", "--quiet"], capture_output=True, text=True, cwd=ROOT, check=False)
    spent = time.perf_counter() - start
    photos = json.loads(done.stdout)["photos"] if done.stdout else {}
    if done.returncode not in (0, 4) or photos.get("done", 0) + photos.get("nothing_found", 0) == 0:
        raise SystemExit(f"the run ended with {done.returncode}: {done.stderr[-2000:]}")
    if photos["failed"]:
        print(f"{photos['failed']} photos failed and count as done", file=sys.stderr)
    return spent


if __name__ == "__main__":
    sys.exit(main())
