"""Everything that decides which pixels of a photo change, in one frozen object. Only levels 3 and above import it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pii_blur.certainty import asked, least_asked
from pii_blur.claim import Claim
from pii_blur.labels import DEFAULT_LABELS, Label
from pii_blur.obfuscate.obfuscator import METHODS, Strength
from pii_blur.sphere.views import PLANS
from pii_blur.zones import Zone

DEFAULT_MODEL = "street-retinanet"

# Raised whenever the same settings hide or clean in another way, so that photos done before are done again.
RECIPE = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """How photos are searched and hidden.

    Attributes:
        min_score: least calibrated score, 0 to 1, at which a box is hidden whatever its size; small ones are at less
            (`pii_blur.certainty`). PROB / 100 of the command line. Lower finds and hides more.
        thresholds: per-class scores that replace `min_score`, as (label, score) pairs.
        labels: the classes that are hidden.
        model: name of a folder in `models/`, or a path to one.
        views: view plan, ``fast``, ``balanced`` or ``thorough``.
        second_look: whether what was found is looked at once more, each in a view of its own.
        grow: factor by which each box is enlarged about its centre, 1 to 3.
        method: ``gaussian``, ``pixelate`` or ``solid``.
        strength: how strongly; see `Strength`.
        zones: directions that are always or never hidden.

    Raises:
        ValueError: a value out of range, with the range in the message.
    """

    min_score: float = 0.40
    thresholds: tuple[tuple[Label, float], ...] = ()
    labels: tuple[Label, ...] = DEFAULT_LABELS
    model: str | Path = DEFAULT_MODEL
    views: str = "balanced"
    second_look: bool = True
    grow: float = 1.15
    method: str = "gaussian"
    strength: Strength = field(default_factory=Strength)
    zones: tuple[Zone, ...] = ()

    def __post_init__(self) -> None:
        for score in (self.min_score, *(score for _, score in self.thresholds)):
            if not 0.01 <= score <= 1:
                raise ValueError(f"a score threshold lies between 0.01 and 1 (1 and 100 per cent), not {score:g}")
        if not self.labels:
            raise ValueError("at least one class must be hidden")
        if self.views not in PLANS:
            raise ValueError(f"views is one of {', '.join(PLANS)}, not '{self.views}'")
        if not 1 <= self.grow <= 3:
            raise ValueError(f"grow lies between 1 and 3, not {self.grow:g}")
        if self.method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}, not '{self.method}'")

    def threshold(self, label: Label) -> float:
        """Return the least calibrated score at which every box of `label` is hidden; small ones are at less."""
        return dict(self.thresholds).get(label, self.min_score)

    def least_score(self, label: Label) -> float:
        """Return the least calibrated score at which any box of `label` is hidden."""
        return least_asked(self.threshold(label))

    def hides(self, label: Label, score: float, share: float) -> bool:
        """Return whether a detector's box is hidden.

        Args:
            label: what it holds.
            score: calibrated, 0 to 1.
            share: how much of the picture it covers, 0 to 1.
        """
        return label in self.labels and score >= float(asked(self.threshold(label), share))

    def claim(self) -> Claim:
        """Return what these settings look for."""
        scores = ((label.word, self.threshold(label)) for label in self.labels)
        return Claim.of(scores, self.views, self.grow, second_look=self.second_look)

    def vouched(self) -> Claim | None:
        """Return what a photo says of itself after a search with them: nothing, if not all that was found is hidden."""
        # PRIVACY: somebody may be seen in a zone that is kept, or known in spite of a weak blur; --trust-mark would
        # never look there again.
        is_kept = any(zone.action == "keep" for zone in self.zones)
        return self.claim() if self.strength.erases and not is_kept else None

    def digest(self) -> str:
        """Return a SHA-256 (hex) that changes whenever other pixels would be hidden, or in another way."""
        values = asdict(self)
        values["recipe"] = RECIPE
        values["thresholds"] = sorted((label.word, score) for label, score in self.thresholds)
        values["labels"] = sorted(label.word for label in self.labels)
        values["views"] = [asdict(ring) for ring in PLANS[self.views]]  # a plan may change from version to version
        values["model"] = str(self.model)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
