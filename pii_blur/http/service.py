"""What the routes of every contract share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.routing import APIRoute

from pii_blur.http.blurrer import Blurrer
from pii_blur.http.gate import Gate
from pii_blur.http.metrics import Metrics
from pii_blur.http.refusals import Body
from pii_blur.http.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Service:
    """One running service.

    Attributes:
        settings: the operator's.
        gate: counts the photos in the house.
        blurrer: does them.
        metrics: counts what happened.
        photo_route: class of the routes that take photos, see `gate.photo_route`.
    """

    settings: ServiceSettings
    gate: Gate
    blurrer: Blurrer
    metrics: Metrics
    photo_route: type[APIRoute]


@dataclass(frozen=True, slots=True)
class Contract:
    """A set of routes that somebody's clients know.

    Attributes:
        make_router: makes them for a service.
        segments: the first segments of their paths.
        body: how a refusal is worded there.
    """

    make_router: Callable[[Service], APIRouter]
    segments: tuple[str, ...]
    body: Body
