"""Put tens of thousands of damaged files through the whole program and print what became of them.

    python benchmarks/fuzz.py --inputs 20000 --seed 1
    python benchmarks/fuzz.py --seed 1 --replay 4711 --keep /tmp/found

The second line runs one input again; with --keep, the files of bugs and of guarded inputs are kept. The seeds are made
on the spot; where the evaluation data lie beside the checkout (or in PII_BLUR_SHARED), its small files are seeds too,
and the inputs are others than without them. Ends with status 1 if a bug was found. "Guarded" inputs are those whose
result the program itself refused at the last look: nothing leaked, but the damaged photo was not done either.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fuzz.inputs import make_input
from tests.fuzz.seeds import make_seeds, read_samples
from tests.fuzz.workers import LIMIT_MIB, LIMIT_S, Report, run_inputs

ROOT = Path(__file__).resolve().parents[1]
SHOWN = 5  # examples of each bug


def gather_seeds() -> dict[str, bytes]:
    """Return the seeds that are made, and the small samples where there are any."""
    samples = Path(os.environ.get("PII_BLUR_SHARED") or ROOT.parent / "shared") / "eval" / "metadata"
    return make_seeds() | (read_samples(samples) if samples.is_dir() else {})


def keep_input(seeds: Mapping[str, bytes], seed: int, report: Report, folder: Path) -> None:
    """Write the file of an input into a folder."""
    item = make_input(seeds, seed, report.number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{seed}-{report.number}{item.suffix}").write_bytes(item.data)


def print_table(reports: list[Report], seconds: float) -> None:
    """Print how many inputs ended how."""
    counts = Counter((report.kind, report.reason) for report in reports)
    print(f"\n{'inputs':>8}  ended")
    for kind in ("blurred", "clean", "refused", "guarded", "bug"):
        total = sum(count for (one, _), count in counts.items() if one == kind)
        print(f"{total:8}  {kind}")
        for (one, reason), count in sorted(counts.items(), key=lambda pair: -pair[1]):
            if one == kind:
                print(f"{count:8}      {reason}")
    slowest, largest = max(reports, key=lambda one: one.seconds), max(reports, key=lambda one: one.peak_mib)
    print(f"{len(reports):8}  in all, in {seconds:.0f} s")
    print(f"slowest: {slowest.seconds:.1f} s (number {slowest.number}: {slowest.recipe}); the limit is {LIMIT_S:g} s")
    print(f"largest: {largest.peak_mib} MiB (number {largest.number}: {largest.recipe}); the limit is {LIMIT_MIB} MiB")
    noisy = [report for report in reports if report.noise]
    if noisy:
        print(f"libraries printed something for {len(noisy)}, e.g. number {noisy[0].number}: {noisy[0].noise[:200]}")
    shown: Counter[str] = Counter()
    for report in reports:
        if report.kind in ("bug", "guarded") and shown[report.reason] < SHOWN:
            shown[report.reason] += 1
            print(f"{report.kind.upper()} number {report.number}: {report.reason}\n    {report.recipe}")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", type=int, nargs="+", help="only these inputs")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--keep", type=Path, help="folder for the files of bugs, and of what is replayed")
    options = parser.parse_args()
    seeds = gather_seeds()
    print(f"{len(seeds)} seeds, {sum('__' in name for name in seeds)} of them samples; seed number {options.seed}")
    numbers = options.replay or range(options.first, options.first + options.inputs)
    started, reports = time.perf_counter(), []
    bar = tqdm(run_inputs(seeds, options.seed, numbers, workers=options.workers), total=len(numbers), smoothing=0.01)
    for report in bar:
        reports.append(report)
        if report.kind == "bug":
            bar.write(f"BUG number {report.number}: {report.reason}")
        if options.keep and (report.kind in ("bug", "guarded") or options.replay):
            keep_input(seeds, options.seed, report, options.keep)
    print_table(sorted(reports, key=lambda one: one.number), time.perf_counter() - started)
    return int(any(report.kind == "bug" for report in reports))


if __name__ == "__main__":
    sys.exit(main())
