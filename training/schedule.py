"""The learning rate: up, level, and straight down to zero at the end, which may be set by the clock."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """Says how fast to learn."""

    def factor(self, step: int) -> float | None:
        """Return the share of the highest rate for this step, from 0 to 1; None when the run is over."""


def trapezium(step: int, warm_up: int, progress: float, cooldown: float) -> float | None:
    """Return the rate's share: up over `warm_up` steps, down over the last share `cooldown` of the run."""
    if progress >= 1:
        return None
    return min((step + 1) / warm_up, 1.0, (1 - progress) / cooldown)


@dataclass(frozen=True)
class Steps:
    """A run of a number of steps."""

    steps: int
    warm_up: int
    cooldown: float

    def factor(self, step: int) -> float | None:
        """See `Schedule`."""
        return trapezium(step, self.warm_up, step / self.steps, self.cooldown)


@dataclass(frozen=True)
class Clock:
    """A run that ends at a time of day, however many steps that allows; for machines shared with others."""

    began: float
    """Seconds since 1970, like `ends`."""
    ends: float
    warm_up: int
    cooldown: float

    def factor(self, step: int) -> float | None:
        """See `Schedule`."""
        progress = (time.time() - self.began) / (self.ends - self.began)
        return trapezium(step, self.warm_up, progress, self.cooldown)


def minutes_until(clock: str) -> float:
    """Return the minutes from now to the next `HH:MM`, local time.

    Raises:
        ValueError: this is no time of day.
    """
    now = datetime.datetime.now().astimezone()
    then = datetime.datetime.combine(now.date(), datetime.time.fromisoformat(clock), now.tzinfo)
    return ((then - now).total_seconds() % 86400) / 60
