"""Runs in GeoVisio's environment: lets its own function have one picture blurred.

    python blur_one.py API_BLUR_URL PICTURE RESULT KEEP

Prints what GeoVisio understood of the answer, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from geovisio.utils.pictures import createBlurredHDPicture


class Folder:
    """The one method of GeoVisio's file systems that is called."""

    def write(self, path: str, data: bytes) -> None:
        Path(path).write_bytes(data)


url, picture, result, keep = sys.argv[1:]
blurred = createBlurredHDPicture(Folder(), url, Path(picture).read_bytes(), result, keep_unblured_parts=keep == "keep")
print(json.dumps({"size": blurred.image.size, "format": blurred.image.format, "metadata": blurred.metadata}))
