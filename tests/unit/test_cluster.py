"""What can be said of a cluster without one. tests/integration/test_ray_engine.py has the rest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pii_blur.batch.options import RunOptions
from pii_blur.cluster.engines import open_engine
from pii_blur.cluster.landmarks import set_landmarks
from pii_blur.cluster.ray_engine import _Crew, _Worker
from pii_blur.cluster.ray_worker import Greeting, Landmark, RayWorker
from pii_blur.errors import CannotWrite, MissingDependency, UsageFailure
from pii_blur.results import Job
from pii_blur.version import __version__
from tests.fakes import FakeTask, make_photo


def test_missing_ray_is_said_before_the_first_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of this machine never step in unasked, and the message says what to install."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pii-blur\[ray\]'"):
        open_engine("ray", "local", RunOptions(tmp_path, tmp_path), None, None, "cpu", [])


def test_watching_and_debugging_need_this_machine(tmp_path: Path) -> None:
    """What a cluster cannot do is refused, not left out in silence."""
    with pytest.raises(UsageFailure, match="--watch"):
        open_engine("ray", "local", RunOptions(tmp_path, tmp_path, watch=True), None, None, "cpu", [])
    with pytest.raises(UsageFailure, match="--workers 0"):
        open_engine("ray", "local", RunOptions(tmp_path, tmp_path), 0, None, "cpu", [])


def test_a_machine_that_sees_other_folders_says_which(tmp_path: Path) -> None:
    """A node whose OUTPUT is a folder of its own would keep results where nobody looks for them."""
    output = tmp_path / "out"
    output.mkdir()
    photo = make_photo(tmp_path / "in" / "a.jpg")
    worker = RayWorker.__new__(RayWorker)  # its log is no matter here
    with set_landmarks(Job(photo, output / "a.jpg", "a.jpg"), (output,)) as landmarks:
        assert worker.greet(landmarks).unseen == ()
        elsewhere = [
            Landmark(tmp_path / "not mounted" / one.file.name, one.size, one.mtime_ns, one.what) for one in landmarks
        ]
        assert worker.greet(elsewhere).unseen == ("INPUT", f"'{output}'")
        os.utime(photo, (1, 1))  # another photo of the same name and size
        assert worker.greet(landmarks).unseen == ("INPUT",)
    assert list(output.iterdir()) == []


def test_a_worker_that_comes_late_is_taken_though_the_first_photo_has_gone(tmp_path: Path) -> None:
    """With --done it was moved before the second worker looked; what is still there must be seen all the same."""
    photo = make_photo(tmp_path / "in" / "a.jpg")
    crew = _Crew.__new__(_Crew)  # needs no cluster to welcome somebody
    with set_landmarks(Job(photo, tmp_path / "a.jpg", "a.jpg"), (tmp_path,)) as crew._landmarks:
        late = _Worker(actor=None, pending=None)
        with pytest.raises(MissingDependency, match="does not see INPUT as"):
            crew._welcome(late, Greeting("far", __version__, ("INPUT",)))
        photo.unlink()
        crew._welcome(late, Greeting("far", __version__, ("INPUT",)))
        assert late.machine == "far"
        with pytest.raises(MissingDependency, match=f"does not see '{tmp_path}' as"):
            crew._welcome(late, Greeting("far", __version__, ("INPUT", f"'{tmp_path}'")))


def test_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The cluster is not asked for anything then."""
    job = Job(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg", "a.jpg")
    with pytest.raises(CannotWrite, match="gone"), set_landmarks(job, (tmp_path / "gone",)):
        pass


def test_a_worker_keeps_what_is_logged_for_the_driver(tmp_path: Path) -> None:
    """Ray's own files on the nodes, which others may read, name no photo."""
    import logging  # noqa: PLC0415

    root, own = logging.getLogger(), logging.getLogger("pii_blur")
    handlers, level = root.handlers[:], own.level
    try:
        worker = RayWorker(FakeTask(), logging.INFO)
        photo = make_photo(tmp_path / "in" / "a.jpg", "log")
        answer = worker.do(Job(photo, tmp_path / "out" / "a.jpg", "a.jpg"))
    finally:
        root.handlers[:] = handlers
        own.setLevel(level)
    assert [record.getMessage() for record in answer.records] == ["a line from the worker about a.jpg"]
