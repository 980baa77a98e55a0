"""Whether the service lives, whether it can do photos, and what it has done."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from pii_blur.http.service import Service


class Health(BaseModel):
    """The state of the service."""

    status: str = Field(examples=["ok"])


def make_health_router(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["operation"])

    @router.get("/healthz")
    async def healthz() -> Health:
        """Whether the process answers at all."""
        return Health(status="ok")

    @router.get("/readyz", responses={503: {"model": Health}})
    async def readyz(response: Response) -> Health:
        """Whether photos can be done: one was done from end to end, and nothing has broken since."""
        if service.blurrer.is_ready and not service.blurrer.failure:
            return Health(status="ok")
        response.status_code = 503
        return Health(status="no photo can be done, see the log" if service.blurrer.failure else "starting")

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counts and times for Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
