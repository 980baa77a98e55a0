"""What Prometheus is told: how many, how long, how it ended. Never a name, an address or a place."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from pii_blur.results import PhotoResult
from pii_blur.version import __version__

_SECONDS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 21, 34, 60, 120, 300)


class Metrics:
    """The counters of one service."""

    def __init__(self, inside: Callable[[], int]) -> None:
        """Make all counters, at zero.

        Args:
            inside: says how many photos are in the house.
        """
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "pii_blur_requests", "Answered requests.", ("route", "method", "status"), registry=self._registry
        )
        self._photos = Counter(
            "pii_blur_photos", "Photos by how they ended.", ("outcome", "code"), registry=self._registry
        )
        self._hidden = Counter("pii_blur_hidden", "Things hidden.", ("kind",), registry=self._registry)
        self._stages = Counter(
            "pii_blur_stage_seconds", "Time that workers spent, by stage.", ("stage",), registry=self._registry
        )
        self._photo_s = Histogram(
            "pii_blur_photo_seconds", "Time from received to done.", registry=self._registry, buckets=_SECONDS
        )
        Gauge(
            "pii_blur_photos_inside", "Photos being received, waiting or being done.", registry=self._registry
        ).set_function(inside)
        Gauge("pii_blur_info", "The version.", ("version",), registry=self._registry).labels(__version__).set(1)

    def note(self, result: PhotoResult, waited_s: float) -> None:
        """Count a photo that a worker answered for."""
        self._photos.labels(result.outcome.value, result.error.code if result.error else "").inc()
        self._hidden.labels("person").inc(result.people)
        self._hidden.labels("vehicle").inc(result.vehicles)
        for stage, seconds in result.seconds.items():
            self._stages.labels(stage).inc(seconds)
        self._photo_s.observe(waited_s)

    def note_request(self, route: str, method: str, status: int) -> None:
        """Count an answer; `route` is the pattern of the path, never the path."""
        self._requests.labels(route, method, status).inc()

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)
