"""Everything an operator decides about the service, in one frozen object. Needs none of the server's libraries."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from pii_blur.detect.devices import DEFAULT_DEVICE
from pii_blur.labels import Label
from pii_blur.photo.read import MAX_BYTES, MAX_PIXELS
from pii_blur.settings import Settings

LEAST_TOKEN = 16
"""Characters of the shortest token: 16 random ones cannot be guessed over a network."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How the service behaves.

    Attributes:
        hiding: what is hidden and how, where a request does not say otherwise.
        host, port: where it listens; port 0 takes any free one.
        tokens: one of them must come with each request; none are needed on the loop-back address only.
        allowed_hosts: values of the header Host that are answered, without port; empty for all. On the loop-back
            address its own names are the only ones besides.
        workers: how many photos are done at a time, each in a process of its own.
        threads: of each worker's search.
        device: what the model runs on.
        queue: how many photos may wait beyond those being done; more are refused with 429.
        max_bytes: largest body of a request.
        max_pixels: largest picture, width times height; checked in its header.
        upload_s: how long the sending of a body may take, and the reading of an answer.
        patience_s: how long a photo may take, waiting included.
        allow_unblurred: whether requests may hide less than `hiding` says, or nothing at all.
        annotate: classes of which Panoramax is told where they were hidden; it publishes that.
        keep_folder: where doubtful parts are kept, encrypted, for requests that ask for it; None keeps nothing.
        keep_hours: after how long these are deleted.
        job_minutes: how long the result of a job waits to be fetched.
        max_jobs: how many jobs may be known at a time, finished ones included.
        outgoing: addresses (scheme, host, port) to which the service may itself send requests.
        state_folder: where what clients have set (the list of inference servers) outlasts a restart; None for nowhere.

    Raises:
        ValueError: a value out of range; says which and why.
    """

    hiding: Settings = field(default_factory=Settings)
    host: str = "127.0.0.1"
    port: int = 8000
    tokens: tuple[str, ...] = field(default=(), repr=False)
    allowed_hosts: tuple[str, ...] = ()
    workers: int = 1
    threads: int = 1
    device: str = DEFAULT_DEVICE
    queue: int = 16
    max_bytes: int = 100 << 20
    max_pixels: int = MAX_PIXELS
    upload_s: float = 120.0
    patience_s: float = 300.0
    allow_unblurred: bool = False
    annotate: tuple[Label, ...] = ()
    keep_folder: Path | None = None
    keep_hours: float = 48.0
    job_minutes: float = 60.0
    max_jobs: int = 100
    outgoing: tuple[str, ...] = ()
    state_folder: Path | None = None

    def __post_init__(self) -> None:
        if not self.tokens and not self.is_loopback:
            raise ValueError(f"without tokens it listens on the loop-back address only, not on {self.host}")
        if any(len(token) < LEAST_TOKEN for token in self.tokens):
            raise ValueError(f"a token has at least {LEAST_TOKEN} characters")
        for name, least in (("workers", 1), ("threads", 1), ("queue", 0), ("max_jobs", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is at least {least}, not {getattr(self, name)}")
        for name in ("upload_s", "patience_s", "keep_hours", "job_minutes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is more than 0, not {getattr(self, name):g}")
        if not 1 <= self.max_bytes <= MAX_BYTES:
            raise ValueError(f"the largest body is between 1 and {MAX_BYTES} bytes, not {self.max_bytes}")
        if not 1 <= self.max_pixels <= MAX_PIXELS:
            raise ValueError(f"the largest picture has between 1 and {MAX_PIXELS} pixels, not {self.max_pixels}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"a port lies between 0 and 65535, not {self.port}")

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this very machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def capacity(self) -> int:
        """How many photos may be in the house: being done, waiting or being received."""
        return self.workers + self.queue
