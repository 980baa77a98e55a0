"""The client that Panoramax uses, GeoVisio's own function, against a running service."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pii_blur.labels import Label
from pii_blur.photo.exiftool import open_exiftool
from pii_blur.settings import Settings
from tests.photos import with_tags
from tests.service import Caller, decoded, panorama, purple, running

HERE = Path(__file__).resolve().parent
PYTHON = Path(os.environ.get("GEOVISIO_VENV") or HERE.parents[1] / ".geovisio") / "bin" / "python"
TOKEN = "a-token-that-geovisio-sends-as-password"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="no GeoVisio here; tests/geovisio/setup.sh installs it")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """With everything that Panoramax can make use of, and behind a token."""
    keep = tmp_path_factory.mktemp("keep")
    with running(
        annotate=(Label.PERSON,), keep_folder=keep, hiding=Settings(min_score=0.05), tokens=(TOKEN,)
    ) as caller:
        yield caller


def let_geovisio_blur(address: str, photo: bytes, folder: Path, keep: str = "") -> tuple[bytes, dict[str, Any]]:
    """Return the file that GeoVisio stored and what it understood."""
    (folder / "in.jpg").write_bytes(photo)
    words = [PYTHON, HERE / "blur_one.py", address, folder / "in.jpg", folder / "out.jpg", keep]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "out.jpg").read_bytes(), json.loads(done.stdout)


def with_password(service: Caller) -> str:
    """Return the address as it stands in API_BLUR_URL: GeoVisio can send a token in no other way."""
    return service.address.replace("http://", f"http://panoramax:{TOKEN}@")


def test_geovisio_stores_a_blurred_picture_with_its_metadata(service: Caller, tmp_path: Path) -> None:
    """Blurred, upright, with all its tags; the annotations and the id are where GeoVisio looks for them."""
    photo = with_tags(panorama(), tmp_path, "-GPSLatitude=48.85", "-GPSLatitudeRef=N", "-Make=Ricoh")
    stored, understood = let_geovisio_blur(with_password(service), photo + b"test:doubt", tmp_path, "keep")
    assert (understood["size"], understood["format"]) == ([512, 256], "JPEG")
    assert not purple(decoded(stored)).any()
    metadata = understood["metadata"]
    assert metadata["service_name"] == "pii-blur"
    assert len(metadata["annotations"]) >= 3
    assert len(metadata["blurring_id"]) == 64
    with open_exiftool() as exiftool:
        tags = exiftool.read_tags(stored, ".jpg")
    assert (tags["IFD0:Make"], tags["GPS:GPSLatitude"]) == ("Ricoh", 48.85)


def test_geovisio_stores_nothing_when_the_service_refuses(service: Caller, tmp_path: Path) -> None:
    """A photo that cannot be done, and a wrong password, are errors for GeoVisio: it tries again later."""
    for address, photo in ((with_password(service), panorama()[:3000]), (service.address, panorama())):
        with pytest.raises(AssertionError, match="HTTPError"):
            let_geovisio_blur(address, photo, tmp_path)
        assert not (tmp_path / "out.jpg").exists()
