"""What the wishes of one request make of a picture: each thing hidden once, in its own way, and nothing of it left."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pii_blur.http.bmw.hide import hide_finds
from pii_blur.http.bmw.search import Find
from pii_blur.http.bmw.techniques import OWN, Technique
from pii_blur.http.bmw.wishes import BUILT_IN, Model, Wish
from pii_blur.mask import RIM, UNTOUCHED
from pii_blur.photo.photo import HiddenPhoto, Photo
from pii_blur.settings import Settings
from pii_blur.sphere.extent import PanoExtent
from pii_blur.sphere.quad import SphereQuad
from pii_blur.zones import Zone
from tests.scenes import background, draw_people, grid_directions

PANO = PanoExtent.full(1024, 512)
PLACES = [
    SphereQuad.from_angles(-60, -5, 20, 30),
    SphereQuad.from_angles(179, 0, 24, 30),
    SphereQuad.from_angles(60, 10, 16, 16),
]
MODEL = Model(BUILT_IN, "colours", ("person", "car", "bus"))
DIRECTIONS = grid_directions(PANO)

Pixels = NDArray[np.uint8]


def photo() -> Photo:
    """Return a panorama with something purple in three places, one across the seam."""
    return Photo.from_pixels(draw_people(background(1024, 512), PANO, PLACES))


def find(place: int, technique: str, degree: float, mask: NDArray[np.bool_] | None = None) -> Find:
    """Return what is found in one of the places, enlarged."""
    wish = Wish(MODEL, MODEL.classes[place], technique, degree)
    return Find(wish, (PLACES[place].grown(1.1),), mask)


def hide(
    *finds: Find, more: tuple[Technique, ...] = (), zones: tuple[Zone, ...] = (), weak: bool = False
) -> HiddenPhoto:
    """Hide finds in `photo`."""
    techniques = {technique.name: technique for technique in (*OWN, *more)}
    hidden = hide_finds(photo(), finds, Settings(zones=zones), techniques, allow_weak=weak)
    assert hidden is not None
    return hidden


def purple(pixels: Pixels) -> NDArray[np.bool_]:
    """Return where a trace of the people's purple shows: the background is greener than red everywhere."""
    return pixels[..., 0].astype(int) > pixels[..., 1].astype(int) + 8


def inside(place: int) -> NDArray[np.bool_]:
    """Return which pixels lie in one of the places."""
    return PLACES[place].contains(DIRECTIONS)


def test_each_thing_is_hidden_in_its_own_way() -> None:
    """Three wishes, three techniques, one photo; beside the boxes nothing changes."""
    hidden = hide(find(0, "blackening", 1), find(1, "blurring", 0.5), find(2, "pixelating", 0.5))
    assert (hidden.pixels[inside(0)] == 0).all()
    assert (hidden.pixels[inside(1)] > 0).any()
    assert not purple(hidden.pixels).any()
    assert all((hidden.mask[inside(place)] > RIM).all() for place in range(3))
    unchanged = hidden.mask == UNTOUCHED
    assert unchanged.mean() > 0.8
    assert (hidden.pixels[unchanged] == photo().pixels[unchanged]).all()


def test_pixelating_with_degree_1_leaves_one_colour_and_with_0_does_not_fail() -> None:
    """BMW's code makes 1 / degree cells to a side."""
    coarse = hide(find(0, "pixelating", 1)).pixels[inside(0)]
    fine = hide(find(0, "pixelating", 0)).pixels[inside(0)]
    assert len(np.unique(coarse, axis=0)) <= 4  # the cells lie where they lie: a box may touch four
    assert not purple(fine).any()


def test_a_technique_of_another_package_never_sees_what_it_hides() -> None:
    """Not even one that gives back what it was given, with all three things in one photo."""
    seen: list[Pixels] = []

    def keep(patch: Pixels, degree: float) -> Pixels:
        seen.append(patch)
        return patch

    copy = Technique("copy", keep)
    hidden = hide(find(0, "copy", 1), find(1, "copy", 1), find(2, "blurring", 1), more=(copy,))
    assert len(seen) == 2
    assert not any(purple(patch).any() for patch in seen)
    assert not purple(hidden.pixels).any()


def test_each_box_is_painted_once_by_its_technique() -> None:
    """BMW's code did every box once for each box."""
    calls: list[float] = []

    def count(patch: Pixels, degree: float) -> Pixels:
        calls.append(degree)
        return np.full_like(patch, 255)

    wish = Wish(MODEL, "person", "count", 0.25)
    quads = tuple(SphereQuad.from_angles(yaw, 0, 8, 8) for yaw in range(-150, 151, 30))
    hide(Find(wish, quads), more=(Technique("count", count),))
    assert calls == [0.25] * len(quads)


def test_a_mask_hides_its_pixels_and_no_others() -> None:
    """Of the box round it the rest stays as it was."""
    mask = inside(1) & (DIRECTIONS[..., 1] > 0)  # the lower half
    hidden = hide(find(1, "blackening", 1, mask))
    assert (hidden.pixels[mask] == 0).all()
    assert (hidden.mask[mask] > RIM).all()
    assert (hidden.mask[~mask] == UNTOUCHED).all()
    assert (hidden.pixels[~mask] == photo().pixels[~mask]).all()


def test_a_mask_that_sticks_out_of_its_boxes_is_black_there() -> None:
    """It cannot be; should it be, nothing of it shows."""
    mask = inside(1) | inside(2)
    hidden = hide(find(1, "blurring", 1, mask))
    assert (hidden.pixels[inside(2)] == 0).all()
    assert (hidden.mask[inside(2)] > RIM).all()
    assert not purple(hidden.pixels[mask]).any()


def test_what_is_hidden_wholly_stays_so_under_a_weak_wish() -> None:
    """See-through black over the same place, which the operator permitted, uncovers nothing."""
    weak = Find(Wish(MODEL, "car", "blackening", 0.5), (PLACES[0].grown(1.2),))
    hidden = hide(find(0, "blurring", 1), weak, weak=True)
    assert not purple(hidden.pixels[inside(0)]).any()
    assert (hidden.mask[inside(0)] > RIM).all()  # so that the check on the finished file looks there
    alone = hide(weak, weak=True)
    assert purple(alone.pixels[inside(0)]).any()
    assert (alone.mask[inside(0)] == RIM).all()


@pytest.mark.parametrize("technique", ["blurring", "blackening"])
def test_the_operators_zones_count_here_too(technique: str) -> None:
    """Always hidden is hidden whatever is asked for; never hidden stays as it was."""
    zones = (Zone("hide", 0, -90, 40, 40, "tripod"), Zone("keep", 60, 10, 30, 30, "our roof"))
    hidden = hide(find(0, technique, 1), find(2, technique, 1), zones=zones)
    assert (hidden.mask[-20:] > RIM).all()
    assert (hidden.pixels[inside(2)] == photo().pixels[inside(2)]).all()
    assert not purple(hidden.pixels[inside(0)]).any()


def test_nothing_found_is_nothing_hidden() -> None:
    """Then the photo is copied, not made anew."""
    wish = Wish(MODEL, "person", "blurring", 1)
    assert hide_finds(photo(), [Find(wish, ())], Settings(), {one.name: one for one in OWN}) is None
