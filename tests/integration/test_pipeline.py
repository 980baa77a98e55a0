"""One photo from file to file, with the colour detector in place of the network and the real exiftool."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pii_blur.errors import MissingDependency
from pii_blur.labels import Label
from pii_blur.mask import RIM
from pii_blur.photo.exiftool import check_exiftool, open_exiftool
from pii_blur.photo.photo import Photo
from pii_blur.photo.read import read_photo
from pii_blur.pipeline import Tools, blur_photo, check_tools, find_regions, hide_regions
from pii_blur.results import Outcome, SideFiles
from pii_blur.settings import Settings
from pii_blur.sphere.extent import PanoExtent
from pii_blur.sphere.quad import SphereQuad
from pii_blur.zones import Zone
from tests.scenes import ColourDetector, background, draw_people, grid_directions, person_colour_left

PANO = PanoExtent.full(1024, 512)
PEOPLE = [(20, -5, 12, 30), (180, 0, 14, 25), (-60, 85, 12, 20), (100, -90, 25, 25), (-120, -40, 4, 8)]


@pytest.fixture(scope="module")
def tools() -> Iterator[Tools]:
    """The real exiftool and the colour detector."""
    with open_exiftool() as exiftool:
        yield Tools(ColourDetector(), exiftool)


def people_quads() -> list[SphereQuad]:
    """Return people on the horizon, across the seam, at both poles and far away."""
    return [SphereQuad.from_angles(*place) for place in PEOPLE]


def write_jpeg(path: Path, pixels: np.ndarray) -> Path:
    """Write RGB pixels as a JPEG that keeps colours well."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
    return path


@pytest.fixture
def panorama(tmp_path: Path) -> Path:
    """A panorama of five people."""
    return write_jpeg(tmp_path / "street.jpg", draw_people(background(1024, 512), PANO, people_quads()))


def people_seen(path: Path) -> bool:
    """Return whether anything in a photo looks like a person to the colour detector."""
    red, green, blue = np.moveaxis(read_photo(path).pixels.astype(int), -1, 0)
    return bool(((red - green > 60) & (blue - green > 60)).any())


def test_every_person_is_hidden_wherever_on_the_sphere() -> None:
    """Horizon, seam, poles: no pixel inside any person keeps its colour."""
    photo = Photo.from_pixels(draw_people(background(1024, 512), PANO, people_quads()))
    settings = Settings()
    regions = find_regions(photo, ColourDetector(), settings)
    hidden = hide_regions(photo, regions, settings)
    inside = np.any([quad.contains(grid_directions(PANO)) for quad in people_quads()], axis=0)
    assert person_colour_left(photo.pixels)[inside].all()
    assert not person_colour_left(hidden.pixels)[inside].any()
    assert (hidden.mask[inside] > RIM).all()
    assert (hidden.pixels[hidden.mask == 0] == photo.pixels[hidden.mask == 0]).all()


def test_a_photo_comes_out_hidden_and_otherwise_alike(panorama: Path, tmp_path: Path, tools: Tools) -> None:
    """The written file decodes to the hidden picture; far from the people it is the source."""
    before = panorama.read_bytes()
    target = tmp_path / "out" / "deep" / "street.jpg"
    result = blur_photo(panorama, target, Settings(), tools)
    assert result.outcome is Outcome.BLURRED, result.error
    assert len(PEOPLE) <= result.people <= 2 * len(PEOPLE)  # boxes that share little count apart
    assert panorama.read_bytes() == before
    source, output = read_photo(panorama).pixels.astype(int), read_photo(target).pixels.astype(int)
    inside = np.any([quad.contains(grid_directions(PANO)) for quad in people_quads()], axis=0)
    photo = read_photo(panorama)
    mask = hide_regions(photo, find_regions(photo, tools.detector, Settings()), Settings()).mask
    near = cv2.dilate(mask, np.ones((17, 17), np.uint8)) > 0  # whole blocks of 8 x 8 pixels change
    assert np.abs(source - output).max(axis=-1)[inside].mean() > 20
    assert (source == output)[~near].all()
    assert result.way == "lossless"
    assert result.output_size == target.stat().st_size
    assert [path.name for path in target.parent.iterdir()] == ["street.jpg"]


def test_a_photo_without_people_is_copied_byte_for_byte(tmp_path: Path, tools: Tools) -> None:
    """Nothing found, nothing changed."""
    source = write_jpeg(tmp_path / "empty.jpg", background(640, 320))
    result = blur_photo(source, tmp_path / "out.jpg", Settings(), tools)
    assert result.outcome is Outcome.CLEAN, result.error
    assert (tmp_path / "out.jpg").read_bytes() == source.read_bytes()


def test_same_input_settings_and_model_give_the_same_bytes(panorama: Path, tmp_path: Path, tools: Tools) -> None:
    """No dates, no chance."""
    for name in ("one.jpg", "two.jpg"):
        blur_photo(panorama, tmp_path / name, Settings(), tools)
    assert (tmp_path / "one.jpg").read_bytes() == (tmp_path / "two.jpg").read_bytes()


def test_a_failed_photo_leaves_nothing_and_says_where(tmp_path: Path, tools: Tools) -> None:
    """A truncated file is refused; no output, no temporary file."""
    whole = write_jpeg(tmp_path / "whole.jpg", background(640, 320)).read_bytes()
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(whole[: len(whole) // 2])
    result = blur_photo(broken, tmp_path / "out" / "broken.jpg", Settings(), tools)
    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert "broken.jpg" in result.error.message
    assert result.error.stage == "read"
    assert not list((tmp_path / "out").glob("**/*")) if (tmp_path / "out").exists() else True


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_an_exiftool_that_breaks_under_way_stops_the_run_and_fails_no_photo(
    panorama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else three nights with half an update would use up the tries of every sound photo."""
    real = check_exiftool()
    stand_in = tmp_path / "bin" / "exiftool"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\n[ "$1" = -ver ] && exec {real} -ver\nread line\nexit 2\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}")
    target = tmp_path / "out" / "street.jpg"
    with open_exiftool() as broken, pytest.raises(MissingDependency, match="not even on a picture of our own"):
        blur_photo(panorama, target, Settings(), Tools(ColourDetector(), broken))
    assert not target.exists()


def test_the_place_for_temporary_files_is_settled_before_the_first_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for the first time when it is full, Python names another, and what killed workers left is never found."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    check_tools(Settings())
    assert tempfile.tempdir == str(tmp_path)


def test_detections_let_a_photo_be_hidden_again_without_searching(panorama: Path, tmp_path: Path, tools: Tools) -> None:
    """The file written beside a photo is enough to give the very same output."""
    folder = tmp_path / "found"
    blur_photo(
        panorama, tmp_path / "first.jpg", Settings(), tools, side=SideFiles(detections=folder), key="a/street.jpg"
    )
    document = json.loads((folder / "a" / "street.jpg.json").read_text())
    assert (document["schema"], document["width"], document["height"]) == (1, 1024, 512)
    assert document["model"]["name"] == ColourDetector.name
    again = SideFiles(from_detections=folder)
    blur_photo(panorama, tmp_path / "second.jpg", Settings(), tools, side=again, key="a/street.jpg")
    first, second = read_photo(tmp_path / "first.jpg").pixels, read_photo(tmp_path / "second.jpg").pixels
    assert np.abs(first.astype(int) - second).max() <= 4  # corners are rounded to millionths of a degree


def test_higher_prob_and_other_classes_hide_less_from_the_same_file(
    panorama: Path, tmp_path: Path, tools: Tools
) -> None:
    """What was found at a low PROB can be hidden at a higher one; a person's own box counts at any."""
    folder = tmp_path / "found"
    blur_photo(panorama, tmp_path / "first.jpg", Settings(), tools, side=SideFiles(detections=folder))
    again = SideFiles(from_detections=folder)
    strict = blur_photo(panorama, tmp_path / "a.jpg", Settings(min_score=0.99), tools, side=again)
    cars = blur_photo(panorama, tmp_path / "b.jpg", Settings(labels=(Label.CAR,)), tools, side=again)
    assert (strict.outcome, cars.outcome) == (Outcome.CLEAN, Outcome.CLEAN)
    path = folder / "street.jpg.json"
    document = json.loads(path.read_text())
    document["regions"] = [{"class": "person", "box": [1000, 200, 1023, 300]}]
    path.write_text(json.dumps(document))
    drawn = blur_photo(panorama, tmp_path / "c.jpg", Settings(min_score=0.95), tools, side=again)
    assert (drawn.outcome, drawn.regions) == (Outcome.BLURRED, 1)


@pytest.mark.parametrize(
    "text", [None, "", "{}", '{"schema": 1, "width": 9, "height": 9, "regions": []}', '[{"kind": "face"}]']
)
def test_photo_without_a_usable_detections_file_fails(
    panorama: Path, tmp_path: Path, tools: Tools, text: str | None
) -> None:
    """A missing or damaged file must never read as 'nobody there'."""
    folder = tmp_path / "found"
    folder.mkdir()
    if text is not None:
        (folder / "street.jpg.json").write_text(text)
    side = SideFiles(from_detections=folder)
    result = blur_photo(panorama, tmp_path / "out.jpg", Settings(), tools, side=side)
    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert result.error.code == "detections"
    assert not (tmp_path / "out.jpg").exists()


def test_understand_ai_lists_go_out_and_come_back(panorama: Path, tmp_path: Path, tools: Tools) -> None:
    """The other system's format keeps every box, those across the seam as two."""
    folder = tmp_path / "found"
    out = SideFiles(detections=folder, detections_format="understand-ai")
    blur_photo(panorama, tmp_path / "first.jpg", Settings(), tools, side=out)
    entries = json.loads((folder / "street.jpg.json").read_text())
    assert set(entries[0]) == {"y_min", "x_min", "y_max", "x_max", "score", "kind"}
    assert all(entry["x_min"] < entry["x_max"] for entry in entries)
    result = blur_photo(panorama, tmp_path / "b.jpg", Settings(), tools, side=SideFiles(from_detections=folder))
    assert result.outcome is Outcome.BLURRED, result.error
    inside = np.any([quad.contains(grid_directions(PANO)) for quad in people_quads()], axis=0)
    source, output = read_photo(panorama).pixels.astype(int), read_photo(tmp_path / "b.jpg").pixels
    assert np.abs(source - output).max(axis=-1)[inside].mean() > 20


def test_preview_shows_boxes_over_hidden_pixels_only(panorama: Path, tmp_path: Path, tools: Tools) -> None:
    """Nobody can be seen in the preview."""
    folder = tmp_path / "look"
    blur_photo(panorama, tmp_path / "out.jpg", Settings(), tools, side=SideFiles(preview=folder))
    preview, output = read_photo(folder / "street.jpg.jpg").pixels, read_photo(tmp_path / "out.jpg").pixels
    assert preview.shape == output.shape
    drawn = np.abs(preview.astype(int) - output).max(axis=-1) > 40
    assert 0.002 < drawn.mean() < 0.1


def test_zones_are_always_or_never_hidden(panorama: Path, tmp_path: Path, tools: Tools) -> None:
    """A `hide` zone is hidden though nothing was found there, a `keep` zone stays though someone was."""
    zones = (Zone("hide", 60, -20, 10, 10), Zone("keep", 20, -5, 30, 50))
    blur_photo(panorama, tmp_path / "out.jpg", Settings(zones=zones), tools)
    source, output = read_photo(panorama).pixels.astype(int), read_photo(tmp_path / "out.jpg").pixels.astype(int)
    change = np.abs(source - output).max(axis=-1)
    directions = grid_directions(PANO)
    assert change[zones[0].quad.contains(directions)].mean() > 15
    assert change[SphereQuad.from_angles(20, -5, 25, 45).contains(directions)].max() <= 3


def test_marked_photo_is_searched_again_unless_trusted(panorama: Path, tmp_path: Path, tools: Tools) -> None:
    """Our own mark in a photo proves nothing by itself."""
    blur_photo(panorama, tmp_path / "once.jpg", Settings(), tools)
    assert read_photo(tmp_path / "once.jpg").facts.claim == Settings().claim()  # type: ignore[union-attr]
    forged = tmp_path / "forged.jpg"
    forged.write_bytes((tmp_path / "once.jpg").read_bytes())
    trusted = blur_photo(forged, tmp_path / "copy.jpg", Settings(), tools, trust_mark=True)
    assert trusted.outcome is Outcome.CLEAN
    assert (tmp_path / "copy.jpg").read_bytes() == forged.read_bytes()
    searched = blur_photo(forged, tmp_path / "again.jpg", Settings(), tools)
    assert "detect" in searched.seconds
    assert "detect" not in trusted.seconds


@pytest.mark.parametrize(
    "less",
    [
        {"labels": (Label.BUS,)},
        {"min_score": 0.95},
        {"zones": (Zone("hide", 60, -20, 10, 10), Zone("keep", 0, 0, 150, 150))},
    ],
)
def test_a_mark_of_less_is_not_trusted(panorama: Path, tmp_path: Path, tools: Tools, less: dict[str, Any]) -> None:
    """Who had but the buses hidden has not had the people hidden; a full run with --trust-mark looks for them."""
    some = Settings(**{"zones": (Zone("hide", 60, -20, 10, 10),), **less})
    assert blur_photo(panorama, tmp_path / "some.jpg", some, tools).outcome is Outcome.BLURRED
    assert people_seen(tmp_path / "some.jpg")
    full = blur_photo(tmp_path / "some.jpg", tmp_path / "all.jpg", Settings(), tools, trust_mark=True)
    assert "detect" in full.seconds
    assert not people_seen(tmp_path / "all.jpg")
