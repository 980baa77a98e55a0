"""Inference servers: only what the operator allowed is ever asked, and the list survives whatever happens to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pii_blur.errors import UsageFailure
from pii_blur.http.bmw.address_list import FILE_NAME, AddressList
from pii_blur.http.bmw.addresses import AllowedAddresses, normal_address
from pii_blur.http.refusals import Refusal

ALLOWED = AllowedAddresses(["http://gpu:8001", "https://models.example/yolo/"])


@pytest.mark.parametrize(
    "text", ["http://gpu:8001/", "http://gpu:8001", "HTTP://GPU:8001", "https://models.example/yolo/v4"]
)
def test_what_the_operator_allowed_may_be_asked(text: str) -> None:
    """However it is written, and below its path."""
    assert ALLOWED.check(text).endswith("/")


@pytest.mark.parametrize(
    "text",
    [
        "http://gpu/",
        "http://gpu:80010/",
        "https://gpu:8001/",
        "http://gpu:8001.evil.example/",
        "http://gpu:8001@evil.example/",
        "http://evil.example/?http://gpu:8001/",
        "http://evil.example#http://gpu:8001/",
        "http://evil.example\\http://gpu:8001/",
        "http://127.0.0.1:22/",
        "http://[::1]:8001/",
        "http://169.254.169.254/latest/meta-data/",
        "https://models.example/yolo/../admin/",
        "https://models.example/yolo/%2e%2e/admin/",
        "https://models.example/yoloadmin/",
        "file:///etc/passwd",
        "gopher://gpu:8001/",
        "//gpu:8001/",
        "gpu:8001",
        "http://gpu:8001/\r\nHost: evil",
        "http://gpu:99999/",
        "http://gp\u00fc:8001/",
        "http:///",
        "",
        "http://" + "a" * 1000,
    ],
)
def test_nothing_else_may_be_asked(text: str) -> None:
    """Not the machine's own network, however the address is dressed up."""
    with pytest.raises(Refusal) as caught:
        ALLOWED.check(text)
    assert caught.value.status_code in (403, 422)


def test_nothing_is_allowed_by_default() -> None:
    """An operator must say so."""
    with pytest.raises(Refusal):
        AllowedAddresses().check("http://gpu:8001/")


def test_an_allowed_address_that_is_none_is_an_error_at_the_start() -> None:
    """And not found out by the first photo."""
    with pytest.raises(UsageFailure, match="gpu:8001"):
        AllowedAddresses(["gpu:8001"])


def test_the_list_is_kept_across_restarts(tmp_path: Path) -> None:
    """As BMW's file is, in the same form."""
    address = normal_address("http://gpu:8001")
    first = AddressList(tmp_path, ALLOWED)
    assert first.add(address)
    assert not first.add(address)
    assert json.loads((tmp_path / FILE_NAME).read_text()) == {"urls": [address]}
    second = AddressList(tmp_path, ALLOWED)
    assert second.addresses() == [address]
    assert second.remove(address)
    assert not second.remove(address)
    assert AddressList(tmp_path, ALLOWED).addresses() == []
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_what_is_not_allowed_any_more_is_left_out(tmp_path: Path) -> None:
    """Also where somebody wrote it into the file."""
    (tmp_path / FILE_NAME).write_text('{"urls": ["http://evil.example:80/", "http://gpu:8001/"]}')
    assert AddressList(tmp_path, ALLOWED).addresses() == ["http://gpu:8001/"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"urls": 5}', '{"urls": [5]}', "[" * 100_000])
def test_a_damaged_list_is_an_error_at_the_start_that_names_it(tmp_path: Path, text: str) -> None:
    """Going on with an empty one would hide less than before, without a word."""
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(UsageFailure, match=FILE_NAME):
        AddressList(tmp_path, ALLOWED)


def test_without_a_folder_the_list_lives_as_long_as_the_service() -> None:
    """Nothing is written anywhere."""
    addresses = AddressList(None, ALLOWED)
    addresses.add("http://gpu:8001/")
    addresses.clear()
    assert addresses.addresses() == []
