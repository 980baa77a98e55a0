"""Regions as files beside the photos: ours, which holds everything needed to hide again, and understand.ai's list.

PRIVACY: these files tell where people stood. They go only to folders that the user names, outside OUTPUT.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pii_blur.detect.detector import Detector
from pii_blur.errors import PhotoFailure
from pii_blur.labels import Label
from pii_blur.photo.photo import Photo
from pii_blur.photo.publish import publish
from pii_blur.regions import Region
from pii_blur.results import SideFiles
from pii_blur.settings import Settings
from pii_blur.sphere.axes import angles_from_directions, directions_from_angles
from pii_blur.sphere.extent import Extent
from pii_blur.sphere.quad import SphereQuad

# understand.ai's two kinds, for its files that come back in.
_KINDS = {"face": Label.PERSON, "plate": Label.CAR}

ORIGINS = ("detector", "reviewer")

POINTS_PER_EDGE = 32


def write_regions(
    side: SideFiles, key: str, photo: Photo, regions: Sequence[Region], settings: Settings, detector: Detector
) -> None:
    """Write the regions of one photo to ``<side.detections>/<key>.json``.

    Raises:
        PhotoFailure: the file cannot be written (code ``detections``).
        CannotWrite: the disk is full or read-only.
    """
    assert side.detections is not None
    path = side.detections / f"{key}.json"
    if side.detections_format == "understand-ai":
        document: Any = [entry for region in regions for entry in _understand_ai(region, photo.extent)]
    else:
        document = _document(key, photo, regions, settings, detector)
    data = json.dumps(document, indent=1).encode("ascii")
    publish(data, path, code="detections")


def read_regions(folder: Path, key: str, photo: Photo, settings: Settings) -> list[Region]:
    """Read the regions of one photo from ``<folder>/<key>.json``, in either format.

    A detector's boxes of classes that are not wanted, or below the wanted score, are left out; what a person drew
    counts whatever its class and score.

    Raises:
        PhotoFailure: the file is missing, not of a known format, or for a photo of another size.
    """
    path = folder / f"{key}.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PhotoFailure(f"{key}: no readable detections file {path} ({error.strerror})", "detections") from error
    except (ValueError, RecursionError) as error:
        raise PhotoFailure(f"{key}: the detections file {path} is not JSON: {error}", "detections") from error
    try:
        regions = _parse(document, photo)
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError, RecursionError) as error:
        why = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise PhotoFailure(f"{key}: the detections file {path} cannot be used: {why}", "detections") from error
    return [
        region
        for region in regions
        if region.origin != "detector" or settings.hides(region.label, region.score, region.share(photo.extent))
    ]


def _document(
    key: str, photo: Photo, regions: Sequence[Region], settings: Settings, detector: Detector
) -> dict[str, Any]:
    """Return our format, schema 1; docs/detections.md describes it."""
    return {
        "schema": 1,
        "photo": key,
        "width": photo.extent.width,
        "height": photo.extent.height,
        "sha256": photo.facts.sha256 if photo.facts else "",
        "projection": photo.facts.projection if photo.facts else "",
        "pose": {"pitch": photo.pose_pitch, "roll": photo.pose_roll},
        "model": {"name": detector.name, "sha256": detector.sha256},
        "settings": {
            "min_score": settings.min_score,
            "classes": [label.word for label in settings.labels],
            "views": settings.views,
            "grow": settings.grow,
            "digest": settings.digest(),
        },
        "regions": [_entry(region, photo.extent) for region in regions],
    }


def _entry(region: Region, extent: Extent) -> dict[str, Any]:
    yaw, pitch = angles_from_directions(region.quad.corners)
    pixels = extent.to_points(region.quad.corners)
    return {
        "class": region.label.word,
        "score": round(region.score, 4),
        "origin": region.origin,
        "view": region.view_id,
        "corners": [[round(float(y), 6), round(float(p), 6)] for y, p in zip(yaw, pitch, strict=True)],
        "pixels": [[round(float(u), 2), round(float(v), 2)] for u, v in pixels],
    }


def _understand_ai(region: Region, extent: Extent) -> list[dict[str, Any]]:
    """Return the upright pixel boxes that hold a region, rounded outwards: one, or two where it crosses the seam."""
    return [
        {
            "y_min": float(window.top),
            "x_min": float(window.left),
            "y_max": float(window.bottom),
            "x_max": float(window.right),
            "score": region.score,
            "kind": region.label.word,
        }
        for window in region.quad.windows(extent)
    ]


def _parse(document: Any, photo: Photo) -> list[Region]:
    if isinstance(document, list):
        return [_from_understand_ai(entry, photo.extent) for entry in document]
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise ValueError("it is neither of schema 1 nor a list in understand.ai's format")
    size = (int(document["width"]), int(document["height"]))
    if size != (photo.extent.width, photo.extent.height):
        raise ValueError(f"it is for a photo of {size[0]}x{size[1]} pixels")
    # Cameras use names again, and all their photos have one size.
    if document.get("sha256") and photo.facts and document["sha256"] != photo.facts.sha256:
        raise ValueError(
            "it is for another photo of that name, or the photo has changed since (delete 'sha256' in the "
            "file if it is meant for this one all the same)"
        )
    return [_from_entry(entry, photo.extent) for entry in document["regions"]]


def _from_entry(entry: dict[str, Any], extent: Extent) -> Region:
    """Make a region from `corners` (yaw, pitch), or where they are missing from `box` or `pixels` in the picture."""
    if "corners" in entry:
        angles = np.array(entry["corners"], dtype=np.float64).reshape(4, 2)
        quad = SphereQuad(directions_from_angles(angles[:, 0], angles[:, 1]))
    else:
        points = np.array(entry["pixels"] if "pixels" in entry else _corners(entry["box"]), dtype=np.float64)
        quad = _quad_round_pixels(points.reshape(4, 2), extent)
    origin = str(entry.get("origin", "reviewer"))
    if origin not in ORIGINS:
        raise ValueError(f"origin is one of {', '.join(ORIGINS)}, not '{origin}'")
    label, score = Label.from_word(str(entry["class"])), _score(entry.get("score", 1.0))
    return Region(quad, label, score, str(entry.get("view", "")), origin)


def _from_understand_ai(entry: dict[str, Any], extent: Extent) -> Region:
    kind = str(entry["kind"])
    label = _KINDS[kind] if kind in _KINDS else Label.from_word(kind)
    box = [float(entry[name]) for name in ("x_min", "y_min", "x_max", "y_max")]
    return Region(_quad_round_pixels(np.array(_corners(box)), extent), label, _score(entry["score"]))


def _score(value: Any) -> float:
    score = float(value)
    if not 0 <= score <= 1:
        raise ValueError(f"a score lies between 0 and 1, not {score:g}")
    return score


def _corners(box: Sequence[float]) -> list[list[float]]:
    x0, y0, x1, y1 = box
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def _quad_round_pixels(points: np.ndarray[Any, np.dtype[np.float64]], extent: Extent) -> SphereQuad:
    """Return a quadrilateral that holds all of a pixel quadrilateral, whose edges are no great circles.

    Raises:
        ValueError: it lies outside the picture, or is less than a pixel wide: perhaps given in another unit.
    """
    size, slack = np.array([extent.width, extent.height]), np.array([extent.width, extent.height]) * 0.01 + 2
    if not ((points >= -slack) & (points <= size + slack)).all():
        raise ValueError(f"a box lies outside the picture of {extent.width}x{extent.height} pixels")
    if np.ptp(points, axis=0).min() < 1:
        raise ValueError("a box is less than a pixel wide or high; are these really pixels?")
    share = np.linspace(0.0, 1.0, POINTS_PER_EDGE, endpoint=False)[:, None]
    edges = [a * (1 - share) + b * share for a, b in zip(points, np.roll(points, -1, axis=0), strict=True)]
    return SphereQuad.around(extent.to_directions(np.concatenate(edges)))
