"""The picture formats besides JPEG, which has a way of its own: what each is recognised by, and its four functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pii_blur.photo.cleaner import Cleaner
from pii_blur.photo.contents import Built, Contents
from pii_blur.photo.format_heif import (
    carry_heif,
    is_avif,
    is_heic,
    read_avif,
    read_heic,
    strip_avif,
    strip_heic,
    write_avif,
    write_heic,
)
from pii_blur.photo.format_png import carry_png, read_png, strip_png, write_png
from pii_blur.photo.format_tiff import carry_tiff, read_tiff, strip_tiff, write_tiff
from pii_blur.photo.format_webp import carry_webp, is_webp, read_webp, strip_webp, write_webp
from pii_blur.photo.png_chunks import SIGNATURE
from pii_blur.photo.raster import Raster
from pii_blur.photo.tiff_ifd import is_tiff


@dataclass(frozen=True, slots=True)
class Format:
    """One picture format; the functions are described in `contents.py`."""

    name: str
    recognises: Callable[[bytes], bool]
    read: Callable[[bytes, int], Contents]
    write: Callable[[bytes, Raster, NDArray[np.uint8], Cleaner], Built]
    strip: Callable[[bytes, Cleaner], Built]
    carry: Callable[[bytes], tuple[bytes, str]]


FORMATS = (
    Format("PNG", lambda data: data.startswith(SIGNATURE), read_png, write_png, strip_png, carry_png),
    Format("TIFF", is_tiff, read_tiff, write_tiff, strip_tiff, carry_tiff),
    Format("WebP", is_webp, read_webp, write_webp, strip_webp, carry_webp),
    Format("AVIF", is_avif, read_avif, write_avif, strip_avif, carry_heif),
    Format("HEIC", is_heic, read_heic, write_heic, strip_heic, carry_heif),
)


def format_of(data: bytes) -> Format | None:
    """Return the format of a file, None for JPEG and for what is not handled."""
    return next((one for one in FORMATS if one.recognises(data)), None)
