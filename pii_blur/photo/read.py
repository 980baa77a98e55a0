"""File -> Photo: read once, refuse what cannot be trusted, decode, turn upright. Changes no file.

Everything is checked from the headers before a pixel is decoded, so that no file, however made, costs more than its
picture is worth.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import JpegImagePlugin

from pii_blur.errors import PhotoFailure
from pii_blur.photo.contents import check_size
from pii_blur.photo.formats import Format, format_of
from pii_blur.photo.gpano import understand
from pii_blur.photo.jpeg_decode import decode_jpeg
from pii_blur.photo.jpeg_frame import Frame, FrameError, read_frame
from pii_blur.photo.jpeg_segments import exif_of, split_jpeg, xmp_of
from pii_blur.photo.metadata import claim_in
from pii_blur.photo.orientation import read_orientation, upright
from pii_blur.photo.photo import Photo, PhotoFacts, Pixels
from pii_blur.photo.turbojpeg import check_decodes

MAX_PIXELS = 250_000_000
MAX_BYTES = 1 << 30

_KNOWN_FORMATS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"8BPS": "Photoshop",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL": "JPEG XL",
    b"II\xbc\x01": "JPEG XR",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"IIRO": "the raw data of an Olympus camera",
    b"IIU\0": "the raw data of a Panasonic camera",
    b"FUJIFILMCCD-RAW": "the raw data of a Fujifilm camera",
    b"\x1aE\xdf\xa3": "video",
    b"INSV": "video",
}
_CUT_OFF = "premature end"  # libjpeg's words for a picture whose rest it fills with grey


def read_photo(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo of any format that is handled; see docs/formats.md.

    Args:
        path: the file; it may have any name.
        max_pixels: larger pictures are refused.

    Returns:
        Upright RGB pixels, the directions they show, and the whole file in `Photo.facts`.

    Raises:
        PhotoFailure: `code` is one of ``missing``, ``permission``, ``unreadable``, ``changed``, ``empty``,
            ``not_an_image``, ``unsupported``, ``truncated``, ``damaged``, ``too_large``.
        MissingDependency: libturbojpeg is not installed.
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        if data[:2] == b"\xff\xd8":
            return _read_jpeg(data, max_pixels)
        found = format_of(data)
        if found is None:
            raise _not_a_photo(data)
        return _read_other(found, data, max_pixels)
    except PhotoFailure as failure:
        raise PhotoFailure(f"'{_shown(path)}': {failure.message}", failure.code, failure.stage) from failure


def _read_bytes(path: Path) -> bytes:
    try:
        # Without waiting: a named pipe that calls itself a photo must not stop the batch.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise PhotoFailure(f"'{_shown(path)}' is no ordinary file", "not_an_image")
            if before.st_size > MAX_BYTES:
                size = f"{before.st_size >> 20} MiB"
                raise PhotoFailure(f"'{_shown(path)}' is {size} large; the most is {MAX_BYTES >> 20} MiB", "too_large")
            data = file.read(before.st_size + 1)
            after = os.fstat(file.fileno())
    except FileNotFoundError as error:
        raise PhotoFailure(f"'{_shown(path)}' is not there any more", "missing") from error
    except PermissionError as error:
        raise PhotoFailure(f"'{_shown(path)}' may not be read; change its permissions", "permission") from error
    except OSError as error:
        raise PhotoFailure(f"'{_shown(path)}' cannot be read: {error.strerror}", "unreadable") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise PhotoFailure(f"'{_shown(path)}' changed while it was read; run again when it is complete", "changed")
    if not data:
        raise PhotoFailure(f"'{_shown(path)}' is empty (0 bytes); copy it again from the camera", "empty")
    return data


def _read_jpeg(data: bytes, max_pixels: int) -> Photo:
    jpeg = split_jpeg(data)
    plain = data[: len(data) - len(jpeg.trailer)] if jpeg.is_tidy else jpeg.to_bytes()
    frame = _supported_frame(plain)
    check_size(frame.width, frame.height, max_pixels)
    damage = check_decodes(plain)
    if damage is None:
        pixels = decode_jpeg(plain)
    elif _CUT_OFF in damage.lower():
        raise PhotoFailure("the picture is cut off; copy it again from the camera", "truncated")
    else:
        pixels = _decode_damaged(plain, damage)
    if pixels.shape[:2] != (frame.height, frame.width):
        raise PhotoFailure("header and picture differ in size", "damaged")
    facts = PhotoFacts(
        format="JPEG",
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        orientation=read_orientation(exif_of(jpeg.segments)),
        claim=claim_in(segment.payload for segment in jpeg.segments),
        damage=damage or "",
    )
    return _photo(pixels, facts, xmp_of(jpeg.segments))


def _read_other(found: Format, data: bytes, max_pixels: int) -> Photo:
    contents = found.read(data, max_pixels)
    facts = PhotoFacts(
        format=found.name,
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        orientation=contents.orientation,
        claim=claim_in(block for _, block in contents.blocks),
        contents=contents,
    )
    return _photo(contents.raster.to_rgb(), facts, contents.xmp)


def _photo(stored: Pixels, facts: PhotoFacts, xmp: bytes) -> Photo:
    pixels = upright(stored, facts.orientation)
    height, width = pixels.shape[:2]
    projection = understand(width, height, xmp)
    return Photo(
        pixels=pixels,
        extent=projection.extent,
        pose_pitch=projection.pose_pitch,
        pose_roll=projection.pose_roll,
        facts=replace(facts, projection=projection.phrase),
    )


def _supported_frame(plain: bytes) -> Frame:
    try:
        frame = read_frame(plain)
    except FrameError as error:
        raise PhotoFailure(f"the file is damaged: {error}", "damaged") from error
    if frame.precision != 8:
        raise PhotoFailure(
            f"JPEG with {frame.precision} bits per sample is not supported; save it with 8", "unsupported"
        )
    if frame.process not in (0, 1, 2, 9, 10):
        raise PhotoFailure("lossless or hierarchical JPEG is not supported; save it as ordinary JPEG", "unsupported")
    if len(frame.components) not in (1, 3, 4):
        raise PhotoFailure(f"JPEG with {len(frame.components)} colour components is not supported", "unsupported")
    return frame


def _decode_damaged(plain: bytes, damage: str) -> Pixels:
    """Decode what libjpeg warns about, quietly. Such a photo is always encoded anew: see `PhotoFacts.damage`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about damaged Exif, which plays no part here
            with JpegImagePlugin.JpegImageFile(io.BytesIO(plain)) as picture:
                return np.array(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise PhotoFailure(f"the picture is damaged ({damage}); copy it again from the camera", "damaged") from error


def _not_a_photo(data: bytes) -> PhotoFailure:
    known = next((name for magic, name in _KNOWN_FORMATS.items() if data.startswith(magic)), None)
    if data[4:8] == b"ftyp":
        known = "the raw data of a Canon camera" if data[8:12] == b"crx " else "video"
    elif data[:4] == b"RIFF":
        known = "video or sound"
    if known is None:
        return PhotoFailure("the file is no image, or damaged from its first byte on", "not_an_image")
    return PhotoFailure(f"{known} is not supported; save it as JPEG, PNG or TIFF", "unsupported")


def _shown(path: Path) -> str:
    """Return a path that can be printed, also where its name is no text in the system's encoding."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
