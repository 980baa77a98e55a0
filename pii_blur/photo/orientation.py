"""EXIF orientation: reading it, turning a picture upright by it, and turning it back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TAG = 0x0112
_SHORT = 3
_MOST_ENTRIES = 1000  # IFD0 of a camera has about 20; more is damage


def find_orientation(exif: bytes) -> int:
    """Return where in a TIFF structure the entry for the orientation begins that IFD0 has; 0 where it has none."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(exif[:4])
    if order is None:
        return 0

    def number(start: int, size: int) -> int:
        return int.from_bytes(exif[start : start + size], "little" if order == "little" else "big")

    ifd = number(4, 4)
    entries = range(ifd + 2, ifd + 2 + 12 * min(number(ifd, 2), _MOST_ENTRIES), 12)
    return next((entry for entry in entries if (number(entry, 2), number(entry + 2, 2)) == (_TAG, _SHORT)), 0)


def read_orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, that IFD0 of a TIFF structure gives; 1 where it gives none or nonsense."""
    entry = find_orientation(exif)
    value = int.from_bytes(exif[entry + 8 : entry + 10], "little" if exif[:1] == b"I" else "big") if entry else 1
    return value if 1 <= value <= 8 else 1


def upright(picture: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn a picture or mask (h, w, ...) as stored in the file the way it is to be looked at.

    Args:
        picture: as decoded, without any turning.
        orientation: EXIF, 1 to 8 (Exif 2.32, section 4.6.4): where row 0 and column 0 of `picture` lie.

    Returns:
        Contiguous; rows and columns are swapped for 5 to 8.
    """
    turned = picture.swapaxes(0, 1) if orientation >= 5 else picture
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)


def as_stored(picture: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo `upright`."""
    # 6 and 8, quarter turns in opposite directions, are each other's inverse; every other one is its own.
    return upright(picture, {6: 8, 8: 6}.get(orientation, orientation))
