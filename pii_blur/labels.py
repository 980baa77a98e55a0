"""The things that can be hidden. Knows nothing of models or pictures."""

from __future__ import annotations

import enum


class Label(enum.IntEnum):
    """What a box holds. The numbers are the project's own and stand in `Detections.labels`."""

    PERSON = 0
    CAR = 1
    TRUCK = 2
    BUS = 3
    MOTORCYCLE = 4

    @property
    def word(self) -> str:
        """The name used on the command line and in every file, e.g. ``person``."""
        return self.name.lower()

    @property
    def is_vehicle(self) -> bool:
        """Whether it counts among the vehicles in summaries."""
        return self is not Label.PERSON

    @classmethod
    def from_word(cls, word: str) -> Label:
        """Return the label called `word` (any case).

        Raises:
            ValueError: no such label; the message lists the ones there are.
        """
        try:
            return cls[word.strip().upper()]
        except KeyError:
            known = ", ".join(label.word for label in cls)
            raise ValueError(f"'{word}' is not a class; choose from {known}") from None


DEFAULT_LABELS = (Label.PERSON, Label.CAR, Label.TRUCK, Label.BUS)
