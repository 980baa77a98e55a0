"""POST /v1/photos: a photo comes in, the blurred photo, the report, or both come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, File, Header, Response, UploadFile

from pii_blur.http.multipart import Part, multipart_response
from pii_blur.http.refusals import PROBLEMS
from pii_blur.http.service import Service
from pii_blur.http.v1.schemas import Report
from pii_blur.http.v1.wishes import Wishes
from pii_blur.http.works import BlurWork
from pii_blur.http.workspace import Workspace
from pii_blur.photo.formats import format_of
from pii_blur.results import PhotoResult

_ANSWERS = {
    "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
    "application/json": {"schema": {"$ref": "#/components/schemas/Report"}},
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {
                "report": {"$ref": "#/components/schemas/Report"},
                "photo": {"type": "string", "format": "binary"},
            },
        }
    },
}


@dataclass(frozen=True, slots=True)
class Done:
    """A finished photo.

    Attributes:
        data: the file, in the format in which it came.
        report: what was found.
    """

    data: bytes
    report: Report

    @property
    def media_type(self) -> str:
        """The MIME type of the file."""
        return media_type(self.data)


def media_type(data: bytes) -> str:
    """Return the MIME type of a photo of any format that is handled."""
    found = format_of(data)
    return "image/jpeg" if found is None else f"image/{found.name.lower()}"


def collect(room: Workspace, result: PhotoResult) -> Done:
    """Return what a workspace holds once its photo is done."""
    return Done(room.result.read_bytes(), Report.of(result, room.detections()))


def work_for(service: Service, wishes: Wishes) -> BlurWork:
    """Return what is done with the photo of one request.

    Raises:
        Refusal: it may not be done like that.
    """
    return BlurWork(wishes.settings(service.settings), service.settings.max_pixels, detections="pii-blur")


def make_photos_router(service: Service) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=service.photo_route, tags=["photos"])

    @router.post(
        "/v1/photos",
        response_class=Response,
        responses={200: {"content": _ANSWERS, "description": "as the header Accept asks"}, **PROBLEMS},
    )
    async def blur(
        photo: Annotated[UploadFile, File(description="JPEG, PNG, TIFF, WebP, AVIF or HEIC")],
        wishes: Annotated[Wishes, Depends()],
        accept: Annotated[str, Header(description="image/*, application/json or multipart/form-data")] = "*/*",
    ) -> Response:
        """Blur a photo and wait for it.

        The answer is the photo, with counts in headers; the report with `Accept: application/json`; both, as the
        parts `report` and `photo`, with `Accept: multipart/form-data`.
        """
        done = await service.blurrer.do(photo.file, work_for(service, wishes), collect)
        report = done.report.model_dump_json(by_alias=True).encode()
        if "multipart/form-data" in accept:
            return multipart_response(
                [Part("report", report, "application/json"), Part("photo", done.data, done.media_type, "photo")]
            )
        if "application/json" in accept:
            return Response(report, media_type="application/json")
        counts = {"outcome": done.report.outcome, "people": done.report.people, "vehicles": done.report.vehicles}
        headers = {f"x-pii-blur-{name}": str(value) for name, value in counts.items()}
        return Response(done.data, media_type=done.media_type, headers=headers)

    return router
