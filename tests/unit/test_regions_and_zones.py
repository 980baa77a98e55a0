"""Boxes reach the sphere whole, are counted once, and zones say what they mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pii_blur.detect.detections import Detections
from pii_blur.errors import UsageFailure
from pii_blur.labels import Label
from pii_blur.regions import Region, count_things, lift
from pii_blur.sphere.quad import SphereQuad
from pii_blur.sphere.views import PerspectiveView
from pii_blur.zones import Zone, read_zones


def one_box(box: list[float], label: Label = Label.PERSON) -> Detections:
    """Return detections with one box."""
    return Detections(np.array([box], np.float32), np.array([0.8], np.float32), np.array([label], np.int16))


def test_lifted_box_holds_what_the_box_held() -> None:
    """The four corners on the sphere are the directions of the box's corners."""
    view = PerspectiveView(170, 40, 80, 640)
    (region,) = lift(view, one_box([100, 50, 300, 400]))
    assert region.quad.contains(view.to_directions([[101, 51], [299, 399], [200, 200]])).all()
    assert not region.quad.contains(view.to_directions([[99, 200], [200, 401]])).any()
    assert (region.label, region.view_id) == (Label.PERSON, view.id)


def test_box_far_beyond_the_view_is_cut_near_its_edge() -> None:
    """A box that a detector lets run wild past the crop does not swallow the sphere."""
    view = PerspectiveView(0, 0, 90, 640)
    (region,) = lift(view, one_box([300, 300, 9000, 400]))
    assert region.quad.longest_side() < 60


def test_box_wholly_beyond_the_view_is_no_region() -> None:
    """Nothing is hidden for a box that shows nothing of its view."""
    assert lift(PerspectiveView(0, 0, 90, 640), one_box([800, 300, 900, 400])) == []


def test_a_thing_seen_in_several_views_counts_once() -> None:
    """Counts tell things, not boxes; people and vehicles apart; two people side by side are two."""

    def region(yaw: float, label: Label, width: float = 5) -> Region:
        return Region(SphereQuad.from_angles(yaw, 0, width, 12), label, 0.9)

    regions = [
        region(179, Label.PERSON),
        region(-180, Label.PERSON),
        region(179.5, Label.CAR, 20),
        region(-179, Label.TRUCK, 22),
        region(30, Label.PERSON),
        region(36, Label.PERSON),
    ]
    counts = count_things(regions)
    assert (counts.people, counts.vehicles) == (3, 1)


def test_zones_file_is_read(tmp_path: Path) -> None:
    """A zone comes back as written."""
    path = tmp_path / "zones.json"
    zone = {"action": "hide", "yaw": 0, "pitch": -90, "width": 40, "height": 40, "name": "tripod"}
    path.write_text(json.dumps({"schema": 1, "zones": [zone]}))
    assert read_zones(path) == (Zone("hide", 0, -90, 40, 40, "tripod"),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"schema": 2, "zones": []}',
        '{"schema": 1, "zones": [{"action": "hide"}]}',
        '{"schema": 1, "zones": [{"action": "hide", "yaw": 0, "pitch": -90, "width": 400, "height": 40}]}',
        '{"schema": 1, "zones": [{"action": "blur", "yaw": 0, "pitch": -90, "width": 40, "height": 40}]}',
        '{"schema": 1, "zones": [{"action": "keep", "yaw": "x", "pitch": -90, "width": 40, "height": 40}]}',
        '{"schema": 1, "zones": [{"action": "keep", "yaw": 1, "pitch": 0, "width": 4, "height": 4, "hight": 5}]}',
    ],
)
def test_damaged_zones_file_is_a_usage_error_that_names_it(tmp_path: Path, text: str) -> None:
    """A zone that is not understood must not be left out in silence."""
    path = tmp_path / "zones.json"
    path.write_text(text)
    with pytest.raises(UsageFailure, match=r"zones\.json"):
        read_zones(path)
