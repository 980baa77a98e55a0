"""Fetches one file from the web: goes on where it stopped, and gives it its name only once it is whole and checked."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from pii_blur.errors import CannotWrite, MissingDependency

Progress = Callable[[int, int | None], None]

_BLOCK = 1 << 18
_TIMEOUT_S = 30.0
_MOST_ATTEMPTS_WITHOUT_PROGRESS = 3
_LOCAL = ("127.0.0.1", "localhost", "::1")


def download(url: str, target: Path, check: Callable[[Path], None], progress: Progress = lambda *_: None) -> None:
    """Fetch `url` to `target`. What was fetched before stays in a hidden file beside it and is gone on with.

    Args:
        url: an https address (plain http from this very machine only).
        target: the file's final name; its folder is made if missing.
        check: called with the whole file before it gets its name; what it raises is passed on, and the file removed.
        progress: called with the bytes there so far and the bytes in all, if known.

    Raises:
        MissingDependency: the server cannot be reached or refuses, or the connection keeps breaking.
        CannotWrite: the folder cannot be written.
    """
    part = target.with_name(f".pii-blur-{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, progress)
        try:
            check(part)
        except Exception:
            _forget(part)
            raise
        part.replace(target)
        _forget(part)
    except OSError as error:
        raise CannotWrite(f"{target.parent} cannot be written: {error.strerror or error}") from error


def _fetch(url: str, part: Path, progress: Progress) -> None:
    attempts = 0
    while attempts < _MOST_ATTEMPTS_WITHOUT_PROGRESS:
        before = _size(part)
        try:
            if _fetch_once(url, part, progress):
                return
        except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError):
            pass  # counted below: the connection broke
        attempts = 0 if _size(part) > before else attempts + 1
    raise MissingDependency(
        f"the connection to {urlsplit(url).hostname} keeps breaking; the same command goes on from "
        f"{_size(part) / 1e6:.1f} MB"
    )


def _fetch_once(url: str, part: Path, progress: Progress) -> bool:
    """Fetch what is missing and return whether the file is whole now."""
    there = _size(part)
    request = urllib.request.Request(url, headers=_headers(part, there))  # noqa: S310  # `_Guarded` checks addresses
    try:
        _check_address(url)
        answer = urllib.request.build_opener(_Guarded).open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and there:
            return _settle_end(error.headers, part, there)
        raise MissingDependency(f"{url} is refused by its server: {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionResetError):
            raise error.reason from error
        raise MissingDependency(
            f"{urlsplit(url).hostname} cannot be reached ({error.reason}). This needs the web: fetch {url} "
            "on a computer that has it, copy the file here, then run: pii-blur models add FILE"
        ) from error
    with answer:
        is_rest = answer.status == http.client.PARTIAL_CONTENT and _starts_at(answer.headers, there)
        start = there if is_rest else 0
        length = answer.headers.get("Content-Length")
        whole = start + int(length) if length and length.isdigit() else None
        with part.open("r+b" if is_rest else "wb") as file:
            if not is_rest:  # only once the old bytes are gone
                _note_version(part, answer.headers)
            file.seek(start)
            shown = _copy(answer, file, start, whole, progress)
        return shown == whole or (whole is None and shown > 0)


def _copy(answer: IO[bytes], file: IO[bytes], start: int, whole: int | None, progress: Progress) -> int:
    done = start
    progress(done, whole)
    try:
        while block := answer.read(_BLOCK):
            file.write(block)
            done += len(block)
            progress(done, whole)
    finally:
        file.flush()
        os.fsync(file.fileno())
    return done


def _settle_end(headers: Message, part: Path, there: int) -> bool:
    """Decide what it means that there is no rest: the file was whole, or it is another one that must be begun anew."""
    whole = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
    if whole and int(whole[1]) == there:
        return True
    _forget(part)
    return False


def _headers(part: Path, there: int) -> dict[str, str]:
    """Return what asks for the rest, but only of the very same file: without its version number from the start."""
    headers = {"User-Agent": "pii-blur", "Accept-Encoding": "identity"}
    version = _version_file(part)
    if there and version.is_file():
        headers |= {"Range": f"bytes={there}-", "If-Range": version.read_text(encoding="ascii")}
    return headers


def _starts_at(headers: Message, there: int) -> bool:
    return headers.get("Content-Range", "").startswith(f"bytes {there}-")


def _note_version(part: Path, headers: Message) -> None:
    """Keep the server's version number of the file (a strong ETag, RFC 9110 section 8.8.3) beside what is fetched."""
    version = headers.get("ETag", "")
    if re.fullmatch(r'"[!-~]*"', version):
        _version_file(part).write_text(version, encoding="ascii")
    else:
        _version_file(part).unlink(missing_ok=True)


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _check_address(url: str) -> None:
    address = urlsplit(url)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _LOCAL):
        raise MissingDependency(f"{url} is refused: models are fetched by https only")


class _Guarded(urllib.request.HTTPRedirectHandler):
    """Follows a server elsewhere, but never to an address without encryption."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request for the new address."""
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
