"""Whether a finished file carries a picture or film besides its own, and whether its thumbnail shows what it shows.

Knows no tags, and not what the cleaning did: blocks of metadata are searched by what pictures look like, then once more
by trying to open whatever begins like one.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pii_blur.photo.embedded import find_pictures
from pii_blur.photo.exif_ifd import uncompressed_pictures
from pii_blur.photo.openable import anything_openable

Luma = NDArray[np.uint8]

_HEXADECIMAL = re.compile(rb"\b(?:[0-9A-Fa-f]{2}){30,}\b")

# A thumbnail is a small version if nothing in it differs by more than sharpening and coarse coding do.
_LARGEST = 320
_MOST_BYTES = 1 << 16
_CELLS = 16
_MOST_DIFFERENCE = 32.0  # grey levels, mean over a cell
# Where hiding changed the small version, the thumbnail must look like the result, not like the source.
_LEAST_CHANGE = 6.0  # grey levels, mean over a patch
# As a part of the change: coarse coding of fine detail can bring a thumbnail a little nearer to the source by chance;
# one that was not blurred is nearer by all of the change.
_CLEARLY = 0.25
_PATCH = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """What a thumbnail may show.

    Attributes:
        result: uint8 (h, w) brightness of the finished file, small.
        source: the same of the source; None where nothing was hidden.
        most: how many small pictures there may be.
    """

    result: Luma
    source: Luma | None = None
    most: int = 1


def foreign_pictures(blocks: Iterable[tuple[str, bytes]], expected: Expected) -> str:
    """Look for pictures in metadata.

    Args:
        blocks: (name, bytes) of each block of metadata, joined from its parts.
        expected: what a thumbnail may show.

    Returns:
        What was found that must not be there, in words; empty if nothing.
    """
    thumbnails = 0
    for name, data in blocks:
        if uncompressed_pictures(data):
            return f"uncompressed picture in {name}"
        rest = data
        for one in find_pictures(data):
            if one.kind != "JPEG" or one.encoded:
                return f"{one.kind} in {name}"
            picture = data[one.start : one.end]
            is_nested = picture.count(b"\xff\xd8\xff") != 1
            if thumbnails >= expected.most or is_nested or len(picture) > _MOST_BYTES:
                return f"second {one.kind} in {name}"
            if why := _is_no_thumbnail(picture, expected):
                return f"{why} in {name}"
            thumbnails += 1
            rest = rest.replace(picture, bytes(len(picture)))
        if what := anything_openable(rest):
            return f"{what} in {name}"
    return ""


def holds_picture(value: object) -> bool:
    """Whether what exiftool says of a tag (with ``-b``) is, or contains, a picture or film."""
    text = value if isinstance(value, str) else json.dumps(value)
    data = text.encode("utf-8", "replace")
    parts = [data, binascii.unhexlify(b"".join(_HEXADECIMAL.findall(data)))]
    if text.startswith("base64:"):
        parts.append(base64.b64decode(text.removeprefix("base64:")))
    return any(find_pictures(part) or anything_openable(part) for part in parts)


def _is_no_thumbnail(picture: bytes, expected: Expected) -> str:
    """Say in what way a picture is no small version of the result; empty if it is one."""
    try:
        with Image.open(io.BytesIO(picture), formats=("JPEG",)) as opened:
            if max(opened.size) > _LARGEST:
                return "a second picture"
            small = np.asarray(opened.convert("L"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError):
        return "a picture that does not open"
    small = _without_bars(small, expected.result.shape)
    # As large as the smaller of the two.
    size = (min(small.shape[1], expected.result.shape[1]), min(small.shape[0], expected.result.shape[0]))
    shown, result = (
        cv2.resize(one, size, interpolation=cv2.INTER_AREA).astype(np.float32) for one in (small, expected.result)
    )
    # Cells of three pixels and more, or a shift by part of a pixel counts as another picture.
    cells = (min(2 * _CELLS, max(size[0] // 3, 1)), min(_CELLS, max(size[1] // 3, 1)))
    if np.abs(cv2.resize(shown - result, cells, interpolation=cv2.INTER_AREA)).max() > _MOST_DIFFERENCE:
        return "a thumbnail of something else"
    if expected.source is None:
        return ""
    # PRIVACY: a thumbnail may be like the result as a whole and still show a region as it was.
    source = cv2.resize(expected.source, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    change, to_result, to_source = (_patches(one) for one in (result - source, shown - result, shown - source))
    is_source = to_result > to_source + _CLEARLY * change
    return "a thumbnail that was not blurred" if ((change > _LEAST_CHANGE) & is_source).any() else ""


def _patches(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean size of a difference over small patches, every one half over the next."""
    return np.asarray(cv2.blur(np.abs(difference), (_PATCH, _PATCH))[:: _PATCH // 2, :: _PATCH // 2], dtype=np.float32)


def _without_bars(small: Luma, shape: tuple[int, ...]) -> Luma:
    """Cut off black bars, with which cameras fill thumbnails up to 160 x 120."""
    height, width = shape
    bar_x = max(round((small.shape[1] - small.shape[0] * width / height) / 2), 0)
    bar_y = max(round((small.shape[0] - small.shape[1] * height / width) / 2), 0)
    kept = small[bar_y : small.shape[0] - bar_y, bar_x : small.shape[1] - bar_x]
    return kept if min(kept.shape) > 0 else small
