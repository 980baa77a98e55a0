"""What was found is looked at again: who is there stays, what is not there sinks, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from pii_blur.detect.detections import Detections
from pii_blur.labels import Label
from pii_blur.regions import Region
from pii_blur.second_look import HIGHEST, LOWEST, WORTH, candidates, fuse, look_again
from pii_blur.sphere.close_up import WIDEST, close_up
from pii_blur.sphere.extent import Extent, FlatExtent, PanoExtent
from pii_blur.sphere.project import Pyramid, render_view
from pii_blur.sphere.quad import SphereQuad
from pii_blur.sphere.views import PerspectiveView
from tests.scenes import ColourDetector, background, draw_people

PANO = PanoExtent.full(1024, 512)
PLACES = [(20, -5, 12, 30), (180, 0, 14, 25), (-60, 85, 12, 20), (100, -88, 25, 25), (-120, -40, 6, 12)]
EMPTY = (60, 10, 15, 30)


def region(
    yaw: float, pitch: float, width: float, height: float, score: float = 0.5, label: Label = Label.PERSON
) -> Region:
    """Return a box as an earlier search found it."""
    return Region(SphereQuad.from_angles(yaw, pitch, width, height), label, score)


def look(
    pixels: NDArray[np.uint8], extent: Extent, regions: list[Region], *, crops: int = 99, threads: int = 1
) -> list[Region]:
    """Take the second look with the colour detector."""
    render = partial(render_view, Pyramid(pixels), extent, is_in_plan=False)
    return look_again(
        regions,
        ColourDetector(),
        list(Label),
        most_crops=crops,
        close_up=partial(close_up, extent),
        render=render,
        threads=threads,
    )


@pytest.fixture(scope="module")
def street() -> NDArray[np.uint8]:
    """A panorama of five people, at the horizon, the seam, both poles and below the horizon."""
    return draw_people(background(1024, 512), PANO, [SphereQuad.from_angles(*place) for place in PLACES])


def test_people_are_found_again_wherever_they_are_and_what_is_not_there_sinks(street: NDArray[np.uint8]) -> None:
    """The order stays; six candidates share a crop without disturbing each other."""
    before = [region(*EMPTY), *(region(*place) for place in PLACES)]
    after = look(street, PANO, before)
    assert [one.quad for one in after] == [one.quad for one in before]
    assert after[0].score == pytest.approx(fuse(0.5, LOWEST))
    assert [one.score for one in after[1:]] == [pytest.approx(fuse(0.5, 0.9))] * len(PLACES)


def test_a_tilted_camera_is_looked_through_upright() -> None:
    """By the pose the views stand level: the box in a close-up is the box that was found."""
    view = close_up(PANO, SphereQuad.from_angles(40, -10, 10, 20), 3.0, 213, pose_pitch=20.0, pose_roll=-15.0)
    points = view.to_points(SphereQuad.from_angles(40, -10, 10, 20).centre)
    assert points == pytest.approx([106.5, 106.5])
    assert isinstance(view, PerspectiveView)
    assert (view.pose_pitch, view.pose_roll) == (20.0, -15.0)


def test_all_boxes_of_a_thing_share_its_second_look(street: NDArray[np.uint8]) -> None:
    """Two boxes of one person, one of a car that is not there: one look each, and each keeps its own first score."""
    place = PLACES[0]
    boxes = [region(*place, score=0.6), region(21, -5, 12, 28, 0.4), region(*place, score=0.5, label=Label.CAR)]
    assert [candidate.members.tolist() for candidate in candidates(boxes)] == [[0, 1], [2]]
    after = look(street, PANO, boxes)
    assert [one.score for one in after] == pytest.approx([fuse(0.6, 0.9), fuse(0.4, 0.9), fuse(0.5, LOWEST)])


def test_only_so_many_are_looked_at_and_the_others_keep_their_scores(street: NDArray[np.uint8]) -> None:
    """The best nine of twelve fit into one crop; what is not worth a look, or has no room, is not lowered."""
    far = [
        region(yaw, -60, 4, 8, score)
        for yaw, score in zip(range(-170, 130, 30), np.linspace(0.3, 0.8, 10), strict=True)
    ]
    before = [*far, region(0, 60, 5, 5, WORTH - 0.01)]
    after = look(street, PANO, before, crops=1)
    assert after[0].score == before[0].score
    assert after[-1].score == before[-1].score
    assert all(new.score < old.score for new, old in zip(after[1:-1], before[1:-1], strict=True))


def test_threads_change_nothing(street: NDArray[np.uint8]) -> None:
    """The same photo gives the same scores, however many look at a time."""
    boxes = [region(yaw, -10, 12, 25, 0.3 + abs(yaw) / 400) for yaw in range(-180, 180, 12)]
    one, many = (look(street, PANO, boxes, threads=threads) for threads in (1, 4))
    assert [first.score for first in one] == [second.score for second in many]


def test_nothing_found_is_nothing_to_look_at(street: NDArray[np.uint8]) -> None:
    """An empty photo goes through."""
    assert look(street, PANO, []) == []


@pytest.mark.parametrize("place", [(400, 300), (30, 300), (790, 590)])
def test_flat_photos_are_looked_at_in_tiles_of_their_own(place: tuple[int, int]) -> None:
    """In the middle of the photo, at its edge and in its corner."""
    extent = FlatExtent(800, 600)
    corners = np.array([[-20, -40], [20, -40], [20, 40], [-20, 40]]) + place
    quad = SphereQuad(extent.to_directions(np.clip(corners, 0, [800, 600])))
    photo = draw_people(background(800, 600), extent, [quad])
    assert look(photo, extent, [Region(quad, Label.PERSON, 0.5)])[0].score == pytest.approx(fuse(0.5, 0.9))


def test_what_fills_half_the_sphere_has_a_view_too() -> None:
    """A box wider than any view is looked at as far as a view reaches."""
    view = close_up(PANO, SphereQuad.from_angles(0, 0, 130, 80), 3.0, 213)
    assert isinstance(view, PerspectiveView)
    assert view.hfov == WIDEST


def test_the_box_is_a_third_of_its_view() -> None:
    """So the detector sees everything at one size."""
    quad = SphereQuad.from_angles(-150, 30, 4, 9)
    view = close_up(PANO, quad, 3.0, 213)
    points = view.to_points(quad.corners)
    assert np.ptp(points, axis=0).max() == pytest.approx(71, abs=1)


@pytest.mark.parametrize("prob", [0.3, 0.9])
def test_fused_score_lies_between_both_looks(prob: float) -> None:
    """And two equal looks say what one says; certainty of one look does not silence the other."""
    assert fuse(prob, prob) == pytest.approx(prob)
    assert 0.3 < fuse(0.3, 0.9) < 0.9
    assert fuse(1.0, LOWEST) == pytest.approx(fuse(HIGHEST, LOWEST))
    assert fuse(1.0, LOWEST) < 0.7


def test_a_detector_is_asked_for_wanted_classes_only(street: NDArray[np.uint8]) -> None:
    """Who hides only people does not pay for, or depend on, the rest."""
    asked: list[Mapping[Label, float]] = []

    class Listening(ColourDetector):
        def detect(self, crop: NDArray[np.uint8], thresholds: Mapping[Label, float]) -> Detections:
            asked.append(thresholds)
            return super().detect(crop, thresholds)

    render: Callable[..., NDArray[np.uint8]] = partial(render_view, Pyramid(street), PANO, is_in_plan=False)
    place = partial(close_up, PANO)
    look_again([region(*EMPTY)], Listening(), [Label.PERSON], most_crops=1, close_up=place, render=render, threads=1)
    assert [set(thresholds) for thresholds in asked] == [{Label.PERSON}]
