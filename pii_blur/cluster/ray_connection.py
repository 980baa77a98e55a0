"""The way to a Ray cluster. Ray is loaded only if asked for, and says nothing to anybody."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pii_blur.batch.capacity import available_cores
from pii_blur.errors import MissingDependency

# Ray would send figures about its use to its makers, and a warning about its own future to the terminal.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}

_STORE_BYTES = 100 << 20  # jobs and results are small; Ray would take a third of the memory


_KNOCK_S = 10.0


def load_ray() -> Any:
    """Return the module.

    Raises:
        MissingDependency: it is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependency(
            f"--engine ray needs the package ray on every machine ({error}): pip install 'pii-blur[ray]'"
        ) from error
    return ray


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Give Ray, connected, and leave the cluster at the end; one that was started for this run ends with it.

    Args:
        address: see `RayEngine`.

    Raises:
        MissingDependency: there is no Ray, or no cluster there.
    """
    ray = load_ray()
    own = {"num_cpus": available_cores(), "include_dashboard": False, "object_store_memory": _STORE_BYTES}
    with _signals_kept():
        try:
            _knock(address)
            ray.init(
                address=address,
                namespace="pii-blur",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(own if address == "local" else {}),
            )
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise MissingDependency(
                f"no Ray cluster can be reached at '{address}' ({reason}); see --address"
            ) from error
    try:
        yield ray
    finally:
        with _signals_kept():
            ray.shutdown()


def _knock(address: str) -> None:
    """Make sure that somebody answers at HOST:PORT: Ray itself would ask a silent address for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), _KNOCK_S).close()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Undo what Ray does to signal handlers: the run has its own, which let photos in hand finish."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
