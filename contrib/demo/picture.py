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
SEAM = PerspectiveView(yaw=180, pitch=0, hfov=45, size=WIDTH // 4)
GAP = 6
JPEG_QUALITY = 82  # keeps the picture of the README under 200 KB


def draw_before_and_after(before: Path, after: Path, file: Path) -> None:
    """Write a picture of two panoramas of the same size: strips, what lies on the seam, and the thumbnails.

    Raises:
        RuntimeError: a photo cannot be read, or `file` cannot be written.
    """
    first, second = _read(before), _read(after)
    seams = [_seam(first), _seam(second)]
    thumbnails = [_framed_thumbnail(photo) for photo in (before, after)]
    rows = [
        _labelled(_strip(first), "before"),
        _labelled(_strip(second), "after"),
        np.hstack([_labelled(picture, "across the seam") for picture in seams]
                  + [_labelled(picture, "thumbnail in the file") for picture in thumbnails]),
    ]  # fmt: skip
    gap = np.full((GAP, WIDTH, 3), 255, np.uint8)
    picture = np.vstack([rows[0], gap, rows[1], gap, rows[2]])
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


def _framed_thumbnail(photo: Path) -> Pixels:
    """Return the thumbnail inside `photo` on white, as large as the view of the seam."""
    framed: Pixels = np.full((SEAM.size, SEAM.size, 3), 255, np.uint8)
    thumbnail = read_thumbnail(photo)
    if thumbnail is not None:
        width = SEAM.size - 2 * GAP
        height = thumbnail.shape[0] * width // thumbnail.shape[1]
        top = (SEAM.size - height) // 2
        framed[top : top + height, GAP : GAP + width] = cv2.resize(thumbnail, (width, height))
    return framed


def _labelled(pixels: Pixels, words: str) -> Pixels:
    """Return a copy with `words` in its upper left corner, white on black."""
    labelled = pixels.copy()
    (width, height), below = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.55, 1)
    cv2.rectangle(labelled, (0, 0), (width + 12, height + below + 8), (0, 0, 0), cv2.FILLED)
    place = (6, height + 6)
    cv2.putText(labelled, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
    return labelled
