"""Files of detections: what a person drew counts, and nothing that does not fit is taken for 'nobody there'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pii_blur.errors import PhotoFailure
from pii_blur.labels import Label
from pii_blur.obfuscate.paint import Canvas, paint
from pii_blur.photo.photo import Photo, PhotoFacts
from pii_blur.pipeline import hide_regions
from pii_blur.regions import Region
from pii_blur.regions_file import read_regions
from pii_blur.settings import Settings
from pii_blur.sphere.project import Pyramid
from pii_blur.sphere.quad import SphereQuad
from pii_blur.zones import Zone
from tests.scenes import background, grid_directions

PHOTO = Photo.from_pixels(background(1024, 512))


def read(folder: Path, document: Any, settings: Settings | None = None, photo: Photo = PHOTO) -> list[Region]:
    """Store a document and read it as the regions of `a.jpg`."""
    (folder / "a.jpg.json").write_text(json.dumps(document))
    return read_regions(folder, "a.jpg", photo, settings or Settings())


def ours(*regions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a document in our format."""
    return {"schema": 1, "width": 1024, "height": 512, "regions": list(regions), **more}


def theirs(**changes: Any) -> list[dict[str, Any]]:
    """Return a list in understand.ai's format."""
    return [{"y_min": 200, "x_min": 300, "y_max": 260, "x_max": 340, "score": 0.9, "kind": "face", **changes}]


@pytest.mark.parametrize(("kind", "label"), [("face", Label.PERSON), ("plate", Label.CAR), ("bus", Label.BUS)])
def test_kinds_of_understand_ai_are_known(tmp_path: Path, kind: str, label: Label) -> None:
    """Faces are people, plates are cars."""
    (region,) = read(tmp_path, theirs(kind=kind))
    assert region.label is label


@pytest.mark.parametrize(
    "document",
    [
        theirs(score=float("nan")),
        theirs(score=-1),
        theirs(score=83),
        theirs(x_max=5000),
        theirs(x_max=1e308),
        theirs(x_max=float("inf")),
        theirs(x_min=0.2, x_max=0.3, y_min=0.4, y_max=0.5),
        ours({"class": "person", "box": [10, 10, 10.2, 50]}),
        ours({"class": "person", "corners": [[0, 0], [0, 0], [0, 0], [0, 0]]}),
        ours({"class": "person", "corners": [[0, 0], [10, 0], [10, 10], [0, 10]]}),
        ours({"class": "person", "box": [10, 10, 60, 50], "score": 2}),
        ours({"class": "person", "box": [10, 10, 60, 50], "origin": "nobody"}),
        ours({"class": "person"}),
        ours(width=1e400),
        ours(width=2048),
    ],
)
def test_what_does_not_fit_fails_the_photo(tmp_path: Path, document: Any) -> None:
    """Never a wrong place hidden, never a photo copied as if nobody were in it."""
    with pytest.raises(PhotoFailure, match=r"a\.jpg"):
        read(tmp_path, document)


def test_deep_nesting_is_no_crash(tmp_path: Path) -> None:
    """A hostile file fails its photo, not the program."""
    (tmp_path / "a.jpg.json").write_text("[" * 100_000)
    with pytest.raises(PhotoFailure, match="JSON"):
        read_regions(tmp_path, "a.jpg", PHOTO, Settings())


def test_file_for_another_photo_of_the_same_name_is_refused(tmp_path: Path) -> None:
    """Cameras use names again: boxes of last month's photo must not be hidden in this month's."""
    facts = PhotoFacts("JPEG", b"", "b" * 64)
    photo = Photo(PHOTO.pixels, PHOTO.extent, facts=facts)
    box = {"class": "person", "box": [10, 10, 60, 90]}
    assert len(read(tmp_path, ours(box, sha256="b" * 64), photo=photo)) == 1
    with pytest.raises(PhotoFailure, match="another photo"):
        read(tmp_path, ours(box, sha256="a" * 64), photo=photo)


def test_reviewers_box_counts_whatever_its_class_and_score(tmp_path: Path) -> None:
    """What a person drew is hidden even if its class is not looked for."""
    drawn = {"class": "motorcycle", "score": 0.02, "box": [10, 10, 60, 90]}
    found = {**drawn, "origin": "detector"}
    assert len(read(tmp_path, ours(drawn, found))) == 1


def test_a_zone_never_weakens_the_blur_of_a_person(tmp_path: Path) -> None:
    """A small hide zone within a near person leaves the person's own, stronger blur in place."""
    person = Region(SphereQuad.from_angles(0, 0, 40, 60), Label.PERSON, 0.9)
    zone = Zone("hide", 0, 0, 15, 15)
    alone = hide_regions(PHOTO, [person], Settings()).pixels
    assert (hide_regions(PHOTO, [person], Settings(zones=(zone,))).pixels == alone).all()


def test_hiding_wins_where_zones_overlap() -> None:
    """Inside an always-hidden zone nothing comes back, though a never-hidden one lies over it."""
    hide, keep = Zone("hide", 0, 0, 20, 20), Zone("keep", 8, 0, 20, 40)
    hidden = hide_regions(PHOTO, [], Settings(zones=(hide, keep)))
    canvas = Canvas(PHOTO.pixels.copy(), np.zeros((512, 1024), np.uint8))
    how = {"method": Settings().method, "strength": Settings().strength}
    paint(Pyramid(PHOTO.pixels), PHOTO.extent, [hide.quad], canvas=canvas, **how)  # type: ignore[arg-type]
    inside = hide.quad.contains(grid_directions(PHOTO.extent))
    assert (hidden.pixels[inside] == canvas.pixels[inside]).all()
    outside = keep.quad.contains(grid_directions(PHOTO.extent)) & (canvas.mask == 0)
    assert (hidden.pixels[outside] == PHOTO.pixels[outside]).all()
