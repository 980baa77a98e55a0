#!/usr/bin/env python3
"""What the second look costs, as a share of the first: the same photos searched with and without it, in turns.

    python benchmarks/bench_second_look.py ../shared/eval/panos/*milan.jpg ../shared/eval/panos/*jfk.jpg [--rounds 3]

Processor time of this process, all threads; wall time besides, which other work on the machine stretches.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pii_blur import Photo, Settings, find_regions, read_photo
from pii_blur.detect.detector import Detector, load_detector
from pii_blur.settings import DEFAULT_MODEL
from pii_blur.sphere.views import PLANS


def main() -> None:
    """Measure and print a row for each photo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prob", type=float, default=40.0)
    parser.add_argument("--views", choices=PLANS, default="balanced")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    options = parser.parse_args()
    threads = os.cpu_count() or 1
    detector = load_detector(options.model, threads=threads)
    print(
        "| photo | boxes, one look | boxes, two looks | processor s | processor s | **more** | wall s | wall s | more |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for path in options.photos:
        photo = read_photo(path)
        cells, costs = [path.stem[-20:]], []
        looks = [
            Settings(min_score=options.prob / 100, views=options.views, second_look=second) for second in (False, True)
        ]
        counts = [len(find_regions(photo, detector, settings, threads=threads)) for settings in looks]  # and warm up
        for _ in range(options.rounds):
            costs.append([cost(photo, detector, settings, threads) for settings in looks])
        cells += [str(count) for count in counts]
        for kind in (0, 1):
            one, two = (statistics.median(rounds[look][kind] for rounds in costs) for look in (0, 1))
            cells += [f"{one:.2f}", f"{two:.2f}", f"{100 * (two / one - 1):.0f} %"]
        print(f"| {' | '.join(cells)} |", flush=True)


def cost(photo: Photo, detector: Detector, settings: Settings, threads: int) -> tuple[float, float]:
    """Return processor and wall time of one search in seconds."""
    processor, wall = time.process_time(), time.perf_counter()
    find_regions(photo, detector, settings, threads=threads)
    return time.process_time() - processor, time.perf_counter() - wall


if __name__ == "__main__":
    main()
