"""The routes of BMW's Anonymization API: its paths, fields and bodies, and statuses that tell failure from success."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import APIRouter, File, Form, Response, UploadFile
from pydantic import BaseModel, Field

from pii_blur.errors import CannotWrite, PhotoFailure
from pii_blur.http.bmw.catalogue import Catalogue
from pii_blur.http.bmw.configuration import MAX_BYTES, read_configuration
from pii_blur.http.bmw.offers import Offers
from pii_blur.http.bmw.refusal import done_body, refused_body
from pii_blur.http.bmw.server import QUESTION_TIMEOUT_S, InferenceServer, ServerFailure, open_client
from pii_blur.http.bmw.wishes import Wish
from pii_blur.http.bmw.work import AnonymiseWork
from pii_blur.http.refusals import Refusal
from pii_blur.http.service import Contract, Service
from pii_blur.http.workspace import Workspace
from pii_blur.photo.formats import format_of
from pii_blur.results import PhotoResult

log = logging.getLogger(__name__)

T = TypeVar("T")

RAISED = "X-Degree-Raised"
"""Header with the numbers of the entries whose degree was raised to the least that hides for good."""

NO_VIDEO = "videos are not anonymised by this version; post photos to /anonymize/"

# Of the time that a photo may take: the rest is for hiding and writing.
_SEARCH_SHARE = 0.8
_MEDIA_TYPES = {
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "WebP": "image/webp",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
}


class ApiResponse(BaseModel):
    """The body of every answer that is no picture, but for /available_methods/."""

    success: bool
    data: Any = Field(description="what was asked for; after a refusal every single mistake, if there are several")
    error: str = Field(description="what happened and what to do; empty if all went well")


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ApiResponse} for status in (400, 401, 403, 404, 413, 415, 422, 429, 500, 502, 503)
}


def make_router(service: Service) -> APIRouter:
    """Return the routes.

    Raises:
        MissingDependency: a technique of another package cannot be used.
        UsageFailure: an allowed address is none, or the list of set ones cannot be read.
    """
    router = APIRouter(tags=["BMW"])
    offers = Offers(service.settings)
    _add_urls(router, offers)
    _add_methods(router, offers)
    photos = APIRouter(route_class=service.photo_route)
    _add_anonymize(photos, service, offers)
    router.include_router(photos)
    return router


def _add_urls(router: APIRouter, offers: Offers) -> None:
    @router.get("/list_urls", response_model=ApiResponse, responses=_PROBLEMS)
    def list_urls() -> dict[str, Any]:
        """Which inference servers are used besides the built-in model."""
        return done_body({"urls": offers.set.addresses()})

    @router.post("/set_url", response_model=ApiResponse, responses=_PROBLEMS)
    async def set_url(
        url: Annotated[str, Form(description="http://ip:port/, one that the operator allows")],
    ) -> dict[str, Any]:
        """Use an inference server from now on, if it answers."""
        address = offers.allowed.check(url)

        def try_and_add() -> bool:
            try:
                with open_client() as client:
                    InferenceServer(address, client, timeout_s=QUESTION_TIMEOUT_S).models()
            except ServerFailure as failure:
                message = f"url trying to add is not reachable: {failure.message}"
                raise Refusal(502, failure.code, message) from failure
            return _kept(lambda: offers.set.add(address))

        is_new = await to_thread.run_sync(try_and_add, limiter=offers.threads)
        return done_body("url added successfully" if is_new else "url already exist")

    @router.post("/remove_url", response_model=ApiResponse, responses=_PROBLEMS)
    def remove_url(url: Annotated[str, Form(description="as in /list_urls")]) -> dict[str, Any]:
        """Do not use an inference server any more."""
        address = offers.allowed.check(url)
        if not _kept(lambda: offers.set.remove(address)):
            raise Refusal(404, "not_found", "url is not present in config file")
        return done_body("url removed successfully")

    @router.post("/remove_all_urls", response_model=ApiResponse, responses=_PROBLEMS)
    def remove_all_urls() -> dict[str, Any]:
        """Use no inference server any more."""
        _kept(offers.set.clear)
        return done_body("all urls removed successfully")


def _add_methods(router: APIRouter, offers: Offers) -> None:
    @router.get("/available_methods/", response_model=dict[str, Any], responses=_PROBLEMS)
    async def available_methods() -> dict[str, Any]:
        """By class: which models find it, where they are, and which techniques may be used on it.

        Servers that do not answer are left out.
        """
        table, failures = await to_thread.run_sync(offers.ask, Catalogue.available_methods, limiter=offers.threads)
        for failure in failures:
            log.warning("%s", failure.message)
        return table

    @router.post(
        "/anonymize_video/", status_code=501, response_model=ApiResponse, responses={501: {"model": ApiResponse}}
    )
    def anonymize_video() -> ApiResponse:
        """Not there yet."""
        raise Refusal(501, "not_implemented", NO_VIDEO)


def _add_anonymize(router: APIRouter, service: Service, offers: Offers) -> None:
    settings = service.settings

    @router.post(
        "/anonymize/",
        response_class=Response,
        responses={
            200: {
                "content": {kind: {} for kind in ("image/jpeg", *_MEDIA_TYPES.values())},
                "description": "the photo in its own format, with what was named hidden",
            },
            **_PROBLEMS,
        },
    )
    async def anonymize(
        image: Annotated[UploadFile, File(description="a photo")],
        configuration: Annotated[UploadFile, File(description="JSON; see docs/service-bmw.md")],
    ) -> Response:
        """Hide what the configuration names."""
        asked = read_configuration(await configuration.read(MAX_BYTES + 1))
        threads = offers.photo_threads
        wishes = await to_thread.run_sync(offers.ask, lambda catalogue: catalogue.wishes(asked), limiter=threads)
        work = AnonymiseWork(
            wishes,
            settings.hiding,
            max_pixels=settings.max_pixels,
            search_s=_SEARCH_SHARE * settings.patience_s,
            allow_weak=offers.allow_weak,
        )
        data = await service.blurrer.do(image.file, work, _collect)
        return Response(data, media_type=_media_type(data), headers=_told(wishes, offers))


def _collect(room: Workspace, _: PhotoResult) -> bytes:
    return room.result.read_bytes()


def _media_type(data: bytes) -> str:
    found = format_of(data)
    return "image/jpeg" if found is None else _MEDIA_TYPES[found.name]


def _told(wishes: Sequence[Wish], offers: Offers) -> dict[str, str]:
    raised = [str(number) for number, wish in enumerate(wishes, start=1) if offers.is_raised(wish)]
    return {RAISED: ",".join(raised)} if raised else {}


def _kept(change: Callable[[], T]) -> T:
    """Return what a change of the list gives.

    Raises:
        Refusal: the list cannot be written; it is as it was.
    """
    try:
        return change()
    except (PhotoFailure, CannotWrite) as error:
        log.error("%s", error)
        message = "the list of inference servers cannot be kept; ask the operator of this service"
        raise Refusal(503, "unavailable", message) from error


BMW = Contract(
    make_router,
    ("anonymize", "anonymize_video", "available_methods", "set_url", "list_urls", "remove_url", "remove_all_urls"),
    refused_body,
)
