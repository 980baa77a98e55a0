"""The routes that Panoramax (GeoVisio) calls: POST /blur/ and /deblur/, and a page to try it by hand.

Written from what GeoVisio's `createBlurredHDPicture` sends and reads, and from the published rules:
https://docs.panoramax.fr/api/install/deep_dive/blur_api/
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, File, Header, Query, Response, UploadFile
from fastapi.responses import HTMLResponse

from pii_blur.detect.model_store import find_model
from pii_blur.http.multipart import Part, multipart_response
from pii_blur.http.panoramax.kept_parts import KeepingWork, RestoringWork, parts_file
from pii_blur.http.panoramax.metadata import Found, header, metadata, read_found
from pii_blur.http.panoramax.page import PAGE
from pii_blur.http.panoramax.vault import Vault
from pii_blur.http.pool import Work
from pii_blur.http.refusals import PROBLEMS, Problem, Refusal, plain_body
from pii_blur.http.service import Contract, Service
from pii_blur.http.works import BlurWork, UprightWork
from pii_blur.http.workspace import KEY, Workspace
from pii_blur.results import PhotoResult

SWEEP_S = 600.0
"""How often kept parts are looked through for those whose time is over."""

_HEADERS = {"Content-Security-Policy": "default-src 'self' 'unsafe-inline' blob:", "X-Frame-Options": "DENY"}


def make_router(service: Service) -> APIRouter:
    """Return the routes."""
    card = find_model(service.settings.hiding.model)
    hiding, limits = service.settings.hiding, service.settings
    vault = Vault(limits.keep_folder, limits.keep_hours) if limits.keep_folder is not None else None

    @asynccontextmanager
    async def lifespan(_: APIRouter) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep_for_ever(vault)) if vault is not None else None
        yield
        if vault is not None and sweeping is not None:
            sweeping.cancel()
            vault.close()

    router = APIRouter(route_class=service.photo_route, tags=["Panoramax"])
    pages = APIRouter(tags=["Panoramax"], lifespan=lifespan)
    collect = partial(_collect, vault)
    # GeoVisio takes it for granted that the blurred photo is upright, and makes its small copies so.
    blurring = UprightWork(BlurWork(hiding, limits.max_pixels, detections="understand-ai"))
    keeping = KeepingWork(UprightWork(BlurWork(hiding, limits.max_pixels, detections="pii-blur")))
    works: dict[str, Work] = {"0": blurring, "1": blurring if vault is None else keeping}

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
        things: list[Found]
        if keep == "2":
            image, things, salt = await picture.read(), [], ""
        else:
            image, things, salt = await service.blurrer.do(picture.file, works[keep], collect)
        if "multipart/form-data" in accept.lower():
            told = metadata(things, limits.annotate, f"{card.name}/{card.version}", salt)
            return multipart_response(
                [Part("metadata", told, "application/json"), Part("image", image, "image/jpeg", "picture.jpg")]
            )
        about = header(things, card.name, card.version, salt)
        return Response(image, media_type="image/jpeg", headers={"x-sgblur": about})

    @router.post(
        "/deblur/",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}, 404: {"model": Problem}, **PROBLEMS},
    )
    async def deblur(
        picture: Annotated[UploadFile, File(description="the blurred JPEG")],
        idx: Annotated[int, Query(ge=0, description="which thing of `info`, from 0")],
        salt: Annotated[str, Query(description="the `salt` or `blurring_id` that came with the blurred photo")],
    ) -> Response:
        """Put back a part that was blurred by mistake, if it was kept and its time is not over."""
        if vault is None:
            raise Refusal(403, "nothing_kept", "the operator lets nothing be kept, so there is nothing to put back")
        kept = await to_thread.run_sync(vault.get, salt)
        document = json.loads(kept) if kept is not None else {"parts": {}}
        part = document["parts"].get(str(idx))
        if part is None:
            # PRIVACY: the same words whether it never was, is over, or the key is wrong.
            raise Refusal(
                404, "not_kept", "no such part is kept: it was too sure, its time is over, or the id is wrong"
            )
        work = RestoringWork(document["width"], document["height"], **part, max_pixels=limits.max_pixels)
        restored = await service.blurrer.do(picture.file, work, lambda room, _: room.result.read_bytes())
        return Response(restored, media_type="image/jpeg")

    @pages.api_route("/blur/", methods=["GET", "HEAD"], response_class=HTMLResponse, include_in_schema=False)
    async def page() -> HTMLResponse:
        """A page to try it by hand."""
        return HTMLResponse(PAGE, headers=_HEADERS)

    pages.include_router(router)
    return pages


async def _sweep_for_ever(vault: Vault) -> None:
    # PRIVACY: also when nobody posts a photo any more.
    while True:
        await asyncio.sleep(SWEEP_S)
        await to_thread.run_sync(vault.sweep)


def _collect(vault: Vault | None, room: Workspace, _: PhotoResult) -> tuple[bytes, list[Found], str]:
    """Return the blurred photo, what was found, and the id of what is kept, if anything is."""
    boxes = json.loads((room.side / f"{KEY}.json").read_text(encoding="ascii"))
    parts = parts_file(room.side)
    blurring_id = vault.put(parts.read_bytes()) if vault is not None and parts.exists() else ""
    return room.result.read_bytes(), read_found(boxes), blurring_id


PANORAMAX = Contract(make_router, ("blur", "deblur"), plain_body)
