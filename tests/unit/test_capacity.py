"""Workers and threads never take more than the machine has, unless somebody asks for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pii_blur.batch import capacity
from pii_blur.batch.capacity import (
    BYTES_PER_WORKER,
    SHARE,
    available_cores,
    available_memory,
    resident_memory,
    share_cores,
)

PLENTY = 1 << 40


@pytest.mark.parametrize(
    ("cores", "photos", "workers", "threads", "expected"),
    [
        (2, None, None, None, (2, 1)),
        (2, 1, None, None, (1, 2)),  # a photo that is alone gets all cores
        (8, None, 2, None, (2, 4)),
        (8, None, None, 4, (2, 4)),
        (2, None, 3, 3, (3, 3)),  # as asked for
        (2, None, 0, None, (0, 2)),  # in this process
        (1, None, None, None, (1, 1)),
    ],
)
def test_cores_are_shared(
    cores: int, photos: int | None, workers: int | None, threads: int | None, expected: tuple[int, int]
) -> None:
    """A table of what is sensible."""
    assert share_cores(cores, PLENTY, photos=photos, workers=workers, threads=threads) == expected


def test_little_memory_means_fewer_workers() -> None:
    """A worker that is killed for want of memory helps nobody."""
    assert share_cores(64, 8 * BYTES_PER_WORKER, photos=None, workers=None, threads=None) == (8, 8)
    assert share_cores(4, 1, photos=None, workers=None, threads=None) == (1, 4)
    assert share_cores(4, 0, photos=None, workers=None, threads=None) == (4, 1), "unknown"


@given(
    cores=st.integers(1, 512),
    memory=st.integers(0, PLENTY),
    photos=st.none() | st.just(1),
    threads=st.none() | st.integers(1, 64),
)
def test_product_never_exceeds_cores_without_a_wish_for_workers(
    cores: int, memory: int, photos: int | None, threads: int | None
) -> None:
    """Except that one worker with the threads asked for is the least there is."""
    workers, each = share_cores(cores, memory, photos=photos, workers=None, threads=threads)
    assert workers >= 1
    assert each >= 1
    assert workers * each <= max(cores, threads or 1)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The control group of a service on a machine with 8 GiB free; what is above it is its slice and the root."""
    processes, groups = tmp_path / "proc", tmp_path / "cgroup"
    (processes / "self").mkdir(parents=True)
    (processes / "self" / "cgroup").write_text("1:name=systemd:/old\n0::/system.slice/pii-blur.service\n")
    (processes / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable:   {8 << 20} kB\n")
    monkeypatch.setattr(capacity, "_PROC", processes)
    monkeypatch.setattr(capacity, "_CGROUP", groups)
    group = groups / "system.slice" / "pii-blur.service"
    group.mkdir(parents=True)
    return group


def limit(group: Path, most: str, taken: int = 0, cached: int = 0) -> None:
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{taken}\n")
    (group / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")


def test_limit_of_a_service_or_container_counts(service: Path) -> None:
    """A worker beyond it would be killed, whatever the machine has free."""
    assert available_memory() == int(SHARE * (8 << 30))
    limit(service, "max")
    assert available_memory() == int(SHARE * (8 << 30))
    limit(service, str(3 << 30), taken=1 << 30)
    assert available_memory() == int(SHARE * (2 << 30))
    limit(service, str(3 << 30), taken=2 << 30, cached=1 << 30)
    assert available_memory() == int(SHARE * (2 << 30)), "files that were read are forgotten when memory is needed"
    limit(service.parent, str(1 << 30))
    assert available_memory() == int(SHARE * (1 << 30)), "of a slice above it too"


def test_cores_of_a_service_count(service: Path) -> None:
    """CPUQuota= and --cpus."""
    (service / "cpu.max").write_text("100000 100000\n")
    assert available_cores() == 1


def test_memory_of_a_process_is_known_where_the_system_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """0 where it does not."""
    if Path("/proc/self/statm").exists():
        assert resident_memory(os.getpid()) > 1 << 20
    monkeypatch.setattr(capacity, "_PROC", tmp_path)
    assert resident_memory(os.getpid()) == 0


def test_this_machine_has_something() -> None:
    """Whatever the system tells."""
    assert available_cores() >= 1
    assert available_memory() >= 0
