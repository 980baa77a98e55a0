"""How strongly things are hidden, and the table of methods. A method turns a patch of the scene into what is shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pii_blur.obfuscate.methods import black, gaussian, pixelate, solid

# How many standard deviations of the blur span the longest side of a box. It decides how soft the picture is, not what
# is hidden: from strength 1 on, nothing hidden has a part in the blur. A blur of the thing itself does not hide enough,
# even one that passes, as this, but 0.7 per cent of the contrast at 4 cycles per object: see benchmarks/attack_blur.py.
CELLS = 8.0

# PRIVACY: no blur is narrower than this many picture pixels, however small the object: sensor pixels and JPEG hide
# little by themselves.
LEAST_SIGMA_PX = 2.5

Patch = NDArray[np.uint8]
Method = Callable[[Patch], Patch]

# A method gets a patch that is sampled CELL_PX times per cell, and returns one of the same size.
METHODS: dict[str, Method] = {"gaussian": gaussian, "pixelate": pixelate, "solid": solid, "black": black}


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly to hide.

    Attributes:
        factor: at 1 and above nothing of what is hidden remains, and more is softer. Below 1 it is what is blurred, and
            about `CELLS` / factor cells of it can be told apart across its longest side.
        kernel: understand.ai's ``K,SIGMA,BOX``: kernel size in pixels (odd), where its bell curve is cut, and the size
            of the kernel that softens the edge. Replaces `factor`. It does not grow with the object.
        allow_weak: permit what leaves more than the default does.

    Raises:
        ValueError: a value out of range, or weaker than the default without `allow_weak`.
    """

    factor: float = 1.0
    kernel: tuple[int, float, int] | None = None
    allow_weak: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and 0.05 <= self.factor <= 8):
            raise ValueError(f"strength lies between 0.05 and 8, not {self.factor:g}")
        if self.factor < 1 and not self.allow_weak:
            raise ValueError(
                f"strength {self.factor:g} is weaker than the default 1: it leaves people's own colours, by which they "
                "can be recognised; add --allow-weak if you take the responsibility"
            )
        if self.kernel is None:
            return
        size, cut, box = self.kernel
        if size < 1 or size % 2 == 0 or size > 999 or not (math.isfinite(cut) and 0.1 <= cut <= 10):
            raise ValueError("an obfuscation kernel is K,SIGMA,BOX with odd K from 1 to 999 and SIGMA from 0.1 to 10")
        if box < 1 or box % 2 == 0 or box > 999:
            raise ValueError("an obfuscation kernel is K,SIGMA,BOX with odd BOX from 1 to 999")
        if not self.allow_weak:
            raise ValueError(
                f"the kernel {size},{cut:g},{box} blurs by {self.kernel_sigma_px():.1f} pixels whatever the size of "
                "the object, so that near people stay recognisable; leave it out, or add --allow-weak if you take the "
                "responsibility"
            )

    def kernel_sigma_px(self) -> float:
        """Return the standard deviation in pixels of the kernel's weights.

        understand.ai samples the normal density at `size` points between -+(cut + half a step) standard deviations
        and takes square roots of the outer product, which widens the bell by sqrt(2) before it is cut.
        """
        assert self.kernel is not None
        size, cut, _ = self.kernel
        at = np.arange(size) - (size - 1) / 2.0
        per_px = (2 * cut + (2 * cut + 1) / size) / size  # standard deviations per pixel
        weights = np.exp(-((at * per_px) ** 2) / 4.0)
        return float(np.sqrt((weights * at**2).sum() / weights.sum()))

    def sigma(self, longest_side: float, pixels_per_degree: float) -> float:
        """Return the blur's standard deviation in degrees for an object of `longest_side` degrees."""
        if self.kernel is not None:
            return max(self.kernel_sigma_px(), 0.3) / pixels_per_degree
        return max(self.factor * longest_side / CELLS, LEAST_SIGMA_PX / pixels_per_degree)

    def feather(self, sigma: float, pixels_per_degree: float) -> float:
        """Return how many degrees beyond the box the hiding fades out."""
        if self.kernel is not None:
            return self.kernel[2] / 2.0 / pixels_per_degree
        return min(max(0.35 * sigma, 2.0 / pixels_per_degree), 2.0)

    @property
    def erases(self) -> bool:
        """Whether what is hidden is taken out of the scene before it is blurred; a weak blur is made of it."""
        return self.factor >= 1 and self.kernel is None
