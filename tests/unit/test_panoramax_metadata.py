"""What is told of a blurred photo: short enough for every proxy, each thing once."""

from __future__ import annotations

import json

import pytest

from pii_blur.http.panoramax.metadata import Found, header, metadata, read_found
from pii_blur.labels import Label


def entry(box: tuple[float, float, float, float], score: float, kind: str = "person") -> dict[str, object]:
    return dict(zip(("x_min", "y_min", "x_max", "y_max"), box, strict=True)) | {"score": score, "kind": kind}


def test_the_header_stays_small_however_much_was_found() -> None:
    """Proxies refuse answers with large headers: the surest are listed, the others counted."""
    things = [Found(Label.PERSON, 0.9, (10000 + k, 10000, 10050 + k, 10090)) for k in range(500)]
    value = header(things, "street-retinanet-seed", "0.1", salt="s" * 90)
    about = json.loads(value)
    assert len(value) <= 3000
    assert value.isascii()
    assert "\n" not in value
    assert len(about["info"]) + about["more"] == 500
    assert len(about["info"]) > 15
    assert "more" not in json.loads(header(things[:3], "m", "1"))


def test_a_thing_seen_in_several_views_is_told_once_with_its_best_score() -> None:
    """Panoramax would show every box."""
    boxes = [
        entry((100, 100, 140, 180), 0.5),
        entry((102, 101, 141, 178), 0.8),
        entry((100, 100, 140, 180), 0.7, "car"),
        entry((300, 100, 340, 180), 0.6),
        entry((10, 10, 10.2, 10.2), 0.9),
    ]
    things = read_found(boxes)
    assert [(thing.label, thing.score) for thing in things] == [
        (Label.PERSON, 0.8),
        (Label.CAR, 0.7),
        (Label.PERSON, 0.6),
    ]


@pytest.mark.parametrize("annotated", [(), (Label.CAR,)])
def test_only_classes_that_the_operator_named_are_annotated(annotated: tuple[Label, ...]) -> None:
    """Whatever is annotated is published."""
    things = read_found([entry((1, 2, 30, 40), 0.5), entry((5, 6, 70, 80), 0.7, "car")])
    document = json.loads(metadata(things, annotated, "model/1", "id"))
    assert document["blurring_id"] == "id"
    assert [one["shape"] for one in document["annotations"]] == [[5, 6, 70, 80]] * len(annotated)
