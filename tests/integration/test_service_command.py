"""`pii-blur serve` as a process: what it refuses to do, and what a kill leaves."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from pii_blur import cli
from tests.service import Caller, panorama

DOCS = Path(__file__).resolve().parents[2] / "docs"
PATIENCE_S = 120


@contextmanager
def started(folder: Path) -> Iterator[tuple[Caller, subprocess.Popen[bytes]]]:
    """Run the command, with the colour detector in its workers; its temporary files go to `folder`."""
    log, root = folder.parent / "log", Path(__file__).resolve().parents[2]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with log.open("wb") as file:
        words = [sys.executable, "-m", "tests.colour_service", "--port", "0"]
        process = subprocess.Popen(words, stderr=file, env=environment, cwd=root)
    try:
        address = None
        end = time.monotonic() + PATIENCE_S
        while address is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            address = re.search(r"listening on (\S+)", log.read_text())
            time.sleep(0.05)
        caller = Caller(address[1])
        while True:
            try:
                if caller("GET", "/readyz").ok:
                    break
            except requests.ConnectionError:
                pass
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield caller, process
    finally:
        process.kill()
        process.wait()


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_kill_in_the_middle_leaves_no_photo_once_it_runs_again(tmp_path: Path) -> None:
    """SIGKILL while a photo is being done: the next start removes it, and its worker does not live on."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    photo = panorama(width=256)
    with started(temporary) as (service, process):
        location = service.photo(photo + b"test:hang", "/v1/jobs").headers["location"]
        assert service("GET", location).json()["status"] == "waiting"
        assert any(photo in path.read_bytes() for path in files_in(temporary))
        process.send_signal(signal.SIGKILL)
        process.wait()
    with started(temporary) as (service, process):
        assert service.blur(photo).status_code == 200
        assert files_in(temporary) == []
        process.terminate()
        process.wait(PATIENCE_S)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "0.0.0.0"], "without tokens"),
        (["--host", "::"], "without tokens"),
        (["--queue", "-1"], "queue"),
        (["--port", "99999"], "port"),
        (["--max-megabytes", "0"], "largest body"),
        (["--token-file", "/nowhere"], "--token-file"),
        (["--prob", "0"], "prob"),
        (["--strength", "0.5"], "--strength"),
        (["--annotate", "cats"], "--annotate"),
    ],
)
def test_what_makes_no_sense_or_is_unsafe_is_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit code 2 and a line that names it, before anything is opened."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        cli.main(["serve", *words])
    assert message in capsys.readouterr().err


def test_short_tokens_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that can be guessed is none; the message does not repeat it."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "tokens"
    for text in ("# only a comment\n\n", "hunter2\n"):
        file.write_text(text)
        with pytest.raises(SystemExit, match="2"):
            cli.main(["serve", "--token-file", str(file)])
        err = capsys.readouterr().err
        assert "token" in err
        assert "hunter2" not in err


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3 and the very command."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.startswith("pii_blur.http.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["serve"]) == 3
    assert "pip install 'pii-blur[server]'" in capsys.readouterr().err


def test_the_documentation_knows_every_option() -> None:
    """docs/service.md lists what --help lists."""
    from pii_blur.serve_command import make_parser  # noqa: PLC0415

    text = (DOCS / "service.md").read_text(encoding="utf-8")
    hiding = (DOCS / "usage.md").read_text(encoding="utf-8")
    for action in make_parser()._actions:
        if action.help == argparse.SUPPRESS:
            continue
        flags = [flag for flag in action.option_strings if flag.startswith("--") and flag != "--help"]
        assert not flags or any(f"`{flag}" in text or f"`{flag}" in hiding for flag in flags), flags
