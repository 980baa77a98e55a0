"""Finding pictures by their looks in any bytes."""

from __future__ import annotations

import base64
import io
import random
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pii_blur.photo.embedded import blank_pictures, find_pictures, join_blocks, put_back
from pii_blur.photo.flir import blank_thermal
from pii_blur.photo.jpeg_segments import APP1, EXTENDED_XMP, Segment
from tests.jpegs import encode
from tests.patience import ends
from tests.photos import other_jpeg, street

JPEG = other_jpeg()


def saved(kind: str, **options: object) -> bytes:
    """Return a picture in one of Pillow's formats."""
    file = io.BytesIO()
    Image.fromarray(street()).save(file, kind, **options)
    return file.getvalue()


PICTURES = {
    "baseline": JPEG,
    "progressive": encode(street(), progressive=True),
    "grey": encode(street(), mode="L"),
    "CMYK": encode(street(), mode="CMYK"),
    "PNG": saved("PNG"),
    "WebP": saved("WEBP"),
    "GIF": saved("GIF"),
    "film": b"\x00\x00\x00\x18ftypmp42\0\0\0\0mp42isom" + bytes(100),
    "base64": base64.b64encode(JPEG),
    "base64 in XML": base64.encodebytes(JPEG).replace(b"\n", b"&#xA;"),
    "PNG in base64": base64.b64encode(saved("PNG")),
    "film in base64": base64.b64encode(b"\x00\x00\x00\x18ftypmp42\0\0\0\0mp42isom" + bytes(100)),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("before", [b"", b"some text \xff\xd8 \xff", bytes(40)])
def test_a_picture_is_found_and_overwritten_in_place(name: str, before: bytes) -> None:
    """Nothing around it moves or changes, and nothing of it is left."""
    after = b"\x01after\x02"
    data = before + PICTURES[name] + after
    assert find_pictures(data)
    blanked, kinds = blank_pictures(data)
    assert kinds
    assert not find_pictures(blanked)
    assert len(blanked) == len(data)
    assert blanked.startswith(before)
    assert set(PICTURES[name][8:-8]) - set(blanked[len(before) + 8 : -len(after) - 8])
    if name in ("baseline", "progressive", "grey", "CMYK", "PNG"):  # those whose end can be told
        assert blanked.endswith(after)


def test_a_picture_whose_first_byte_is_spoilt_is_found() -> None:
    """Minolta did so; a viewer that knows can mend it."""
    blanked, _ = blank_pictures(b"\x01" + JPEG[1:])
    assert JPEG[-200:] not in blanked


def test_a_picture_without_its_end_is_overwritten_to_the_end() -> None:
    """Half a picture shows half a face."""
    blanked, _ = blank_pictures(b"begin" + JPEG[: len(JPEG) // 2])
    assert blanked == b"begin" + bytes(len(JPEG) // 2)


def test_random_bytes_are_no_picture() -> None:
    """Eight megabytes of colour profiles and maker notes must not fail a photo."""
    data = bytearray(random.Random(7).randbytes(8 << 20))
    for place in range(0, len(data) - 8, 4096):
        data[place : place + 3] = b"\xff\xd8\xff"
        data[place + 1000 : place + 1004] = b"/9j/"
    assert find_pictures(bytes(data)) == []


@pytest.mark.parametrize(
    "beginning",
    [
        b"\0\0\0\x08ftypmp42",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\1\x11\0",
        b"\xff\xd8\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\1\x11\0",
    ],
    ids=["films", "PNGs", "frames", "JPEGs"],
)
def test_a_flood_of_beginnings_is_overwritten(beginning: bytes) -> None:
    """Searching each to the end of the block took hours for the 16 MB that a colour profile may have."""
    flood = b"\xff\xd8" + beginning * (4_000_000 // len(beginning))
    with ends():
        blanked, kinds = blank_pictures(flood)
    assert kinds and len(blanked) == len(flood)
    assert beginning not in blanked


def test_base64_costs_no_memory() -> None:
    """The search kept a note for every letter: gigabytes for the megabytes of a packed text."""
    letters = b"/9j/" + b"A" * 2_000_000
    tracemalloc.start()
    try:
        blanked, kinds = blank_pictures(letters)
        assert tracemalloc.get_traced_memory()[1] < 12 * len(letters)
    finally:
        tracemalloc.stop()
    assert kinds == ["picture in base64"] and blanked == b"A" * len(letters)


def test_a_picture_cut_over_segments_is_found_and_nothing_else_changes() -> None:
    """Extended XMP in any order, cut in the middle of the base64."""
    text = b"<x>" + base64.b64encode(JPEG) + b"</x>" + b"y" * 50
    head = EXTENDED_XMP + b"0" * 32 + struct.pack(">I", len(text))
    cut = 20
    parts = [
        Segment(APP1, head + struct.pack(">I", start) + text[start : start + size])
        for start, size in ((cut, len(text)), (0, cut))
    ]
    segments = [Segment(0xFE, b"comment"), *parts]
    (block,) = [block for block in join_blocks(segments) if b"<x>" in block.data]
    blanked, kinds = blank_pictures(block.data)
    assert kinds == ["picture in base64"]
    result = put_back(segments, block, blanked)
    assert [len(one.payload) for one in result] == [len(one.payload) for one in segments]
    assert result[0] == segments[0]
    assert result[1].payload.endswith(b"</x>" + b"y" * 50)
    assert not any(find_pictures(block.data) for block in join_blocks(result))


@given(st.lists(st.builds(Segment, st.integers(0xE0, 0xEF), st.binary(max_size=100)), max_size=6))
def test_joining_and_putting_back_changes_nothing(segments: list[Segment]) -> None:
    """Whatever the segments are."""
    for block in join_blocks(segments):
        assert put_back(segments, block, block.data) == segments


def fff(order: str, *records: tuple[int, bytes]) -> bytes:
    """Return a FLIR block of records (kind, contents)."""
    directory, position, contents = b"", 64 + 32 * len(records), b""
    for kind, content in records:
        directory += struct.pack(f"{order}HHIIIIIII", kind, 0, 100, 0, position, len(content) + 32, 0, 0, 0)
        contents += b"h" * 32 + content
        position += len(content) + 32
    return b"FFF\0" + bytes(16) + struct.pack(f"{order}III", 100, 64, len(records)) + bytes(32) + directory + contents


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_pictures_of_a_thermal_camera_go_and_its_calibration_stays(order: str) -> None:
    """Raw temperatures have no signature, and a person is warm."""
    block = fff(order, (0x20, b"calibration"), (0x01, b"warm person"), (0x0E, b"visible"))
    blanked, names = blank_thermal(block)
    assert names == ["FLIR thermal picture", "FLIR visible-light picture"]
    assert blanked == block.replace(b"warm person", bytes(11)).replace(b"visible", bytes(7))


@given(st.binary(max_size=300))
def test_no_damaged_thermal_block_makes_it_fail(garbage: bytes) -> None:
    """Cut off, or with offsets that lead nowhere."""
    for data in (garbage, b"FFF\0" + garbage, b"FFF\0" + bytes(16) + struct.pack("<III", 100, 64, 5) + garbage):
        assert len(blank_thermal(data)[0]) == len(data)
