"""Sampling pictures: views of a panorama and tiles of a photo, without aliasing, across the seam and over the poles."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.sphere.axes import Floats
from pii_blur.sphere.extent import Extent, PanoExtent
from pii_blur.sphere.views import PerspectiveView, Tile

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]

# What a view shows where the picture has nothing: neutral grey, on which no detector finds anything.
NOTHING = 114


class Pyramid:
    """A picture and smaller copies of it, area-averaged, each made when first asked for, by whichever thread asks."""

    def __init__(self, pixels: Pixels) -> None:
        """Start with `pixels`, uint8 (height, width, 3)."""
        self._levels = [pixels]
        self._shrunk: dict[tuple[int, int], Pixels] = {}
        self._making = Lock()

    def level(self, number: int) -> Pixels:
        """Return the picture halved `number` times."""
        with self._making:
            while len(self._levels) <= number:
                height, width = self._levels[-1].shape[:2]
                self._levels.append(_resized(self._levels[-1], max(width // 2, 1), max(height // 2, 1)))
        return self._levels[number]

    def shrunk(self, step: float) -> Pixels:
        """Return the picture so small that `step` of its pixels become one; itself where `step` is at most 1."""
        picture = self._levels[0]
        if step <= 1:
            return picture
        size = (max(round(picture.shape[1] / step), 1), max(round(picture.shape[0] / step), 1))
        with self._making:
            if size not in self._shrunk:
                self._shrunk[size] = _resized(picture, *size)
        return self._shrunk[size]


def _resized(picture: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def level_for(step: float) -> int:
    """Return how often to halve a picture so that a sampling step of `step` of its pixels spans 1 to 2 pixels."""
    return max(int(np.floor(np.log2(max(step, 1.0)))), 0)


def render_view(pyramid: Pyramid, extent: Extent, view: PerspectiveView | Tile, *, is_in_plan: bool = True) -> Pixels:
    """Return what `view` shows, uint8 (size, size, 3); `NOTHING` where the picture ends.

    The picture is first shrunk until one of its pixels is as large as one in the middle of the view, where those are
    largest: so nothing finer than the view can show as false detail.

    Args:
        pyramid: the picture.
        extent: what it shows.
        view: what to render.
        is_in_plan: whether other views are as wide, and other photos searched by the same. For one that is not, no
            copy of the picture is made and nothing is kept: it is taken from a copy up to twice as fine.
    """
    if isinstance(view, Tile):
        return _render_tile(pyramid, view)
    assert isinstance(extent, PanoExtent)
    step = float(np.degrees(1.0 / view.focal_px) * extent.pixels_per_degree)
    source = pyramid.shrunk(step) if is_in_plan else pyramid.level(level_for(step))
    is_levelled = view.pose_pitch == 0 and view.pose_roll == 0
    make_maps = _cached_maps if is_in_plan and is_levelled else _view_maps
    coordinates, fractions, outside = make_maps(view, extent, source.shape[1], source.shape[0])
    border = cv2.BORDER_WRAP if extent.wraps else cv2.BORDER_REPLICATE
    crop: Pixels = np.asarray(
        cv2.remap(source, coordinates, fractions, cv2.INTER_LINEAR, borderMode=border), dtype=np.uint8
    )
    if outside is not None:
        crop[outside] = NOTHING
    return crop


_Maps = tuple[NDArray[np.int16], NDArray[np.uint16], NDArray[np.bool_] | None]


def _view_maps(view: PerspectiveView, extent: PanoExtent, source_width: int, source_height: int) -> _Maps:
    """Return fixed-point remap maps into a shrunk picture, and where the view looks past the picture (or None)."""
    ticks = (np.arange(view.size, dtype=np.float32) + 0.5 - view.size / 2.0) / view.focal_px
    rotation = view.rotation.astype(np.float32)
    x, y, z = (rotation[k, 0] * ticks[None, :] + rotation[k, 1] * ticks[:, None] + rotation[k, 2] for k in range(3))
    # The same as PanoExtent.to_points in float32 and with fewer passes over the pixels; a test holds them together.
    u = (np.arctan2(x, z) / np.float32(2 * np.pi) + np.float32(0.5)) * np.float32(extent.full_width)
    u = (u - np.float32(extent.left)) % np.float32(extent.full_width)
    v = (np.arctan2(y, np.hypot(x, z)) / np.float32(np.pi) + np.float32(0.5)) * np.float32(extent.full_height)
    v -= np.float32(extent.top)
    outside = None
    if not extent.is_full:
        outside = (u >= extent.width) | (v < 0) | (v >= extent.height)
    map_u = u * np.float32(source_width / extent.width) - np.float32(0.5)
    map_v = np.clip(v * np.float32(source_height / extent.height) - np.float32(0.5), 0, source_height - 1)
    if not extent.wraps:
        map_u = np.clip(map_u, 0, source_width - 1)
    coordinates, fractions = cv2.convertMaps(map_u, map_v, cv2.CV_16SC2)
    coordinates.setflags(write=False)
    fractions.setflags(write=False)
    return coordinates, fractions, outside


# A folder mostly holds photos of one size: the maps of its views are made once (2.5 MB each; a plan has up to 68).
_cached_maps = lru_cache(maxsize=80)(_view_maps)


def _render_tile(pyramid: Pyramid, tile: Tile) -> Pixels:
    """Scale a crop of a flat photo to the tile's size."""
    number = level_for(tile.side / tile.size)
    level = pyramid.level(number)
    scale_x, scale_y = level.shape[1] / tile.extent.width, level.shape[0] / tile.extent.height
    left, top = round(tile.left * scale_x), round(tile.top * scale_y)
    right, bottom = round((tile.left + tile.side) * scale_x), round((tile.top + tile.side) * scale_y)
    square: Pixels = np.full((bottom - top, right - left, 3), NOTHING, np.uint8)
    part = level[top:bottom, left:right]
    square[: part.shape[0], : part.shape[1]] = part
    interpolation = cv2.INTER_AREA if square.shape[0] > tile.size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (tile.size, tile.size), interpolation=interpolation), dtype=np.uint8)


def sample(pyramid: Pyramid, extent: Extent, directions: Floats, step_px: float) -> Pixels:
    """Return the picture's colours in (n, m, 3) `directions`, uint8 (n, m, 3).

    Args:
        pyramid: the picture.
        extent: what it shows; directions beyond its edge take the colour of the edge.
        directions: a grid of vectors.
        step_px: distance of neighbouring directions in picture pixels; sets how much is averaged.
    """
    level = pyramid.level(level_for(step_px))
    points = np.nan_to_num(extent.to_points(directions), nan=0.0)
    u, v = points[..., 0], points[..., 1]
    if isinstance(extent, PanoExtent) and not extent.wraps:
        beyond = (extent.full_width - extent.width) / 2.0
        u = np.where(u >= extent.width + beyond, u - extent.full_width, u)  # the nearer of the two edges
    map_u = (u * level.shape[1] / extent.width - 0.5).astype(np.float32)
    map_v = np.clip(v * level.shape[0] / extent.height - 0.5, 0, level.shape[0] - 1).astype(np.float32)
    border = cv2.BORDER_WRAP if extent.wraps else cv2.BORDER_REPLICATE
    return np.asarray(cv2.remap(level, map_u, map_v, cv2.INTER_LINEAR, borderMode=border), dtype=np.uint8)
