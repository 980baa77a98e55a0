"""Whether exiftool does its work at all, tried out on pictures of our own. Knows nothing of photos."""

from __future__ import annotations

import io
import logging

from PIL import Image

from pii_blur.errors import MissingDependency, PhotoFailure
from pii_blur.photo.exiftool import ExifTool

log = logging.getLogger(__name__)

_TRIALS = 2
"""One exiftool may be killed from outside, as a worker may."""

_ROOM = 1 << 20
"""Bytes that the temporary folder must have room for; metadata of photos seldom take more."""

_OF_EXIFTOOL = frozenset({"exiftool", "metadata"})
"""Codes of failures that are the photo's fault only if exiftool works on other pictures."""


def try_out(exiftool: ExifTool) -> None:
    """Make sure that exiftool writes and reads tags of sound pictures, in both containers that it is ever given.

    A fresh process is tried, which no photo can have spoilt.

    Raises:
        MissingDependency: it does not; then it is no photo's fault that exiftool failed on it.
        CannotWrite: the temporary folder has no room for its files.
    """
    for number in range(_TRIALS):
        exiftool.close()
        try:
            # A full disk is told from a broken program by what only has to be written there.
            exiftool.read_tags(_grey_picture("JPEG") + bytes(_ROOM), ".jpg")
            for kind, suffix in (("JPEG", ".jpg"), ("PNG", ".png")):
                edited = exiftool.edit(_grey_picture(kind), suffix, ["-XMP-PiiBlur:Regions=1"])
                if exiftool.read_tags(edited, suffix).get("XMP-PiiBlur:Regions") != 1:
                    raise PhotoFailure("it does not write what it is told", "exiftool")
        except PhotoFailure as failure:
            if number + 1 < _TRIALS:
                log.warning("exiftool failed on a picture of our own; trying once more")
                continue
            raise MissingDependency(
                f"exiftool is there but does not work, not even on a picture of our own ({failure}); install it again"
            ) from failure
        return


def try_out_after(failure: PhotoFailure, exiftool: ExifTool) -> None:
    """Try exiftool out where the failure of a photo may be its own.

    A broken one would fail every photo there is, and use up the tries of all of them.

    Raises:
        MissingDependency, CannotWrite: see `try_out`.
    """
    if failure.code in _OF_EXIFTOOL:
        try_out(exiftool)


def _grey_picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), 128).save(file, kind)
    return file.getvalue()
