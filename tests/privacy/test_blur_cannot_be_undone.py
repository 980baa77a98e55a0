"""Nothing of what is hidden takes part in what is shown instead, so that no attack, known or not, can bring it back."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pii_blur.labels import Label
from pii_blur.obfuscate.obfuscator import METHODS, Strength
from pii_blur.obfuscate.paint import Canvas, paint
from pii_blur.photo.photo import Photo
from pii_blur.pipeline import hide_regions
from pii_blur.regions import Region
from pii_blur.settings import Settings
from pii_blur.sphere.extent import Extent, FlatExtent, PanoExtent
from pii_blur.sphere.project import Pyramid
from pii_blur.sphere.quad import SphereQuad
from pii_blur.zones import Zone
from tests.scenes import background, grid_directions

FULL = PanoExtent.full(800, 400)
PART = PanoExtent(1200, 600, 380, 150, 400, 300)
FLAT = FlatExtent(400, 300)

yaws, pitches, sizes = st.floats(-180, 180), st.floats(-90, 90), st.floats(1.5, 70)
boxes = st.builds(SphereQuad.from_angles, yaws, pitches, sizes, sizes)


def published(extent: Extent, pixels: np.ndarray, quads: list[SphereQuad], method: str, factor: float) -> np.ndarray:
    """Return the pixels with `quads` hidden."""
    canvas = Canvas(pixels.copy(), np.zeros(pixels.shape[:2], np.uint8))
    strength = Strength(factor, allow_weak=True)
    paint(Pyramid(pixels), extent, quads, method=method, strength=strength, canvas=canvas)
    return canvas.pixels


def with_others_inside(extent: Extent, pixels: np.ndarray, quads: list[SphereQuad]) -> list[np.ndarray]:
    """Return the photo with other contents in the boxes: none, black, white, and noise."""
    inside = np.any([quad.contains(grid_directions(extent)) for quad in quads], axis=0)
    contents = [0, 255, np.random.default_rng(9).integers(0, 256, (int(inside.sum()), 3), dtype=np.uint8)]
    photos = [pixels]
    for content in contents:
        photos.append(pixels.copy())
        photos[-1][inside] = content
    return photos


@settings(max_examples=25, deadline=None)
@given(quads=st.lists(boxes, min_size=1, max_size=5), method=st.sampled_from(list(METHODS)), factor=st.floats(1, 8))
def test_what_is_shown_does_not_depend_on_what_is_hidden(quads: list[SphereQuad], method: str, factor: float) -> None:
    """Whoever stood in the boxes, wherever they lie and however they overlap: the same bytes come out."""
    photos = with_others_inside(FULL, background(800, 400), quads)
    first, *others = (published(FULL, pixels, quads, method, factor) for pixels in photos)
    assert all((first == other).all() for other in others)


@settings(max_examples=15, deadline=None)
@given(
    extent=st.sampled_from([FLAT, PART]),
    places=st.lists(st.tuples(st.floats(0, 400), st.floats(0, 300), sizes, sizes), min_size=1, max_size=4),
)
def test_the_edge_of_a_picture_lets_nothing_through(
    extent: Extent, places: list[tuple[float, float, float, float]]
) -> None:
    """Someone cut off by the border is not seen again beyond it."""
    quads = []
    for u, v, width, height in places:
        x, y, z = extent.to_directions([u, v])
        quads.append(SphereQuad.from_angles(*np.degrees([np.arctan2(x, z), np.arcsin(-y)]), width, height))
    photos = with_others_inside(extent, background(400, 300), quads)
    first, *others = (published(extent, pixels, quads, "gaussian", 1.0) for pixels in photos)
    assert all((first == other).all() for other in others)


def test_boxes_and_zones_keep_each_other_out() -> None:
    """A hidden zone beside a person, a kept zone beside both: nothing of the person is in the zone's blur."""
    zones = (Zone("hide", 25, 0, 30, 30), Zone("keep", 70, 0, 20, 20))
    person = SphereQuad.from_angles(0, 0, 16, 40)
    chosen = Settings(zones=zones)
    hidden = [person.grown(chosen.grow), zones[0].quad]
    outcomes = [
        hide_regions(Photo.from_pixels(pixels), [Region(person, Label.PERSON, 0.9)], chosen).pixels
        for pixels in with_others_inside(FULL, background(800, 400), hidden)
    ]
    assert all((outcomes[0] == other).all() for other in outcomes[1:])


def test_what_surrounds_a_box_is_what_fills_it() -> None:
    """The fill is no plain colour: sky above and grass below go over into each other inside the box."""
    pixels = np.full((400, 800, 3), (90, 140, 220), np.uint8)
    pixels[200:] = (60, 120, 40)
    pixels[150:250, 380:420] = (255, 0, 0)
    shown = published(FULL, pixels, [SphereQuad.from_angles(0, 0, 22, 50)], "gaussian", 1.0)
    above, below = shown[160, 400].astype(int), shown[240, 400].astype(int)
    assert np.abs(above - (90, 140, 220)).max() < 45
    assert np.abs(below - (60, 120, 40)).max() < 45
    assert np.abs(np.diff(shown[160:240, 400].astype(int), axis=0)).max() < 12


def test_a_photo_that_is_hidden_all_over_comes_out_grey() -> None:
    """Where nothing may be shown there is nothing to fill from, and nothing is made up from the photo."""
    everywhere = [SphereQuad.from_angles(yaw, pitch, 100, 100) for yaw in (0, 90, 180, 270) for pitch in (-60, 0, 60)]
    shown = published(FULL, background(800, 400), everywhere, "gaussian", 1.0)
    assert np.unique(shown).tolist() == [128]


@pytest.mark.slow
def test_nothing_hidden_is_left_in_a_real_panorama(shared: Path) -> None:
    """A street with dozens of people and cars at once: other contents in all boxes, the same bytes."""
    known = json.loads((shared / "eval/gt/hannesa2__panoramaGL__sighisoara_sphere.json").read_text(encoding="utf-8"))
    pixels = cv2.imread(str(shared / "eval/panos" / known["file"]), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    pixels = cv2.resize(pixels, (1024, 512), interpolation=cv2.INTER_AREA)
    extent = PanoExtent.full(1024, 512)
    quads = [SphereQuad.from_angles(*(thing[key] for key in ("yaw", "pitch", "w", "h"))) for thing in known["objects"]]
    photos = with_others_inside(extent, np.asarray(pixels), quads)
    first, *others = (published(extent, photo, quads, "gaussian", 1.0) for photo in photos)
    assert len(quads) > 30
    assert all((first == other).all() for other in others)


def test_attackers_recognise_nobody_in_our_blur() -> None:
    """Near heads, and faces of whole persons, are told from 99 others no more often than by guessing."""
    attacks = _attacks()
    people = attacks.faces()
    for make in (attacks.close_up, attacks.full_body, attacks.in_three_views):
        scenes = [make(face) for face in people]
        rates = attacks.attack(attacks.ours(), scenes, scenes)
        assert max(rates.values()) <= attacks.chance_limit(len(people), len(people)), rates


@pytest.mark.parametrize("name", ["recipe_of_2020", "understand_ai", "mosaic", "own_colours"])
def test_the_same_attackers_do_recognise_people_in_other_blurs(name: str) -> None:
    """With another picture of the person, unlike in place, size and light: so the attacks are worth something."""
    attacks = _attacks()
    people, rng = attacks.faces(), np.random.default_rng(1)
    weak = Strength(0.999, allow_weak=True)  # as strong as ours, but made of the person
    blur = attacks.ours(strength=weak) if name == "own_colours" else getattr(attacks, name)()
    hidden = [attacks.close_up(face) for face in people]
    gallery = [attacks.close_up(attacks.other_picture(face, rng)) for face in people]
    assert max(attacks.attack(blur, hidden, gallery).values()) > 0.5


def _attacks():  # type: ignore[no-untyped-def]
    """Return the module of attacks, whose faces come with scikit-image."""
    pytest.importorskip("skimage")
    from tests import attacks  # noqa: PLC0415

    return attacks
