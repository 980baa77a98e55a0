"""Photos in an S3 store: a real server on this machine, with stand-ins for what is done with a photo.

pip install '.[cloud,cluster-tests]' && pytest -m cloud
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pii_blur import cli
from pii_blur.batch.engine import Engine, SerialEngine
from pii_blur.batch.journal import Journal
from pii_blur.batch.options import RunOptions
from pii_blur.batch.plan import recipe_for
from pii_blur.batch.process_engine import ProcessEngine
from pii_blur.batch.summary import Summary
from pii_blur.cloud import store as store_module
from pii_blur.cloud.address import parse_address
from pii_blur.cloud.batch import run_cloud
from pii_blur.cloud.places import NOWHERE, CloudPlaces
from pii_blur.cloud.store import Store
from pii_blur.errors import CannotWrite, ExitCode, NoPhotos, UsageFailure
from pii_blur.results import SideFiles
from tests.fakes import FakeTask, codes, counts, make_photo, make_photos, results

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # the server's own affair
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server on a free port of this machine."""
    pytest.importorskip("botocore", reason="the extra cloud is not installed")
    pytest.importorskip("flask_cors", reason="the extra cluster-tests is not installed")
    server_module = pytest.importorskip("moto.server", reason="the extra cluster-tests is not installed")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """An empty bucket called ``street``, and what speaks to it; TMPDIR is a folder of the test's own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    client = Store(parse_address("s3://street"))._connect()
    client.create_bucket(Bucket="street")
    yield client
    for one in client.list_objects_v2(Bucket="street").get("Contents", []):
        client.delete_object(Bucket="street", Key=one["Key"])
    client.delete_bucket(Bucket="street")
    assert list((tmp_path / "tmp").iterdir()) == [], "something was left in the temporary folder"


def put(client: Any, **texts: str) -> None:
    for name, text in texts.items():
        client.put_object(Bucket="street", Key=f"in/{name}.jpg", Body=text.encode())


def results_in_store(client: Any) -> dict[str, str]:
    found = client.list_objects_v2(Bucket="street", Prefix="out/").get("Contents", [])
    return {
        one["Key"].removeprefix("out/"): client.get_object(Bucket="street", Key=one["Key"])["Body"].read().decode()
        for one in found
    }


def run(
    tmp_path: Path,
    task: FakeTask | None = None,
    source: Any = "",
    output: Any = "",
    engine: Engine | None = None,
    **options: Any,
) -> Summary:
    places = CloudPlaces(
        source or Store(parse_address("s3://street/in")), output or Store(parse_address("s3://street/out"))
    )
    values = {"settle": 0.0, "workers": 0, "journal": tmp_path / "journal"} | options
    folders = [end if isinstance(end, Path) else NOWHERE for end in (source, output)]
    made = RunOptions(*folders, **values)
    return run_cloud(made, places, task or FakeTask(), run_digest="1", engine=engine or SerialEngine())


def test_each_photo_ends_as_it_would_from_a_folder(client: Any, tmp_path: Path) -> None:
    """Blurred, clean, failed: results and reasons are the same, and a second run does only what failed."""
    put(client, a="blur", b="clean", c="fail", **{"deep/d": "blur"})
    client.put_object(Bucket="street", Key="in/notes.txt", Body=b"no photo")
    client.put_object(Bucket="street", Key="in/.hidden.jpg", Body=b"blur")
    client.put_object(Bucket="street", Key="in/folder/", Body=b"")
    summary = run(tmp_path)
    assert counts(summary) == {"blurred": 2, "clean": 1, "failed": 1}
    assert codes(summary) == {"c.jpg": "truncated"}
    assert dict(summary.ignored) == {".txt": 1}
    assert results_in_store(client) == {"a.jpg": "hidden: blur", "b.jpg": "clean", "deep/d.jpg": "hidden: blur"}
    assert client.head_object(Bucket="street", Key="out/a.jpg")["ContentType"] == "image/jpeg"
    assert counts(run(tmp_path)) == {"skipped": 3, "failed": 1}


def test_a_changed_photo_is_done_again(client: Any, tmp_path: Path) -> None:
    """Also one of the same size that was replaced within the second: the store's name of its content differs."""
    put(client, a="blur", b="blur")
    run(tmp_path)
    put(client, a="text")
    summary = run(tmp_path)
    assert counts(summary) == {"blurred": 1, "skipped": 1}
    assert results_in_store(client)["a.jpg"] == "hidden: text"


def test_what_somebody_else_put_there_is_never_replaced(client: Any, tmp_path: Path) -> None:
    """Neither what lay there before, nor what comes between the look and the publishing."""
    put(client, a="blur", b="blur", c="blur")
    run(tmp_path)
    client.put_object(Bucket="street", Key="out/a.jpg", Body=b"drawn by hand")
    put(client, a="text", b="text")

    class Intruder(FakeTask):
        def _do(self, text: str, job: Any, tries: int) -> Any:
            client.put_object(Bucket="street", Key="out/b.jpg", Body=b"just now")
            return super()._do(text, job, tries)

    summary = run(tmp_path, Intruder())
    assert codes(summary) == {"a.jpg": "not_ours", "b.jpg": "not_ours"}
    assert results_in_store(client) == {"a.jpg": "drawn by hand", "b.jpg": "just now", "c.jpg": "hidden: blur"}


def test_force_replaces_what_lay_there(client: Any, tmp_path: Path) -> None:
    """As in a folder."""
    put(client, a="blur")
    client.put_object(Bucket="street", Key="out/a.jpg", Body=b"drawn by hand")
    with pytest.raises(UsageFailure, match=r"OUTPUT 's3://street/out' already holds files named like 'a\.jpg'"):
        run(tmp_path)
    assert counts(run(tmp_path, force=True)) == {"blurred": 1}
    assert results_in_store(client) == {"a.jpg": "hidden: blur"}


def test_a_run_that_was_killed_before_its_line_goes_on(client: Any, tmp_path: Path) -> None:
    """Its result is known as ours, and made again."""
    put(client, a="blur")
    places = CloudPlaces(Store(parse_address("s3://street/in")), Store(parse_address("s3://street/out")))
    journal = Journal(tmp_path / "journal", places.origin)
    journal.load()
    journal.open("1")
    journal.start(places.look("a.jpg")[0], places.job("a.jpg").destination, recipe_for("a.jpg", SideFiles(), "1"))
    journal.close()
    client.put_object(Bucket="street", Key="out/a.jpg", Body=b"published, but not noted")
    assert counts(run(tmp_path)) == {"blurred": 1}
    assert results_in_store(client) == {"a.jpg": "hidden: blur"}


def test_the_result_of_a_photo_that_fails_now_is_withdrawn(client: Any, tmp_path: Path) -> None:
    """It was of another picture."""
    put(client, a="blur")
    run(tmp_path)
    put(client, a="fail")
    assert codes(run(tmp_path)) == {"a.jpg": "truncated"}
    assert results_in_store(client) == {}


def test_a_result_that_cannot_be_withdrawn_does_not_stop_the_others(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who may not delete there is told which object to remove by hand."""
    put(client, a="blur")
    run(tmp_path)
    put(client, a="fail", b="blur")

    def refuse(*_: object) -> None:
        raise PermissionError(0, "no right to delete")

    monkeypatch.setattr(Store, "remove", refuse)
    assert counts(run(tmp_path)) == {"failed": 1, "blurred": 1}
    assert "'a.jpg' is left over and cannot be removed (no right to delete)" in caplog.text


def test_folder_to_store_and_back(client: Any, tmp_path: Path) -> None:
    """Either end may be a folder."""
    make_photos(tmp_path / "in", a="blur", b="clean")
    make_photo(tmp_path / "in" / "deep" / "c.jpg")
    assert counts(run(tmp_path, source=tmp_path / "in")) == {"blurred": 2, "clean": 1}
    assert results_in_store(client) == {"a.jpg": "hidden: blur", "b.jpg": "clean", "deep/c.jpg": "hidden: blur"}
    put(client, d="blur", **{"deep/e": "clean"})
    output = tmp_path / "out"
    output.mkdir()
    summary = run(tmp_path, output=output, journal=None)
    assert counts(summary) == {"blurred": 1, "clean": 1}
    assert results(output) == {"d.jpg": "hidden: blur", "deep/e.jpg": "clean"}
    assert counts(run(tmp_path, output=output, journal=None)) == {"skipped": 2}


def test_no_name_leads_out_of_a_folder(client: Any, tmp_path: Path) -> None:
    """In a store anything is a name; whoever may upload must not choose where results are written."""
    for name in ("../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "a//b"):
        client.put_object(Bucket="street", Key=f"in/{name}.jpg", Body=b"blur")
    put(client, good="blur")
    output = tmp_path / "deep" / "out"
    output.mkdir(parents=True)
    summary = run(tmp_path, output=output, journal=None)
    assert counts(summary) == {"blurred": 1, "failed": 5}
    assert set(codes(summary).values()) == {"name"}
    assert {file.name for file in (tmp_path / "deep").rglob("*.jpg")} == {"good.jpg"}


def test_listing_goes_page_by_page(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than one page is held, and none is missed."""
    monkeypatch.setattr(store_module, "PAGE", 3)
    put(client, **{f"{number:02}": "x" for number in range(11)})
    items = Store(parse_address("s3://street/in")).items()
    assert [item.key for item in items] == [f"{number:02}.jpg" for number in range(11)]


def test_what_a_killed_worker_had_fetched_is_removed(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The photo is tried again, and the original does not stay behind in the temporary folder: see `client`."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "record").mkdir()
    put(client, a="kill-once", b="blur")
    assert counts(run(tmp_path, FakeTask(tmp_path / "record"), engine=ProcessEngine(1))) == {"blurred": 2}
    assert results_in_store(client) == {"a.jpg": "hidden: kill-once", "b.jpg": "hidden: blur"}


@pytest.mark.cluster
def test_a_cluster_does_photos_of_a_store(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machines share no folder then, and none is asked for."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from pii_blur.cluster.ray_engine import RayEngine, Share  # noqa: PLC0415

    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")  # the paths of its sockets must be short
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    put(client, a="blur", b="clean", c="fail", d="kill-once")
    (tmp_path / "record").mkdir()
    engine = RayEngine("local", share=Share(memory=0))
    assert counts(run(tmp_path, FakeTask(tmp_path / "record"), engine=engine)) == {
        "blurred": 2,
        "clean": 1,
        "failed": 1,
    }
    assert results_in_store(client) == {"a.jpg": "hidden: blur", "b.jpg": "clean", "d.jpg": "hidden: kill-once"}


def test_a_store_that_has_gone_stops_the_run(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not fail every photo; the next run goes on."""
    with pytest.raises(NoPhotos, match="'s3://elsewhere/in' cannot be reached"):
        run(tmp_path, source=Store(parse_address("s3://elsewhere/in")), output=tmp_path, journal=None)
    put(client, a="blur")
    with pytest.raises(CannotWrite, match="'s3://elsewhere' cannot be reached"):
        run(tmp_path, output=Store(parse_address("s3://elsewhere")))

    class Thief(FakeTask):
        def _do(self, text: str, job: Any, tries: int) -> Any:
            monkeypatch.setattr(store_module.Store, "publish", refuse)
            return super()._do(text, job, tries)

    def refuse(*_: object) -> None:
        raise ConnectionError(0, "nobody answers")

    summary = run(tmp_path, Thief())
    assert summary.exit_code is ExitCode.CANNOT_WRITE
    assert results_in_store(client) == {}


def test_side_files_are_refused_where_they_would_be_published(client: Any, tmp_path: Path) -> None:
    """The rules of folders hold for the folder that there is."""
    (tmp_path / "in").mkdir()
    words = [str(tmp_path / "in"), "s3://street/out", "40", "--journal", str(tmp_path / "journal")]
    assert cli.main([*words, "--detections", str(tmp_path / "in" / "found")]) == ExitCode.USAGE


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["s3://street/in", "s3://street/out"], "--journal DIR is needed"),
        (["s3://street/in", "s3://street/in/out", "--journal", "j"], "must lie apart"),
        (["s3://street/in", "s3://street", "--journal", "j"], "must lie apart"),
        (["s3://street/in", "out", "--watch"], "--watch works with folders only"),
        (["s3://street/in", "out", "--delete-source"], "--delete-source works with folders only"),
    ],
)
def test_what_a_store_cannot_do_is_refused(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is reached."""
    monkeypatch.chdir(tmp_path)
    assert cli.main([*words[:2], "40", *words[2:]]) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_other_addresses_are_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped address must not become a folder called ``gs:``."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        cli.main(["gs://street/in", "out", "40"])
    assert left.value.code == ExitCode.USAGE
    assert list(tmp_path.iterdir()) == []
