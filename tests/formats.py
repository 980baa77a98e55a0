"""Photos in every format but JPEG, made on the spot with Pillow, OpenCV, tifffile and pillow-heif."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pii_blur.photo.photo import HiddenPhoto, Photo
from tests.photos import street

Samples = NDArray[np.uint8] | NDArray[np.uint16]

HEIGHT, WIDTH = 128, 256
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(channels: int, dtype: type = np.uint8, *, seed: int = 0) -> Samples:
    """Return `street` as samples (h, w, channels): grey, with alpha, with noise in the lower bits of 16."""
    rgb = street(HEIGHT, WIDTH, seed)
    colours = rgb if channels > 2 else rgb[..., 1:2]
    alpha = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH))[..., None] % 256
    samples = np.concatenate([colours, alpha], axis=2)[..., :channels] if channels in (2, 4) else colours
    if dtype == np.uint8:
        return np.ascontiguousarray(samples, dtype=np.uint8)
    noise = np.random.default_rng(seed).integers(0, 256, samples.shape)
    return (samples.astype(np.uint16) << 8 | noise.astype(np.uint16)).astype(np.uint16)


def pillow(samples: Samples, kind: str, **options: object) -> bytes:
    """Code 8-bit samples with Pillow."""
    file = io.BytesIO()
    Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples).save(file, kind, **options)
    return file.getvalue()


def png(samples: Samples, **options: object) -> bytes:
    """Code samples as PNG: 8 bits with Pillow, 16 with OpenCV."""
    if samples.dtype == np.uint8:
        return pillow(samples, "PNG", **options)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[samples.shape[2]]
    return cv2.imencode(".png", np.ascontiguousarray(samples[..., order]))[1].tobytes()


def tiff(samples: Samples, **options: object) -> bytes:
    """Code samples as TIFF with tifffile; `options` are those of its `imwrite`."""
    channels = samples.shape[2]
    settings: dict[str, object] = {"photometric": "rgb" if channels > 2 else "minisblack", "metadata": None}
    if channels in (2, 4):
        settings["extrasamples"] = ["unassalpha"]
    data = samples[..., 0] if channels == 1 else samples
    data = np.moveaxis(data, -1, 0) if options.get("planarconfig") == "separate" else data
    file = io.BytesIO()
    tifffile.imwrite(file, data, **settings | options)
    return file.getvalue()


def heic(samples: Samples, **options: object) -> bytes:
    """Code 8-bit samples as HEIC. Skips the test where pillow-heif is not installed."""
    library = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed (the extra heif)")
    file = io.BytesIO()
    coder = library.from_pillow(Image.fromarray(samples))
    coder.info["thumbnails"] = [options.pop("thumbnail")] if "thumbnail" in options else []
    coder.save(file, format="HEIF", **options)
    return file.getvalue()


def avif(samples: Samples, **options: object) -> bytes:
    """Code 8-bit samples as AVIF. Skips the test where this Pillow cannot."""
    pytest.importorskip("PIL.AvifImagePlugin", reason="this Pillow has no AVIF")
    return pillow(samples, "AVIF", **options)


def hide_plainly(photo: Photo) -> HiddenPhoto:
    """Hide a rectangle about the middle of a photo under plain colour."""
    height, width = photo.pixels.shape[:2]
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = 255
    pixels = photo.pixels.copy()
    pixels[mask > 0] = photo.pixels[mask > 0].mean(axis=0).astype(np.uint8)
    return HiddenPhoto(pixels, mask)
