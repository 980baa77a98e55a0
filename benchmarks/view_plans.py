#!/usr/bin/env python3
"""Recall, lost detail and time of each view plan, by the real command line and the independent judge.

    python benchmarks/view_plans.py [--prob 40] [--plans fast,balanced,thorough] [--keep DIR]

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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZES = ("person 12-24 px", "person 24-48 px", "person 48-96 px", "person 96-inf px", "person 24-inf px")


def main() -> int:
    """Run every plan over the panoramas and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prob", default="40")
    parser.add_argument("--plans", default="fast,balanced,thorough")
    parser.add_argument("--keep", type=Path, help="folder for the blurred panoramas; by default they are removed")
    options = parser.parse_args()
    shared = Path(os.environ.get("PII_BLUR_SHARED") or ROOT.parent / "shared")
    if not (shared / "eval" / "panos").is_dir():
        sys.exit(f"no evaluation data in {shared}; set PII_BLUR_SHARED")
    print(
        "| plan | people ≥ 24 px | 12-24 | 24-48 | 48-96 | > 96 | vehicles ≥ 24 px | detail lost elsewhere | s/photo |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for plan in options.plans.split(","):
            print(row(plan, options.prob, shared, (options.keep or Path(scratch)) / plan), flush=True)
    return 0


def row(plan: str, prob: str, shared: Path, output: Path) -> str:
    """Blur all panoramas by one plan, judge them, and return a row of the table."""
    panoramas = shared / "eval" / "panos"
    command = [sys.executable, str(ROOT / "pii-blur.py"), str(panoramas), str(output), prob]
    start = time.perf_counter()
    subprocess.run([*command, "--views", plan, "--force", "--quiet"], check=True)
    seconds = (time.perf_counter() - start) / len(list(panoramas.glob("*.jpg")))
    report = output.parent / f"{plan}.json"
    folders = [str(folder) for folder in (panoramas, output, shared / "eval" / "gt")]
    judge = [sys.executable, str(shared / "tools" / "coverage.py"), *folders]
    subprocess.run([*judge, "--json", str(report)], check=True, stdout=subprocess.DEVNULL)
    judged = json.loads(report.read_text())
    summary, lost = judged["summary"], [entry["over"] for entry in judged["background"]]
    hidden = {name: f"{100 * summary[name]['hidden']:.1f}" for name in (*SIZES, "vehicle 24-inf px")}
    cells = [plan, hidden["person 24-inf px"], *(hidden[name] for name in SIZES[:4]), hidden["vehicle 24-inf px"]]
    return f"| {' | '.join(cells)} | {100 * sum(lost) / len(lost):.2f} | {seconds:.2f} |"


if __name__ == "__main__":
    sys.exit(main())
