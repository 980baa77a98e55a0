"""The demo panorama: everyone in it is found and hidden, and its file holds what the demo is meant to show."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skimage", reason="the demo needs scikit-image (pip install -r requirements.txt scikit-image)")

from contrib.demo.photo_file import read_thumbnail, run_exiftool, write_photo
from contrib.demo.picture import draw_before_and_after
from contrib.demo.scene import EASELS, Easel, draw_courtyard
from pii_blur import Photo, Settings, find_regions, hide_regions
from pii_blur.detect.detector import load_detector
from pii_blur.mask import RIM
from pii_blur.sphere.axes import rotation_matrix

WIDTH = 4096

# Where the face is in each photograph, as shares of its width and height.
FACES = {"astronaut": (0.44, 0.21), "camera": (0.44, 0.22)}


@pytest.fixture(scope="module")
def courtyard() -> Photo:
    """The panorama as `./blur` draws it."""
    return Photo.from_pixels(draw_courtyard(WIDTH))


def _face(easel: Easel) -> np.ndarray:
    """Return the direction of the face on an easel."""
    across, down = FACES[easel.photo]
    side = easel.side_m / easel.distance_m
    return rotation_matrix(easel.yaw, 0.0) @ np.array([(across - 0.5) * side, (down - 0.5) * side, 1.0])


def test_everyone_in_the_demo_is_hidden(courtyard: Photo) -> None:
    """Every face, the one on the seam too, lies inside the mask, and no more than a tenth of the picture is hidden."""
    settings = Settings()
    regions = find_regions(courtyard, load_detector(settings.model), settings)
    hidden = hide_regions(courtyard, regions, settings)
    for easel in EASELS:
        column, row = courtyard.extent.to_points(_face(easel)).astype(int)
        window = np.ix_(np.arange(row - 8, row + 8), np.arange(column - 8, column + 8) % WIDTH)
        assert (hidden.mask[window] > RIM).all(), easel
        assert (hidden.pixels[window] != courtyard.pixels[window]).any(axis=-1).mean() > 0.9, easel
    assert (hidden.mask > 0).mean() < 0.1


def test_the_demo_has_someone_on_the_seam() -> None:
    """One of the people is cut in two by the panorama's edge."""
    assert any(abs(easel.yaw) == 180 for easel in EASELS)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is missing")
def test_demo_file_carries_position_panorama_tags_and_thumbnail(courtyard: Photo, tmp_path: Path) -> None:
    """The file is like a camera's: without these the demo would show nothing of what happens to metadata."""
    file = tmp_path / "a folder" / "demo.jpg"
    write_photo(courtyard.pixels, file)
    tags = json.loads(run_exiftool("-j", str(file)))[0]
    assert tags["ProjectionType"] == "equirectangular"
    assert tags["GPSLatitude"] == pytest.approx(45.8326)
    thumbnail = read_thumbnail(file)
    assert thumbnail is not None
    assert thumbnail.shape == (80, 160, 3)
    assert [path.name for path in file.parent.iterdir()] == ["demo.jpg"]


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is missing")
def test_before_and_after_picture_is_small_enough_for_the_readme(courtyard: Photo, tmp_path: Path) -> None:
    """The picture can be drawn of any two files, and stays under 200 KB."""
    file, picture = tmp_path / "demo.jpg", tmp_path / "picture.jpg"
    write_photo(courtyard.pixels, file)
    draw_before_and_after(file, file, picture)
    assert 20_000 < picture.stat().st_size < 200_000
