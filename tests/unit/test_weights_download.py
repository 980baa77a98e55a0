"""Downloads arrive whole or not at all, and go on where they stopped. The web here is a server on this computer."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pii_blur.errors import CannotWrite, MissingDependency
from pii_blur.weights.download import download

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@dataclass
class Web:
    """What the server does, and what it was asked.

    Attributes:
        content: of the file.
        version: its ETag; empty: none.
        breaks_after: bytes of an answer after which the connection breaks; one for each request, then none.
        hides_length: answers end where the connection does.
        moves_to: where the server sends whoever asks.
        ranges: the Range of each request.
    """

    content: bytes = CONTENT
    version: str = '"one"'
    breaks_after: list[int] = field(default_factory=list)
    hides_length: bool = False
    moves_to: str = ""
    ranges: list[str] = field(default_factory=list)
    url: str = ""


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.ranges.append(self.headers.get("Range", ""))
            if self.path == "/missing.bin":
                self.send_error(404)
                return
            if web.moves_to:
                self.send_response(302)
                self.send_header("Location", web.moves_to)
                self.end_headers()
                return
            start = 0
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if asked and self.headers.get("If-Range") == web.version:
                start = int(asked[1])
            if start >= len(web.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(web.content)}")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(web.content) - 1}/{len(web.content)}")
            if not web.hides_length:
                self.send_header("Content-Length", str(len(web.content) - start))
            if web.version:
                self.send_header("ETag", web.version)
            self.end_headers()
            body = web.content[start:]
            self.wfile.write(body[: web.breaks_after.pop(0)] if web.breaks_after else body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def web() -> Iterator[Web]:
    """A server on this computer."""
    web = Web()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(web))
    web.url = f"http://127.0.0.1:{server.server_port}/model.bin"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web
    server.shutdown()
    thread.join()
    server.server_close()


def is_right(file: Path) -> None:
    """Raise unless `file` is the published one."""
    if hashlib.sha256(file.read_bytes()).digest() != hashlib.sha256(CONTENT).digest():
        raise MissingDependency("wrong checksum")


def test_file_arrives_whole_and_alone(web: Web, tmp_path: Path) -> None:
    """With what was shown of its progress; nothing else is left."""
    shown: list[tuple[int, int | None]] = []
    download(web.url, tmp_path / "new" / "model.bin", is_right, lambda done, whole: shown.append((done, whole)))
    assert (tmp_path / "new" / "model.bin").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.bin"]
    assert shown[0] == (0, len(CONTENT))
    assert shown[-1] == (len(CONTENT), len(CONTENT))


def test_broken_connections_are_gone_on_with(web: Web, tmp_path: Path) -> None:
    """Each request asks only for what is missing."""
    web.breaks_after = [300_000, 200_000]
    download(web.url, tmp_path / "model.bin", is_right)
    assert (tmp_path / "model.bin").read_bytes() == CONTENT
    assert web.ranges == ["", "bytes=300000-", "bytes=500000-"]


def test_next_run_goes_on(web: Web, tmp_path: Path) -> None:
    """What was fetched before a stop is not fetched again."""
    web.breaks_after = [400_000, 0, 0, 0]
    with pytest.raises(MissingDependency, match=r"keeps breaking.*0\.4 MB"):
        download(web.url, tmp_path / "model.bin", is_right)
    assert not (tmp_path / "model.bin").exists()
    web.ranges.clear()
    download(web.url, tmp_path / "model.bin", is_right)
    assert web.ranges == ["bytes=400000-"]
    assert (tmp_path / "model.bin").read_bytes() == CONTENT


def test_file_that_changed_meanwhile_is_begun_anew(web: Web, tmp_path: Path) -> None:
    """Halves of two files make no model."""
    web.content, web.breaks_after = b"old" * 400_000, [400_000, 0, 0, 0]
    with pytest.raises(MissingDependency):
        download(web.url, tmp_path / "model.bin", is_right)
    web.content, web.version = CONTENT, '"two"'
    download(web.url, tmp_path / "model.bin", is_right)
    assert (tmp_path / "model.bin").read_bytes() == CONTENT


def test_server_without_version_numbers_is_asked_from_the_start(web: Web, tmp_path: Path) -> None:
    """Nothing says that the rest would belong to the same file."""
    web.version, web.breaks_after = "", [400_000]
    download(web.url, tmp_path / "model.bin", is_right)
    assert web.ranges == ["", ""]
    assert (tmp_path / "model.bin").read_bytes() == CONTENT


def test_whole_file_without_a_name_is_not_fetched_again(web: Web, tmp_path: Path) -> None:
    """A run that was stopped between the last byte and the check."""

    def stop(_: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(web.url, tmp_path / "model.bin", stop)
    download(web.url, tmp_path / "model.bin", is_right)
    assert web.ranges == ["", f"bytes={len(CONTENT)}-"]
    assert (tmp_path / "model.bin").read_bytes() == CONTENT


def test_unknown_length_is_no_hindrance(web: Web, tmp_path: Path) -> None:
    """Some servers do not say how long a file is; the check decides."""
    web.hides_length = True
    download(web.url, tmp_path / "model.bin", is_right)
    assert (tmp_path / "model.bin").read_bytes() == CONTENT


def test_wrong_checksum_leaves_nothing(web: Web, tmp_path: Path) -> None:
    """Neither a model nor a beginning that the next run would go on with."""
    web.content = CONTENT[:-1] + b"!"
    with pytest.raises(MissingDependency, match="wrong checksum"):
        download(web.url, tmp_path / "model.bin", is_right)
    assert not list(tmp_path.iterdir())


def test_no_web_says_what_to_do(tmp_path: Path) -> None:
    """Nobody listens: the message has the address and the way round."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/model.bin"
        with pytest.raises(MissingDependency, match=rf"cannot be reached.*{re.escape(url)}.*models add"):
            download(url, tmp_path / "model.bin", is_right)


def test_refusal_by_the_server_is_told(web: Web, tmp_path: Path) -> None:
    """E.g. a file that has been taken off the web."""
    with pytest.raises(MissingDependency, match="404"):
        download(web.url.replace("model", "missing"), tmp_path / "missing.bin", is_right)


@pytest.mark.parametrize("elsewhere", ["http://example.org/model.bin", "file:///etc/passwd", "ftp://127.0.0.1/a"])
def test_addresses_without_encryption_are_refused(web: Web, tmp_path: Path, elsewhere: str) -> None:
    """Neither asked for nor followed to: what comes that way may be anybody's."""
    web.moves_to = elsewhere
    for url in (elsewhere, web.url):
        with pytest.raises(MissingDependency, match=r"https only|refused"):
            download(url, tmp_path / "model.bin", is_right)
    assert not (tmp_path / "model.bin").exists()


def test_folder_that_cannot_be_written_is_told(web: Web, tmp_path: Path) -> None:
    """A full or protected disk is no trouble of the web."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite):
        download(web.url, tmp_path / "file" / "model.bin", is_right)
