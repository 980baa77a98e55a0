"""The routes that Panoramax (GeoVisio) calls: POST /blur/, and a page to try it by hand.

Written from what GeoVisio's `createBlurredHDPicture` sends and reads, and from the published rules:
https://docs.panoramax.fr/api/install/deep_dive/blur_api/
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from fastapi import APIRouter, File, Header, Query, Response, UploadFile
from fastapi.responses import HTMLResponse

from pii_blur.detect.model_store import find_model
from pii_blur.http.multipart import Part, multipart_response
from pii_blur.http.panoramax.metadata import Found, header, metadata, read_found
from pii_blur.http.panoramax.page import PAGE
from pii_blur.http.refusals import PROBLEMS, Refusal, plain_body
from pii_blur.http.service import Contract, Service
from pii_blur.http.works import BlurWork, UprightWork
from pii_blur.http.workspace import KEY, Workspace
from pii_blur.results import PhotoResult

_HEADERS = {"Content-Security-Policy": "default-src 'self' 'unsafe-inline' blob:", "X-Frame-Options": "DENY"}


def make_router(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(route_class=service.photo_route, tags=["Panoramax"])
    pages = APIRouter(tags=["Panoramax"])
    card = find_model(service.settings.hiding.model)
    hiding, limits = service.settings.hiding, service.settings

    @router.post(
        "/blur/",
        response_class=Response,
        responses={
            200: {
                "content": {"image/jpeg": {}, "multipart/form-data": {}},
                "description": "the blurred photo; with *Accept: multipart/form-data* the parts metadata and image",
            },
            **PROBLEMS,
        },
    )
    async def blur(
        picture: Annotated[UploadFile, File(description="a JPEG")],
        keep: Annotated[Literal["0", "1", "2"], Query(description="1: keep doubtful parts; 2: do not blur")] = "0",
        accept: Annotated[str, Header()] = "image/jpeg",
    ) -> Response:
        """Blur a photo, as Panoramax asks for it."""
        if keep == "2" and not limits.allow_unblurred:
            raise Refusal(
                403, "must_blur", "keep=2 would give the photo back unblurred; the operator has not allowed it"
            )
        if await picture.read(2) != b"\xff\xd8":
            raise Refusal(415, "not_a_jpeg", "this route takes JPEG only; /v1/photos takes other formats")
        await picture.seek(0)
        if keep == "2":
            image, things = await picture.read(), []
        else:
            # GeoVisio takes it for granted that the blurred photo is upright, and makes its small copies so.
            work = UprightWork(BlurWork(hiding, limits.max_pixels, detections="understand-ai"))
            image, things = await service.blurrer.do(picture.file, work, _collect)
        if "multipart/form-data" in accept.lower():
            told = metadata(things, limits.annotate, f"{card.name}/{card.version}")
            return multipart_response(
                [Part("metadata", told, "application/json"), Part("image", image, "image/jpeg", "picture.jpg")]
            )
        return Response(image, media_type="image/jpeg", headers={"x-sgblur": header(things, card.name, card.version)})

    @pages.api_route("/blur/", methods=["GET", "HEAD"], response_class=HTMLResponse, include_in_schema=False)
    async def page() -> HTMLResponse:
        """A page to try it by hand."""
        return HTMLResponse(PAGE, headers=_HEADERS)

    pages.include_router(router)
    return pages


def _collect(room: Workspace, _: PhotoResult) -> tuple[bytes, list[Found]]:
    boxes = json.loads((room.side / f"{KEY}.json").read_text(encoding="ascii"))
    return room.result.read_bytes(), read_found(boxes)


PANORAMAX = Contract(make_router, ("blur", "deblur"), plain_body)
