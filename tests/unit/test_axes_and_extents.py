"""Directions, angles and pixels agree with each other and with what the words promise."""

from __future__ import annotations

import numpy as np
import pytest

from pii_blur.sphere.axes import angles_from_directions, directions_from_angles, rotation_matrix
from pii_blur.sphere.extent import FlatExtent, PanoExtent


@pytest.mark.parametrize(
    ("yaw", "pitch", "direction"),
    [
        (0, 0, (0, 0, 1)),
        (90, 0, (1, 0, 0)),
        (-90, 0, (-1, 0, 0)),
        (180, 0, (0, 0, -1)),
        (0, 90, (0, -1, 0)),
        (0, -90, (0, 1, 0)),
    ],
)
def test_named_directions(yaw: float, pitch: float, direction: tuple[float, float, float]) -> None:
    """Right is +x, up is -y, forward is +z."""
    assert directions_from_angles(yaw, pitch) == pytest.approx(direction, abs=1e-12)


def test_rotation_looks_where_its_angles_say() -> None:
    """The forward axis of a rotation is the direction of its yaw and pitch, whatever the roll."""
    forward = rotation_matrix(37, -21, 75)[:, 2]
    assert forward == pytest.approx(directions_from_angles(37, -21))


def test_roll_is_clockwise_as_the_photographer_sees_it() -> None:
    """With a roll of 90 degrees the camera's right hand points down."""
    assert rotation_matrix(0, 0, 90)[:, 0] == pytest.approx((0, 1, 0), abs=1e-12)


def test_centre_column_is_yaw_zero_and_top_is_pitch_ninety() -> None:
    """The picture's middle looks forward, its first row up."""
    extent = PanoExtent.full(400, 200)
    yaw, pitch = angles_from_directions(extent.to_directions([[200, 100], [300, 100], [200, 0]]))
    assert yaw[:2] == pytest.approx([0, 90])
    assert pitch == pytest.approx([0, 0, 90])


def test_cropped_panorama_keeps_the_full_ones_directions() -> None:
    """A pixel of a crop looks where the same pixel of the whole panorama looks."""
    crop, full = PanoExtent(4000, 2000, 1000, 700, 900, 500), PanoExtent.full(4000, 2000)
    assert crop.to_directions([10.5, 20.5]) == pytest.approx(full.to_directions([1010.5, 720.5]))


def test_point_behind_a_flat_photo_is_not_a_number() -> None:
    """What lies behind the camera has no pixel, and must not get a mirrored one."""
    assert np.isnan(FlatExtent(300, 200).to_points([0, 0, -1.0])).all()


@pytest.mark.parametrize(
    "values", [(0, 10, 0, 0, 1, 1), (100, 50, 0, 0, 101, 50), (100, 50, 0, 40, 10, 11), (100, 50, -1, 0, 10, 10)]
)
def test_impossible_extents_are_refused(values: tuple[int, int, int, int, int, int]) -> None:
    """A crop that sticks out of its panorama would send boxes to the wrong place."""
    with pytest.raises(ValueError, match="panorama"):
        PanoExtent(*values)
