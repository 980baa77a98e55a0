"""Starts PostgreSQL, `pii-blur serve` and GeoVisio, uploads a picture to GeoVisio, and looks at what it stored.

Started by whole.sh. Ends with 0 if the stored picture is blurred where GeoVisio says that something was hidden, is the
original elsewhere, and carries the original's metadata.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import requests
from PIL import Image
from skimage import data

from tests.service import decoded, jpeg

FLASK = Path(os.environ["GEOVISIO_VENV"]).resolve() / "bin" / "flask"
WIDTH, HEIGHT = 1600, 1200
PROB, CLASSES = "30", "person,car,truck,bus"
PATIENCE_S = 300.0


def main(postgres: Path) -> None:
    """Do all of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pii-blur-geovisio-")))
        folder.chmod(0o755)
        database = stack.enter_context(running_database(postgres, folder))
        blur = stack.enter_context(running_service(folder))
        address = stack.enter_context(running_geovisio(database, blur, folder))
        original = draw_picture(folder)
        stored, item = upload(address, original)
        wanted = blur_by_command(folder / "picture.jpg", folder / "out")
    report(original, stored, wanted, item)


@contextmanager
def running_database(postgres: Path, folder: Path) -> Iterator[str]:
    """Run PostgreSQL with PostGIS; yield its URL."""
    home, port = folder / "database", free_port()
    home.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses root
        shutil.chown(home, "postgres", "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    run([*as_user, postgres / "initdb", "-D", home / "data", "-U", "geovisio", "-A", "trust", "-E", "UTF8"])
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home}"
    control = [*as_user, postgres / "pg_ctl", "-D", home / "data"]
    run([*control, "-o", options, "-l", home / "log", "-w", "start"])
    try:
        connection = ["-h", "127.0.0.1", "-p", str(port), "-U", "geovisio"]
        run([postgres / "createdb", *connection, "geovisio"])
        run([postgres / "psql", *connection, "-c", "CREATE EXTENSION postgis", "geovisio"])
        yield f"postgres://geovisio@127.0.0.1:{port}/geovisio"
    finally:
        run([*control, "-m", "immediate", "stop"])


@contextmanager
def running_service(folder: Path) -> Iterator[str]:
    """Run `pii-blur serve` as an operator would; yield its address."""
    port = free_port()
    words = ["serve", "--port", str(port), "--prob", PROB, "--annotate", CLASSES, "--keep", str(folder / "keep")]
    with process([sys.executable, "-m", "pii_blur", *words], folder / "service.log"):
        address = f"http://127.0.0.1:{port}"
        wait(lambda: requests.get(f"{address}/readyz", timeout=5).ok, folder / "service.log")
        yield address


@contextmanager
def running_geovisio(database: str, blur: str, folder: Path) -> Iterator[str]:
    """Run GeoVisio; yield its address."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
        "DB_URL": database,
        "FS_URL": str(folder / "pictures"),
        "API_BLUR_URL": blur,
        "PICTURE_PROCESS_KEEP_UNBLURRED_PARTS": "true",
        "FLASK_SECRET_KEY": "only-for-this-run",
        "FLASK_PICTURE_PROCESS_REFRESH_CRON": "0 2 * * *",
    }
    flask = [FLASK, "--app", "geovisio"]
    run([*flask, "db", "upgrade"], environment)
    with process([*flask, "run", "--port", str(port)], folder / "geovisio.log", environment):
        address = f"http://127.0.0.1:{port}"
        wait(lambda: requests.get(f"{address}/api/configuration", timeout=5).ok, folder / "geovisio.log")
        yield address


def draw_picture(folder: Path) -> bytes:
    """Return something like a street photo: NASA's portrait of Eileen Collins, twice, with a camera's tags."""
    pixels = np.random.default_rng(0).integers(90, 130, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for left, side in ((200, 700), (1050, 450)):
        portrait = cv2.resize(data.astronaut(), (side, side), interpolation=cv2.INTER_AREA)
        pixels[HEIGHT - side - 40 : HEIGHT - 40, left : left + side] = portrait
    file = folder / "picture.jpg"
    file.write_bytes(jpeg(pixels))
    tags = ["-Make=Ricoh", "-Model=Theta", "-DateTimeOriginal=2026:05:01 10:20:30", "-GPSLatitude=48.85"]
    tags += ["-GPSLatitudeRef=N", "-GPSLongitude=2.35", "-GPSLongitudeRef=E", "-FocalLength=4", "-UserComment=kept"]
    run(["exiftool", "-q", "-overwrite_original", *tags, file])
    return file.read_bytes()


def blur_by_command(picture: Path, folder: Path) -> bytes:
    """Return what the command line makes of a picture."""
    run([sys.executable, "-m", "pii_blur", picture, folder, PROB, "--settle", "0"])
    return (folder / picture.name).read_bytes()


def upload(address: str, picture: bytes) -> tuple[bytes, dict[str, Any]]:
    """Send a picture through GeoVisio's API; return the stored HD picture and what the API says of it."""
    begun = requests.post(f"{address}/api/collections", data={"title": "pii-blur"}, timeout=30)
    begun.raise_for_status()
    collection = begun.headers["Location"]
    files = {"picture": ("street.jpg", picture, "image/jpeg")}
    sent = requests.post(f"{collection}/items", files=files, data={"position": "1"}, timeout=60)
    sent.raise_for_status()

    def is_ready() -> bool:
        status = requests.get(f"{collection}/geovisio_status", timeout=30).json()
        picture = status["items"][0]
        assert picture.get("nb_errors", 0) == 0, picture
        return picture["status"] == status["status"] == "ready"

    wait(is_ready)
    item = requests.get(sent.headers["Location"], timeout=30).json()
    stored = requests.get(item["assets"]["hd"]["href"], timeout=60)
    stored.raise_for_status()
    return stored.content, item


def report(original: bytes, stored: bytes, wanted: bytes, item: dict[str, Any]) -> None:
    """Compare what was stored with the original and the command line's; an AssertionError says what is wrong."""
    annotations = item["properties"].get("annotations") or []
    assert annotations, f"GeoVisio knows no annotations: {item['properties']}"
    before, after = decoded(original).astype(int), decoded(stored).astype(int)
    assert before.shape == after.shape == (HEIGHT, WIDTH, 3)
    assert (after == decoded(wanted)).all(), "it is not the picture that the command line makes"
    inside = np.zeros(before.shape[:2], bool)
    for annotation in annotations:
        corners = np.array(annotation["shape"]["coordinates"][0])
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        inside[int(top) : int(bottom), int(left) : int(right)] = True
        values = {tag["key"]: tag["value"] for tag in annotation["semantics"]}
        assert values["hidden"] in CLASSES.split(","), values
    change = np.abs(before - after).max(axis=-1)
    assert change[inside].mean() > 15, "nothing is hidden where GeoVisio says so"
    exif = item["properties"]["exif"]
    assert (exif["Exif.Image.Make"], exif["Exif.Photo.UserComment"][-4:]) == ("Ricoh", "kept"), exif
    with Image.open(io.BytesIO(stored)) as picture:
        assert picture.getexif()[0x010F] == "Ricoh"
    print(f"GeoVisio stored a blurred picture with {len(annotations)} annotations and the original's metadata:")
    print(f"  mean change of the pixels inside them {change[inside].mean():.1f}, every pixel as by the command line")


def free_port() -> int:
    """Return a port on loop-back that nobody listens on at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def run(words: list[Any], environment: dict[str, str] | None = None) -> None:
    """Run a program to its end; its output is shown only if it fails."""
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{words[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


@contextmanager
def process(words: list[Any], log: Path, environment: dict[str, str] | None = None) -> Iterator[None]:
    """Run a program during the `with`."""
    with log.open("wb") as file:
        started = subprocess.Popen(list(map(str, words)), env=environment, stdout=file, stderr=file)
        try:
            yield
        finally:
            started.terminate()
            started.wait(60)


def wait(is_so: Callable[[], bool], log: Path | None = None) -> None:
    """Wait until something is so; after `PATIENCE_S` give up and show the log."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if is_so():
                return
        except requests.RequestException:
            pass
        time.sleep(0.5)
    sys.exit(f"it takes too long:\n{log.read_text() if log else ''}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
