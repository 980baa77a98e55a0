"""What the wheel holds is all that is needed: it runs from a folder with nothing of the checkout beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

import cv2
import pytest

from pii_blur.version import __version__
from tests.scenes import background

ROOT = Path(__file__).resolve().parents[2]

Command = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked; the tests are skipped, visibly, where the build backend is out of reach."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    backend = [*pip, "install", "--quiet", "--target", str(folder / "backend"), "hatchling>=1.25"]
    got = subprocess.run(backend, capture_output=True, text=True, timeout=300, check=False)
    if got.returncode != 0:
        pytest.skip(f"hatchling cannot be installed: {(got.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    environment = os.environ | {"PYTHONPATH": str(folder / "backend")}
    built = subprocess.run(build, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("pii_blur-*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def command(unpacked: Path, tmp_path: Path) -> Command:
    """Return a function that runs ``python -m pii_blur`` from the wheel, in a folder that knows no checkout."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(unpacked)}
        line = [sys.executable, "-m", "pii_blur", *words]
        return subprocess.run(
            line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


def test_wheel_says_its_version(command: Command) -> None:
    """The package of the wheel answers, not that of the checkout."""
    done = command("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"pii-blur {__version__}"), done.stderr


def test_wheel_does_a_photo(command: Command, tmp_path: Path) -> None:
    """The model and exiftool's configuration are inside."""
    _, coded = cv2.imencode(".jpg", background(512, 256, 0))
    (tmp_path / "a.jpg").write_bytes(coded.tobytes())
    zones = '{"schema": 1, "zones": [{"action": "hide", "yaw": 0, "pitch": 0, "width": 40, "height": 40}]}'
    (tmp_path / "zones.json").write_text(zones)
    done = command("a.jpg", "out", "40", "--settle", "0", "--views", "fast", "--workers", "0", "--zones", "zones.json")
    assert done.returncode == 0, done.stderr
    result = (tmp_path / "out" / "a.jpg").read_bytes()
    assert result != coded.tobytes()
    assert b"pii-blur" in result, "the mark"


def test_wheel_brings_the_command(unpacked: Path) -> None:
    """An installed pii-blur is the same command line."""
    (metadata,) = unpacked.glob("pii_blur-*.dist-info")
    entries = ConfigParser()
    entries.read(metadata / "entry_points.txt", encoding="utf-8")
    assert dict(entries["console_scripts"]) == {"pii-blur": "pii_blur.cli:main"}
    assert list(metadata.rglob("LICENSE.txt"))
