"""Geometry that must hold for every picture, view and box: the seam and the poles included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pii_blur.sphere.axes import angles_from_directions, directions_from_angles
from pii_blur.sphere.extent import Extent, FlatExtent, PanoExtent
from pii_blur.sphere.quad import SphereQuad
from pii_blur.sphere.views import PLANS, PerspectiveView, plan_views
from tests.scenes import grid_directions

yaws = st.floats(-180, 180)
pitches = st.floats(-90, 90)
SPHERE = np.random.default_rng(7).normal(size=(4000, 3))
SPHERE /= np.linalg.norm(SPHERE, axis=1, keepdims=True)

# By how many degrees every direction lies inside at least one view, at the least.
LEAST_MARGIN = 3.0


@given(yaws, st.floats(-89.9, 89.9))
def test_angles_survive_the_way_there_and_back(yaw: float, pitch: float) -> None:
    """yaw, pitch -> direction -> yaw, pitch."""
    back_yaw, back_pitch = angles_from_directions(directions_from_angles(yaw, pitch))
    assert (back_yaw - yaw + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)
    assert back_pitch == pytest.approx(pitch, abs=1e-6)


@given(st.floats(0.01, 899.9), st.floats(0.5, 399.5))
def test_pixels_survive_the_way_there_and_back(u: float, v: float) -> None:
    """pixel -> direction -> pixel, for full, cropped and flat pictures."""
    for extent in (PanoExtent.full(900, 450), PanoExtent(2000, 1000, 1700, 300, 900, 400), FlatExtent(900, 400)):
        back = extent.to_points(extent.to_directions([u, v]))
        assert back == pytest.approx([u, v], abs=1e-5)


@given(yaws, pitches, st.floats(-30, 30), st.floats(-45, 45), st.floats(20, 110), st.data())
def test_inside_the_box_is_inside_the_quad(
    yaw: float, pitch: float, pose_pitch: float, pose_roll: float, hfov: float, data: st.DataObject
) -> None:
    """A box in a view and its quadrilateral on the sphere hold the same directions, exactly."""
    view = PerspectiveView(yaw, pitch, hfov, 400, pose_pitch, pose_roll)
    x0, y0 = data.draw(st.floats(0, 390)), data.draw(st.floats(0, 390))
    x1, y1 = data.draw(st.floats(x0 + 5, 400)), data.draw(st.floats(y0 + 5, 400))
    quad = SphereQuad(view.to_directions([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
    points = np.random.default_rng(3).uniform(0, 400, (500, 2))
    in_box = (points >= (x0, y0)).all(axis=1) & (points <= (x1, y1)).all(axis=1)
    assert (quad.contains(view.to_directions(points)) == in_box).all()
    assert not quad.contains(-view.to_directions(points)).any()


@given(yaws, pitches, st.floats(2, 120), st.floats(2, 120), st.floats(1, 1.6))
def test_grown_quad_holds_the_quad(yaw: float, pitch: float, width: float, height: float, factor: float) -> None:
    """Growing never loses anything of the box."""
    quad = SphereQuad.from_angles(yaw, pitch, width, height)
    assert quad.grown(factor).contains(quad.outline()).all()


@settings(max_examples=60, deadline=None)
@given(yaws, pitches, st.floats(1, 110), st.floats(1, 110))
def test_windows_hold_every_pixel_of_the_quad(yaw: float, pitch: float, width: float, height: float) -> None:
    """No pixel of a box is left out of the rectangles that are painted, at the seam and the poles too."""
    quad = SphereQuad.from_angles(yaw, pitch, width, height)
    extents: list[Extent] = [PanoExtent.full(240, 120), PanoExtent(240, 120, 150, 30, 80, 70), FlatExtent(160, 120)]
    for extent in extents:
        covered = np.zeros((extent.height, extent.width), bool)
        for top, bottom, left, right in quad.windows(extent):
            assert 0 <= top < bottom <= extent.height
            assert 0 <= left < right <= extent.width
            assert not covered[top:bottom, left:right].any()
            covered[top:bottom, left:right] = True
        assert covered[quad.contains(grid_directions(extent))].all()


@given(yaws, pitches, st.floats(2, 60), st.floats(2, 60))
def test_box_round_directions_holds_them(yaw: float, pitch: float, width: float, height: float) -> None:
    """`around` leaves out none of the directions that it is given."""
    outline = SphereQuad.from_angles(yaw, pitch, width, height).outline()
    assert SphereQuad.around(outline).contains(outline).all()


@given(yaws, pitches, st.floats(2, 60), st.floats(2, 60))
def test_overlap_of_a_quad_with_itself_is_whole(yaw: float, pitch: float, width: float, height: float) -> None:
    """A box overlaps itself wholly and its antipode not at all."""
    quad = SphereQuad.from_angles(yaw, pitch, width, height)
    assert quad.overlap(quad) == pytest.approx(1, abs=1e-6)
    assert quad.overlap(SphereQuad.from_angles(yaw + 180, -pitch, width, height)) == 0


@pytest.mark.parametrize("plan", PLANS)
@given(pose_pitch=st.floats(-90, 90), pose_roll=st.floats(-180, 180))
@settings(max_examples=10, deadline=None)
def test_every_direction_lies_well_inside_a_view(plan: str, pose_pitch: float, pose_roll: float) -> None:
    """Every plan covers the whole sphere with a margin, however the camera was tilted."""
    views = plan_views(PanoExtent.full(4000, 2000), plan, 640, pose_pitch=pose_pitch, pose_roll=pose_roll)
    margins = np.max([view.margin(SPHERE) for view in views if isinstance(view, PerspectiveView)], axis=0)
    assert margins.min() >= LEAST_MARGIN


@pytest.mark.parametrize("plan", PLANS)
def test_the_poles_and_the_seam_lie_well_inside_a_view(plan: str) -> None:
    """The places where panoramas are cut get no less margin than any other (random directions seldom hit them)."""
    awkward = np.concatenate(
        [
            directions_from_angles(180.0, np.linspace(-90, 90, 721)),
            directions_from_angles(np.linspace(0, 360, 721), 90.0),
        ]
    )
    views = plan_views(PanoExtent.full(4000, 2000), plan, 640)
    margins = np.max([view.margin(awkward) for view in views if isinstance(view, PerspectiveView)], axis=0)
    assert margins.min() >= LEAST_MARGIN


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_looks_at_more_than_one_scale(plan: str) -> None:
    """Near and far things need wide and narrow views."""
    assert len({ring.hfov for ring in PLANS[plan]}) >= 2


@given(st.integers(300, 6000), st.integers(300, 6000))
@settings(deadline=None)
def test_tiles_cover_a_flat_photo(width: int, height: int) -> None:
    """Every pixel of a flat photo lies in a tile of each scale."""
    extent = FlatExtent(width, height)
    covered = np.zeros((height // 50 + 1, width // 50 + 1), bool)
    for tile in plan_views(extent, "balanced", 640):
        corner = extent.to_points(tile.to_directions([[0.0, 0.0], [640.0, 640.0]]))
        (left, top), (right, bottom) = np.floor(corner[0] / 50).astype(int), np.ceil(corner[1] / 50).astype(int)
        covered[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
    assert covered.all()


def test_a_long_strip_is_searched_as_closely_as_a_square() -> None:
    """A band of ten times its height gets tiles no larger than its height: the people in it are not shrunk away."""
    sides = {tile.side for tile in plan_views(FlatExtent(5472, 547), "balanced", 640)}  # type: ignore[union-attr]
    assert max(sides) == 5472
    assert min(sides) <= 547
