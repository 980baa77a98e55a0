"""Masks of views as masks of the photo: exact across the seam and over the poles. Knows no models."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pii_blur.http.bmw.pictures import Part
from pii_blur.sphere.extent import Extent
from pii_blur.sphere.quad import SphereQuad, Window
from pii_blur.sphere.views import View

Flags = NDArray[np.bool_]

_PORTION = 1 << 19  # pixels at a time: directions are eight times three bytes each


def quad_of(part: Part, view: View) -> SphereQuad:
    """Return the box of a part of a view's mask on the sphere."""
    x0, y0, x1, y1 = part.box
    return SphereQuad(view.to_directions([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))


def draw_part(part: Part, quad: SphereQuad, view: View, extent: Extent, mask: Flags) -> None:
    """Set in a mask of the photo, (height, width), every pixel that a part of a view's mask shows.

    Args:
        part: of the view's mask.
        quad: from `quad_of`.
        view: which one.
        extent: of the photo.
        mask: changed in place.
    """
    height, width = part.inside.shape
    for window in (portion for whole in quad.windows(extent) for portion in _portions(whole)):
        u, v = np.meshgrid(np.arange(window.left, window.right) + 0.5, np.arange(window.top, window.bottom) + 0.5)
        points = view.to_points(extent.to_directions(np.stack([u, v], axis=-1)))
        places = np.floor(np.nan_to_num(points - part.box[:2], nan=-1.0)).clip(-1, max(height, width)).astype(np.int32)
        columns, rows = places[..., 0], places[..., 1]
        shown = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        shown[shown] = part.inside[rows[shown], columns[shown]]
        mask[window.top : window.bottom, window.left : window.right] |= shown


def _portions(window: Window) -> Iterator[Window]:
    """Cut a window into strips of bounded size."""
    step = max(_PORTION // (window.right - window.left), 1)
    for top in range(window.top, window.bottom, step):
        yield Window(top, min(top + step, window.bottom), window.left, window.right)
