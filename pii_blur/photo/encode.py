"""Pixels -> coded picture: the JPEG of a blurred photo, its thumbnail. Knows no metadata."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image, JpegImagePlugin

from pii_blur.photo.jpeg_frame import Frame, read_frame
from pii_blur.photo.jpeg_segments import split_jpeg
from pii_blur.photo.orientation import as_stored
from pii_blur.photo.photo import HiddenPhoto, Photo, PhotoFacts, Pixels
from pii_blur.photo.splice import SpliceRefused, splice_jpeg

THUMBNAIL_WIDTH = 160  # Exif 2.32, section 4.5.8: thumbnails are 160 x 120, or as wide
_THUMBNAIL_QUALITY = 80
_LEAST_SIDE = 16  # pixels: a picture of a few blocks is a thumbnail itself
_MOST_THUMBNAIL_BYTES = 24_000  # the whole of Exif has 64 KB

_FINE_QUALITY = 95
_TILE = 32
_MOST_LOSS = 10.0  # grey levels, mean over a tile; the guard refuses what loses more than 12

# Sampling factors of luma against chroma, as Pillow names them. What it does not know is written without subsampling.
_SAMPLINGS = {(1, 1): 0, (2, 1): 1, (2, 2): 2}


def encode_jpeg(photo: Photo, hidden: HiddenPhoto) -> tuple[bytes, str]:
    """Code a blurred photo as JPEG, the way its source was.

    Args:
        photo: from a JPEG file.
        hidden: its new pixels.

    Returns:
        A whole JPEG file whose metadata is to be replaced, and the way it was made: ``lossless`` (outside the hidden
        blocks no coefficient changed), perhaps with what could not be kept in brackets, or ``re-encoded (reason)``.
    """
    facts = facts_of(photo)
    pixels, mask = (as_stored(array, facts.orientation) for array in (hidden.pixels, hidden.mask))
    jpeg = split_jpeg(facts.data)
    source = facts.data if jpeg.is_tidy else jpeg.to_bytes()
    try:
        spliced = splice_jpeg(source, pixels, mask)
    except SpliceRefused as refusal:
        return encode_like(read_frame(source), pixels), f"re-encoded ({refusal.reason})"
    return spliced.data, f"lossless ({', '.join(spliced.notes)})" if spliced.notes else "lossless"


def encode_anew(photo: Photo) -> bytes:
    """Code a JPEG photo anew from its own pixels, with its own tables and sampling."""
    facts = facts_of(photo)
    return encode_like(read_frame(split_jpeg(facts.data).to_bytes()), as_stored(photo.pixels, facts.orientation))


def make_thumbnail(pixels: Pixels) -> bytes:
    """Return a small JPEG of a picture.

    Args:
        pixels: uint8 (h, w, 3) RGB, blurred, as stored in the file.

    Returns:
        A JPEG of at most `THUMBNAIL_WIDTH` pixels on its longer side, without metadata; empty where the picture is too
        small for one.
    """
    if min(pixels.shape[:2]) < _LEAST_SIDE:
        return b""
    # OpenCV is ten times as fast where it shrinks by a whole number: most of the way goes like that, less an odd edge.
    factor = max(max(pixels.shape[:2]) // (2 * THUMBNAIL_WIDTH), 1)
    factor = factor if factor <= min(pixels.shape[:2]) else 1
    height, width = (side // factor for side in pixels.shape[:2])
    if factor > 1:
        edged = pixels[: height * factor, : width * factor]
        pixels = np.asarray(cv2.resize(edged, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    scale = min(THUMBNAIL_WIDTH / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    for quality in (_THUMBNAIL_QUALITY, 50, 20):
        file = io.BytesIO()
        Image.fromarray(np.asarray(small, dtype=np.uint8)).save(file, "JPEG", quality=quality)
        if len(file.getvalue()) <= _MOST_THUMBNAIL_BYTES:
            break
    return file.getvalue()


def facts_of(photo: Photo) -> PhotoFacts:
    """Return what is known of a photo's file.

    Raises:
        ValueError: it never was a file.
    """
    if photo.facts is None:
        raise ValueError("only a photo that was read from a file can be written like it")
    return photo.facts


def encode_like(frame: Frame, pixels: Pixels) -> bytes:
    """Code stored-frame pixels with a JPEG's quantisation tables, sampling and scan mode; four components become 3.

    What these cannot carry, as the loud colours of a damaged picture, is coded finer.
    """
    is_grey = len(frame.components) == 1
    tables: list[list[int]] = []
    for component in frame.components[: 1 if is_grey else 3]:
        table = frame.tables.get(component.table)
        if table is not None and (not tables or table.astype(int).tolist() != tables[-1]):
            tables.append(table.astype(int).tolist())
    # Grey pixels have three equal channels, before and after blurring.
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 1]) if is_grey else pixels)
    options = {"qtables": tables or None, "subsampling": _SAMPLINGS.get(_sampling(frame), 0)}
    for own in (options, {"quality": _FINE_QUALITY, "subsampling": 0}):
        file = io.BytesIO()
        picture.save(file, "JPEG", progressive=frame.is_progressive, **own)
        # Not Image.open: its own, lower limit on the number of pixels is not ours.
        with JpegImagePlugin.JpegImageFile(io.BytesIO(file.getvalue())) as coded:
            if loses_little(pixels, np.asarray(coded.convert("RGB"))):
                break
    return file.getvalue()


def loses_little(pixels: Pixels, coded: Pixels) -> bool:
    """Whether a picture is what it was before it was coded, as closely as a look at it can tell."""
    size = (max(pixels.shape[1] // _TILE, 1), max(pixels.shape[0] // _TILE, 1))
    return bool(cv2.resize(cv2.absdiff(pixels, coded), size, interpolation=cv2.INTER_AREA).max() <= _MOST_LOSS)


def _sampling(frame: Frame) -> tuple[int, int]:
    """Return luma's factors if both chroma components have 1 x 1, else no known sampling."""
    chroma = {(component.horizontal, component.vertical) for component in frame.components[1:3]}
    return frame.sampling if chroma == {(1, 1)} and len(frame.components) == 3 else (1, 1)
