#!/usr/bin/env python3
"""Recall, lost detail and time of each view plan, by the real command line and the independent judge.

    python benchmarks/view_plans.py [--prob 40] [--plans fast,balanced,thorough] [--keep DIR]

Several PROB (`--prob 20,40,60`) are searched once, with the lowest, and hidden from its files of detections.
Needs the evaluation data: the folder `shared` beside the checkout, or PII_BLUR_SHARED.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZES = ("person 12-24 px", "person 24-48 px", "person 48-96 px", "person 96-inf px")


HEADER = """\
| plan | PROB | people | 12-24 px | 24-48 | 48-96 | > 96 | vehicles | detail lost elsewhere | s/photo |
|---|---|---|---|---|---|---|---|---|---|"""


def main() -> int:
    """Measure every plan and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prob", default="40", help="one or several, with commas between")
    parser.add_argument("--plans", default="fast,balanced,thorough")
    parser.add_argument("--keep", type=Path, help="folder for the blurred panoramas; by default they are removed")
    options = parser.parse_args()
    shared = Path(os.environ.get("PII_BLUR_SHARED") or ROOT.parent / "shared")
    if not (shared / "eval" / "panos").is_dir():
        sys.exit(f"no evaluation data in {shared}; set PII_BLUR_SHARED")
    print(HEADER)
    with tempfile.TemporaryDirectory() as scratch:
        for plan in options.plans.split(","):
            measure(plan, sorted(options.prob.split(","), key=float), shared, (options.keep or Path(scratch)) / plan)
    return 0


def measure(plan: str, probs: list[str], shared: Path, folder: Path, more: Sequence[str] = ()) -> None:
    """Blur all panoramas by one plan at each PROB, lowest first, judge them, and print a row for each.

    `more` are further arguments of the command line.
    """
    panoramas, found = shared / "eval" / "panos", folder / "detections"
    for number, prob in enumerate(probs):
        output = folder / prob
        side = ["--detections" if number == 0 else "--from-detections", str(found)]
        command = [sys.executable, str(ROOT / "pii-blur.py"), str(panoramas), str(output), prob, *more]
        start = time.perf_counter()
        subprocess.run([*command, "--views", plan, "--force", "--quiet", *side], check=True)
        seconds = (time.perf_counter() - start) / len(list(panoramas.glob("*.jpg")))
        cells = [plan, prob, *judge(shared, output), f"{seconds:.2f}" if number == 0 else ""]
        print(f"| {' | '.join(cells)} |", flush=True)


def judge(shared: Path, output: Path) -> list[str]:
    """Return the judge's figures in per cent: people from 24 px, by size, vehicles, detail lost elsewhere."""
    report = output.parent / f"{output.name}.json"
    folders = [str(folder) for folder in (shared / "eval" / "panos", output, shared / "eval" / "gt")]
    program = [sys.executable, str(shared / "tools" / "coverage.py"), *folders, "--json", str(report)]
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
    judged = json.loads(report.read_text())
    hidden = {name: f"{100 * entry['hidden']:.1f}" for name, entry in judged["summary"].items() if entry["n"]}
    lost = [entry["over"] for entry in judged["background"]]
    people = [hidden["person 24-inf px"], *(hidden[name] for name in SIZES)]
    return [*people, hidden["vehicle 24-inf px"], f"{100 * sum(lost) / len(lost):.2f}"]


if __name__ == "__main__":
    sys.exit(main())
