"""Which engine a run has, by name. Loads none but the one that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pii_blur.batch.engine import Engine
from pii_blur.batch.options import RunOptions
from pii_blur.errors import UsageFailure

ENGINES = ("processes", "ray")
DEFAULT_ENGINE = "processes"

_ON_CARDS = frozenset({"cuda", "tensorrt"})


def open_engine(
    name: str,
    address: str,
    options: RunOptions,
    workers: int | None,
    threads: int | None,
    device: str,
    folders: Sequence[Path],
) -> Engine | None:
    """Return the engine of a cluster, or None for the processes of this machine.

    Args:
        name: one of `ENGINES`.
        address: of the cluster.
        options: of the run.
        workers: how many at most, None for as many as there is room for.
        threads: of each worker, which gets so many cores; None for one.
        device: what the model runs on; each worker gets a card of its own if it is one.
        folders: that are written to.

    Raises:
        UsageFailure: what is asked for contradicts itself.
        MissingDependency: the engine's package is not installed.
    """
    if name == DEFAULT_ENGINE:
        return None
    if options.watch:
        raise UsageFailure("--watch works with the processes of this machine only; run --engine ray by the clock")
    if workers == 0:
        raise UsageFailure("--workers 0 is for debugging in this process; --engine ray needs 1 or more, or none named")
    from pii_blur.cluster.ray_engine import RayEngine, Share  # noqa: PLC0415

    share = Share(threads or 1, gpus=int(device in _ON_CARDS))
    return RayEngine(address, workers=workers, share=share, folders=tuple(folders))
