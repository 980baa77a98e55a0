"""/v1/jobs: a photo is taken in at once and done in the background; its result waits to be fetched."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, File, Request, Response, UploadFile

from pii_blur.http.gate import Slot
from pii_blur.http.refusals import PROBLEMS, Problem, Refusal
from pii_blur.http.service import Service
from pii_blur.http.v1.job_store import JobRecord, JobStore, gone
from pii_blur.http.v1.photos import media_type, work_for
from pii_blur.http.v1.schemas import JobState, JobStatus, Report
from pii_blur.http.v1.wishes import Wishes
from pii_blur.http.works import BlurWork
from pii_blur.http.workspace import Workspace
from pii_blur.results import PhotoResult

log = logging.getLogger(__name__)

_UNKNOWN: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (401, 404, 421)}
_IMAGE = {"image/*": {"schema": {"type": "string", "format": "binary"}}}


def make_jobs_router(service: Service) -> APIRouter:
    """Return the routes."""
    taking = APIRouter(route_class=service.photo_route, tags=["jobs"])
    router = APIRouter(tags=["jobs"])
    store = JobStore(service.settings.max_jobs, service.settings.job_minutes)

    @taking.post("/v1/jobs", status_code=202, responses=PROBLEMS)
    async def begin(
        request: Request,
        response: Response,
        photo: Annotated[UploadFile, File(description="JPEG, PNG, TIFF, WebP, AVIF or HEIC")],
        wishes: Annotated[Wishes, Depends()],
    ) -> JobState:
        """Take a photo in and do it in the background."""
        work = work_for(service, wishes)
        kept = await service.blurrer.make_room()
        try:
            record = store.add(kept)
        except BaseException:
            kept.remove()
            raise
        try:
            room = await service.blurrer.receive(photo.file)
        except BaseException:
            store.remove(record.state.id)
            raise
        slot: Slot = request.state.slot
        slot.keep()
        record.task = asyncio.create_task(_do(service, store, record, room, work))
        record.task.add_done_callback(lambda _: slot.release())
        response.headers["Location"] = f"/v1/jobs/{record.state.id}"
        return record.state

    @router.get("/v1/jobs/{job_id}", responses=_UNKNOWN)
    async def look(job_id: str) -> JobState:
        """Say how far a job is, and what was found once it is done."""
        return store.get(job_id).state

    @router.get(
        "/v1/jobs/{job_id}/photo",
        response_class=Response,
        responses={200: {"content": _IMAGE}, **_UNKNOWN, 409: {"model": Problem}},
    )
    async def fetch(job_id: str) -> Response:
        """Return the blurred photo."""
        record = store.get(job_id)
        if record.state.status is not JobStatus.DONE:
            raise Refusal(409, "not_done", f"there is no photo: the job's status is {record.state.status}")
        try:
            data = await to_thread.run_sync(record.room.result.read_bytes)
        except FileNotFoundError:  # its time was over in between
            raise gone() from None
        return Response(data, media_type=media_type(data))

    @router.delete("/v1/jobs/{job_id}", status_code=204, responses=_UNKNOWN)
    async def delete(job_id: str) -> None:
        """Forget a job and its photo, at whatever stage it is."""
        store.get(job_id)
        store.remove(job_id)

    router.include_router(taking)
    return router


async def _do(service: Service, store: JobStore, record: JobRecord, room: Workspace, work: BlurWork) -> None:
    def collect(done: Workspace, result: PhotoResult) -> Report:
        # PRIVACY: only the blurred photo outlives the workspace.
        done.result.replace(record.room.result)
        return Report.of(result, done.detections())

    try:
        report = await service.blurrer.process(room, work, collect)
    except Refusal as refusal:
        store.failed(record, refusal)
    except Exception:
        log.exception("internal error in a job")
        store.failed(record, Refusal(500, "internal", "internal error; the operator's log says more"))
    else:
        store.done(record, report)
