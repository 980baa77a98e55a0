"""Everything that reads a file without decoding it, on damaged files: thousands in a second.

`read_everything` raises only what is a bug: every reader must answer, or refuse with the error that it promises.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

from pii_blur.errors import PhotoFailure
from pii_blur.photo.embedded import blank_pictures, find_pictures, join_blocks, put_back, without_pictures
from pii_blur.photo.flir import blank_thermal
from pii_blur.photo.gpano import read_gpano, understand
from pii_blur.photo.jpeg_frame import FrameError, read_frame
from pii_blur.photo.jpeg_segments import Jpeg, assemble, exif_of, split_jpeg, xmp_of
from pii_blur.photo.metadata import claim_in
from pii_blur.photo.orientation import read_orientation
from pii_blur.photo.png_chunks import Png, assemble_png, exif_of_png, split_png, xmp_of_png

ERROR_CODES = frozenset({"empty", "not_an_image", "truncated", "damaged", "unsupported", "too_large"})
_MOST_BLOCKS = 20  # putting one back costs as much as there are blocks
_SIZES = ((320, 160), (1, 1), (101, 51))


def read_everything(data: bytes) -> None:
    """Let all readers loose on some bytes.

    Raises:
        AssertionError: a reader promised something else.
        Exception: a reader failed in a way that it does not promise.
    """
    with suppress(FrameError):
        frame = read_frame(data)
        assert frame.width > 0 and frame.height > 0 and frame.components
        assert all(size > 0 for size in frame.mcu_size)
    _look_for_pictures(data)
    _read_metadata(data, data)
    try:
        _walk_jpeg(split_jpeg(data), data)
    except PhotoFailure as failure:
        assert failure.code in ERROR_CODES, failure.code
    try:
        _walk_png(split_png(data), data)
    except PhotoFailure as failure:
        assert failure.code in ERROR_CODES, failure.code


def _walk_jpeg(jpeg: Jpeg, data: bytes) -> None:
    plain = jpeg.to_bytes()
    again = split_jpeg(plain)
    assert again.is_tidy and again.to_bytes() == plain, "taking apart and putting together changed the file"
    assert (again.segments, again.coded) == (jpeg.segments, jpeg.coded)
    assert data.endswith(jpeg.trailer)
    claim_in(segment.payload for segment in jpeg.segments)
    _read_metadata(exif_of(jpeg.segments), xmp_of(jpeg.segments))
    for block in islice(join_blocks(jpeg.segments), _MOST_BLOCKS):
        assert put_back(jpeg.segments, block, block.data) == list(jpeg.segments), block.name
        _look_for_pictures(block.data)
    split_jpeg(assemble(jpeg.segments, plain, is_recoded=True))


def _walk_png(png: Png, data: bytes) -> None:
    plain = png.to_bytes()
    assert split_png(plain).chunks == png.chunks, "taking apart and putting together changed the file"
    assert data.endswith(png.trailer)
    header = png.chunks[0].payload
    assert png.depth == header[8] and isinstance(png.has_alpha, bool) and isinstance(png.is_animated, bool)
    if 0 < int.from_bytes(header[:4]) * int.from_bytes(header[4:8]) < 1 << 20:  # checked before a pixel is read
        png.has_all_rows()
    for chunk in png.metadata:
        _look_for_pictures(chunk.content)
    claim_in(chunk.content for chunk in png.metadata)
    _read_metadata(exif_of_png(png.chunks), xmp_of_png(png.chunks))
    assemble_png(png.metadata, plain)


def _read_metadata(exif: bytes, xmp: bytes) -> None:
    assert 1 <= read_orientation(exif) <= 8
    assert all(value for value in read_gpano(xmp).values())
    for width, height in _SIZES:
        projection = understand(width, height, xmp)
        assert (projection.extent.width, projection.extent.height) == (width, height), projection
        assert abs(projection.pose_pitch) <= 90 and abs(projection.pose_roll) <= 180, projection
        assert projection.phrase


def _look_for_pictures(data: bytes) -> None:
    found = find_pictures(data)
    assert all(0 <= one.start < one.end <= len(data) for one in found), found
    blanked, kinds = blank_pictures(data)
    assert len(blanked) == len(data) and bool(kinds) == bool(found)
    assert not find_pictures(blanked), "a picture is left after blanking"
    assert len(without_pictures(data, [data[one.start : one.end] for one in found[:_MOST_BLOCKS]])) == len(data)
    assert len(blank_thermal(data)[0]) == len(data)
