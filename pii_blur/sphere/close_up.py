"""A view of its own for one box: in its middle, and some times as large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pii_blur.sphere.axes import angles_from_directions
from pii_blur.sphere.extent import Extent, FlatExtent
from pii_blur.sphere.quad import SphereQuad
from pii_blur.sphere.views import PerspectiveView, Tile, level_from_picture

# What fills half the sphere is looked at in a view as wide as any of a plan.
WIDEST = 100.0


def close_up(
    extent: Extent, quad: SphereQuad, times: float, size: int, *, pose_pitch: float = 0.0, pose_roll: float = 0.0
) -> PerspectiveView | Tile:
    """Return the square view whose side is `times` the longer side of a box.

    Args:
        extent: what the picture shows. A view of a flat photo is moved inwards so that it shows no more beyond the
            photo's edge than it must.
        quad: the box, in the picture's frame.
        times: how many times as wide and high.
        size: side of the view in pixels.
        pose_pitch, pose_roll: degrees; see `plan_views`.
    """
    if isinstance(extent, FlatExtent):
        points = extent.to_points(quad.corners)
        low, high = points.min(axis=0), points.max(axis=0)
        side = float(min((high - low).max() * times, max(extent.width, extent.height)))
        left, top = (low + high - side) / 2.0
        left = min(max(float(left), 0.0), max(extent.width - side, 0.0))
        top = min(max(float(top), 0.0), max(extent.height - side, 0.0))
        return Tile(left, top, side, size, extent)
    yaw, pitch = angles_from_directions(level_from_picture(pose_pitch, pose_roll) @ quad.centre)
    widest = PerspectiveView(float(yaw), float(pitch), WIDEST, size, pose_pitch, pose_roll)
    local = quad.corners @ widest.rotation
    reach = float(np.abs(local[:, :2] / local[:, 2:]).max())
    return replace(widest, hfov=min(2.0 * float(np.degrees(np.arctan(reach * times))), WIDEST))
