"""Does the service keep its word under too much load? 2,000 requests at twice what it can do, on loop-back.

    python benchmarks/load_service.py [--requests 2000] [--factor 2] [--colours]

Starts `pii-blur serve` with one worker and a short line, measures how many photos of 1024 x 512 it does a second, then
sends them at a multiple of that rate, each on a connection of its own. Every answer must be 429 with Retry-After or the
very bytes that the command line's `blur_photo` gives. Prints how many came back as what, the times, and the memory of
the service and its worker over the run; ends with 1 if a request was lost or an answer was wrong.

With `--colours` the stand-in of the tests, which finds things by their colour, is in the place of the network: all else
is the same, and 2,000 requests take minutes rather than a quarter of an hour.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pii_blur.pipeline import Tools, blur_photo, open_tools
from pii_blur.settings import Settings
from tests.service import open_colour_tools, panorama

PHOTOS = 8
PATIENCE_S = 180


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--factor", type=float, default=2.0, help="of the capacity measured first")
    parser.add_argument("--views", default="fast", help="view plan (default: %(default)s)")
    parser.add_argument("--colours", action="store_true", help="find things by their colour instead of by the network")
    arguments = parser.parse_args()
    settings = Settings(views=arguments.views, second_look=False)
    opening = open_colour_tools() if arguments.colours else open_tools(settings)
    with tempfile.TemporaryDirectory() as folder:
        photos, wanted = make_photos(Path(folder), settings, opening)
        log = Path(folder) / "log"
        command = ["tests.colour_service"] if arguments.colours else ["pii_blur", "serve"]
        words = ["--port", "0", "--workers", "1", "--queue", "4", "--no-second-look", "--views", arguments.views]
        with log.open("wb") as file:
            service = subprocess.Popen([sys.executable, "-m", *command, *words], stderr=file)
        try:
            address = wait_until_ready(service, log)
            return load(address, service.pid, photos, wanted, arguments)
        finally:
            service.terminate()
            service.wait(60)


def make_photos(
    folder: Path, settings: Settings, opening: AbstractContextManager[Tools]
) -> tuple[list[bytes], list[str]]:
    """Return panoramas of 1024 x 512 and the digests of what the command line makes of them."""
    photos, wanted = [], []
    with opening as tools:
        for number in range(PHOTOS):
            photos.append(panorama(1024, seed=number))
            (folder / "in.jpg").write_bytes(photos[-1])
            result = blur_photo(folder / "in.jpg", folder / "out.jpg", settings, tools)
            assert result.error is None, result.error
            wanted.append(result.output_sha256)
    return photos, wanted


def wait_until_ready(service: subprocess.Popen[bytes], log: Path) -> str:
    """Return the service's address once it has done its first photo."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and service.poll() is None:
        address = log.read_text().partition("listening on ")[2].partition("\n")[0]
        try:
            if address and requests.get(f"{address}/readyz", timeout=5).ok:
                return address
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"the service does not get ready:\n{log.read_text()}")


def load(address: str, pid: int, photos: list[bytes], wanted: list[str], arguments: argparse.Namespace) -> int:
    """Measure the capacity, then exceed it."""

    def post(number: int) -> tuple[str, float]:
        which, start = number % PHOTOS, time.monotonic()
        try:
            answer = requests.post(f"{address}/v1/photos", files={"photo": photos[which]}, timeout=PATIENCE_S)
        except requests.RequestException as error:
            return f"lost ({type(error).__name__})", time.monotonic() - start
        spent = time.monotonic() - start
        if answer.status_code == 429:
            return ("429" if int(answer.headers["Retry-After"]) > 0 else "429 without Retry-After"), spent
        if answer.status_code != 200:
            return f"wrong status {answer.status_code}", spent
        is_right = hashlib.sha256(answer.content).hexdigest() == wanted[which]
        return ("right" if is_right else "wrong photo"), spent

    start = time.monotonic()
    assert all(post(number)[0] == "right" for number in range(2 * PHOTOS))
    a_second = 2 * PHOTOS / (time.monotonic() - start)
    print(f"one after the other: {a_second:.2f} photos a second; now {arguments.factor:g} times as many", flush=True)
    watch = Watch(pid)
    with ThreadPoolExecutor(max_workers=64) as pool:
        begun, futures = time.monotonic(), []
        for number in range(arguments.requests):
            time.sleep(max(0.0, begun + number / (arguments.factor * a_second) - time.monotonic()))
            futures.append(pool.submit(post, number))
        answers = [future.result() for future in futures]
    spent, memory = time.monotonic() - begun, watch.stop()
    counts = Counter(what for what, _ in answers)
    times = sorted(seconds for what, seconds in answers if what == "right")
    print(f"{arguments.requests} requests in {spent:.0f} s: {dict(counts)}")
    print(f"right ones: {len(times) / spent:.2f} a second, median {statistics.median(times):.2f} s, ", end="")
    print(f"95 % within {times[int(0.95 * len(times))]:.2f} s")
    quarters = [max(part) for part in np.array_split(np.array(memory), 4)]
    print("memory of all its processes, MiB, most in each quarter of the run:", *(f"{one:.0f}" for one in quarters))
    return int(set(counts) > {"right", "429"} or not counts["right"] or not counts["429"])


class Watch:
    """Takes down the resident memory (MiB) of a process and its children, once a second."""

    def __init__(self, pid: int) -> None:
        self._pid, self._taken, self._is_over = pid, [], threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> list[float]:
        """Return what was taken down."""
        self._is_over.set()
        self._thread.join()
        return self._taken

    def _run(self) -> None:
        while not self._is_over.wait(1.0):
            self._taken.append(sum(resident(pid) for pid in family(self._pid)))


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").glob("*") for child in read(task / "children").split()]
    return [pid, *(one for child in children for one in family(child))]


def resident(pid: int) -> float:
    """Return the memory that a process alone holds, MiB; 0 if it has gone."""
    pages = read(Path(f"/proc/{pid}/statm")).split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20) if pages else 0.0


def read(file: Path) -> str:
    """Return a file's text, empty if it has gone."""
    try:
        return file.read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
