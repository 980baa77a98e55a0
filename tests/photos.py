"""Photos with all that cameras hide in them, made on the spot with Pillow and the real exiftool."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pii_blur.photo.photo import HiddenPhoto, Photo
from tests.jpegs import encode, picture

Pixels = NDArray[np.uint8]


def street(height: int = 96, width: int = 160, seed: int = 0) -> Pixels:
    """Return a picture, uint8 (height, width, 3) RGB, whose parts all look different."""
    return picture(height, width, seed, detail=16)


def street_jpeg(height: int = 96, width: int = 160, seed: int = 0, **options: object) -> bytes:
    """Return `street` as a JPEG."""
    return encode(street(height, width, seed), **{"quality": 92, **options})


def other_jpeg(height: int = 90, width: int = 160, seed: int = 99) -> bytes:
    """Return a JPEG of something else: what must never be found in a result."""
    return encode(street(height, width, seed), quality=80)


def with_tags(data: bytes, folder: Path, *arguments: str, suffix: str = ".jpg") -> bytes:
    """Let exiftool write tags into a file; `{other}` in an argument stands for a file with `other_jpeg`."""
    path, other = folder / f"tagged{suffix}", folder / "other.jpg"
    path.write_bytes(data)
    other.write_bytes(other_jpeg())
    replaced = [argument.replace("{other}", str(other)) for argument in arguments]
    command = ["exiftool", "-q", "-q", "-m", "-overwrite_original", *replaced, str(path)]
    subprocess.run(command, check=True, timeout=60)
    result = path.read_bytes()
    path.unlink()
    other.unlink()
    return result


def hide_middle(photo: Photo) -> HiddenPhoto:
    """Hide a rectangle about the middle of a photo under smooth colour."""
    height, width = photo.pixels.shape[:2]
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[height // 4 : height * 3 // 4 + 1, width // 4 : width * 3 // 4 + 1] = 255
    tiny = cv2.resize(photo.pixels, (2, 2), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(tiny, (width, height), interpolation=cv2.INTER_LINEAR)
    pixels = np.where(mask[..., np.newaxis] > 0, smooth, photo.pixels)
    return HiddenPhoto(np.asarray(pixels, dtype=np.uint8), mask)


def pictures_anywhere(data: bytes) -> list[Pixels]:
    """Return every JPEG that Pillow can open at any FF D8 FF of a file but the first: found without our own finder."""
    found = []
    start = data.find(b"\xff\xd8\xff", 1)
    while start >= 0:
        try:
            with Image.open(io.BytesIO(data[start:])) as image:
                found.append(np.array(image.convert("RGB")))
        except (OSError, SyntaxError, ValueError):
            pass  # three bytes that only look like a beginning
        start = data.find(b"\xff\xd8\xff", start + 1)
    return found
