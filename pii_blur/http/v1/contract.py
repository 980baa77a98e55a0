"""Puts the routes of our own API together."""

from __future__ import annotations

from fastapi import APIRouter

from pii_blur.http.refusals import plain_body
from pii_blur.http.service import Contract, Service
from pii_blur.http.v1.jobs import make_jobs_router
from pii_blur.http.v1.photos import make_photos_router


def make_router(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    router.include_router(make_photos_router(service))
    router.include_router(make_jobs_router(service))
    return router


V1 = Contract(make_router, ("v1",), plain_body)
