"""What a finished photo says of itself: what was looked for in it, and hidden wherever it was found. Knows no files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pii_blur.sphere.views import PLANS

_SCORE = re.compile(r"([a-z]+) (\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Claim:
    """A search of which nothing found was left to be seen.

    Attributes:
        scores: classes by their words, each with the least score in per cent that was hidden.
        views: the view plan, a key of `PLANS`.
    """

    scores: tuple[tuple[str, float], ...]
    views: str

    @classmethod
    def of(cls, thresholds: Iterable[tuple[str, float]], views: str) -> Claim:
        """Return the claim of a search.

        Args:
            thresholds: classes by their words, each with its least score, 0 to 1.
            views: the view plan.
        """
        return cls(tuple((word, float(f"{100 * score:g}")) for word, score in thresholds), views)

    @classmethod
    def from_text(cls, text: str) -> Claim | None:
        """Return the claim that `text` gives; None if it gives none that can be understood."""
        scores, found, views = text.partition("; views ")
        parts = [_SCORE.fullmatch(part) for part in scores.split(", ")]
        if not found or views not in PLANS or None in parts:
            return None
        return cls(tuple((part[1], float(part[2])) for part in parts if part is not None), views)

    def __str__(self) -> str:
        """Return it as words that hold no position, e.g. ``person 40, car 40; views balanced``."""
        return f"{', '.join(f'{word} {score:g}' for word, score in self.scores)}; views {self.views}"

    def covers(self, wanted: Claim) -> bool:
        """Return whether nothing that `wanted` looks for was left out: no class, no score, no view."""
        own, plans = dict(self.scores), list(PLANS)
        is_close = plans.index(self.views) >= plans.index(wanted.views)
        return is_close and all(word in own and own[word] <= score for word, score in wanted.scores)
