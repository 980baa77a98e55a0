"""The one place where axes, angles and pixel coordinates are defined.

Axes: x right, y down, z forward (right-handed, as in OpenCV). A *direction* is a unit vector from the camera.
yaw is positive to the right, pitch positive up, roll positive clockwise as the photographer sees it; degrees at every
public border, radians only inside a function, in names that end in `_rad`.

Pixels are continuous: pixel (row i, column j) covers [i, i+1) x [j, j+1), its centre is at +0.5. Points are (u, v) =
(column, row).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def rotation_matrix(yaw: float, pitch: float, roll: float = 0.0) -> Floats:
    """Return the (3, 3) matrix Ry(yaw) Rx(pitch) Rz(roll) that turns camera axes into the directions they look along.

    Args:
        yaw, pitch, roll: degrees.
    """
    yaw_rad, pitch_rad, roll_rad = np.radians([yaw, pitch, roll])
    cos_y, sin_y = np.cos(yaw_rad), np.sin(yaw_rad)
    cos_p, sin_p = np.cos(pitch_rad), np.sin(pitch_rad)
    cos_r, sin_r = np.cos(roll_rad), np.sin(roll_rad)
    about_y = np.array([[cos_y, 0.0, sin_y], [0.0, 1.0, 0.0], [-sin_y, 0.0, cos_y]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cos_p, -sin_p], [0.0, sin_p, cos_p]])
    about_z = np.array([[cos_r, -sin_r, 0.0], [sin_r, cos_r, 0.0], [0.0, 0.0, 1.0]])
    matrix: Floats = about_y @ about_x @ about_z
    return matrix


def directions_from_angles(yaw: ArrayLike, pitch: ArrayLike) -> Floats:
    """Return (..., 3) unit vectors for yaw and pitch in degrees (broadcast against each other)."""
    yaw_rad, pitch_rad = np.radians(yaw), np.radians(pitch)
    yaw_rad, pitch_rad = np.broadcast_arrays(yaw_rad, pitch_rad)
    cos_p = np.cos(pitch_rad)
    return np.stack([cos_p * np.sin(yaw_rad), -np.sin(pitch_rad), cos_p * np.cos(yaw_rad)], axis=-1)


def angles_from_directions(directions: ArrayLike) -> tuple[Floats, Floats]:
    """Return (yaw, pitch) in degrees of (..., 3) vectors of any length; yaw in [-180, 180], pitch in [-90, 90]."""
    vectors = np.asarray(directions, dtype=np.float64)
    yaw = np.degrees(np.arctan2(vectors[..., 0], vectors[..., 2]))
    pitch = np.degrees(np.arctan2(-vectors[..., 1], np.hypot(vectors[..., 0], vectors[..., 2])))
    return yaw, pitch


def unit(vectors: ArrayLike) -> Floats:
    """Return (..., 3) vectors scaled to length 1."""
    array = np.asarray(vectors, dtype=np.float64)
    scaled: Floats = array / np.linalg.norm(array, axis=-1, keepdims=True)
    return scaled
