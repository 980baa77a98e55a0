"""What the guard takes as given: that everything found is in the mask, hidden wholly, and as strongly as it says."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from pii_blur.labels import Label
from pii_blur.mask import RIM, sigma_of
from pii_blur.obfuscate.obfuscator import METHODS
from pii_blur.photo.exiftool import open_exiftool
from pii_blur.photo.guard_detail import shows_through
from pii_blur.photo.photo import Photo
from pii_blur.photo.publish import publish
from pii_blur.pipeline import hide_regions
from pii_blur.regions import Region
from pii_blur.settings import Settings
from pii_blur.sphere.quad import SphereQuad
from pii_blur.zones import Zone
from tests.photos import street, street_jpeg
from tests.scenes import grid_directions

WIDTH, HEIGHT = 1024, 512
# Across the seam, at a pole, near, far, one within another, two that overlap.
PLACES = [
    (180, 5, 20, 40),
    (0, -90, 40, 40),
    (40, 0, 30, 60),
    (42, 2, 5, 9),
    (-60, 0, 12, 20),
    (-66, 3, 14, 18),
    (100, 20, 2, 4),
]


def region(place: tuple[float, float, float, float]) -> Region:
    """Return a person at (yaw, pitch), so many degrees wide and high."""
    return Region(quad=SphereQuad.from_angles(*place), label=Label.PERSON, score=0.9, view_id="view")


@pytest.fixture(scope="module")
def photo() -> Photo:
    """A panorama with detail of every size."""
    grain = np.random.default_rng(2).normal(0, 20, (HEIGHT, WIDTH, 3))
    return Photo.from_pixels(np.clip(street(HEIGHT, WIDTH) + grain, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("method", METHODS)
def test_everything_found_is_hidden_wholly_and_nothing_shows_through(photo: Photo, method: str) -> None:
    """No region is left out because of another, and the margin is hidden with it."""
    settings = Settings(method=method)
    hidden = hide_regions(photo, [region(place) for place in PLACES], settings)
    directions = grid_directions(photo.extent)
    for place in PLACES:
        inside = SphereQuad.from_angles(*place).grown(settings.grow).contains(directions)
        assert (hidden.mask[inside] > RIM).all()
    old, new = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in (photo.pixels, hidden.pixels))
    assert shows_through(np.asarray(old), np.asarray(new), hidden.mask) is None
    assert (hidden.pixels[hidden.mask == 0] == photo.pixels[hidden.mask == 0]).all()


def test_no_pixel_up_to_the_box_s_edge_keeps_a_share_of_the_photo(photo: Photo) -> None:
    """A checkerboard of single pixels, which no blur leaves a trace of, is gone up to the last row of the box."""
    checker = (np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 * 250).astype(np.uint8)
    marked = Photo.from_pixels(np.repeat(checker[..., None], 3, axis=2))
    settings = Settings(grow=1.0)
    hidden = hide_regions(marked, [region(PLACES[2])], settings).pixels[..., 0].astype(float)
    inside = SphereQuad.from_angles(*PLACES[2]).contains(grid_directions(marked.extent))
    edge = inside & ~cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    bright, dark = hidden[edge & (checker > 0)].mean(), hidden[edge & (checker == 0)].mean()
    assert abs(bright - dark) < 4


def test_where_zones_disagree_hiding_wins(photo: Photo) -> None:
    """A never-hidden zone gives the photo back, but not inside an always-hidden one."""
    zones = (Zone("hide", 40, 0, 20, 20), Zone("keep", 40, 0, 60, 60))
    hidden = hide_regions(photo, [region(PLACES[2])], Settings(zones=zones))
    inside = zones[0].quad.contains(grid_directions(photo.extent))
    assert (hidden.mask[inside] > RIM).all()
    old, new = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in (photo.pixels, hidden.pixels))
    assert shows_through(np.asarray(old), np.asarray(new), hidden.mask) is None


def test_the_blur_is_as_wide_as_the_mask_says_and_the_mask_says_enough(photo: Photo) -> None:
    """An eighth of the object's longest side; never less than the least."""
    near = hide_regions(photo, [region((0, 0, 40, 40))], Settings(grow=1.0))
    far = hide_regions(photo, [region((0, 0, 2, 3))], Settings(grow=1.0))
    assert sigma_of(int(near.mask[near.mask > RIM].min())) > 0.7 * 40 / 8 * WIDTH / 360
    assert sigma_of(int(far.mask[far.mask > RIM].min())) >= 2.4


@pytest.mark.skipif(sys.platform == "win32", reason="no file modes")
def test_nobody_else_can_read_a_file_before_it_is_examined(tmp_path: Path) -> None:
    """Nor is there anything under its name."""
    target = tmp_path / "photo.jpg"
    seen: list[int] = []

    def look(_: bytes) -> None:
        (part,) = tmp_path.iterdir()
        assert part.name != target.name
        seen.append(stat.S_IMODE(part.stat().st_mode))

    publish(b"data", target, check=look)
    assert seen == [0o600]


@pytest.mark.skipif(sys.platform == "win32", reason="no file modes")
def test_metadata_is_cleaned_where_nobody_else_can_look_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source's thumbnails lie there for a moment."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = os.umask(0)
    try:
        with open_exiftool() as tool:
            tool.read_tags(street_jpeg(), ".jpg")
            (folder,) = tmp_path.iterdir()
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert not [path for path in folder.rglob("*") if path.suffix == ".jpg"]
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []
