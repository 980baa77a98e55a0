"""What workers are asked to do with a photo. Every one of them pickles."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from pii_blur.errors import PhotoFailure
from pii_blur.http.workspace import Workspace
from pii_blur.photo.read import MAX_PIXELS
from pii_blur.photo.turn import turned_upright
from pii_blur.pipeline import Tools, blur_photo
from pii_blur.results import Job, PhotoResult, SideFiles
from pii_blur.settings import Settings


@dataclass(frozen=True, slots=True)
class BlurWork:
    """`blur_photo`, as on the command line.

    Attributes:
        settings: what to hide and how; the model is the service's own, whatever they name.
        max_pixels: larger pictures are refused by their header.
        detections: format in which what was found is written to the workspace's side folder; empty for none.
    """

    settings: Settings
    max_pixels: int = MAX_PIXELS
    detections: str = ""

    def __call__(self, job: Job, tools: Tools) -> PhotoResult:
        """See `pool.Work`."""
        side = SideFiles(Workspace.side_of(job.source), self.detections) if self.detections else None
        return blur_photo(
            job.source, job.destination, self.settings, tools, side=side, key=job.key, max_pixels=self.max_pixels
        )


@dataclass(frozen=True, slots=True)
class UprightWork:
    """The same with a JPEG that is turned upright before, for callers that do not look at Exif's orientation.

    Attributes:
        work: what is done with the upright photo.
    """

    work: BlurWork

    def __call__(self, job: Job, tools: Tools) -> PhotoResult:
        """See `pool.Work`."""
        with suppress(PhotoFailure):  # `work` meets it again, and answers for it
            turned = turned_upright(job.source, self.work.max_pixels)
            if turned is not None:
                job.source.write_bytes(turned)
        return self.work(job, tools)
