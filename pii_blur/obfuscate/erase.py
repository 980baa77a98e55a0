"""Takes everything hidden out of a patch of the scene before it is blurred, and closes the gap from around it.

A blur of the thing itself keeps something of it, and whoever can compare finds it again. What was never in the blur
cannot be found in it by anyone: every colour comes from pixels that the published photo shows anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.sphere.axes import Floats
from pii_blur.sphere.quad import SphereQuad

Patch = NDArray[np.uint8]
Colours = NDArray[np.float32]
Flags = NDArray[np.bool_]

# What fills a gap round which nothing is shown.
NEUTRAL = 128.0


@dataclass(frozen=True, slots=True)
class HiddenArea:
    """Everything that is hidden in one picture.

    Attributes:
        normals: (k, 4, 3) inward normals of the edges of each quadrilateral.
        centres: (k, 3) unit vectors.
        radii: (k,) angle in radians from each centre to the furthest corner.
    """

    normals: Floats
    centres: Floats
    radii: Floats

    @classmethod
    def of(cls, quads: Sequence[SphereQuad]) -> HiddenArea:
        """Return the union of `quads`."""
        normals = np.array([quad.edge_normals for quad in quads]).reshape(-1, 4, 3)
        centres = np.array([quad.centre for quad in quads]).reshape(-1, 3)
        furthest = np.array([float((quad.corners @ quad.centre).min()) for quad in quads])
        return cls(normals, centres, np.arccos(np.clip(furthest, -1, 1)))

    def near(self, directions: Floats, reach: float) -> Flags:
        """Return for (n, m, 3) unit directions whether they lie inside, or within `reach` radians of it."""
        middle = directions[directions.shape[0] // 2, directions.shape[1] // 2]
        spread = float(np.arccos(np.clip((directions @ middle).min(), -1, 1)))
        # Within `reach` of every edge lies also what is further than that from a sharp corner: let it be near, too.
        is_close = np.arccos(np.clip(self.centres @ middle, -1, 1)) <= self.radii + spread + 4 * reach
        outside, depth = directions.reshape(-1, 3), -np.sin(min(reach, np.pi / 2))
        open_places = np.arange(len(outside))
        for normals in self.normals[is_close]:
            is_open = (outside @ normals.T).min(axis=-1) < depth
            outside, open_places = outside[is_open], open_places[is_open]
        inside = np.ones(directions.shape[:2], dtype=bool)
        inside.flat[open_places] = False
        return inside


def erase(patch: Patch, gap: Flags) -> Patch:
    """Return uint8 (n, m, 3) with all where `gap` (n, m) is set replaced by a smooth transition from around it.

    Shrinks what is known until no gap is left, and fills every size's gaps from the next smaller one ("pull-push":
    Gortler et al., The Lumigraph, SIGGRAPH 1996).
    """
    if not gap.any():
        return patch
    known = (~gap).astype(np.float32)
    filled = _closed(patch.astype(np.float32) * known[..., None], known)
    return np.where(gap[..., None], np.rint(filled), patch).astype(np.uint8)


def _closed(colours: Colours, known: Colours) -> Colours:
    """Return (n, m, 3) without gaps, from colours (n, m, 3) that are weighted by `known` (n, m), 0 to 1."""
    height, width = known.shape
    if max(height, width) == 1:
        return colours + (1 - known[..., None]) * NEUTRAL if not known.any() else colours / known[..., None]
    size = (width + 1) // 2, (height + 1) // 2
    smaller = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (colours, known)]
    coarse = _closed(*(np.asarray(plane, dtype=np.float32) for plane in smaller))
    enlarged = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return colours + (1 - known[..., None]) * np.asarray(enlarged, dtype=np.float32)
