"""What a request wants hidden, in a form that goes to a worker process. Knows no configuration files and no HTTP."""

from __future__ import annotations

from dataclasses import dataclass

# Stands for this program itself wherever the API has the address of an inference server.
BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that finds things.

    Attributes:
        address: of its inference server, or `BUILT_IN`.
        name: there.
        classes: what it finds; in a mask the number of each is its place.
        is_segmentation: whether it makes masks.
        palette: colours of the classes in its masks, for those that are not in numbers.
    """

    address: str
    name: str
    classes: tuple[str, ...]
    is_segmentation: bool = False
    palette: tuple[tuple[int, int, int], ...] = ()

    @property
    def kind(self) -> str:
        """``segmentation`` or ``detection``."""
        return "segmentation" if self.is_segmentation else "detection"


@dataclass(frozen=True, slots=True)
class Wish:
    """One entry of a configuration, checked: everything in it is there.

    Attributes:
        model: what finds it.
        class_name: one of the model's.
        technique: name of one.
        degree: of the technique, 0 to 1.
    """

    model: Model
    class_name: str
    technique: str
    degree: float

    @property
    def target(self) -> tuple[str, str, str]:
        """What is hidden, whatever the technique."""
        return self.model.address, self.model.name, self.class_name
