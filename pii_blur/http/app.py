"""Puts the service together: doorkeeper, limits, gate, the routes of all contracts. Start reading the service here.

Counting -> Doorkeeper -> UploadLimits -> route -> Gate -> Blurrer -> Pool -> a worker's `blur_photo`
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI

from pii_blur.batch.engine import Task
from pii_blur.http.blurrer import Blurrer
from pii_blur.http.bmw.contract import BMW
from pii_blur.http.counting import Counting
from pii_blur.http.doorkeeper import Doorkeeper
from pii_blur.http.gate import Gate, photo_route
from pii_blur.http.health import make_health_router
from pii_blur.http.metrics import Metrics
from pii_blur.http.panoramax.contract import PANORAMAX
from pii_blur.http.pool import WorkTask
from pii_blur.http.redirects import LocalRedirects
from pii_blur.http.refusals import Wording, install_refusals
from pii_blur.http.service import Service
from pii_blur.http.settings import ServiceSettings
from pii_blur.http.upload_limits import UploadLimits
from pii_blur.http.v1.contract import V1
from pii_blur.version import __version__

CONTRACTS = (PANORAMAX, V1, BMW)

DESCRIPTION = """\
Hides people and vehicles in street photos and 360-degree panoramas, and gives the metadata back.

Errors of the routes under /v1, /blur/ and /deblur/ have the body of *Problem*. 429 says that there is too much to do
already; Retry-After says when to come again.
"""


def make_app(settings: ServiceSettings, *, task: Task | None = None) -> FastAPI:
    """Return the service; its workers start and end with the app's lifespan.

    Args:
        settings: the operator's.
        task: does orders in the workers; by default with the model that `settings` name.
    """
    gate = Gate(settings.capacity, settings.workers)
    metrics = Metrics(lambda: gate.inside)
    task = task or WorkTask.of(settings)
    service = Service(settings, gate, Blurrer(settings, task, gate, metrics), metrics, photo_route(gate))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.blurrer.open()
        try:
            yield
        finally:
            await to_thread.run_sync(service.blurrer.close)

    # Swagger's and Redoc's pages load their programs from elsewhere: whoever wants them has /openapi.json.
    app = FastAPI(
        title="pii-blur",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    wording = Wording({segment: contract.body for contract in CONTRACTS for segment in contract.segments})
    install_refusals(app, wording)
    app.include_router(make_health_router(service))
    for contract in CONTRACTS:
        app.include_router(contract.make_router(service))
    # The last one added is the first one asked.
    app.add_middleware(LocalRedirects)
    app.add_middleware(UploadLimits, max_bytes=settings.max_bytes, upload_s=settings.upload_s, wording=wording)
    app.add_middleware(Doorkeeper, settings=settings, wording=wording)
    app.add_middleware(Counting, metrics=metrics)
    return app
