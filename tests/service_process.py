"""The service in a process of its own, as an operator runs it.

    python -m tests.service_process '{"outgoing": ["http://127.0.0.1:8001/"]}'

runs one whose workers find the people of `tests.scenes` by their colour; its arguments are fields of `ServiceSettings`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from pii_blur.http import server
from pii_blur.http.app import make_app
from pii_blur.http.pool import WorkTask
from pii_blur.http.settings import ServiceSettings
from pii_blur.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class ServiceProcess:
    """A running one.

    Attributes:
        address: ``http://127.0.0.1:PORT``.
        log: what it said so far.
    """

    address: str = ""
    log: list[str] = field(default_factory=list)


@contextmanager
def service_process(
    command: Sequence[str] = ("-m", "tests.service_process"), *words: str, packages: Path | None = None
) -> Iterator[ServiceProcess]:
    """Start Python with a command that serves; end it with SIGTERM, as systemd does.

    Args:
        command: what Python is to run.
        words: further arguments.
        packages: a folder with packages of others.

    Raises:
        AssertionError: it does not start, or does not end well; with all that it said.
    """
    path = os.pathsep.join(str(folder) for folder in (ROOT, packages) if folder is not None)
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, *command, *words], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    service = ServiceProcess()
    is_up = threading.Event()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            service.log.append(line)
            if found := re.search(r"listening on (http://\S+)", line):
                service.address = found[1]
                is_up.set()
        is_up.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert is_up.wait(120), service.log
        assert service.address, "".join(service.log)
        while not _answers(service.address):
            assert process.poll() is None, "".join(service.log)
            time.sleep(0.05)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        reader.join()
        assert process.stderr is not None
        process.stderr.close()
    assert code in (0, -signal.SIGTERM), (code, service.log)


def _answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/healthz", timeout=60).ok
    except requests.ConnectionError:
        return False


def main() -> None:
    """Serve with the colour detector."""
    from tests.service import open_colour_tools  # noqa: PLC0415

    settings = json.loads(sys.argv[1])
    if "state_folder" in settings:
        settings["state_folder"] = Path(settings["state_folder"])
    server.make_app = lambda given: make_app(given, task=WorkTask(open_colour_tools, 1))  # type: ignore[assignment]
    logging.basicConfig(level=logging.INFO)
    server.run(ServiceSettings(hiding=Settings(views="fast"), port=0, **settings))


if __name__ == "__main__":
    main()
