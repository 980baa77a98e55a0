"""Runs exiftool: finds it, keeps one process alive, hands it files, restarts it when it dies. Knows no tags.

pyexiftool (0.5.6) gives the protocol of ``-stay_open``. Two things of it are replaced here: its reading loop, which
never ends when exiftool dies, and its start, which leaves exiftool behind when the parent is killed inside a worker
that ignores SIGTERM, and lets Ctrl-C in the terminal kill it in the middle of a photo.
"""

from __future__ import annotations

import ctypes
import functools
import json
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import exiftool

from pii_blur.errors import MissingDependency, PhotoFailure
from pii_blur.photo.private_folder import PrivateFolder, open_private_folder

log = logging.getLogger(__name__)

LEAST_VERSION = (12, 15)  # pyexiftool's protocol needs ${status}
TIMEOUT_S = 60.0
_TOO_LONG = "takes too long over the photo's metadata (look at it with: exiftool -a -G1 PHOTO)"

_HOW_TO_INSTALL = {
    "linux": "install it with: apt-get install libimage-exiftool-perl (Fedora: dnf install perl-Image-ExifTool)",
    "darwin": "install it with: brew install exiftool",
    "win32": "put exiftool.exe from https://exiftool.org beside pii-blur.py or on PATH",
}
_PR_SET_PDEATHSIG = 1


class ExifToolRefusal(PhotoFailure):
    """Exiftool runs, but will not touch this metadata; code ``exiftool``."""


class ExifTool:
    """One exiftool, started at the first photo and again after it died. Not for several threads at once."""

    def __init__(self, executable: str, config: Path, folder: PrivateFolder, timeout_s: float = TIMEOUT_S) -> None:
        """Prepare; nothing is started yet.

        Args:
            executable: path of the program.
            config: the `.ExifTool_Config` that defines our mark.
            folder: for the files that exiftool is to read and change. Their names are chosen here: no name of a user's
                file, in whatever encoding, ever reaches exiftool.
            timeout_s: how long a call, or all calls for one photo, may take, in seconds.
        """
        self._executable, self._config, self._folder, self._timeout_s = executable, config, folder, timeout_s
        self._process: _Process | None = None
        self._left_s: float | None = None

    @property
    def pid(self) -> int | None:
        """Process number of the running exiftool, None if none runs."""
        return None if self._process is None else self._process.pid

    @contextmanager
    def one_photo(self) -> Iterator[None]:
        """Within the `with`, all calls together may take as long as one may else; what happens between them is free."""
        self._left_s = self._timeout_s
        try:
            yield
        finally:
            self._left_s = None

    def read_tags(self, data: bytes, suffix: str, *options: str) -> dict[str, Any]:
        """Return all tags of a file as exiftool's JSON has them, keyed ``Group1:Tag``.

        Args:
            data: the file.
            suffix: ``.jpg`` or ``.png``.
            options: further exiftool options, e.g. ``-b``.

        Raises:
            ExifToolRefusal: exiftool runs, but cannot read it.
            PhotoFailure: exiftool died or hung (code ``exiftool``).
        """
        with self._folder.files({f"photo{suffix}": data}) as (path,):
            answer = self._execute("-j", "-G1", "-a", "-u", "-n", *options, str(path))
        try:
            tags: dict[str, Any] = json.loads(answer.decode("utf-8", "replace"))[0]
        except (ValueError, IndexError) as error:
            raise ExifToolRefusal("exiftool cannot read the photo's metadata", "exiftool") from error
        return {key: value for key, value in tags.items() if not key.startswith(("System:", "ExifTool:Ex", "SourceF"))}

    def edit(
        self, data: bytes, suffix: str, arguments: list[str], attached: Mapping[str, bytes] | None = None
    ) -> bytes:
        """Let exiftool change a file and return the changed file.

        Args:
            data: the file.
            suffix: ``.jpg`` or ``.png``.
            arguments: exiftool's; ``{name}`` in one stands for the path of the attached file of that name.
            attached: further files, by name.

        Raises:
            ExifToolRefusal: exiftool runs, but will not do it.
            PhotoFailure: exiftool died or hung (code ``exiftool``).
        """
        attached = attached or {}
        with self._folder.files({f"photo{suffix}": data, **attached}) as (path, *others):
            for name, other in zip(attached, others, strict=True):
                arguments = [argument.replace(f"{{{name}}}", str(other)) for argument in arguments]
            self._execute("-q", "-q", "-m", "-overwrite_original", *arguments, str(path))
            return path.read_bytes()

    def close(self) -> None:
        """Stop the process."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _execute(self, *arguments: str) -> bytes:
        if self._process is not None and not self._process.is_alive():
            log.warning("exiftool died since the last photo; starting it again")
            self.close()
        if self._process is None:
            self._process = _start(self._executable, self._config)
        left_s = self._timeout_s if self._left_s is None else self._left_s
        start = time.monotonic()
        try:
            if left_s <= 0:
                raise _Died(_TOO_LONG)
            answer, complaints, status = self._process.ask(arguments, left_s)
            if self._left_s is not None:
                self._left_s -= time.monotonic() - start
        except _Died as death:
            self.close()
            raise PhotoFailure(f"exiftool {death}; it is started again for the next photo", "exiftool") from death
        if status != 0:
            reason = complaints.strip().splitlines()[0] if complaints.strip() else f"status {status}"
            reason = reason.replace(str(self._folder.path), "").partition(" - /")[0]
            raise ExifToolRefusal(f"exiftool refuses the photo's metadata: {reason}", "exiftool")
        return answer


@contextmanager
def open_exiftool(*, timeout_s: float = TIMEOUT_S) -> Iterator[ExifTool]:
    """Find exiftool and give it a private temporary folder; both are gone at the end of the `with`.

    Args:
        timeout_s: how long one photo's metadata may take, in seconds.

    Raises:
        MissingDependency: there is no exiftool, or it is too old.
    """
    executable, config = check_exiftool(), _find_config()
    with open_private_folder() as folder:
        tool = ExifTool(executable, config, folder, timeout_s)
        try:
            yield tool
        finally:
            tool.close()


def check_exiftool() -> str:
    """Return the path of exiftool.

    Raises:
        MissingDependency: there is none, or it is too old; says how to install it.
    """
    beside = Path(sys.argv[0]).resolve().parent
    executable = shutil.which("exiftool", path=str(beside)) if sys.platform == "win32" else None
    executable = executable or shutil.which("exiftool")
    remedy = _HOW_TO_INSTALL.get(sys.platform, _HOW_TO_INSTALL["linux"])
    if executable is None:
        raise MissingDependency(f"exiftool is not installed; {remedy}")
    try:
        answer = subprocess.run([executable, "-ver"], capture_output=True, timeout=TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingDependency(f"'{executable}' does not run ({error}); {remedy}") from error
    version = re.match(rb"\s*(\d+)\.(\d+)", answer)
    if version is None or (int(version[1]), int(version[2])) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise MissingDependency(f"'{executable}' is older than exiftool {least}; {remedy}")
    return executable


def _find_config() -> Path:
    """Return `.ExifTool_Config`: inside the package when installed from a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package, package.parent):
        if (folder / ".ExifTool_Config").is_file():
            return folder / ".ExifTool_Config"
    raise MissingDependency(f"'.ExifTool_Config' is missing beside '{package}'; install pii-blur again")


class _Died(Exception):
    """Exiftool ended, or was ended because it hung; the message says which."""


def _start(executable: str, config: Path) -> _Process:
    try:
        process = _Process(executable=executable, common_args=[], config_file=str(config))
        process.run()
    except OSError as error:
        raise MissingDependency(f"'{executable}' does not start ({error}); install exiftool again") from error
    return process


class _Process(exiftool.ExifTool):  # type: ignore[misc]  # pyexiftool carries no types
    """pyexiftool's process with another start and another reading loop; see the top of this file."""

    _process: subprocess.Popen[bytes] | None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def run(self) -> None:
        self._process = subprocess.Popen(
            [self._executable, "-config", str(self._config_file), "-stay_open", "True", "-@", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **_apart_from_terminal(),
        )
        self._running = True

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask(self, arguments: tuple[str, ...], timeout_s: float) -> tuple[bytes, str, int]:
        """Return what exiftool printed, its complaints, and its status. Raises `_Died`."""
        process = self._process
        assert process is not None and process.stdin and process.stdout and process.stderr
        number = random.randint(100_000, 999_999)  # noqa: S311 - tells this answer's end from text in a tag
        end = f"post{number}"
        command = "\n".join([*arguments, "-echo4", f"=${{status}}={end}", f"-execute{number}", ""])
        has_hung = threading.Event()

        def give_up() -> None:
            has_hung.set()
            process.kill()  # its pipes close, so that the reading below ends

        watchdog = threading.Timer(timeout_s, give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            process.stdin.write(command.encode())
            process.stdin.flush()
            answer = _read_until(process.stdout.fileno(), b"{ready%d}" % number)
            complaints = _read_until(process.stderr.fileno(), end.encode()).decode("utf-8", "replace")
        except OSError as error:
            raise _Died(_TOO_LONG if has_hung.is_set() else "died") from error
        finally:
            watchdog.cancel()
            watchdog.join()
        if has_hung.is_set():  # it answered at the last moment, and was killed all the same
            raise _Died(_TOO_LONG)
        complaints, _, status = complaints.rstrip("=").rpartition("=")
        return answer, complaints, int(status) if status.isdigit() else -1

    def stop(self) -> None:
        process = self._process
        self._flag_running_false()  # pyexiftool would warn about a process that is gone
        if process is None:
            return
        try:
            process.communicate(b"-stay_open\nFalse\n", timeout=5)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            process.kill()
            process.communicate()


def _read_until(descriptor: int, end: bytes) -> bytes:
    """Read a pipe up to `end`, which is left out. Raises OSError when the pipe closes before."""
    received = bytearray()
    while not received.rstrip().endswith(end):
        part = os.read(descriptor, 1 << 16)
        if not part:
            raise BrokenPipeError("closed")
        received += part
    return bytes(received.rstrip()[: -len(end)])


def _apart_from_terminal() -> dict[str, Any]:
    """Return options for Popen: away from the terminal's Ctrl-C, and, on Linux, dead when this process dies."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    if sys.platform != "linux":
        return {"start_new_session": True}
    # SIGKILL, for workers ignore SIGTERM and their children inherit that. The library is loaded here, before the fork.
    end_with_parent = functools.partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, signal.SIGKILL)
    return {"start_new_session": True, "preexec_fn": end_with_parent}
