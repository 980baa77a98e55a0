"""An inference server finds things anywhere on the sphere, though it knows nothing of spheres."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pii_blur.http.bmw.search import VIEW_PX, Find, find_all
from pii_blur.http.bmw.server import ServerFailure, open_client
from pii_blur.http.bmw.wishes import BUILT_IN, Model, Wish
from pii_blur.photo.photo import Photo
from pii_blur.pipeline import Tools
from pii_blur.settings import Settings
from pii_blur.sphere.extent import Extent, FlatExtent, PanoExtent
from pii_blur.sphere.quad import SphereQuad
from tests import inference_server as remote
from tests.scenes import ColourDetector, background, draw_people, grid_directions

PANO = PanoExtent.full(1024, 512)
PARTIAL = PanoExtent(2048, 1024, 500, 300, 700, 500)
FLAT = FlatExtent(800, 500)
SCENES: list[tuple[Extent, SphereQuad]] = [
    (PANO, SphereQuad.from_angles(180, -10, 20, 30)),
    (PANO, SphereQuad.from_angles(30, -88, 24, 24)),
    (PARTIAL, SphereQuad.from_angles(-30, 0, 16, 20)),
    (FLAT, SphereQuad.from_angles(20, 8, 10, 12)),
]


@pytest.fixture(scope="module")
def running() -> Iterator[remote.InferenceServer]:
    """The server."""
    with remote.inference_server() as server:
        yield server


@pytest.fixture
def state(running: remote.InferenceServer) -> remote.InferenceServer:
    """The same, well again."""
    running.fault, running.in_colours = "", False
    running.asked.clear()
    running.pictures.clear()
    return running


def look(photo: Photo, *wishes: Wish, search_s: float = 60) -> list[Find]:
    """Search a photo with the fast plan."""
    tools = Tools(ColourDetector(), None, threads=3)  # type: ignore[arg-type]
    with open_client() as client, tempfile.TemporaryDirectory() as folder:
        settings = Settings(views="fast", grow=1.1)
        return find_all(photo, wishes, settings, tools, client, search_s=search_s, folder=Path(folder))


def wish(state: remote.InferenceServer, model: str, class_name: str = "face") -> Wish:
    """Return the wish to hide what a model of the server finds."""
    palette = ((0, 0, 0), (200, 30, 30), (30, 30, 200))
    there = Model(state.address, model, tuple(remote.CLASSES), model == "masks", palette if model == "masks" else ())
    return Wish(there, class_name, "blurring", 1)


def scene(extent: Extent, quad: SphereQuad) -> Photo:
    """Return a photo with one person in it."""
    return Photo(draw_people(background(extent.width, extent.height), extent, [quad]), extent)


@pytest.mark.parametrize(("extent", "quad"), SCENES)
def test_boxes_of_a_server_hold_the_thing_wherever_it_is(
    state: remote.InferenceServer, extent: Extent, quad: SphereQuad
) -> None:
    """Across the seam, at the pole, in part of a panorama and in a flat photo."""
    (found,) = look(scene(extent, quad), wish(state, "boxes"))
    directions = grid_directions(extent)
    covered = np.any([one.contains(directions) for one in found.quads], axis=0)
    assert covered[quad.contains(directions)].all()
    assert covered.mean() < 5 * quad.contains(directions).mean()
    assert found.mask is None
    assert {picture.shape for picture in state.pictures} == {(VIEW_PX, VIEW_PX, 3)}


@pytest.mark.parametrize("in_colours", [False, True])
@pytest.mark.parametrize(("extent", "quad"), SCENES)
def test_masks_of_a_server_follow_the_thing_wherever_it_is(
    state: remote.InferenceServer, extent: Extent, quad: SphereQuad, in_colours: bool
) -> None:
    """All of it, little more, and within the boxes that are painted."""
    state.in_colours = in_colours
    (found,) = look(scene(extent, quad), wish(state, "masks"))
    assert found.mask is not None
    directions = grid_directions(extent)
    inside = quad.contains(directions)
    assert found.mask[inside].all()
    assert found.mask.sum() < 2 * inside.sum()
    boxes = np.any([one.contains(directions) for one in found.quads], axis=0)
    assert boxes[found.mask].all()
    assert set(state.masks_at_once) == {1}  # such servers mix up what is asked at one time


def test_each_model_sees_each_view_once(state: remote.InferenceServer) -> None:
    """Also with several classes of one model; a class that was not asked for is not hidden."""
    photo = scene(*SCENES[3])
    faces, plates = look(photo, wish(state, "boxes"), wish(state, "boxes", "plate"))
    assert faces.quads
    assert not plates.quads
    views = len(state.pictures)
    assert state.asked == ["models/boxes/predict"] * views
    look(photo, wish(state, "boxes"))
    assert len(state.pictures) == 2 * views


def test_our_own_model_and_a_server_work_side_by_side(state: remote.InferenceServer) -> None:
    """The finds come in the order of the wishes."""
    own = Wish(Model(BUILT_IN, "colours", ("person", "car")), "person", "blurring", 1)
    found = look(scene(*SCENES[0]), wish(state, "boxes"), own, wish(state, "masks"))
    assert [bool(find.quads) for find in found] == [True] * 3
    assert [find.mask is not None for find in found] == [False, False, True]


@pytest.mark.parametrize("fault", ["error", "false", "text", {"bounding-boxes": "none"}])
@pytest.mark.parametrize("model", ["boxes", "masks"])
def test_a_view_without_an_answer_fails_the_photo(state: remote.InferenceServer, fault: object, model: str) -> None:
    """What it would have found there is not known."""
    state.fault = fault
    with pytest.raises(ServerFailure):
        look(scene(*SCENES[3]), wish(state, model))


def test_a_search_that_takes_too_long_fails_the_photo(state: remote.InferenceServer) -> None:
    """And asks no more."""
    with pytest.raises(ServerFailure, match="in time"):
        look(scene(*SCENES[0]), wish(state, "boxes"), search_s=-1)
    assert not state.asked
