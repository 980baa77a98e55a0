"""How many processes and threads, and how much memory, this machine can bear. Knows nothing of what they do."""

from __future__ import annotations

import os
import re
from pathlib import Path

# What a worker takes with a JPEG of 20 megapixels, rounded up. Larger ones are seen to photo by photo: `intake`.
BYTES_PER_WORKER = 768 << 20

# Of the memory that is free: the rest is for exiftool, this process, and what else starts meanwhile.
SHARE = 0.85

_CGROUP = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


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
    for group in _groups():
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def available_memory() -> int:
    """Return how many bytes this process and its children may take now, 0 if that is unknown.

    What is free, or can be freed, on the machine and under each limit that a container or a service manager has set.
    """
    free = [_free_on_machine(), *map(_free_under, _groups())]
    known = [one for one in free if one is not None]
    return int(SHARE * max(0, min(known))) if known else 0


def resident_memory(pid: int | None) -> int:
    """Return how many bytes a process takes now, 0 if that is unknown."""
    pages = _read(_PROC / str(pid) / "statm").split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else 0


def _free_on_machine() -> int | None:
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", _read(_PROC / "meminfo"), re.MULTILINE)
    if found is not None:
        return int(found[1]) << 10
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None  # Windows


def _groups() -> list[Path]:
    """Return the control groups (version 2) that this process is in, from its own up to the root that it can see."""
    own = next((line[3:] for line in _read(_PROC / "self" / "cgroup").splitlines() if line.startswith("0::")), "/")
    group = _CGROUP / own.strip("/")
    return [folder for folder in (group, *group.parents) if folder == _CGROUP or _CGROUP in folder.parents]


def _free_under(group: Path) -> int | None:
    limit, taken = _read(group / "memory.max"), _read(group / "memory.current")
    if not (limit.isdigit() and taken.isdigit()):
        return None
    cached = re.search(r"^inactive_file (\d+)$", _read(group / "memory.stat"), re.MULTILINE)
    return int(limit) - int(taken) + (int(cached[1]) if cached is not None else 0)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""  # no such limit on this system
