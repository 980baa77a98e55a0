"""What a run of the training consists of, how it is stored, and its log."""

from __future__ import annotations

import copy
import csv
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from training.anchors import anchor_grid
from training.network import Network

LOG_EVERY = 20
"""Steps that share a row of the log."""


class Averaged:
    """The exponential mean of a network's weights over the steps: better than the weights of any one step."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after a step."""
        for mean, now in zip(self.network.parameters(), network.parameters(), strict=True):
            if now.requires_grad:
                mean.lerp_(now, 1 - self._decay)


@dataclass
class Run:
    """A network that learns."""

    network: Network
    optimizer: torch.optim.Optimizer
    average: Averaged
    device: torch.device
    step: int = 0
    base_rates: list[float] = field(default_factory=list)
    _anchors: dict[int, tuple[Tensor, Tensor, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]

    def anchors(self, side: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return centres, strides and levels of the anchors of a square crop."""
        if side not in self._anchors:
            centres, strides, levels = (torch.from_numpy(part).to(self.device) for part in anchor_grid(side, side))
            self._anchors[side] = (centres, strides, levels)
        return self._anchors[side]


def save_state(run: Run, file: Path, began: float) -> None:
    """Write everything the run needs to go on; the old state stays until the new one is complete.

    Batches are made from the seed and the number of the step alone, so no random state belongs to it.
    """
    state = {
        "step": run.step,
        "began": began,
        "network": run.network.state_dict(),
        "average": run.average.network.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }
    part = file.with_suffix(".part")
    torch.save(state, part)
    part.replace(file)


def load_state(run: Run, file: Path) -> float:
    """Bring the run to where it was saved; return when it began, in seconds since 1970."""
    state = torch.load(file, map_location=run.device, weights_only=True)
    run.network.load_state_dict(state["network"])
    run.average.network.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.step = state["step"]
    return float(state["began"])


class Log:
    """Means of the losses as CSV: step, seconds since 1970, rate, scores, boxes, gradient, crops per second."""

    COLUMNS = ("step", "time", "rate", "loss_scores", "loss_boxes", "gradient", "crops_per_second")

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: list[tuple[float, float, float]] = []
        self._last = (0, 0.0, 0.0)
        if not file.exists():
            self._write(self.COLUMNS)

    def add(self, step: int, rate: float, losses: tuple[float, float, float], speed: float) -> None:
        """Take in one step."""
        self._rows.append(losses)
        self._last = (step, rate, speed)
        if step % LOG_EVERY == 0:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        if self._rows:
            step, rate, speed = self._last
            means = [sum(column) / len(self._rows) for column in zip(*self._rows, strict=True)]
            row = [f"{value:.4f}" for value in (rate, *means)] + [f"{speed:.2f}"]
            self._write((str(step), f"{time.time():.0f}", *row))
            self._rows.clear()

    def _write(self, row: tuple[str, ...]) -> None:
        with self._file.open("a", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerow(row)
