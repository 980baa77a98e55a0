"""What is shown instead of a patch of the scene. Patches are small: sampled a few times per cell that may remain."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Patch = NDArray[np.uint8]

# A cell is as large as the detail that may remain: the blur's sigma, or one of the squares. Patches are sampled this
# many times per cell, so that the method, not the grid, decides what is left.
CELL_PX = 4

SOLID_GREY = 128


def gaussian(patch: Patch) -> Patch:
    """Blur uint8 (n, m, 3) by a Gaussian of one cell, the kernel wide enough that nothing of it is cut off."""
    width = 2 * 4 * CELL_PX + 1  # four standard deviations to each side
    return np.asarray(cv2.GaussianBlur(patch, (width, width), CELL_PX, borderType=cv2.BORDER_REPLICATE), dtype=np.uint8)


def pixelate(patch: Patch) -> Patch:
    """Replace each cell by its mean colour."""
    height, width = patch.shape[:2]
    cells = cv2.resize(patch, (max(width // CELL_PX, 1), max(height // CELL_PX, 1)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def solid(patch: Patch) -> Patch:
    """Return a patch of plain grey that keeps nothing of the scene."""
    return np.full_like(patch, SOLID_GREY)


def black(patch: Patch) -> Patch:
    """Return a patch of black that keeps nothing of the scene."""
    return np.zeros_like(patch)
