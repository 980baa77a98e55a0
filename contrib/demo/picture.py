"""Puts the panorama before and after side by side in one picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from contrib.demo.photo_file import read_thumbnail
from pii_blur.sphere.extent import PanoExtent
from pii_blur.sphere.project import Pyramid, render_view
from pii_blur.sphere.views import PerspectiveView

Pixels = NDArray[np.uint8]

WIDTH = 1200
TOP_PITCH, BOTTOM_PITCH = 25, -25  # degrees, of the strips
SEAM = PerspectiveView(yaw=180, pitch=0, hfov=45, size=WIDTH // 3)
GAP = 6
JPEG_QUALITY = 80  # keeps the picture of the README under 200 KB


def draw_before_and_after(before: Path, after: Path, file: Path) -> None:
    """Write a picture of two panoramas of the same size: strips, what lies on the seam, and the thumbnails.

    Raises:
        RuntimeError: a photo cannot be read, or `file` cannot be written.
    """
    first, second = _read(before), _read(after)
    strips = [_labelled(_strip(first), "before"), _labelled(_strip(second), "after")]
    seams = [_labelled(_seam(first), "the seam before"), _labelled(_seam(second), "the seam after")]
    thumbnails = [
        _labelled(_thumbnail(before), "the thumbnail in the file before"),
        _labelled(_thumbnail(after), "the thumbnail after"),
    ]
    gap = np.full((GAP, WIDTH, 3), 255, np.uint8)
    picture = np.vstack([strips[0], gap, strips[1], gap, np.hstack([*seams, np.vstack(thumbnails)])])
    file.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(file), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
        raise RuntimeError(f"{file} cannot be written")


def _read(photo: Path) -> Pixels:
    """Return a photo as uint8 RGB."""
    pixels = cv2.imread(str(photo), cv2.IMREAD_COLOR)
    if pixels is None:
        raise RuntimeError(f"{photo} cannot be read")
    return np.asarray(pixels[..., ::-1], dtype=np.uint8)


def _strip(pixels: Pixels) -> Pixels:
    """Return what lies about the horizon, as wide as the picture."""
    small = cv2.resize(pixels, (WIDTH, WIDTH // 2), interpolation=cv2.INTER_AREA)
    top, bottom = (round((0.5 - pitch / 180) * WIDTH / 2) for pitch in (TOP_PITCH, BOTTOM_PITCH))
    return np.asarray(small[top:bottom], dtype=np.uint8)


def _seam(pixels: Pixels) -> Pixels:
    """Return the view across the panorama's left and right edge."""
    return render_view(Pyramid(pixels), PanoExtent.full(pixels.shape[1], pixels.shape[0]), SEAM)


def _thumbnail(photo: Path) -> Pixels:
    """Return the thumbnail inside `photo`, or white where there is none, as wide as the view of the seam."""
    thumbnail = read_thumbnail(photo)
    if thumbnail is None:
        return np.full((SEAM.size // 2, SEAM.size, 3), 255, np.uint8)
    return np.asarray(cv2.resize(thumbnail, (SEAM.size, SEAM.size // 2)), dtype=np.uint8)


def _labelled(pixels: Pixels, words: str) -> Pixels:
    """Return a copy with `words` in its upper left corner, white on black."""
    labelled = pixels.copy()
    (width, height), below = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.55, 1)
    cv2.rectangle(labelled, (0, 0), (width + 12, height + below + 8), (0, 0, 0), cv2.FILLED)
    place = (6, height + 6)
    cv2.putText(labelled, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
    return labelled
