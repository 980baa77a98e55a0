"""Which directions a picture shows."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pii_blur.photo.gpano import NAMESPACE, Projection, read_gpano, understand
from pii_blur.sphere.extent import FlatExtent, PanoExtent

NAMES = [
    "FullPanoWidthPixels",
    "FullPanoHeightPixels",
    "CroppedAreaImageWidthPixels",
    "CroppedAreaImageHeightPixels",
    "CroppedAreaLeftPixels",
    "CroppedAreaTopPixels",
]
FORMS = ("attributes", "elements")


def packet(form: str = "attributes", **properties: object) -> bytes:
    """Return an XMP packet with GPano properties."""
    attributes = " ".join(f'g:{name}="{value}"' for name, value in properties.items()) if form == "attributes" else ""
    elements = "".join(f"<g:{name}> {value}\n</g:{name}>" for name, value in properties.items() if form == "elements")
    return (
        f'<?xpacket begin="\ufeff"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf'
        f'-syntax-ns#"><r:Description xmlns:g="{NAMESPACE}" {attributes}>{elements}</r:Description></r:RDF></x:xmpmeta>'
        f'<?xpacket end="w"?>'
    ).encode()


def sizes(*numbers: object, **more: object) -> dict[str, object]:
    """Return the six sizes of GPano in the order full, cropped, corner."""
    return {**dict(zip(NAMES, numbers, strict=False)), **more}


@pytest.mark.parametrize("form", FORMS)
def test_a_full_panorama_and_its_pose_are_read(form: str) -> None:
    """Attributes and elements mean the same."""
    pose = {"ProjectionType": "equirectangular", "PosePitchDegrees": "-1.8", "PoseRollDegrees": "1.3"}
    found = understand(4096, 2048, packet(form, **sizes(4096, 2048, 4096, 2048, 0, 0, **pose)))
    assert found == Projection(PanoExtent.full(4096, 2048), -1.8, 1.3, "full panorama (GPano)")


def test_a_cropped_panorama_lies_where_it_says() -> None:
    """Its pixels are those of a rectangle of the sphere."""
    found = understand(3200, 337, packet(**sizes(3200, 1600, 3200, 337, 0, 600)))
    assert found.extent == PanoExtent(3200, 1600, 0, 600, 3200, 337)
    assert found.phrase == "partial panorama (GPano)"


def test_a_resized_panorama_is_rescaled() -> None:
    """Resizers keep the numbers of the original."""
    found = understand(2048, 1024, packet(**sizes(9728, 4864, 9728, 4864, 0, 0)))
    assert found.extent == PanoExtent.full(2048, 1024)
    half = understand(1000, 250, packet(**sizes(4000, 2000, 2000, 500, 1000, 700)))
    assert half.extent == PanoExtent(2000, 1000, 500, 350, 1000, 250)


def test_a_strip_that_calls_itself_whole_keeps_square_pixels() -> None:
    """A sphere is twice as wide as high, whatever the writer thought."""
    found = understand(3200, 400, packet(**sizes(3200, 400, 3200, 400, 0, 0)))
    assert found.extent == PanoExtent(3200, 1600, 0, 600, 3200, 400)


@pytest.mark.parametrize(
    "properties",
    [
        sizes(4096, 2048, 1000, 2000, 0, 0),
        sizes(4096, 2048, 4096, 2048, 0, 1500),
        sizes(4096, 4096, 4096, 4096, 0, 0),
        sizes("many", 2048, 4096, 2048),
        sizes("nan", "inf", -1, 0),
        sizes(10**300, 10**300),
    ],
)
def test_numbers_that_cannot_be_meant_leave_the_decision_to_the_shape(properties: dict[str, object]) -> None:
    """And the phrase says so."""
    found = understand(2048, 1024, packet(**properties))
    assert found.extent == PanoExtent.full(2048, 1024)
    assert found.phrase == "full panorama (2:1 shape, GPano does not fit the picture)"


@pytest.mark.parametrize(
    ("width", "height", "phrase"),
    [
        (8192, 4096, "full panorama (2:1 shape, no GPano)"),
        (8190, 4096, "full panorama (2:1 shape, no GPano)"),
        (4096, 4096, "flat photo"),
        (4032, 3024, "flat photo"),
        (3024, 4032, "flat photo"),
        (1, 1, "flat photo"),
    ],
)
def test_without_gpano_the_shape_decides(width: int, height: int, phrase: str) -> None:
    """Twice as wide as high is a panorama; stereo pairs, fisheyes and everything else are photos."""
    found = understand(width, height, b"")
    assert found.phrase == phrase
    assert isinstance(found.extent, FlatExtent if phrase == "flat photo" else PanoExtent)


def test_another_projection_is_a_flat_photo() -> None:
    """Fisheye and cylinder are not what the sphere's formulas expect."""
    found = understand(2000, 1000, packet(ProjectionType="cylindrical"))
    assert found.extent == FlatExtent(2000, 1000)
    assert found.phrase == "flat photo (GPano: cylindrical)"


def test_pose_alone_counts_for_a_panorama_by_shape() -> None:
    """Some stitchers write the pose and no sizes."""
    assert understand(2000, 1000, packet(PosePitchDegrees="5")).pose_pitch == 5
    assert understand(2000, 1000, packet(PosePitchDegrees="500")).pose_pitch == 0
    assert understand(2000, 1500, packet(PosePitchDegrees="5")).pose_pitch == 0


@pytest.mark.parametrize("size", ["1e-320", "1e-300", "0.5"])
def test_a_crop_smaller_than_a_pixel_is_not_believed(size: str) -> None:
    """The scale that follows from it is infinite, and ended the photo with an error."""
    projection = understand(320, 160, packet(**sizes(1e8, 5e7, size, size)))
    assert isinstance(projection.extent, PanoExtent) and "does not fit" in projection.phrase


@pytest.mark.parametrize("name", ["x" * 100, "rot13", "UTF-7", "cp037"])
def test_an_unknown_encoding_is_no_error(name: str) -> None:
    """The XML reader raises other errors for encodings than for bad XML."""
    assert isinstance(read_gpano(f'<?xml version="1.0" encoding="{name}"?>'.encode() + packet()), dict)


@pytest.mark.parametrize("part", [b"<a>", b"9<b/>", b"9<!-- -->"])
def test_megabytes_of_elements_cost_neither_time_nor_memory(part: bytes) -> None:
    """A packed text in a PNG may unpack to tens of megabytes; what is met before it gets too much still counts.

    The pattern once took a time that grew with the square of its length: if it does again, this test does not end.
    """
    start = b'<x xmlns:g="' + NAMESPACE.encode() + b'" g:PosePitchDegrees="5"><g:ProjectionType>'
    tracemalloc.start()
    try:
        found = read_gpano(start + part * (16_000_000 // len(part)))
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()
    assert found["PosePitchDegrees"] == "5"


def test_a_narrow_sharp_piece_of_a_panorama_is_searched_in_tiles() -> None:
    """Views made for a whole sphere would shrink the people in it away."""
    assert isinstance(understand(4096, 2048, packet(**sizes(65536, 32768, 4096, 2048, 9000, 9000))).extent, FlatExtent)
    assert isinstance(understand(4096, 2048, packet(**sizes(8192, 4096, 4096, 2048, 900, 900))).extent, PanoExtent)


def test_pose_counts_even_where_the_sizes_do_not_fit() -> None:
    """A resized panorama with the numbers of another picture was tilted all the same."""
    found = understand(
        4096, 2048, packet(**sizes(100, 900, 4096, 2048, 0, 0), PosePitchDegrees=20, PoseRollDegrees=350)
    )
    assert (found.pose_pitch, found.pose_roll) == (20, -10)


def test_entities_are_never_expanded() -> None:
    """A few hundred bytes could become gigabytes."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + packet(ProjectionType="&b;")
    assert read_gpano(bomb) == {}


values = st.one_of(st.integers(), st.floats(), st.text("0123456789.-e", max_size=6)).map(str)


@given(
    st.integers(1, 20000), st.integers(1, 20000), st.dictionaries(st.sampled_from([*NAMES, "PoseRollDegrees"]), values)
)
def test_no_numbers_make_it_fail(width: int, height: int, properties: dict[str, str]) -> None:
    """Whatever is claimed, the extent has the picture's real size."""
    found = understand(width, height, packet(**properties))
    assert (found.extent.width, found.extent.height) == (width, height)


@given(st.binary(max_size=500))
def test_no_bytes_make_it_fail(garbage: bytes) -> None:
    """XMP may be cut off or damaged anywhere."""
    whole = packet(**sizes(4096, 2048, 4096, 2048, 0, 0))
    for xmp in (garbage, whole[: len(garbage)] + garbage, NAMESPACE.encode() + garbage):
        understand(4096, 2048, xmp)
