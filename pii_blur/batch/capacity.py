"""How many processes and threads this machine can bear. Knows nothing of what they do."""

from __future__ import annotations

import os
from pathlib import Path

# Peak of one worker with the largest photos of the benchmark (11000x5500), rounded up.
BYTES_PER_WORKER = 2 << 30

_CGROUP = Path("/sys/fs/cgroup")


def share_cores(
    cores: int, memory: int, *, photos: int | None, workers: int | None, threads: int | None
) -> tuple[int, int]:
    """Return (workers, threads per worker) such that their product does not exceed `cores`, unless asked for.

    Several photos are best done one per core: reading, hiding and writing a photo use a single core. A photo that is
    alone gets all cores for its search.

    Args:
        cores: how many this process may use.
        memory: bytes that this process may use, 0 if unknown.
        photos: how many there are, None if there may be many.
        workers, threads: as the user wants them, None for no wish.
    """
    if workers is None:
        workers = max(1, cores // (threads or 1))
        if memory:
            workers = max(1, min(workers, memory // BYTES_PER_WORKER))
        if photos is not None:
            workers = min(workers, photos)
    return workers, threads if threads is not None else max(1, cores // max(1, workers))


def available_cores() -> int:
    """Return how many cores this process may use, as a container's limit or the scheduler allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def available_memory() -> int:
    """Return how many bytes this process may use, 0 if that is unknown."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0  # Windows
    limit = _read(_CGROUP / "memory.max")
    return min(memory, int(limit)) if limit.isdigit() else memory


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""  # no such limit on this system
