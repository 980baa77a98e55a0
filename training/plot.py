"""Draw how a run went: `python -m training.plot LOG PNG [STEP=FIGURES.json ...]`.

Above the losses and the learning rate, from the log of the run; below, where figures of `training.validate` are given,
the average precision of people and vehicles and the share of people hidden at 4 % false area, by step.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot

SMOOTH = 10
"""Rows of the log that are averaged for the thick lines."""


def draw(log: Path, figures: dict[int, dict[str, Any]], file: Path) -> None:
    """Write the chart."""
    with log.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    steps = np.array([int(row["step"]) for row in rows])
    chart, axes = pyplot.subplots(
        2 if figures else 1, 1, figsize=(9, 8 if figures else 4.5), squeeze=False, sharex=True
    )
    losses = axes[0, 0]
    for column, colour, name in (("loss_scores", "tab:blue", "scores"), ("loss_boxes", "tab:orange", "boxes")):
        values = np.array([float(row[column]) for row in rows])
        losses.plot(steps, values, color=colour, alpha=0.25, linewidth=1)
        if len(values) >= SMOOTH:
            smooth = np.convolve(values, np.full(SMOOTH, 1 / SMOOTH), "valid")
            losses.plot(steps[SMOOTH - 1 :], smooth, color=colour, label=f"loss of {name}")
    rate = losses.twinx()
    rate.plot(steps, [float(row["rate"]) for row in rows], color="grey", linestyle=":", label="learning rate (share)")
    rate.set_ylim(0, 1.05)
    rate.set_ylabel("share of the highest rate")
    losses.set_ylabel("loss")
    losses.legend(loc="upper right")
    if figures:
        _measures(axes[1, 0], figures)
    axes[-1, 0].set_xlabel("step")
    chart.tight_layout()
    chart.savefig(file, dpi=110)


def _measures(axes: Any, figures: dict[int, dict[str, Any]]) -> None:
    """Draw precision and recall over the steps."""
    steps = sorted(figures)
    lines = {
        "AP50 person": lambda one: one["ap50"]["person"],
        "AP50 vehicle": lambda one: one["ap50_vehicle"],
        "people hidden at 4 % false area": lambda one: one["hidden"]["4%"]["people"],
        "vehicles hidden at 4 % false area": lambda one: one["hidden"]["4%"]["vehicles"],
    }
    for name, read in lines.items():
        axes.plot(steps, [read(figures[step]) for step in steps], marker="o", label=name)
    axes.set_ylim(0, 1)
    axes.set_ylabel("flat validation pictures")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("png", type=Path)
    parser.add_argument("figures", nargs="*", metavar="STEP=FILE", help="what training.validate printed at a step")
    arguments = parser.parse_args()
    pairs = [figure.partition("=") for figure in arguments.figures]
    figures = {int(step): json.loads(Path(file).read_text(encoding="utf-8")) for step, _, file in pairs}
    draw(arguments.log, figures, arguments.png)


if __name__ == "__main__":
    main()
