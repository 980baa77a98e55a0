"""The techniques by name: BMW's three, and those that other packages plug in. Knows no models and no photos.

A technique of another package is a function of a patch of the scene and a degree:

    def stripes(patch: NDArray[np.uint8], degree: float) -> NDArray[np.uint8]: ...

under an entry point of the group ``pii_blur.techniques``; docs/service-bmw.md shows one. It is given the scene round
the box after everything hidden was taken out of it, so that whatever it does, nothing of that can show in the result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import MissingDependency, PhotoFailure
from pii_blur.obfuscate.obfuscator import CELLS, Method, Strength

GROUP = "pii_blur.techniques"

Patch = NDArray[np.uint8]
Function = Callable[[Patch, float], Patch]

# A degree of blurring from which on nothing hidden has a part in what is shown: half of it is `Strength`'s 1.
_BLUR_PER_DEGREE = 2.0
_LEAST_FACTOR, _MOST_FACTOR = 0.05, 8.0
# A technique from elsewhere gets 128 samples along the longest side: enough for a drawing. That nothing hidden is in
# them was seen to before.
_FINE = Strength(CELLS / 32, allow_weak=True)

_SAID = 200  # letters of another package's error: what it holds, nobody knows

WEAK_BLACK = (
    "blackening with a degree under 1 is see-through: what it covers can be seen again; use 1, or have the operator "
    "permit weak hiding"
)


@dataclass(frozen=True, slots=True)
class Technique:
    """A way of hiding.

    Attributes:
        name: lower case, as in a configuration.
        function: None for the three of this package.
        classes: what it may be used on; None for everything.
    """

    name: str
    function: Function | None = None
    classes: tuple[str, ...] | None = None

    def suits(self, class_name: str) -> bool:
        """Return whether it may be used on a class."""
        return self.classes is None or class_name in self.classes


@dataclass(frozen=True, slots=True)
class Look:
    """How one entry of a configuration hides.

    Attributes:
        method: a key of `METHODS`, or a function.
        strength: how strongly; a weak one, which the operator permitted, is a blur of the hidden things themselves.
        is_raised: whether a weaker degree was asked for.
        opacity: below 1 what is hidden shines through; only where the operator permitted it.
    """

    method: str | Method
    strength: Strength
    is_raised: bool = False
    opacity: float = 1.0

    @property
    def is_weak(self) -> bool:
        """Whether something of what is hidden has a part in what is shown."""
        return self.opacity < 1 or (isinstance(self.method, str) and not self.strength.erases)


OWN = tuple(Technique(name) for name in ("blackening", "pixelating", "blurring"))


def look_of(technique: Technique, degree: float, *, allow_weak: bool = False) -> Look:
    """Return how a technique hides with a degree.

    A degree at which people could be recognised, or computed back, is raised to the least at which they cannot;
    blackening is refused instead: who asks for see-through black may not expect a result without what he wants to see.

    Args:
        technique: which.
        degree: 0 to 1.
        allow_weak: whether the operator permits less.

    Raises:
        ValueError: this degree of blackening.
    """
    match technique.name:
        case _ if technique.function is not None:
            return Look(_checked(technique.name, technique.function, degree), _FINE)
        case "blurring":
            return _scaled("gaussian", _BLUR_PER_DEGREE * degree, allow_weak)
        case "pixelating":
            # 1 / degree cells to a side, as BMW has it; one cell at 1, never a division.
            return _scaled("pixelate", CELLS * degree, allow_weak)
        case _:
            if degree == 1:
                return Look("black", Strength())
            if not allow_weak or degree == 0:
                raise ValueError(WEAK_BLACK if degree else "blackening with degree 0 hides nothing")
            return Look("black", Strength(), opacity=degree)


@functools.cache
def load_techniques() -> Mapping[str, Technique]:
    """Return all techniques by name; what is installed does not change while a process runs.

    Raises:
        MissingDependency: one of another package cannot be used: it does not import, is no function of patch and
            degree, or has the name of another.
    """
    techniques = {technique.name: technique for technique in OWN}
    for entry in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        technique = _load(entry)
        if technique.name in techniques:
            raise _broken(entry, "there is a technique of that name already")
        techniques[technique.name] = technique
    return MappingProxyType(techniques)


def names_for(techniques: Mapping[str, Technique], class_name: str) -> list[str]:
    """Return the names of the techniques that may be used on a class."""
    return [technique.name for technique in techniques.values() if technique.suits(class_name)]


def _scaled(method: str, factor: float, allow_weak: bool) -> Look:
    if factor >= 1:
        return Look(method, Strength(min(factor, _MOST_FACTOR)))
    if not allow_weak:
        return Look(method, Strength(), is_raised=True)
    return Look(method, Strength(max(factor, _LEAST_FACTOR), allow_weak=True))


def _load(entry: EntryPoint) -> Technique:
    if entry.name != entry.name.casefold() or not entry.name.isprintable() or not entry.name.strip():
        raise _broken(entry, "its name must be in lower case")
    try:
        function: Any = entry.load()
    except Exception as error:  # whatever another package does when it is imported
        raise _broken(entry, f"{type(error).__name__}: {error}") from error
    if not callable(function):
        raise _broken(entry, "it is no function")
    classes = getattr(function, "classes", None)
    if classes is not None:
        if isinstance(classes, str) or not all(isinstance(one, str) for one in classes):
            raise _broken(entry, "its 'classes' must be names of classes")
        classes = tuple(classes)
    # A first try with a patch that is a picture in every direction.
    patch = np.add.outer(np.arange(48), np.arange(40))[..., None] + np.array([0, 60, 120])
    for degree in (0.0, 0.5, 1.0):
        try:
            _checked(entry.name, function, degree)(patch.astype(np.uint8))
        except PhotoFailure as failure:
            raise _broken(entry, failure.message) from failure
    return Technique(entry.name, function, classes)


def _checked(name: str, function: Function, degree: float) -> Method:
    """Return a technique as a method whose results are looked at before they are used."""

    def make(patch: Patch) -> Patch:
        try:
            result = function(patch.copy(), degree)
        except Exception as error:  # whatever another package does
            message = (
                f"the technique {name} failed with degree {degree:g}: {type(error).__name__}: {str(error)[:_SAID]}"
            )
            raise PhotoFailure(message, "technique") from error
        if not isinstance(result, np.ndarray) or result.shape != patch.shape or result.dtype != np.uint8:
            what = f"{result.dtype} {result.shape}" if isinstance(result, np.ndarray) else type(result).__name__
            raise PhotoFailure(f"the technique {name} gave {what} for a patch uint8 {patch.shape}", "technique")
        return result

    return make


def _broken(entry: EntryPoint, why: str) -> MissingDependency:
    of = f" of the package {entry.dist.name}" if entry.dist is not None else ""
    return MissingDependency(
        f"the technique {entry.name}{of} ({entry.value}) cannot be used: {why}; mend or uninstall that package"
    )
