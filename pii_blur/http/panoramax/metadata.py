"""What is said of a blurred photo: in the part `metadata` of a multipart answer, or in the header `x-sgblur`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pii_blur.labels import Label

SERVICE_NAME = "pii-blur"

MAX_HEADER = 3000
"""Bytes of `x-sgblur`. nginx takes 4 KiB for all headers of an answer together, others 8 and more."""

SAME_THING = 0.5
"""Boxes that share more than this of the smaller one are told once."""


@dataclass(frozen=True, slots=True)
class Found:
    """A thing that was hidden.

    Attributes:
        label: what it is.
        score: calibrated, 0 to 1.
        box: left, top, right, bottom in pixels of the upright picture, not grown.
        members: indices of all boxes of it in the list that was read.
    """

    label: Label
    score: float
    box: tuple[int, int, int, int]
    members: tuple[int, ...] = ()

    @property
    def area(self) -> int:
        """How many pixels the box has."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    def is_same_as(self, other: Found) -> bool:
        """Whether both are boxes of one thing, as far as that can be told."""
        width = min(self.box[2], other.box[2]) - max(self.box[0], other.box[0])
        height = min(self.box[3], other.box[3]) - max(self.box[1], other.box[1])
        return max(width, 0) * max(height, 0) > SAME_THING * min(self.area, other.area)


def read_found(boxes: Sequence[dict[str, Any]]) -> list[Found]:
    """Return what was found, each thing once, the surest first.

    Args:
        boxes: a list in understand.ai's format, as `regions_file.write_regions` makes it.
    """
    things: list[Found] = []
    for index in sorted(range(len(boxes)), key=lambda k: float(boxes[k]["score"]), reverse=True):
        entry = boxes[index]
        box = tuple(round(float(entry[side])) for side in ("x_min", "y_min", "x_max", "y_max"))
        score, label = float(entry["score"]), Label.from_word(entry["kind"])
        found = Found(label, score, (box[0], box[1], box[2], box[3]), (index,))
        same = next((k for k, one in enumerate(things) if one.label == label and one.is_same_as(found)), None)
        if same is not None:
            things[same] = replace(things[same], members=(*things[same].members, index))
        elif found.area:
            things.append(found)
    return things


def metadata(things: Sequence[Found], annotated: Sequence[Label], model: str, blurring_id: str = "") -> bytes:
    """Return the part `metadata` as JSON.

    Args:
        things: what was hidden.
        annotated: the classes that are told. Panoramax publishes them, so people should not be among them.
        model: name and version.
        blurring_id: of the parts that were kept, if any were.
    """
    document: dict[str, Any] = {
        "annotations": [_annotation(thing, model) for thing in things if thing.label in annotated],
        "service_name": SERVICE_NAME,
    }
    if blurring_id:
        document["blurring_id"] = blurring_id
    return json.dumps(document).encode("ascii")


def _annotation(thing: Found, model: str) -> dict[str, Any]:
    tag = f"hidden={thing.label.word}"
    semantics = {
        "hidden": thing.label.word,
        f"detection_model[{tag}]": f"{SERVICE_NAME}-{model}",
        f"detection_confidence[{tag}]": f"{thing.score:.2f}",
    }
    return {"shape": list(thing.box), "semantics": [{"key": key, "value": value} for key, value in semantics.items()]}


def header(things: Sequence[Found], model_name: str, model_version: str, salt: str = "") -> str:
    """Return the value of `x-sgblur`, which is ASCII.

    It lists the surest things, as many as fit into `MAX_HEADER`; `more` says how many were left out.
    """
    document: dict[str, Any] = {"info": [], "model": {"name": model_name, "version": model_version}}
    if salt:
        document["salt"] = salt
    document["more"] = len(things)
    room = MAX_HEADER - len(json.dumps(document))
    for thing in things:
        left, top, right, bottom = thing.box
        entry = {
            "class": thing.label.word,
            "confidence": round(thing.score, 3),
            "xywh": [left, top, right - left, bottom - top],
            "bbox": list(thing.box),
        }
        room -= len(json.dumps(entry)) + 2
        if room < 0:
            break
        document["info"].append(entry)
        document["more"] -= 1
    if not document["more"]:
        del document["more"]
    return json.dumps(document)
