"""Views show what lies in their direction, across the seam and over the poles, without false detail."""

from __future__ import annotations

import numpy as np
import pytest

from pii_blur.sphere.extent import FlatExtent, PanoExtent
from pii_blur.sphere.project import NOTHING, Pyramid, render_view
from pii_blur.sphere.views import PerspectiveView, Tile, plan_views
from tests.scenes import grid_directions


def smooth_panorama(extent: PanoExtent) -> np.ndarray:
    """Return a picture whose colour in direction (x, y, z) is 127 + 100 (x, y, z): smooth all over the sphere."""
    return np.rint(127 + 100 * grid_directions(extent)).astype(np.uint8)


def colours_expected(view: PerspectiveView) -> np.ndarray:
    """Return what `view` must show of a smooth panorama, by the definition of a view alone."""
    ticks = np.arange(view.size) + 0.5
    directions = view.to_directions(np.stack(np.meshgrid(ticks, ticks), axis=-1))
    return 127 + 100 * directions / np.linalg.norm(directions, axis=-1, keepdims=True)


@pytest.mark.parametrize("size", [(1024, 512), (1023, 511), (4100, 2050)])
@pytest.mark.parametrize(
    ("yaw", "pitch", "roll_pitch", "roll"),
    [(0, 0, 0, 0), (180, 0, 0, 0), (-179, 20, 0, 0), (30, 90, 0, 0), (0, -90, 0, 0), (75, -30, 12, -25)],
)
def test_view_shows_the_directions_it_claims(
    size: tuple[int, int], yaw: float, pitch: float, roll_pitch: float, roll: float
) -> None:
    """Every pixel of a view has the colour of its direction, at the seam, at the poles and under tilt."""
    extent = PanoExtent.full(*size)
    view = PerspectiveView(yaw, pitch, 80, 160, roll_pitch, roll)
    shown = render_view(Pyramid(smooth_panorama(extent)), extent, view)
    assert np.abs(shown - colours_expected(view)).max() < 2.5


def test_partial_panorama_shows_nothing_beyond_its_edge() -> None:
    """Where a cropped panorama ends a view is neutral grey, and inside it the colours are those of the whole."""
    whole, crop = PanoExtent.full(1024, 512), PanoExtent(1024, 512, 400, 150, 300, 200)
    picture = smooth_panorama(whole)[150:350, 400:700]
    view = PerspectiveView(0, 0, 100, 200)
    shown = render_view(Pyramid(np.ascontiguousarray(picture)), crop, view)
    nothing = (shown == NOTHING).all(axis=-1)
    assert 0.2 < nothing.mean() < 0.8
    assert np.abs(shown - colours_expected(view))[~nothing].max() < 2.5


def test_fine_stripes_do_not_turn_into_coarse_ones() -> None:
    """Detail finer than a view's pixels averages out instead of showing as a false pattern."""
    extent = PanoExtent.full(4096, 2048)
    stripes = np.zeros((2048, 4096, 3), np.uint8)
    stripes[:, ::2] = 255
    shown = render_view(Pyramid(stripes), extent, PerspectiveView(10, 5, 90, 160))
    assert shown.std() < 3
    assert abs(shown.mean() - 127.5) < 3


def test_a_view_keeps_the_detail_it_can_show() -> None:
    """Stripes as wide as two view pixels keep most of their contrast: anti-aliasing must not cost far people."""
    extent = PanoExtent.full(4096, 2048)
    view = PerspectiveView(0, 0, 60, 640)
    period = 4 / view.focal_px / (2 * np.pi) * 4096  # panorama pixels per four view pixels
    stripes = 127 + 100 * np.sign(np.sin(np.arange(4096) / period * 2 * np.pi))
    picture = np.broadcast_to(stripes[None, :, None], (2048, 4096, 3)).astype(np.uint8)
    shown = render_view(Pyramid(picture), extent, view)[300:340, 300:340]
    assert shown.std() > 50


def test_tile_of_a_flat_photo_shows_its_pixels() -> None:
    """A tile at the photo's own scale is a plain crop."""
    photo = np.random.default_rng(1).integers(0, 255, (700, 1280, 3), dtype=np.uint8)
    tiles = [tile for tile in plan_views(FlatExtent(1280, 700), "balanced", 640) if isinstance(tile, Tile)]
    tile = next(tile for tile in tiles if tile.side == 640 and tile.left > 0 and tile.top > 0)
    left, top = int(tile.left), int(tile.top)
    shown = render_view(Pyramid(photo), FlatExtent(1280, 700), tile)
    assert (shown == photo[top : top + 640, left : left + 640]).all()
