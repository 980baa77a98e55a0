"""Looks at the finished file once more, as a stranger would, before anybody else can.

Trusts nothing that made the file: it is taken apart and decoded again. Knows no tags and no tools.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import PhotoFailure
from pii_blur.photo.embedded import Embedded, find_pictures, join_blocks, without_pictures
from pii_blur.photo.jpeg_frame import FrameError, read_frame
from pii_blur.photo.jpeg_segments import JFXX, split_jpeg
from pii_blur.photo.photo import Pixels
from pii_blur.photo.png_chunks import split_png
from pii_blur.photo.turbojpeg import check_decodes

_STRIP = 64  # rows compared at a time: small enough that one region cannot hide among many
_NOISE = 6.0  # levels of difference that coarse JPEG tables alone explain


def check_jpeg(data: bytes, width: int, height: int, *, allowed: Sequence[bytes] = ()) -> None:
    """Make sure that a finished JPEG is whole and carries no picture but its own.

    Args:
        data: the file.
        width, height: pixels as stored that it must have.
        allowed: pictures that may stand in its metadata: the fresh thumbnail.

    Raises:
        PhotoFailure: code ``leak`` or ``verify``.
    """
    try:
        jpeg = split_jpeg(data)
        frame = read_frame(data)
    except (PhotoFailure, FrameError) as error:
        raise PhotoFailure(f"the written file is broken ({error}); nothing was published", "verify") from error
    if (frame.width, frame.height) != (width, height):
        raise PhotoFailure("the written file has another size; nothing was published", "verify")
    damage = check_decodes(data)
    if damage is not None:
        raise PhotoFailure(f"the written file does not decode ({damage}); nothing was published", "verify")
    # PRIVACY: whatever stands in the metadata or behind the picture and shows a picture was never blurred.
    if jpeg.trailer.strip(b"\0"):
        raise _leak("data after the end of the picture")
    for block in join_blocks(jpeg.segments):
        if block.data.startswith(JFXX):
            raise _leak("JFXX thumbnail")
        _refuse_pictures(find_pictures(without_pictures(block.data, allowed)), block.name)


def check_png(data: bytes, width: int, height: int, *, allowed: Sequence[bytes] = ()) -> None:
    """Make sure that a finished PNG is whole and carries no picture but its own; see `check_jpeg`."""
    try:
        png = split_png(data)
    except PhotoFailure as error:
        raise PhotoFailure(f"the written file is broken ({error}); nothing was published", "verify") from error
    header = png.chunks[0].payload
    if (int.from_bytes(header[:4]), int.from_bytes(header[4:8])) != (width, height):
        raise PhotoFailure("the written file has another size; nothing was published", "verify")
    # PRIVACY: as in check_jpeg.
    if png.trailer.strip(b"\0"):
        raise _leak("data after the end of the picture")
    if png.is_animated:
        raise _leak("further frames")
    for chunk in png.metadata:
        _refuse_pictures(find_pictures(without_pictures(chunk.content, allowed)), chunk.type.decode("ascii", "replace"))


def check_hidden(written: Pixels, hidden: Pixels, original: Pixels, mask: NDArray[np.uint8]) -> None:
    """Make sure that the decoded file shows the hidden pixels, not the original ones, wherever something was hidden.

    Args:
        written, hidden, original: uint8 (h, w, 3) RGB in the same frame.
        mask: uint8 (h, w), nonzero where something was hidden.

    Raises:
        PhotoFailure: code ``leak``.
    """
    for top in range(0, mask.shape[0], _STRIP):
        rows = slice(top, top + _STRIP)
        if not mask[rows].any():
            continue
        # PRIVACY: closer to the original than to what was to be written: the region is still to be seen.
        to_hidden = cv2.mean(cv2.absdiff(written[rows], hidden[rows]), mask[rows])
        to_original = cv2.mean(cv2.absdiff(written[rows], original[rows]), mask[rows])
        if sum(to_hidden) > sum(to_original) and sum(to_hidden) > 3 * _NOISE:
            raise _leak("a hidden region in its original form")


def _refuse_pictures(found: Sequence[Embedded], where: str) -> None:
    if found:
        raise _leak(f"{found[0].kind} in {where}")


def _leak(what: str) -> PhotoFailure:
    message = f"the written file still carries something that was not blurred ({what}); nothing was published"
    return PhotoFailure(message, "leak")
