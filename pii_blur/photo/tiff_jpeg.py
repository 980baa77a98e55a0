"""JPEG-compressed strips and tiles of a TIFF (Technical Note 2 on TIFF 6.0): each a JPEG whose tables may lie apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import PhotoFailure
from pii_blur.photo.encode import encode_like
from pii_blur.photo.jpeg_decode import decode_jpeg
from pii_blur.photo.jpeg_frame import FrameError, read_frame
from pii_blur.photo.splice import SpliceRefused, splice_jpeg
from pii_blur.photo.turbojpeg import check_decodes

Pixels = NDArray[np.uint8]


def decode_piece_jpeg(
    packed: bytes, tables: bytes, shape: tuple[int, int, int], *, most_rows: int, is_inverted: bool
) -> Pixels:
    """Return uint8 (h, w, 1 or 3), 0 is black.

    Args:
        packed: the strip or tile.
        tables: of all of them, a JPEG without picture; may be empty.
        shape: that it must have.
        most_rows: how many rows it may be coded with; those below `shape` are left out.
        is_inverted: grey, and 0 is white in the file.

    Raises:
        PhotoFailure: it is damaged (code ``damaged``).
    """
    whole = _whole(packed, tables)
    try:
        frame = read_frame(whole)
    except FrameError as error:
        raise PhotoFailure(f"a JPEG-compressed part of the picture is damaged: {error}", "damaged") from error
    if (frame.width, len(frame.components)) != (shape[1], shape[2]) or not shape[0] <= frame.height <= most_rows:
        raise PhotoFailure("a JPEG-compressed part of the picture has another size than it should", "damaged")
    if damage := check_decodes(whole):
        raise PhotoFailure(f"a JPEG-compressed part of the picture is damaged: {damage}", "damaged")
    pixels = decode_jpeg(whole)[: shape[0], :, : shape[2]]
    return np.invert(pixels) if is_inverted else pixels


def encode_piece_jpeg(
    packed: bytes, tables: bytes, pixels: NDArray[np.uint8] | NDArray[np.uint16], mask: Pixels, *, is_inverted: bool
) -> tuple[bytes, str]:
    """Put new pixels into a strip or tile; what the mask does not touch keeps its coefficients where that is possible.

    Returns:
        A whole JPEG, and why all of it had to be coded anew; empty if it had not.
    """
    whole = _whole(packed, tables)
    rgb = np.asarray(np.repeat(pixels, 3 // pixels.shape[2], axis=2), dtype=np.uint8)
    if is_inverted:
        rgb = np.invert(rgb)
    frame = read_frame(whole)
    beyond = frame.height - rgb.shape[0]  # the last strip may be coded as high as the others
    rgb, mask = (
        np.pad(rgb, ((0, beyond), (0, 0), (0, 0)), mode="edge"),
        np.pad(mask, ((0, beyond), (0, 0)), mode="edge"),
    )
    try:
        return splice_jpeg(whole, rgb, mask).data, ""
    except SpliceRefused as refusal:
        return encode_like(frame, rgb), refusal.reason


def _whole(packed: bytes, tables: bytes) -> bytes:
    """Put the tables in front of the picture, each without its own SOI, the former without EOI."""
    return tables[:-2] + packed[2:] if tables[:2] == b"\xff\xd8" and tables[-2:] == b"\xff\xd9" else packed
