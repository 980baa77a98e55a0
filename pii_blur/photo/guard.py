"""The last look at a finished file, before it gets its name: does it hide what it must, and keep what it must?

Trusts nothing that made the file. It gets the bytes as they lie on the disk, the source's bytes, and the mask that says
where something was to be hidden; everything else it reads from the bytes itself, by other ways than those by which the
file was made: coefficients instead of pixels, attempts to open instead of names of tags.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.mask import UNTOUCHED
from pii_blur.photo.embedded import find_pictures, join_blocks
from pii_blur.photo.exiftool import ExifTool
from pii_blur.photo.guard_blocks import read_blocks, step_of, touched_mcus
from pii_blur.photo.guard_detail import shows_through, weakest
from pii_blur.photo.guard_pictures import Expected, foreign_pictures, holds_picture
from pii_blur.photo.jpeg_frame import Frame, FrameError, read_frame
from pii_blur.photo.jpeg_segments import JFXX, Jpeg, Segment, exif_of, split_jpeg
from pii_blur.photo.orientation import read_orientation
from pii_blur.photo.photo import Photo, PhotoFacts, Pixels
from pii_blur.photo.png_chunks import Png, assemble_png, exif_of_png, split_png
from pii_blur.photo.read import decode_jpeg, decode_png
from pii_blur.photo.tags import changed_tags
from pii_blur.photo.turbojpeg import JpegError

Mask = NDArray[np.uint8]

_SMALL = 8  # how many times smaller the pictures are that thumbnails are compared with
_TILE = 32
_MOST_CHANGE = 12.0  # grey levels, mean over a tile: what coding a picture anew with its own tables never reaches
_TURNS: dict[int, Callable[[NDArray[np.uint8]], object]] = {
    2: lambda picture: cv2.flip(picture, 1),
    3: lambda picture: cv2.rotate(picture, cv2.ROTATE_180),
    4: lambda picture: cv2.flip(picture, 0),
    5: cv2.transpose,
    6: lambda picture: cv2.rotate(picture, cv2.ROTATE_90_COUNTERCLOCKWISE),
    7: lambda picture: cv2.rotate(cv2.transpose(picture), cv2.ROTATE_180),
    8: lambda picture: cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE),
}


def guard_blurred(written: bytes, photo: Photo, mask: Mask, *, is_lossless: bool, exiftool: ExifTool) -> None:
    """Examine a photo in which something was hidden.

    Args:
        written: the file, read again from where it lies.
        photo: the source.
        mask: uint8, upright, see `pii_blur.mask`.
        is_lossless: whether it claims to be the source outside the hidden blocks.
        exiftool: compares the tags.

    Raises:
        PhotoFailure: code ``leak``, something shows that should not, or ``verify``, something else is not as it must.
    """
    facts = _facts(photo)
    mask = _as_stored(mask, facts.orientation)
    if facts.format == "PNG":
        source, result = _split_png(facts.data), _split_png(written)
        _same_frame(exif_of_png(source.chunks), exif_of_png(result.chunks), _size_of(source), _size_of(result))
        expected = _compare_pixels(_decoded(result), photo, mask, most=0.0)
    else:
        parts, new = split_jpeg(facts.data), _split_jpeg(written)
        frames = _frame(parts.to_bytes()), _frame(written)
        _same_frame(exif_of(parts.segments), exif_of(new.segments), *((one.width, one.height) for one in frames))
        if is_lossless:
            expected = _compare_blocks(parts.to_bytes(), written, mask, frames)
        else:
            expected = _compare_pixels(_decoded(written), photo, mask, most=_MOST_CHANGE)
    _check_around(written, facts, expected, exiftool)


def guard_copy(written: bytes, photo: Photo, *, exiftool: ExifTool) -> None:
    """Examine a photo in which nothing was found: the same picture, and no other.

    Raises:
        PhotoFailure: see `guard_blurred`.
    """
    facts = _facts(photo)
    if facts.format == "PNG":
        same = _coding(_split_png(facts.data)) == _coding(_split_png(written))
        if not same and not np.array_equal(_decoded(_split_png(written)), _as_stored(photo.pixels, facts.orientation)):
            raise _wrong("its picture is not the source's")
    elif facts.damage:
        parts, new = split_jpeg(facts.data), _split_jpeg(written)
        frames = _frame(parts.to_bytes()), _frame(written)
        _same_frame(exif_of(parts.segments), exif_of(new.segments), *((one.width, one.height) for one in frames))
        nothing = np.zeros(photo.pixels.shape[:2], dtype=np.uint8)
        _compare_pixels(_decoded(written), photo, _as_stored(nothing, facts.orientation), most=_MOST_CHANGE)
    elif _split_jpeg(written).coded != split_jpeg(facts.data).coded:
        raise _wrong("its picture is not the source's")
    height, width = photo.pixels.shape[:2]
    size = (max(width // _SMALL, 1), max(height // _SMALL, 1))
    small = cv2.cvtColor(cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    _check_around(written, facts, Expected(_as_stored(np.asarray(small), facts.orientation), most=99), exiftool)


def _compare_blocks(source: bytes, written: bytes, mask: Mask, frames: tuple[Frame, Frame]) -> Expected:
    """Compare two JPEGs block by block, without decoding them to pixels."""
    if _meaning(frames[0]) != _meaning(frames[1]):
        raise _wrong("it is coded in another way than its source")
    touched = touched_mcus(mask, frames[0])
    with ThreadPoolExecutor(2) as pool:
        reading = [
            pool.submit(read_blocks, data, frame, touched)
            for data, frame in zip((source, written), frames, strict=True)
        ]
        try:
            before, after = (one.result() for one in reading)
        except JpegError as error:
            raise _wrong(f"it does not decode: {error}") from error
    changed = sum(after.outside.get(place) != checksum for place, checksum in before.outside.items())
    if changed or len(before.outside) != len(after.outside):
        raise _wrong(f"coefficients outside the hidden blocks differ in {changed} rows")
    for component, (old, new) in enumerate(zip(before.planes, after.planes, strict=True)):
        across, down = step_of(frames[0], component)
        # PRIVACY: colour has edges as well; every component is looked at.
        part = weakest(mask, down, across)
        height, width = part.shape
        _refuse_detail(shows_through(old[:height, :width], new[:height, :width], part, step=down), across, down)
    height, width = (-(-side // _SMALL) for side in mask.shape)
    return Expected(after.small[:height, :width], before.small[:height, :width])


def _compare_pixels(written: Pixels, photo: Photo, mask: Mask, *, most: float) -> Expected:
    """Compare decoded pictures: outside what is hidden they are equal, or nearly so."""
    source = _as_stored(photo.pixels, _facts(photo).orientation)
    difference = cv2.absdiff(written, source)
    difference[mask != UNTOUCHED] = 0
    size = (max(mask.shape[1] // _TILE, 1), max(mask.shape[0] // _TILE, 1))
    worst = difference if most == 0 else cv2.resize(difference, size, interpolation=cv2.INTER_AREA)
    if worst.max() > most:
        raise _wrong("the picture outside the hidden regions differs from its source")
    old, new = (np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), dtype=np.uint8) for pixels in (source, written))
    for component in range(3):
        before, after = (np.ascontiguousarray(pixels[..., component]) for pixels in (old, new))
        _refuse_detail(shows_through(before, after, mask), 1, 1)
    size = (max(mask.shape[1] // _SMALL, 1), max(mask.shape[0] // _SMALL, 1))
    result, original = (cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)[..., 0] for pixels in (new, old))
    return Expected(np.ascontiguousarray(result, dtype=np.uint8), np.ascontiguousarray(original, dtype=np.uint8))


def _check_around(written: bytes, facts: PhotoFacts, expected: Expected, exiftool: ExifTool) -> None:
    """Examine everything in a file that is not its picture."""
    if facts.format == "PNG":
        source, png = split_png(facts.data), split_png(written)
        blocks = [(chunk.type.decode("ascii", "replace"), chunk.content) for chunk in png.metadata]
        has_more = png.is_animated and written != facts.data
        trailer, suffix, is_cmyk = png.trailer, ".png", False
        carriers = [assemble_png(one.metadata, _tiny("PNG")) for one in (source, png)]
    else:
        parts, jpeg = split_jpeg(facts.data), split_jpeg(written)
        blocks = [(block.name, block.data) for block in join_blocks(jpeg.segments)]
        has_more = any(one.payload.startswith(JFXX) for one in jpeg.segments)
        trailer, suffix = jpeg.trailer, ".jpg"
        is_cmyk = len(_frame(parts.to_bytes()).components) == 4 != len(_frame(written).components)
        carriers = [Jpeg(one.segments, split_jpeg(_tiny("JPEG")).coded).to_bytes() for one in (parts, jpeg)]
    # PRIVACY: whatever stands behind or beside the picture and shows a picture was never examined.
    if trailer.strip(b"\0"):
        raise _leak("data after the end of the picture")
    if has_more:
        raise _leak("further frames, or a thumbnail of JFIF's")
    if what := foreign_pictures(blocks, expected):
        raise _leak(what)
    if written == facts.data:
        return
    if facts.format != "PNG" and (lost := _lost_block(parts.segments, jpeg.segments, is_cmyk=is_cmyk)):
        raise _wrong(f"{lost} is lost or changed")
    # The photo itself is not given to exiftool, only what stands round it.
    before, after = (exiftool.read_tags(carrier, suffix, "-b") for carrier in carriers)
    changed = [tag for tag in changed_tags(before, after, is_cmyk=is_cmyk) if not holds_picture(before.get(tag, ""))]
    if changed:
        raise _wrong(f"tags are lost or changed: {', '.join(changed[:5])}")


# Blocks that exiftool takes apart and puts together again: their tags are compared. All others stay byte for byte.
# A nameless APP0 is Canon's CIFF; FLIR's pictures are blanked where they stand, with or without a signature.
_OF_TAGS = (
    "APP0 JFXX",
    "APP1 Exif",
    "APP1 xap",
    "APP1 xmp",
    "APP1 FLIR",
    "APP2 MPF",
    "APP2 FPXR",
    "APP13 Photoshop",
    "APP14 Adobe",
)


def _lost_block(before: Sequence[Segment], after: Sequence[Segment], *, is_cmyk: bool) -> str:
    """Return the name of a block that is not what it was, though it holds no picture; empty if there is none."""
    left = {block.name: block.data for block in join_blocks(after)}
    for block in join_blocks(before):
        is_free = block.name.startswith(_OF_TAGS) or block.name in ("APP0", "APP2 ICC_PROFILE" * is_cmyk)
        kept = left.get(block.name, b"")
        # With a picture in it, it may be gone, or be blanked in its place.
        is_blanked = len(kept) in (0, len(block.data)) and bool(find_pictures(block.data))
        if not (is_free or kept == block.data or is_blanked):
            return block.name
    return ""


def _same_frame(old_exif: bytes, new_exif: bytes, old: tuple[int, int], new: tuple[int, int]) -> None:
    if old != new:
        raise _wrong("it has another size")
    if read_orientation(old_exif) != read_orientation(new_exif):
        raise _wrong("it has another orientation")


def _meaning(frame: Frame) -> tuple[object, ...]:
    """Return what decides which picture coefficients stand for."""
    lone = len(frame.components) == 1
    components = [
        ((1, 1) if lone else (one.horizontal, one.vertical), frame.tables[one.table].tobytes())
        for one in frame.components
    ]
    return frame.precision, frame.is_progressive, frame.adobe_transform, components


def _refuse_detail(place: tuple[int, int] | None, across: int, down: int) -> None:
    if place is not None:
        raise _leak(f"a hidden region, in which the photo shows through near {place[0] * across}, {place[1] * down}")


def _as_stored(picture: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn an upright picture the way it lies in the file; by other means than those that made the file."""
    turn = _TURNS.get(orientation)
    return picture if turn is None else np.asarray(turn(picture), dtype=np.uint8)


def _frame(data: bytes) -> Frame:
    try:
        return read_frame(data)
    except FrameError as error:
        raise _wrong(str(error)) from error


def _split_jpeg(data: bytes) -> Jpeg:
    try:
        return split_jpeg(data)
    except PhotoFailure as error:
        raise _wrong(error.message) from error


def _split_png(data: bytes) -> Png:
    try:
        return split_png(data)
    except PhotoFailure as error:
        raise _wrong(error.message) from error


def _decoded(written: bytes | Png) -> Pixels:
    try:
        return decode_png(written) if isinstance(written, Png) else decode_jpeg(written)
    except PhotoFailure as error:
        raise _wrong(error.message) from error


def _size_of(png: Png) -> tuple[int, int]:
    header = png.chunks[0].payload
    return int.from_bytes(header[:4]), int.from_bytes(header[4:8])


def _coding(png: Png) -> list[bytes]:
    return [chunk.payload for chunk in png.chunks if chunk.type in (b"IHDR", b"PLTE", b"tRNS", b"IDAT")]


def _facts(photo: Photo) -> PhotoFacts:
    assert photo.facts is not None, "only a photo that was read from a file can be compared with it"
    return photo.facts


@functools.cache
def _tiny(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), 128).save(file, kind)
    return file.getvalue()


def _wrong(what: str) -> PhotoFailure:
    return PhotoFailure(f"the written file is not as it must be ({what}); nothing was published", "verify")


def _leak(what: str) -> PhotoFailure:
    message = f"the written file still carries something that was not blurred ({what}); nothing was published"
    return PhotoFailure(message, "leak")
