"""A sound JPEG -> its pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import PhotoFailure

_COLOUR = getattr(cv2, "IMREAD_COLOR_RGB", cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION


def decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    """Return RGB pixels of a sound JPEG as stored, without turning.

    Raises:
        PhotoFailure: it cannot be decoded (code ``damaged``).
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), _COLOUR)
    except cv2.error as error:
        raise PhotoFailure(f"the picture cannot be decoded: {error.err}", "damaged") from error
    if pixels is None:
        raise PhotoFailure("the picture cannot be decoded; open it in an image editor and save it anew", "damaged")
    if not hasattr(cv2, "IMREAD_COLOR_RGB"):
        cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return np.asarray(pixels, dtype=np.uint8)
