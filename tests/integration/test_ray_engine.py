"""A batch on a Ray cluster: two nodes on this machine, of which one goes away under way.

pip install '.[ray]' && pytest -m cluster
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pii_blur.batch.options import RunOptions
from pii_blur.batch.runner import run_batch
from pii_blur.batch.summary import Summary
from pii_blur.cluster.ray_engine import TRIES, RayEngine, Share
from pii_blur.errors import ExitCode
from tests.fakes import FakeTask, codes, counts, make_photo, make_photos, results

pytestmark = [
    pytest.mark.cluster,
    # Ray's own affair.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).resolve().parents[2]
SHARE = Share(memory=0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with one core each."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)  # the nodes need tests.fakes
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    small = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=small)
    made.add_node(num_cpus=1, object_store_memory=80 << 20)
    yield made
    made.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def run(cluster: Any, source: Path, task: FakeTask, engine: RayEngine | None = None, **options: object) -> Summary:
    output = source.parent / "out"
    output.mkdir(exist_ok=True)
    engine = engine or RayEngine(cluster.address, share=SHARE, folders=(output,))
    return run_batch(RunOptions(source, output, settle=0.0, **options), task, run_digest="1", engine=engine)  # type: ignore[arg-type]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something that another process does has happened."""
    while not condition():
        time.sleep(0.02)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def record(tmp_path: Path) -> Path:
    folder = tmp_path / "record"
    folder.mkdir()
    return folder


def test_every_photo_has_one_result_whatever_its_worker_meets(cluster: Any, tmp_path: Path, record: Path) -> None:
    """Failures, bugs and killed workers cost their own photo; one that kills each worker is given up."""
    make_photos(tmp_path / "in", a="blur", b="clean", c="fail", d="bug", e="kill", f="kill-once")
    summary = run(cluster, tmp_path / "in", FakeTask(record))
    assert counts(summary) == {"blurred": 2, "clean": 1, "failed": 3}
    assert codes(summary) == {"c.jpg": "truncated", "d.jpg": "internal", "e.jpg": "worker_died"}
    assert summary.exit_code is ExitCode.SOME_PHOTOS_FAILED
    assert results(tmp_path / "out") == {"a.jpg": "hidden: blur", "b.jpg": "clean", "f.jpg": "hidden: kill-once"}
    assert len((record / "e.jpg").read_text().split()) == TRIES
    assert list(record.glob("closed-*")), "no worker closed its tools"


def test_second_run_does_nothing(cluster: Any, tmp_path: Path, record: Path) -> None:
    """All results are in the one journal of the driver, whoever made them."""
    make_photos(tmp_path / "in", a="blur", b="clean")
    run(cluster, tmp_path / "in", FakeTask(record))
    assert counts(run(cluster, tmp_path / "in", FakeTask(record))) == {"skipped": 2}


def test_what_concerns_every_photo_ends_the_run(cluster: Any, tmp_path: Path) -> None:
    """A node without exiftool stops the run with the exit code of one machine."""
    make_photos(tmp_path / "in", a="missing")
    summary = run(cluster, tmp_path / "in", FakeTask())
    assert summary.exit_code is ExitCode.MISSING_DEPENDENCY
    assert "exiftool is gone" in summary.stop_reason


def test_stop_finishes_what_is_in_hand(cluster: Any, tmp_path: Path, record: Path) -> None:
    """As after the first Ctrl-C; what was not begun is left."""
    make_photos(tmp_path / "in", a="blur", b="blur", c="blur", d="blur")
    gate = tmp_path / "gate"
    engine = RayEngine(cluster.address, workers=1, share=SHARE, folders=())

    def stop() -> None:
        wait_for(lambda: any(record.iterdir()))
        engine.stop()
        gate.touch()

    thread = threading.Thread(target=stop)
    thread.start()
    summary = run(cluster, tmp_path / "in", FakeTask(record, gate=gate), engine)
    thread.join()
    assert counts(summary) == {"blurred": 1}
    assert summary.left == 3


def test_photos_of_a_lost_node_are_done_elsewhere(cluster: Any, tmp_path: Path, record: Path) -> None:
    """A node is killed with photos in hand: each is tried again on the others, and none is lost."""
    for number in range(12):
        make_photo(tmp_path / "in" / f"{number:02}.jpg")
    gate = tmp_path / "gate"
    node = cluster.add_node(num_cpus=2, object_store_memory=80 << 20)

    lost = set()

    def kill() -> None:
        wait_for(lambda: len(list(record.glob("*.jpg"))) >= 4)  # one in the hands of each worker of all three nodes
        raylet = node.all_processes["raylet"][0].process.pid
        for file in record.glob("*.jpg"):
            worker = int(file.read_text())
            if parent_of(worker) == raylet:
                lost.add(file.name)
                os.kill(worker, signal.SIGKILL)  # a machine without power takes its workers along
        cluster.remove_node(node, allow_graceful=False)
        gate.touch()

    thread = threading.Thread(target=kill)
    thread.start()
    summary = run(cluster, tmp_path / "in", FakeTask(record, gate=gate))
    thread.join()
    assert counts(summary) == {"blurred": 12}
    assert summary.exit_code is ExitCode.OK
    assert set(results(tmp_path / "out").values()) == {"hidden: blur"}
    tries = {file.name: len(file.read_text().split()) for file in record.glob("*.jpg")}
    assert len(tries) == 12
    assert len(lost) == 2
    assert {name for name, number in tries.items() if number > 1} == lost
    assert not list((tmp_path / "out").glob(".pii-blur-*.part"))


def test_no_cluster_is_an_error_before_the_first_photo(tmp_path: Path) -> None:
    """A wrong address says so; it does not start a cluster of its own."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    make_photos(tmp_path / "in", a="blur")
    summary = run(None, tmp_path / "in", FakeTask(), RayEngine("127.0.0.1:1", share=SHARE))
    assert summary.exit_code is ExitCode.MISSING_DEPENDENCY
    assert "no Ray cluster can be reached at '127.0.0.1:1'" in summary.stop_reason
