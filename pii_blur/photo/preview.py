"""A picture to check by: boxes drawn over the hidden pixels, never over the photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pii_blur.photo.photo import Pixels
from pii_blur.photo.publish import publish
from pii_blur.sphere.extent import Extent
from pii_blur.sphere.quad import SphereQuad

LARGEST_WIDTH = 4096
COLOUR = (255, 64, 0)  # RGB


def write_preview(
    path: Path, pixels: Pixels, extent: Extent, quads: Sequence[SphereQuad], captions: Sequence[str]
) -> None:
    """Write a JPEG of at most `LARGEST_WIDTH` pixels across with the outlines of `quads` and their captions.

    Args:
        path: target; its folder is made.
        pixels: uint8 (h, w, 3) RGB, already hidden.
        extent: what they show.
        quads, captions: what to draw, of equal length.

    Raises:
        PhotoFailure: it cannot be written (code ``preview``).
        CannotWrite: the disk is full or read-only.
    """
    scale = min(LARGEST_WIDTH / extent.width, 1.0)
    size = (max(round(extent.width * scale), 1), max(round(extent.height * scale), 1))
    picture = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels.copy()
    thickness = max(round(size[0] / 1500), 1)
    for quad, caption in zip(quads, captions, strict=True):
        points = extent.to_points(quad.outline()) * scale
        # Across the seam two neighbouring points lie a picture apart: that stretch is not drawn.
        for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
            if np.isfinite([a, b]).all() and abs(a[0] - b[0]) < size[0] / 2:
                cv2.line(picture, _pixel(a), _pixel(b), COLOUR, thickness, cv2.LINE_AA)
        if np.isfinite(points[0]).all():
            cv2.putText(picture, caption, _pixel(points[0]), cv2.FONT_HERSHEY_SIMPLEX, 0.5, COLOUR, 1, cv2.LINE_AA)
    in_blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", in_blue_first, [cv2.IMWRITE_JPEG_QUALITY, 85])
    publish(data.tobytes(), path, code="preview")


def _pixel(point: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
