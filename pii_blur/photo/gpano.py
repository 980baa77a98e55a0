"""Which directions a picture shows: decided from its GPano metadata, else from its shape.

GPano (https://developers.google.com/streetview/spherical-metadata) says how large the panorama of the whole sphere
would be and which rectangle of it the picture is. Writers get it wrong in many ways, and resized pictures keep the
numbers of the larger original. Nothing here ever fails: what cannot be believed is left aside, and the phrase says so.
Every pixel of the picture is searched whatever is decided; the decision matters for seam, poles and distortion.
"""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.parsers import expat

from pii_blur.sphere.extent import Extent, FlatExtent, PanoExtent

NAMESPACE = "http://ns.google.com/photos/1.0/panorama/"

# Room for rounding: stitchers and resizers are off by a pixel or two.
_SHAPE_TOLERANCE = 0.01
# A packet that is larger, or a value that is longer, comes of damage or malice; a long one has a thousand elements.
_MOST_EVENTS = 100_000
_LONGEST_VALUE = 1000
# Pixels per degree above which a piece of a panorama is searched like a flat photo; the narrowest views have 20.
_FINEST = 45.0
_FULL = ("FullPanoWidthPixels", "FullPanoHeightPixels")
_CROPPED = ("CroppedAreaImageWidthPixels", "CroppedAreaImageHeightPixels")
_CORNER = ("CroppedAreaLeftPixels", "CroppedAreaTopPixels")


class Projection(NamedTuple):
    """How a picture was understood.

    Attributes:
        extent: which directions it shows.
        pose_pitch, pose_roll: degrees by which the camera was tilted; 0 where nothing (believable) is said.
        phrase: what was decided and from what, for log and report.
    """

    extent: Extent
    pose_pitch: float
    pose_roll: float
    phrase: str


def read_gpano(xmp: bytes) -> dict[str, str]:
    """Return the GPano properties of an XMP packet by name, e.g. ``{"ProjectionType": "equirectangular"}``.

    They may stand as attributes or as elements. A packet that is no sound XML, or has more in it than any writer puts
    there, gives those that were met up to that point; one with a document type gives none: XMP has no use for it, and
    entity attacks need it. Read here and not by exiftool so that a photo can be read and searched without it.
    """
    found: dict[str, str] = {}
    open_elements: list[str] = []
    events = 0
    parser = expat.ParserCreate(namespace_separator=" ")

    def take(name: str, value: str) -> None:
        namespace, _, local = name.rpartition(" ")
        if namespace == NAMESPACE and value.strip() and len(value) + len(found.get(local, "")) <= _LONGEST_VALUE:
            found[local] = (found.get(local, "") + value).strip()

    def count() -> None:
        nonlocal events
        events += 1
        if events > _MOST_EVENTS:
            raise ValueError("more elements than any packet has")

    def on_start(name: str, attributes: dict[str, str]) -> None:
        count()
        open_elements.append(name)
        for key, value in attributes.items():
            take(key, value)

    def on_text(text: str) -> None:
        count()
        if open_elements:
            take(open_elements[-1], text)

    def on_doctype(*_: object) -> None:
        found.clear()
        raise ValueError("document type")

    parser.StartElementHandler = on_start
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.CharacterDataHandler = on_text
    parser.StartDoctypeDeclHandler = on_doctype
    parser.buffer_text = True
    try:
        parser.Parse(xmp.strip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, ValueError, LookupError):  # the last: an encoding that nobody knows
        return found  # what came before the error is as good as any other metadata: it is checked by its numbers
    return found


def understand(width: int, height: int, xmp: bytes) -> Projection:
    """Decide which directions an upright picture shows.

    Args:
        width, height: its real size in pixels.
        xmp: its main XMP packet, or nothing.
    """
    gpano = read_gpano(xmp) if NAMESPACE.encode() in xmp else {}
    if not gpano:
        return _from_shape(width, height, "no GPano")
    projection = gpano.get("ProjectionType", "equirectangular").lower()
    if projection != "equirectangular":
        return Projection(FlatExtent(width, height), 0.0, 0.0, f"flat photo (GPano: {projection[:20]})")
    if all(name not in gpano for name in (*_FULL, *_CROPPED)):
        return _with_pose(_from_shape(width, height, "GPano without sizes"), gpano)
    extent = _from_numbers(width, height, gpano)
    if extent is None:
        return _with_pose(_from_shape(width, height, "GPano does not fit the picture"), gpano)
    if not extent.wraps and extent.pixels_per_degree > _FINEST:
        # The views of a sphere would shrink what such a narrow, sharp piece of one shows: tiles of it do not.
        return Projection(FlatExtent(width, height), 0.0, 0.0, "flat photo (GPano: a narrow piece of a panorama)")
    phrase = "full panorama (GPano)" if extent.is_full else "partial panorama (GPano)"
    return _with_pose(Projection(extent, 0.0, 0.0, phrase), gpano)


def _from_shape(width: int, height: int, reason: str) -> Projection:
    """Twice as wide as high means the whole sphere.

    A phone photo of that very shape is taken for a panorama too: cheap, where a panorama taken for a photo would lose
    people at the seam and the poles.
    """
    if abs(width - 2 * height) <= max(2 * height * _SHAPE_TOLERANCE, 1) and height >= 2:
        return Projection(PanoExtent.full(width, height), 0.0, 0.0, f"full panorama (2:1 shape, {reason})")
    phrase = "flat photo" if reason == "no GPano" else f"flat photo ({reason})"
    return Projection(FlatExtent(width, height), 0.0, 0.0, phrase)


def _from_numbers(width: int, height: int, gpano: dict[str, str]) -> PanoExtent | None:
    """Return the extent that GPano's sizes give, in pixels of the real picture; None if they cannot be meant."""
    full_width, full_height = (_number(gpano, name) for name in _FULL)
    if not full_width or not full_height:
        return None
    crop_width = _number(gpano, _CROPPED[0]) or min(full_width, width)
    crop_height = _number(gpano, _CROPPED[1]) or min(full_height, height)
    left, top = (_number(gpano, name) for name in _CORNER)
    left = (full_width - crop_width) / 2 if left is None else left
    top = (full_height - crop_height) / 2 if top is None else top
    if min(crop_width, crop_height) < 1 or full_height > full_width / 2 * (1 + _SHAPE_TOLERANCE):
        return None
    if full_height < full_width / 2 * (1 - _SHAPE_TOLERANCE):
        # A strip all round whose writer gave its own height as the sphere's. Its pixels are square, and its horizon is
        # most likely in the middle.
        top += (full_width / 2 - full_height) / 2
        full_height = full_width / 2
    # A resized picture keeps the numbers of the larger one.
    scale_x, scale_y = width / crop_width, height / crop_height
    if abs(scale_x / scale_y - 1) > max(_SHAPE_TOLERANCE, 2 / min(width, height)):
        return None
    real_width = width if crop_width == full_width else max(round(full_width * scale_x), width)
    real_height = height if crop_height == full_height else max(round(full_height * scale_y), height)
    real_top = round(top * scale_y)
    # A pixel or two of rounding is set right; a crop that lies outside is not believed.
    if not -2 <= real_top <= real_height - height + 2 or real_width > 64 * width or real_height > 64 * height:
        return None
    return PanoExtent(
        full_width=real_width,
        full_height=real_height,
        left=round(left * scale_x) % real_width,
        top=min(max(real_top, 0), real_height - height),
        width=width,
        height=height,
    )


def _with_pose(projection: Projection, gpano: dict[str, str]) -> Projection:
    if not isinstance(projection.extent, PanoExtent):
        return projection
    pitch, roll = _number(gpano, "PosePitchDegrees") or 0.0, _number(gpano, "PoseRollDegrees") or 0.0
    return projection._replace(pose_pitch=pitch if abs(pitch) <= 90 else 0.0, pose_roll=math.remainder(roll, 360.0))


def _number(gpano: dict[str, str], name: str) -> float | None:
    """Return a property as a finite number below a billion, None if it is absent or none."""
    try:
        value = float(gpano[name])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) and abs(value) < 1e9 else None
