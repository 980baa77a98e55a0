"""Cuts out of a photo what is blurred there with doubt, and puts it back into the blurred photo.

A part holds the pixels of one thing only: what lies in another hidden thing as well stays hidden.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import PhotoFailure
from pii_blur.http.panoramax.metadata import Found, read_found
from pii_blur.http.works import UprightWork
from pii_blur.http.workspace import Workspace
from pii_blur.photo.encode import encode_jpeg, facts_of
from pii_blur.photo.jpeg_segments import assemble, split_jpeg
from pii_blur.photo.metadata import without_claim
from pii_blur.photo.photo import HiddenPhoto, Photo
from pii_blur.photo.publish import publish
from pii_blur.photo.read import read_photo
from pii_blur.pipeline import Tools, hide_regions
from pii_blur.regions import Region
from pii_blur.regions_file import read_regions, write_regions
from pii_blur.results import Job, Outcome, PhotoResult, SideFiles
from pii_blur.settings import Settings

DOUBT = 0.5
"""Only things with a lower score are kept: what is surer than that is no mistake."""

_REACH = 1.5  # a hidden place fades out beyond its box; by this factor the box is enlarged to have all of it


@dataclass(frozen=True, slots=True)
class KeepingWork:
    """Blurs a photo and leaves its doubtful parts in the workspace, see `parts_file`.

    Attributes:
        work: blurs it, and writes detections in our own format.
    """

    work: UprightWork

    def __call__(self, job: Job, tools: Tools) -> PhotoResult:
        """See `pool.Work`."""
        result = self.work(job, tools)
        if result.error is not None:
            return result
        settings, side = self.work.work.settings, Workspace.side_of(job.source)
        photo = read_photo(job.source)
        regions = read_regions(side, job.key, photo, settings)
        write_regions(SideFiles(side, "understand-ai"), job.key, photo, regions, settings, tools.detector)
        boxes = json.loads((side / f"{job.key}.json").read_text(encoding="ascii"))
        owners = [region for region in regions for _ in region.quad.windows(photo.extent)]
        document = cut_parts(photo, read_found(boxes), owners, settings)
        if document["parts"]:
            parts_file(side).write_text(json.dumps(document), encoding="ascii")
        return result


def parts_file(side: Path) -> Path:
    """Return where the parts of a photo lie in the side folder of its workspace."""
    return side / "parts.json"


def cut_parts(photo: Photo, things: Sequence[Found], owners: Sequence[Region], settings: Settings) -> dict[str, Any]:
    """Return the doubtful parts of a photo as plain values.

    Args:
        photo: unblurred.
        things: as the caller is told of them; a part is called by its thing's index.
        owners: the regions that the boxes belong to, of which `Found.members` are indices.
        settings: what the photo was blurred with.
    """
    members = [[owners[k] for k in thing.members] for thing in things]
    doubtful = [k for k, thing in enumerate(things) if thing.score < DOUBT]
    in_doubt = {index for k in doubtful for index in things[k].members}
    sure = [region for index, region in enumerate(owners) if index not in in_doubt]
    hidden = hide_regions(photo, owners, settings).mask > 0
    # PRIVACY: what a sure thing or a zone hides is in no part.
    hidden &= hide_regions(photo, sure, settings).mask == 0
    parts = {}
    for index in doubtful:
        alpha = hidden & _inside(photo, members[index], _REACH * settings.grow)
        others = [region for k in doubtful if k != index for region in members[k]]
        alpha &= ~_inside(photo, others, settings.grow)
        rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
        if len(rows):
            spot = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            rgba = np.dstack([photo.pixels[spot], alpha[spot].astype(np.uint8) * 255])
            parts[str(index)] = {"left": int(columns[0]), "top": int(rows[0]), "png": _pack(rgba)}
    height, width = photo.pixels.shape[:2]
    return {"width": width, "height": height, "parts": parts}


def _inside(photo: Photo, regions: Sequence[Region], factor: float) -> NDArray[np.bool_]:
    """Return which pixels lie in the enlarged boxes of `regions`."""
    inside = np.zeros(photo.pixels.shape[:2], bool)
    for region in regions:
        quad = region.quad.grown(factor)
        for window in quad.windows(photo.extent):
            u, v = np.meshgrid(np.arange(window.left, window.right) + 0.5, np.arange(window.top, window.bottom) + 0.5)
            directions = photo.extent.to_directions(np.stack([u, v], axis=-1))
            inside[window.top : window.bottom, window.left : window.right] |= quad.contains(directions)
    return inside


@dataclass(frozen=True, slots=True)
class RestoringWork:
    """Puts one part back into a blurred JPEG; everything else stays as it is, bit for bit if it can.

    Attributes:
        width, height: of the photo that the part was cut from.
        left, top: where the part lies.
        png: the part, base64.
        max_pixels: larger pictures are refused.
    """

    width: int
    height: int
    left: int
    top: int
    png: str
    max_pixels: int

    def __call__(self, job: Job, tools: Tools) -> PhotoResult:
        """See `pool.Work`."""
        photo = read_photo(job.source, max_pixels=self.max_pixels)
        if photo.pixels.shape[:2] != (self.height, self.width):
            raise PhotoFailure("this is not the photo that the part was cut from: it has another size", "other_photo")
        rgba = _unpack(self.png)
        spot = np.s_[self.top : self.top + rgba.shape[0], self.left : self.left + rgba.shape[1]]
        pixels, mask = photo.pixels.copy(), np.zeros(photo.pixels.shape[:2], np.uint8)
        pixels[spot] = np.where(rgba[..., 3:] > 0, rgba[..., :3], pixels[spot])
        mask[spot] = rgba[..., 3]
        picture, way = encode_jpeg(photo, HiddenPhoto(pixels, mask))
        # PRIVACY: what was put back is to be seen again: --trust-mark must not take it for hidden.
        segments = [without_claim(segment) for segment in split_jpeg(facts_of(photo).data).segments]
        publish(assemble(segments, picture, is_recoded=not way.startswith("lossless")), job.destination)
        return PhotoResult(job.key, Outcome.BLURRED, way=way)


def _pack(rgba: NDArray[np.uint8]) -> str:
    return base64.b64encode(cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))[1].tobytes()).decode()


def _unpack(png: str) -> NDArray[np.uint8]:
    rgba = cv2.imdecode(np.frombuffer(base64.b64decode(png), np.uint8), cv2.IMREAD_UNCHANGED)
    assert rgba is not None, "it was packed here"
    return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_BGRA2RGBA), np.uint8)
