"""What a finished photo says of itself: what was looked for in it, and hidden wherever it was found. Knows no files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pii_blur.sphere.views import PLANS

_SCORE = re.compile(r"([a-z]+) (\d+(?:\.\d+)?)")
_CLAIM = re.compile(r"([^;]+); views ([a-z]+); grow (\d+(?:\.\d+)?); looks ([12])")


@dataclass(frozen=True, slots=True)
class Claim:
    """A search of which nothing found was left to be seen.

    Attributes:
        scores: classes by their words, each with the least score in per cent that was hidden.
        views: the view plan, a key of `PLANS`.
        grow: factor by which each box was enlarged.
        looks: 2 if what was found was looked at once more, else 1.
    """

    scores: tuple[tuple[str, float], ...]
    views: str
    grow: float
    looks: int

    @classmethod
    def of(cls, thresholds: Iterable[tuple[str, float]], views: str, grow: float, *, second_look: bool) -> Claim:
        """Return the claim of a search.

        Args:
            thresholds: classes by their words, each with its least score, 0 to 1.
            views: the view plan.
            grow: factor of the boxes.
            second_look: whether what was found was looked at once more.
        """
        scores = tuple((word, float(f"{100 * score:g}")) for word, score in thresholds)
        return cls(scores, views, float(f"{grow:g}"), 1 + second_look)

    @classmethod
    def from_text(cls, text: str) -> Claim | None:
        """Return the claim that `text` gives; None if it gives none that can be understood."""
        found = _CLAIM.fullmatch(text)
        parts = [_SCORE.fullmatch(part) for part in found[1].split(", ")] if found else [None]
        if found is None or found[2] not in PLANS or None in parts:
            return None
        scores = tuple((part[1], float(part[2])) for part in parts if part is not None)
        return cls(scores, found[2], float(found[3]), int(found[4]))

    def __str__(self) -> str:
        """Return it as words that hold no position, e.g. ``person 40, car 40; views balanced; grow 1.15; looks 2``."""
        scores = ", ".join(f"{word} {score:g}" for word, score in self.scores)
        return f"{scores}; views {self.views}; grow {self.grow:g}; looks {self.looks}"

    def covers(self, wanted: Claim) -> bool:
        """Return whether nothing that `wanted` looks for was left out: no class, no score, no view, no margin.

        A second look hides some things that one look leaves, and leaves others: neither covers the other.
        """
        own, plans = dict(self.scores), list(PLANS)
        is_close = plans.index(self.views) >= plans.index(wanted.views)
        is_hidden = self.grow >= wanted.grow and self.looks == wanted.looks
        return is_close and is_hidden and all(word in own and own[word] <= score for word, score in wanted.scores)
