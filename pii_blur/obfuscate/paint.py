"""Hides quadrilaterals in a picture, each by a small patch of the scene seen straight on.

For every quadrilateral the scene round it is sampled coarsely in the tangent plane at its centre, so that a method
works on an undistorted picture of it wherever on the sphere it lies. Everything hidden is erased from the sample, and
the result is painted back into the picture's own pixels. The cost is that of the pixels hidden, not of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.mask import RIM, UNMEASURED, UNTOUCHED, level_of
from pii_blur.obfuscate.erase import HiddenArea, erase
from pii_blur.obfuscate.methods import CELL_PX, black, gaussian, pixelate, solid
from pii_blur.obfuscate.obfuscator import METHODS, Method, Strength
from pii_blur.sphere.axes import Floats, unit
from pii_blur.sphere.extent import Extent, PanoExtent
from pii_blur.sphere.project import Pyramid, sample
from pii_blur.sphere.quad import SphereQuad, Window

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Canvas:
    """What is painted on: `pixels` uint8 (h, w, 3) RGB and `mask` uint8 (h, w), with the values of `pii_blur.mask`."""

    pixels: Pixels
    mask: Mask


def paint(
    pyramid: Pyramid,
    extent: Extent,
    quads: Sequence[SphereQuad],
    *,
    method: str | Method,
    strength: Strength,
    canvas: Canvas,
) -> None:
    """Hide every quadrilateral on `canvas`.

    What is shown in one is made from what the untouched picture shows round all of them. The largest are painted last,
    so that where two overlap the stronger blur is what is seen. One that lies wholly within a later one is left out:
    nothing of it would be seen.

    Args:
        pyramid: the untouched picture.
        extent: what it shows.
        quads: what to hide, grown already.
        method: a key of `METHODS`, or another one.
        strength: how strongly.
        canvas: changed in place.
    """
    order = _not_within_larger(sorted(quads, key=SphereQuad.longest_side, reverse=True))
    area = HiddenArea.of(order if strength.erases else ())
    for quad in reversed(order):
        _paint_one(pyramid, extent, quad, area, method, strength, canvas)


def restore(
    original: Pixels, extent: Extent, quads: Sequence[SphereQuad], canvas: Canvas, *, but: Sequence[SphereQuad] = ()
) -> None:
    """Put the untouched pixels back inside `quads`, exactly up to their borders, but nowhere inside `but`."""
    pixel = np.radians(1.0 / extent.pixels_per_degree)
    for quad in quads:
        for window in quad.windows(extent):
            inside = _distance(quad, _flat(quad, extent, window)) <= 0
            for hidden in but:
                inside &= _distance(hidden, _flat(hidden, extent, window)) > pixel
            rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
            canvas.pixels[rows, columns][inside] = original[rows, columns][inside]
            canvas.mask[rows, columns][inside] = UNTOUCHED


def _not_within_larger(quads: Sequence[SphereQuad]) -> list[SphereQuad]:
    """Leave out, of quadrilaterals in order of size, all that lie wholly within an earlier one.

    All are convex, so the corners decide; what lies within one that is left out lies within the one that holds that.
    """
    kept: list[SphereQuad] = []
    normals = np.zeros((len(quads), 4, 3))
    for quad in quads:
        heights = normals[: len(kept)] @ quad.corners.T
        if not (heights >= 0).all(axis=(1, 2)).any():
            normals[len(kept)] = quad.edge_normals
            kept.append(quad)
    return kept


def _paint_one(
    pyramid: Pyramid,
    extent: Extent,
    quad: SphereQuad,
    area: HiddenArea,
    method: str | Method,
    strength: Strength,
    canvas: Canvas,
) -> None:
    """Sample, erase, obfuscate and blend one quadrilateral; `area` is what may take no part in what is shown."""
    per_degree = extent.pixels_per_degree
    sigma = strength.sigma(quad.longest_side(), per_degree)
    pixel = np.radians(1.0 / per_degree)
    feather = np.radians(strength.feather(sigma, per_degree))
    step = np.radians(sigma) / CELL_PX
    patch, directions, origin = _patch(pyramid, extent, quad, step, margin=feather + 3 * step * CELL_PX)
    # PRIVACY: nothing hidden has a part in the blur, this box's or another's; nor has what lies past the picture's
    # edge, where its last rows and columns are seen again. A sample takes in what lies up to three steps from it: its
    # own width, and that of a pixel of the smaller copy it is read from, between neighbours.
    gap = area.near(directions, 3.0 * step)
    if gap.any():
        gap |= _is_past_edge(extent, directions)
    make = METHODS[method] if isinstance(method, str) else method
    shown = make(erase(patch, gap))
    # Off its centre a tangent plane covers less of the sphere: the narrowest blur is the one in the furthest corner.
    least_sigma_px = sigma * per_degree / (1.0 + float((quad.flat_corners() ** 2).sum(axis=1).max()))
    plain = level_of(math.inf)
    levels: dict[Method, int] = {gaussian: level_of(least_sigma_px), solid: plain, black: plain}
    level = levels.get(make, UNMEASURED)
    interpolation = cv2.INTER_NEAREST if make is pixelate else cv2.INTER_LINEAR
    for window in _feathered(quad, feather + pixel).windows(extent):
        flat = _flat(quad, extent, window)
        # PRIVACY: everything up to one pixel beyond the box is hidden wholly; only past that does it fade.
        alpha = np.clip(1 - (_distance(quad, flat) - pixel) / feather, 0, 1, dtype=np.float32)
        if not alpha.any():
            continue
        x, y = ((axis - start) / np.float32(step) - np.float32(0.5) for axis, start in zip(flat, origin, strict=True))
        colours = cv2.remap(shown, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)
        rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
        _blend(canvas.pixels[rows, columns], np.asarray(colours, dtype=np.uint8), alpha)
        mask = canvas.mask[rows, columns]
        mask[(alpha > 0) & (mask == UNTOUCHED)] = RIM
        mask[alpha >= 1] = level


def _blend(under: Pixels, over: Pixels, alpha: Plane) -> None:
    """Mix `over` into `under` in place: all of it where alpha is 1."""
    whole = alpha >= 1
    np.copyto(under, over, where=whole[..., None])
    rim = (alpha > 0) & ~whole
    share = alpha[rim][:, None]
    mixed = under[rim] + share * (over[rim].astype(np.float32) - under[rim])
    under[rim] = np.rint(mixed).astype(np.uint8)


def _feathered(quad: SphereQuad, reach: float) -> SphereQuad:
    """Return a quadrilateral that holds all within `reach` (tangent plane units) of `quad`."""
    flat = quad.flat_corners()
    x, y = flat[:, 0], flat[:, 1]
    nearest = np.abs(x * np.roll(y, -1) - y * np.roll(x, -1)) / np.linalg.norm(np.roll(flat, -1, axis=0) - flat, axis=1)
    return quad.grown(1.0 + reach / max(float(nearest.min()), 1e-6) * 1.01)


def _patch(
    pyramid: Pyramid, extent: Extent, quad: SphereQuad, step: float, margin: float
) -> tuple[Pixels, Floats, tuple[np.float32, np.float32]]:
    """Sample the scene round `quad` on a grid in its tangent plane.

    Returns:
        uint8 (n, m, 3), the unit directions (n, m, 3) of its samples, and the plane coordinates (x, y) of its top left
        corner.
    """
    flat = quad.flat_corners()
    low, high = flat.min(axis=0) - margin, flat.max(axis=0) + margin
    columns, rows = (int(count) for count in np.ceil((high - low) / step))
    # Every sample of the patch is the mean of 2 x 2.
    fine = _grid(quad, low, step / 2.0, 2 * rows, 2 * columns)
    picture = sample(pyramid, extent, fine, np.degrees(step) * extent.pixels_per_degree)
    patch = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    directions = unit(_grid(quad, low, step, rows, columns))
    return np.asarray(patch, dtype=np.uint8), directions, (np.float32(low[0]), np.float32(low[1]))


def _grid(quad: SphereQuad, low: Floats, step: float, rows: int, columns: int) -> Floats:
    """Return directions (rows, columns, 3), `step` apart in the tangent plane of `quad`, from the corner `low` on."""
    x = low[0] + (np.arange(columns) + 0.5) * step
    y = low[1] + (np.arange(rows) + 0.5) * step
    grid_x, grid_y = np.meshgrid(x, y)
    directions: Floats = np.stack([grid_x, grid_y, np.ones_like(grid_x)], axis=-1) @ quad.axes().T
    return directions


def _is_past_edge(extent: Extent, directions: Floats) -> NDArray[np.bool_]:
    """Return for (n, m, 3) directions whether the picture ends before them."""
    points = np.nan_to_num(extent.to_points(directions), nan=-1.0)
    u, v = points[..., 0], points[..., 1]
    return np.asarray((u < 0) | (u >= extent.width) | (v < 0) | (v >= extent.height))


def _flat(quad: SphereQuad, extent: Extent, window: Window) -> tuple[Plane, Plane]:
    """Return float32 (x, y) in the quad's tangent plane for the centres of a window's pixels.

    Pixels more than a right angle away come out far off on purpose: they belong to nothing.
    """
    columns = np.arange(window.left, window.right) + 0.5
    rows = np.arange(window.top, window.bottom) + 0.5
    axes = quad.axes()
    if isinstance(extent, PanoExtent):
        yaw = 2 * np.pi * ((columns + extent.left) / extent.full_width - 0.5)
        pitch = np.pi * (0.5 - (rows + extent.top) / extent.full_height)
        x, y, z = (_on_grid(axes[:, k], yaw, pitch) for k in range(3))
    else:
        across = (columns - extent.width / 2.0) / extent.focal_px
        down = (rows - extent.height / 2.0) / extent.focal_px
        x, y, z = (
            (axes[0, k] * across[None, :] + axes[1, k] * down[:, None] + axes[2, k]).astype(np.float32)
            for k in range(3)
        )
    behind = z < 1e-3
    z[behind] = 1.0
    x /= z
    y /= z
    x[behind] = y[behind] = 1e4
    return x, y


def _on_grid(axis: Floats, yaw_rad: Floats, pitch_rad: Floats) -> Plane:
    """Return float32 (rows, columns): the component along `axis` of the direction of every pixel of a panorama."""
    around = (axis[0] * np.sin(yaw_rad) + axis[2] * np.cos(yaw_rad)).astype(np.float32)
    cos_p, sin_p = np.cos(pitch_rad).astype(np.float32), np.sin(pitch_rad).astype(np.float32)
    component: Plane = cos_p[:, None] * around[None, :] - np.float32(axis[1]) * sin_p[:, None]
    return component


def _distance(quad: SphereQuad, flat: tuple[Plane, Plane]) -> Plane:
    """Return float32 distances beyond the furthest edge in the tangent plane; zero or less inside."""
    corners = quad.flat_corners()
    ends = np.roll(corners, -1, axis=0)
    x, y = flat
    furthest: Plane | None = None
    for a, b in zip(corners, ends, strict=True):
        edge = (b - a) / np.linalg.norm(b - a)
        normal, offset = (edge[1], -edge[0]), edge[1] * a[0] - edge[0] * a[1]
        beyond = np.float32(normal[0]) * x
        beyond += np.float32(normal[1]) * y
        beyond -= np.float32(offset)
        furthest = beyond if furthest is None else np.maximum(furthest, beyond, out=furthest)
    assert furthest is not None
    return furthest
