"""Every kind of metadata trouble there is, from real cameras and programs, written and compared tag by tag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pii_blur.errors import PhotoFailure
from pii_blur.photo.exiftool import ExifTool, open_exiftool
from pii_blur.photo.jpeg_segments import split_jpeg
from pii_blur.photo.metadata import Mark
from pii_blur.photo.read import read_photo
from pii_blur.photo.tags import changed_tags
from pii_blur.photo.write import copy_clean, write_photo
from pii_blur.settings import Settings
from tests.photos import hide_middle, pictures_anywhere

SAMPLES = 56
MARK = Mark("1.0", "test model", 0.4, 3, Settings().claim())
REFUSED = {"python-pillow__Pillow__ultrahdr.jpg": "truncated"}
# Of the CMYK pictures only: they are RGB now, under which a printer's profile has no meaning.
LOST_WITH_CMYK = ("ICC-header:", "ICC_Profile:")


@pytest.fixture(scope="module")
def exiftool() -> Iterator[ExifTool]:
    """One exiftool for all."""
    with open_exiftool() as tool:
        yield tool


@pytest.fixture(scope="module")
def samples(shared: Path) -> list[Path]:
    """The samples."""
    found = sorted((shared / "eval" / "metadata").iterdir())
    assert len(found) == SAMPLES
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each sample, by number: their names are known only where they lie."""
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(SAMPLES))


def test_a_sample_is_done_whole_or_refused_clearly(
    number: int, samples: list[Path], tmp_path: Path, exiftool: ExifTool
) -> None:
    """Nothing embedded is left, no tag changes but those that must, and the same input gives the same bytes."""
    path, target = samples[number], tmp_path / "out.jpg"
    try:
        photo = read_photo(path)
    except PhotoFailure as failure:
        assert failure.code == REFUSED.get(path.name), failure
        return
    assert photo.facts is not None
    assert path.name not in REFUSED
    written = write_photo(photo, hide_middle(photo), target, exiftool=exiftool, mark=MARK)
    data = target.read_bytes()
    before = exiftool.read_tags(split_jpeg(photo.facts.data).to_bytes(), ".jpg", "-b")
    after = exiftool.read_tags(data, ".jpg", "-b")
    allowed = LOST_WITH_CMYK if "CMYK" in written.way else ()
    assert [tag for tag in changed_tags(before, after) if not tag.startswith(allowed or "-")] == []
    assert after["XMP-PiiBlur:Regions"] == 3
    assert "ExifTool:Error" not in after
    # Only the fresh thumbnail is a picture; Pillow opens it at the place where it stands.
    assert len(pictures_anywhere(data)) <= (1 if "IFD1:ThumbnailImage" in before else 0)
    assert not split_jpeg(data).trailer
    assert read_photo(target).facts.claim == MARK.claim  # type: ignore[union-attr]
    write_photo(photo, hide_middle(photo), tmp_path / "again.jpg", exiftool=exiftool, mark=MARK)
    assert (tmp_path / "again.jpg").read_bytes() == data


def test_a_clean_sample_keeps_its_picture_and_its_tags(
    number: int, samples: list[Path], tmp_path: Path, exiftool: ExifTool
) -> None:
    """Copied byte for byte, or all but the parts that nobody examined."""
    path, target = samples[number], tmp_path / "out.jpg"
    if path.name in REFUSED:
        return
    photo = read_photo(path)
    assert photo.facts is not None
    copied = copy_clean(photo, target, exiftool=exiftool)
    data = target.read_bytes()
    assert (data == photo.facts.data) == (copied.way == "copied")
    assert bool(photo.facts.damage) or bool(copied.removed) == (copied.way == "picture copied")
    if not photo.facts.damage:
        assert split_jpeg(data).coded == split_jpeg(photo.facts.data).coded
        assert np.array_equal(read_photo(target).pixels, photo.pixels)
    before = exiftool.read_tags(split_jpeg(photo.facts.data).to_bytes(), ".jpg", "-b")
    after = exiftool.read_tags(data, ".jpg", "-b")
    assert changed_tags(before, after) == []
    assert not any(tag.startswith("XMP-PiiBlur") for tag in after)
