"""What must never happen to a photo that is posted, and who is sent away."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from pii_blur.http import connections
from pii_blur.http.pool import WorkTask
from tests.service import Caller, ScriptedTask, open_colour_tools, panorama, running

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which this module's services keep what they work on."""
    folder, before = tmp_path_factory.mktemp("tmp"), tempfile.tempdir
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        tempfile.tempdir = None
        yield folder
    tempfile.tempdir = before


@pytest.fixture(scope="module")
def service(temporary: Path) -> Iterator[Caller]:
    """A service with narrow limits."""
    with running(queue=1, max_bytes=1 << 20, max_pixels=200_000, upload_s=1.5, patience_s=60) as caller:
        yield caller


@pytest.fixture(scope="module")
def photo() -> bytes:
    return panorama()


def left_in(folder: Path) -> list[str]:
    """Return the files of requests that still lie in `folder`, once nothing changes there any more."""
    for _ in range(100):
        files = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        if not files:
            break
        time.sleep(0.1)
    return files


def test_nothing_of_a_request_stays(service: Caller, temporary: Path, photo: bytes) -> None:
    """Whether the photo could be done or not, or its worker died, or it met a bug."""
    assert service.blur(photo).status_code == 200
    assert service.blur(photo[:3000]).status_code == 422
    assert service.blur(photo + b"test:bug").status_code == 500
    assert service.blur(photo + b"test:kill").json()["code"] == "worker_died"
    assert service.blur(photo).status_code == 200
    assert left_in(temporary) == []


def test_a_photo_that_takes_too_long_is_given_up(temporary: Path, photo: bytes) -> None:
    """Its caller is told, its worker is ended, its folder goes, and the next photo is done."""
    with running(patience_s=12) as service:
        answer = service.blur(photo + b"test:hang")
        assert (answer.status_code, answer.json()["code"]) == (503, "timeout")
        for _ in range(20):
            if service.blur(photo).status_code == 200:
                break
        else:
            raise AssertionError("the service does not come back")
        assert left_in(temporary) == []


def test_who_comes_when_there_is_too_much_to_do_is_sent_away(service: Caller, photo: bytes) -> None:
    """429 with a time to come again, for those above the limit; all others are served."""
    answers: list[requests.Response] = []

    def post() -> None:
        answers.append(service.blur(photo + b"test:wait"))

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_status = {status: [one for one in answers if one.status_code == status] for status in (200, 429)}
    assert len(by_status[200]) + len(by_status[429]) == 6
    assert len(by_status[200]) >= 2
    assert by_status[429]
    for refused in by_status[429]:
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["code"] == "busy"


def test_large_bodies_are_refused_by_their_header(service: Caller) -> None:
    """Nothing of them is read; a body without a length is counted."""
    host = urlsplit(service.address).netloc
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.putrequest("POST", "/blur/")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "too_large")
    connection.close()
    part = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'
    chunks = (part if number == 0 else b"x" * 65536 for number in range(40))
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    streamed = service("POST", "/blur/", data=chunks, headers=headers)
    assert (streamed.status_code, streamed.json()["code"]) == (413, "too_large")


def test_large_pictures_are_refused_before_they_are_decoded(service: Caller) -> None:
    """By what their header claims."""
    answer = service.blur(panorama(width=1024))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_body_that_does_not_come_holds_nobody_up(service: Caller) -> None:
    """The connection is answered and closed after a while, its place in the house is free again."""
    host, port = urlsplit(service.address).netloc.split(":")
    start = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        head = "POST /blur/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        slow.sendall(f"{head}Content-Length: 1000\r\n\r\n--x".encode())
        answer = slow.recv(4096)
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert time.monotonic() - start > 1
    assert "pii_blur_photos_inside 0.0" in service("GET", "/metrics").text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil:80", "[::1"])
def test_web_pages_cannot_reach_a_service_on_this_machine(service: Caller, photo: bytes, host: str) -> None:
    """Neither by a name that was made to lead here nor as another site."""
    assert service("GET", "/healthz", headers={"Host": host}).status_code == 421
    foreign = service.blur(photo, headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "foreign_origin")
    assert service("GET", "/healthz", headers={"Origin": "http://["}).status_code == 403
    own = service("GET", "/healthz", headers={"Origin": service.address})
    assert own.status_code == 200
    assert "access-control-allow-origin" not in own.headers
    asked = service("OPTIONS", "/blur/", headers={"Origin": service.address, "Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize("path", ["/v1/photos/", "/blur", "/anonymize", "/available_methods?x=http://y/"])
def test_no_redirect_leads_from_tls_to_plain_text(service: Caller, path: str) -> None:
    """A slash too many or too few costs one more request, to the address that was asked; never a readable photo."""
    method = "GET" if "?" in path else "POST"
    answer = service(method, path, headers={"Host": "localhost"}, allow_redirects=False)
    name, mark, query = path.partition("?")
    other = name[:-1] if name.endswith("/") else f"{name}/"
    assert (answer.status_code, answer.headers["location"]) == (307, other + mark + query)


def test_a_result_that_goes_while_it_is_fetched_is_gone(service: Caller, temporary: Path, photo: bytes) -> None:
    """A job that has just expired is no fault of the service."""
    location = service.photo(photo, "/v1/jobs").headers["location"]
    while service("GET", location).json()["status"] == "waiting":
        time.sleep(0.05)
    for result in temporary.rglob("result"):
        result.unlink()
    answer = service("GET", f"{location}/photo")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_job")
    service("DELETE", location)


def test_a_token_is_needed_where_there_are_tokens(temporary: Path, photo: bytes) -> None:
    """As Bearer, or as a password for clients that know nothing but an address; health needs none."""
    with running(tokens=(TOKEN, "another-token-of-someone")) as service:
        for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {TOKEN}x"}):
            answer = service.blur(photo, headers=wrong)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        for path in ("/openapi.json", "/metrics", "/v1/jobs/x", "/nowhere"):
            assert service("GET", path).status_code == 401
        assert service.blur(photo, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        basic = base64.b64encode(f"panoramax:{TOKEN}".encode()).decode()
        assert service("GET", "/metrics", headers={"Authorization": f"Basic {basic}"}).status_code == 200
        assert service("GET", "/metrics", headers={"Authorization": "Basic !!"}).status_code == 401
        assert [service("GET", path).status_code for path in ("/healthz", "/blur/")] == [200, 200]


def test_logs_and_metrics_tell_of_nobody(service: Caller, photo: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """No file name, no key of a query, no path, no number of a job, no address."""
    caplog.set_level(logging.DEBUG, "pii_blur")
    service.photo(photo, params={"salt": "secret-salt"})
    service.photo(photo[:3000])
    location = service.photo(photo, "/v1/jobs").headers["location"]
    service("GET", location)
    service("DELETE", location)
    service("GET", "/secret-path")
    service("SECRET", "/v1/photos")
    service("SECRET", "/secret-path")
    metrics = service("GET", "/metrics").text
    assert "SECRET" not in metrics  # whoever may invent methods could fill the memory with them
    told = caplog.text + metrics
    assert "POST /v1/photos: 200" in told
    for secret in ("secret", location.rpartition("/")[2], "127.0.0.1"):
        assert secret not in told


def test_ready_means_that_a_photo_was_done(service: Caller) -> None:
    """And healthy that there is somebody to ask."""
    assert service("GET", "/healthz").json() == {"status": "ok"}
    assert service("GET", "/readyz").status_code == 200
    assert 'pii_blur_photos_total{code="",outcome="blurred"}' in service("GET", "/metrics").text


class UnsendableTask(ScriptedTask):
    """Stands for a mistake of ours that no failure was foreseen for: no worker can be started with it."""

    def __reduce__(self) -> str:
        raise ValueError("an unexpected value")


def test_a_mistake_at_the_start_is_not_taken_for_a_slow_start(caplog: pytest.LogCaptureFixture) -> None:
    """Who asks whether the service is ready is told that it will not be, and the log why."""
    with running(UnsendableTask(WorkTask(open_colour_tools, 1))) as service:
        for _ in range(200):
            answer = service("GET", "/readyz")
            if answer.json()["status"] != "starting":
                break
            time.sleep(0.05)
    assert (answer.status_code, answer.json()["status"]) == (503, "no photo can be done, see the log")
    assert "no photo can be done: ValueError: an unexpected value" in caplog.text


@pytest.fixture(scope="module")
def brisk(temporary: Path) -> Iterator[Caller]:
    """A service that closes what makes no progress after a second, and takes 14 connections."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"IDLE_S": 1.0, "LOOK_S": 0.1, "SPARE": 10}.items():
            patch.setattr(connections, name, value)
        with running(queue=1, upload_s=2) as caller:
            for _ in range(600):
                if caller("GET", "/readyz").ok:
                    break
                time.sleep(0.1)
            else:
                raise AssertionError("it does not get ready")
            yield caller


def connect(service: Caller) -> socket.socket:
    """Return an open connection to a service."""
    host, port = urlsplit(service.address).netloc.split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def is_closed(connection: socket.socket) -> bool:
    """Return whether the other side has ended a connection, without reading what it sent."""
    try:
        connection.send(b"x")
    except ConnectionError:
        return True
    return False


def closes(connection: socket.socket) -> bool:
    """Return whether the server closes a connection within some twenty seconds, whatever drips into it."""
    for _ in range(200):
        if is_closed(connection):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    "begun", [b"", b"GET /healthz HTTP/1.1\r\nX-", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"]
)
def test_a_connection_without_a_request_is_closed(brisk: Caller, begun: bytes) -> None:
    """Before the first one or after it, also if a header comes letter by letter."""
    with connect(brisk) as connection:
        connection.sendall(begun)
        assert closes(connection), "it stays open"


def test_an_answer_that_is_not_read_is_given_up(brisk: Caller) -> None:
    """Else whoever asks and never reads fills the memory."""
    with connect(brisk) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
        assert closes(connection), "it stays open"


def test_who_waits_for_a_photo_is_not_cut_off(brisk: Caller, photo: bytes) -> None:
    """However much longer it takes than a connection may be idle."""
    assert brisk.blur(photo + b"test:linger").status_code == 200


def test_connections_are_counted(
    brisk: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those too many are closed at once, and a flood of them does not fill the log; later there is room again."""
    monkeypatch.setattr(connections, "IDLE_S", 300.0)
    idle = [connect(brisk) for _ in range(14)]
    for _ in range(20):
        with connect(brisk) as late:
            assert late.recv(1) == b""
    assert [record.levelname for record in caplog.records if "14 are open already" in record.message] == ["WARNING"]
    for connection in idle:
        connection.close()
    for _ in range(200):
        try:
            assert brisk("GET", "/healthz").ok
            break
        except requests.ConnectionError:
            time.sleep(0.1)
    else:
        raise AssertionError("there is no room again")
