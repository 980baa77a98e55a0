"""What does it cost to have a photo done over HTTP instead of by the command line?

    python benchmarks/bench_service.py PHOTO [--rounds 10] [--threads N] [--views PLAN]

Both in turns within one run, on the same machine with the same model and as many threads: `blur_photo` on files as the
command line calls it, its model and exiftool being open, and a request to `pii-blur serve` (/blur/, then /v1/photos) on
loop-back. Prints median and 95th percentile of each, and the overhead: the median of the differences, round by round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.load_service import wait_until_ready
from pii_blur.pipeline import blur_photo, open_tools
from pii_blur.settings import Settings


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the search, on both sides")
    parser.add_argument("--views", default="balanced", help="view plan (default: %(default)s)")
    arguments = parser.parse_args()
    threads, settings = arguments.threads, Settings(views=arguments.views)
    photo = arguments.photo.read_bytes()
    times: dict[str, list[float]] = {"command line": [], "/blur/": [], "/v1/photos": []}
    with tempfile.TemporaryDirectory() as folder, open_tools(settings, threads=threads) as tools:
        log, target = Path(folder) / "log", Path(folder) / "out.jpg"
        words = ["serve", "--port", "0", "--workers", "1", "--threads", str(threads), "--views", arguments.views]
        with log.open("wb") as file:
            service = subprocess.Popen([sys.executable, "-m", "pii_blur", *words], stderr=file)
        try:
            address = wait_until_ready(service, log)
            for number in range(arguments.rounds + 1):
                spent = {
                    "command line": timed(lambda: blur_photo(arguments.photo, target, settings, tools)),
                    "/blur/": timed(lambda: post(f"{address}/blur/", "picture", photo)),
                    "/v1/photos": timed(lambda: post(f"{address}/v1/photos", "photo", photo)),
                }
                if number:  # the first one warms up
                    for name, seconds in spent.items():
                        times[name].append(seconds)
            assert post(f"{address}/v1/photos", "photo", photo) == target.read_bytes()
        finally:
            service.terminate()
            service.wait(60)
    own = times["command line"]
    print(f"load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds, {len(photo) / 1e6:.1f} MB")
    for name, seconds in times.items():
        ordered = sorted(seconds)
        more = statistics.median((one - base) / base for one, base in zip(seconds, own, strict=True))
        print(f"{name:<13} p50 {statistics.median(ordered):6.3f} s", end="  ")
        print(f"p95 {ordered[int(0.95 * (len(ordered) - 1) + 0.5)]:6.3f} s  overhead {100 * more:5.1f} %")
    return 0


def timed(work: object) -> float:
    """Return how many seconds a call takes."""
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


def post(url: str, field: str, photo: bytes) -> bytes:
    """Have a photo done over HTTP."""
    answer = requests.post(url, files={field: ("picture.jpg", photo, "image/jpeg")}, timeout=300)
    answer.raise_for_status()
    return answer.content


if __name__ == "__main__":
    sys.exit(main())
