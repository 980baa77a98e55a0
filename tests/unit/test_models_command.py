"""`pii-blur models`: what is here, what can be had, and whether it is whole."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pii_blur import cli, models_command
from pii_blur.detect import model_store
from pii_blur.errors import ExitCode
from pii_blur.settings import DEFAULT_MODEL
from pii_blur.weights import known
from pii_blur.weights.known import PUBLISHED, Published
from tests.weights import torchvision_state, write_torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models of one's own, with the embedded one in it."""
    embedded = model_store.models_folder() / DEFAULT_MODEL
    folder = tmp_path / "models"
    shutil.copytree(embedded, folder / DEFAULT_MODEL)
    monkeypatch.setattr(model_store, "models_folder", lambda: folder)
    monkeypatch.setattr(models_command, "models_folder", lambda: folder)
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights."""
    return write_torch(tmp_path_factory.mktemp("web") / "retinanet-12345678.pth", torchvision_state())


@pytest.fixture
def published(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """Weights published by a server on this computer as the only ones there are."""
    file = weights
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(file.parent)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    one = replace(
        PUBLISHED[0],
        url=f"http://127.0.0.1:{server.server_port}/{file.name}",
        size=file.stat().st_size,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    for module in (known, models_command):
        monkeypatch.setattr(module, "PUBLISHED", (one,))
    yield one
    server.shutdown()
    thread.join()
    server.server_close()


def test_list_says_what_is_here_and_what_can_be_had(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also a file of weights that somebody dropped there, as one did in 2020, with the command that makes use of it."""
    (folder / "resnet50_coco_best_v2.0.1.h5").write_bytes(b"weights")
    assert cli.main(["models", "list"]) == ExitCode.OK
    said = capsys.readouterr().out
    assert DEFAULT_MODEL in said
    assert "pii-blur models add resnet50_coco_best_v2.0.1.h5" in said
    for one in PUBLISHED:
        assert one.url in said
        assert one.family.licence in said


@pytest.mark.usefixtures("folder")
def test_verify_finds_a_damaged_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One flipped bit, by name or among all."""
    assert cli.main(["models", "verify"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith(f"ok   {DEFAULT_MODEL}")
    file = folder / DEFAULT_MODEL / "model.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    for words in ([], [DEFAULT_MODEL]):
        assert cli.main(["models", "verify", *words]) == ExitCode.MISSING_DEPENDENCY
        assert capsys.readouterr().out.startswith(f"bad  {DEFAULT_MODEL}: ")


def test_verify_compares_weights_with_what_was_published(
    folder: Path, published: Published, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checksum of torch's file stands in its name, so a false friend of that name is found out."""
    (folder / published.file_name).write_bytes(b"something else")
    assert cli.main(["models", "verify", published.file_name]) == ExitCode.MISSING_DEPENDENCY
    assert "not the published file" in capsys.readouterr().out
    assert cli.main(["models", "add", published.file_name]) == ExitCode.MISSING_DEPENDENCY
    others = replace(published, is_sha256_official=False)
    for module in (known, models_command):
        monkeypatch.setattr(module, "PUBLISHED", (others,))
    capsys.readouterr()
    assert cli.main(["models", "add", published.file_name]) == ExitCode.USAGE, "only a warning, then it is read"
    assert "going on" in capsys.readouterr().err
    (folder / "mine.pth").write_bytes(b"x")
    assert cli.main(["models", "verify", "mine.pth"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("??   mine.pth"), "neither right nor wrong"


@pytest.mark.slow
def test_download_makes_a_model_that_runs(
    folder: Path, published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the web to --model, and both the weights and the model pass verify; a second time nothing is fetched."""
    words = ["models", "download", published.name, "--size", "320"]
    assert cli.main(words) == ExitCode.OK
    made = folder / "resnet50-torchvision-320"
    assert capsys.readouterr().out.strip() == str(made)
    assert cli.main(["models", "verify"]) == ExitCode.OK
    assert capsys.readouterr().out.count("ok  ") == 3
    assert cli.main(words) == ExitCode.USAGE, "it is there already"
    assert cli.main(["models", "add", published.file_name, "--size", "320", "--name", "again"]) == ExitCode.OK
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["again", made.name, published.file_name, DEFAULT_MODEL]
    )


@pytest.mark.parametrize("words", [["--size", "33"], ["--name", "a/b"], ["--name", DEFAULT_MODEL]])
def test_download_asks_the_web_only_for_what_can_be_used(folder: Path, published: Published, words: list[str]) -> None:
    """A mistake is told before 150 MB are fetched."""
    assert cli.main(["models", "download", published.name, *words]) == ExitCode.USAGE
    assert [path.name for path in folder.iterdir()] == [DEFAULT_MODEL]


def test_download_of_a_damaged_file_leaves_nothing(
    folder: Path, published: Published, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What arrives is compared with the checksum before anything else looks at it."""
    wrong = replace(published, sha256="12345678")
    for module in (known, models_command):
        monkeypatch.setattr(module, "PUBLISHED", (wrong,))
    assert cli.main(["models", "download", "torchvision"]) == ExitCode.MISSING_DEPENDENCY
    assert "SHA-256 begins with" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [DEFAULT_MODEL]


@pytest.mark.parametrize("words", [["download", "no-such"], ["add", "no-such.h5"], ["add", __file__]])
def test_mistakes_are_told_in_plain_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, and the name of what was wrong."""
    assert cli.main(["models", *words]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert words[-1] in said
    assert "Traceback" not in said


@pytest.mark.parametrize("words", [[], ["no-such"], ["list", "--no-such"], ["add"]])
def test_unknown_words_are_usage(words: list[str]) -> None:
    """As on the main command line."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(["models", *words])
    assert stopped.value.code == ExitCode.USAGE


def test_published_files_can_be_checked() -> None:
    """Every one is fetched by https, and torch's checksums agree with the digits in its file names."""
    assert len({one.name for one in PUBLISHED}) == len({one.file_name for one in PUBLISHED}) == len(PUBLISHED)
    for one in PUBLISHED:
        assert one.url.startswith("https://")
        if one.file_name.endswith(".pth"):
            assert one.sha256[:8] == one.file_name.removesuffix(".pth").rsplit("-", 1)[-1]


def test_docs_know_every_command_and_option() -> None:
    """docs/models.md names the same commands, options and published files, and no others."""
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    (commands,) = (
        action for action in models_command.make_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    rows = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert {row.split()[2] for row in rows if row.startswith("pii-blur models")} == set(commands.choices)
    options = {
        option for one in commands.choices.values() for action in one._actions for option in action.option_strings
    }
    assert {row.split()[0] for row in rows if row.startswith("--")} == options - {"-h", "--help"}
    assert {one.name for one in PUBLISHED} <= rows
    assert all(one.url in page for one in PUBLISHED)
