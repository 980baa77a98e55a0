"""Writes the drawn panorama as the file a camera would leave: EXIF with a position, GPano, and a thumbnail."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

THUMBNAIL_WIDTH = 160
JPEG_QUALITY = 92

# The summit of Mont Blanc, where nobody lives. Degrees and metres.
LATITUDE, LONGITUDE, ALTITUDE = 45.8326, 6.8652, 4806


def write_photo(pixels: Pixels, file: Path) -> None:
    """Write `pixels`, uint8 RGB (height, width, 3), as a JPEG with metadata and a thumbnail that shows everything.

    Raises:
        RuntimeError: the file cannot be written, or exiftool is missing or refuses.
    """
    height, width = pixels.shape[:2]
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".pii-blur-") as folder:
        photo, thumbnail = Path(folder) / "photo.jpg", Path(folder) / "thumbnail.jpg"
        _write_jpeg(pixels, photo)
        size = (THUMBNAIL_WIDTH, THUMBNAIL_WIDTH * height // width)
        _write_jpeg(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8), thumbnail)
        tags = [*_camera_tags(), *_panorama_tags(width, height), f"-ThumbnailImage<={thumbnail}"]
        run_exiftool("-overwrite_original", *tags, str(photo))
        photo.replace(file)


def read_thumbnail(file: Path) -> Pixels | None:
    """Return the thumbnail inside a photo, uint8 RGB, or None where there is none."""
    data = run_exiftool("-b", "-ThumbnailImage", str(file))
    if not data:
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if pixels is None else np.asarray(pixels[..., ::-1], dtype=np.uint8)


def run_exiftool(*arguments: str) -> bytes:
    """Run exiftool on a file that this package wrote, and return what it prints.

    Raises:
        RuntimeError: it is missing or refuses.
    """
    command = ["exiftool", "-q", "-n", *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    except FileNotFoundError:
        raise RuntimeError("exiftool is missing; run ./blur, which installs it, or see the README") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"exiftool refused: {error.stderr.decode(errors='replace').strip()}") from error


def _write_jpeg(pixels: Pixels, file: Path) -> None:
    """Write uint8 RGB pixels."""
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    if not cv2.imwrite(str(file), bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
        raise RuntimeError(f"{file} cannot be written")


def _camera_tags() -> list[str]:
    """Return exiftool's arguments for what a camera notes."""
    return [
        "-EXIF:Make=pii-blur",
        "-EXIF:Model=drawn panorama",
        "-EXIF:ImageDescription=A courtyard with photographs of two people, to try pii-blur on",
        "-EXIF:Copyright=Photographs: NASA (public domain); Lav Varshney (CC0). All else: AGPL-3.0-or-later",
        "-EXIF:DateTimeOriginal=2026:01:01 12:00:00",
        f"-EXIF:GPSLatitude={LATITUDE}",
        "-EXIF:GPSLatitudeRef=N",
        f"-EXIF:GPSLongitude={LONGITUDE}",
        "-EXIF:GPSLongitudeRef=E",
        f"-EXIF:GPSAltitude={ALTITUDE}",
        "-EXIF:GPSAltitudeRef=0",
    ]


def _panorama_tags(width: int, height: int) -> list[str]:
    """Return exiftool's arguments for Google's description of a panorama of the whole sphere (GPano)."""
    values: dict[str, str | int] = {
        "ProjectionType": "equirectangular",
        "UsePanoramaViewer": "True",
        "FullPanoWidthPixels": width,
        "FullPanoHeightPixels": height,
        "CroppedAreaImageWidthPixels": width,
        "CroppedAreaImageHeightPixels": height,
        "CroppedAreaLeftPixels": 0,
        "CroppedAreaTopPixels": 0,
        "PoseHeadingDegrees": 0,
    }
    return [f"-XMP-GPano:{name}={value}" for name, value in values.items()]
