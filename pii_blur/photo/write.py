"""Photo -> file: put picture and metadata together, verify, publish. Nothing is at the destination before that."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from pii_blur.photo.cleaner import Cleaner
from pii_blur.photo.contents import Built, Contents
from pii_blur.photo.embedded import Embedded, find_pictures, join_blocks, without_pictures
from pii_blur.photo.encode import encode_anew, encode_jpeg, facts_of, make_thumbnail
from pii_blur.photo.exif_ifd import uncompressed_pictures
from pii_blur.photo.exiftool import ExifTool
from pii_blur.photo.flir import blank_thermal
from pii_blur.photo.formats import Format, format_of
from pii_blur.photo.guard import guard_blurred, guard_copy
from pii_blur.photo.jpeg_frame import read_frame
from pii_blur.photo.jpeg_segments import APP2, JFXX, Jpeg, Segment, assemble, split_jpeg
from pii_blur.photo.metadata import Mark, clean_segments
from pii_blur.photo.openable import anything_openable
from pii_blur.photo.orientation import as_stored
from pii_blur.photo.photo import HiddenPhoto, Photo, PhotoFacts, Pixels
from pii_blur.photo.publish import publish

_ICC = b"ICC_PROFILE\0"


@dataclass(frozen=True, slots=True)
class Written:
    """What was published.

    Attributes:
        sha256, size: of the file.
        way: ``lossless``, ``re-encoded (reason)`` or ``copied``.
        removed: names of embedded pictures, films and trailers that were taken out.
    """

    sha256: str
    size: int
    way: str
    removed: tuple[str, ...] = ()


def write_photo(
    photo: Photo, hidden: HiddenPhoto, destination: Path, *, exiftool: ExifTool, mark: Mark | None = None
) -> Written:
    """Write a photo in which something was hidden.

    Args:
        photo: the source, from `read_photo`.
        hidden: its new pixels.
        destination: an existing file is replaced at the very end.
        exiftool: cleans the metadata.
        mark: recorded in XMP.

    Raises:
        PhotoFailure: nothing is at the destination that was not there before. Codes ``exiftool``, ``verify``, ``leak``,
            ``write``.
        CannotWrite: the disk is full or read-only.
    """
    with exiftool.one_photo():
        return _write_photo(photo, hidden, destination, exiftool, mark)


def _write_photo(
    photo: Photo, hidden: HiddenPhoto, destination: Path, exiftool: ExifTool, mark: Mark | None
) -> Written:
    facts = facts_of(photo)
    stored = as_stored(hidden.pixels, facts.orientation)
    # PRIVACY: from the blurred pixels, never from the source's thumbnail.
    thumbnail = make_thumbnail(stored)
    if facts.contents is not None:
        built = _build_other(photo, hidden, facts.contents, Cleaner(exiftool, thumbnail, mark))
        data, way, removed = built.data, built.way, built.removed
    else:
        data, way, removed = _build_jpeg(photo, hidden, exiftool, thumbnail, mark)
    is_lossless = way.startswith("lossless")
    guard = partial(guard_blurred, photo=photo, mask=hidden.mask, is_lossless=is_lossless, exiftool=exiftool)
    publish(data, destination, check=guard)
    return Written(hashlib.sha256(data).hexdigest(), len(data), way, removed)


def copy_clean(photo: Photo, destination: Path, *, exiftool: ExifTool) -> Written:
    """Write a photo in which nothing was found: byte for byte, unless it carries what nobody examined.

    A second picture, film, sound or trailer is taken out in place, and so is a thumbnail that shows something else than
    the photo; the coded picture and all other metadata stay as they are. No mark is written.

    Raises:
        PhotoFailure, CannotWrite: see `write_photo`.
    """
    with exiftool.one_photo():
        return _copy_clean(photo, destination, exiftool)


def _copy_clean(photo: Photo, destination: Path, exiftool: ExifTool) -> Written:
    facts = facts_of(photo)
    way = ""
    if facts.contents is not None:
        built = _without_extras_other(photo, facts.contents, exiftool)
        data, way, removed = built.data, built.way, built.removed
    elif facts.damage:
        # PRIVACY: another decoder may show what ours, and so the detector, did not see.
        data, removed = _recoded(encode_anew(photo), split_jpeg(facts.data), exiftool)
        way = f"re-encoded ({facts.damage})"
    else:
        data, removed = _without_extras_jpeg(photo, facts, exiftool)
    publish(data, destination, check=partial(guard_copy, photo=photo, exiftool=exiftool))
    way = way or ("copied" if data == facts.data else "picture copied")
    return Written(hashlib.sha256(data).hexdigest(), len(data), way, removed)


def _build_jpeg(
    photo: Photo, hidden: HiddenPhoto, exiftool: ExifTool, thumbnail: bytes, mark: Mark | None
) -> tuple[bytes, str, tuple[str, ...]]:
    facts = facts_of(photo)
    picture, way = encode_jpeg(photo, hidden)
    source = split_jpeg(facts.data)
    if not way.startswith("lossless"):
        data, removed = _recoded(picture, source, exiftool, thumbnail, mark)
        return data, way, removed
    cleaned = clean_segments(source.segments, exiftool, thumbnail=thumbnail, mark=mark)
    data = assemble(cleaned.segments, picture, is_recoded=False)
    return data, way, (*cleaned.removed, *_strays(source))


def _recoded(
    picture: bytes, source: Jpeg, exiftool: ExifTool, thumbnail: bytes = b"", mark: Mark | None = None
) -> tuple[bytes, tuple[str, ...]]:
    """Put the source's cleaned metadata round a picture that was encoded anew."""
    segments: Sequence[Segment] = source.segments
    removed = _strays(source)
    if _is_cmyk(source):
        # The picture is RGB now; under a printer's profile its colours would be garbage.
        segments = [one for one in segments if not (one.marker == APP2 and one.payload.startswith(_ICC))]
        removed += ("CMYK colour profile",) * (len(segments) < len(source.segments))
    cleaned = clean_segments(segments, exiftool, thumbnail=thumbnail, mark=mark)
    return assemble(cleaned.segments, picture, is_recoded=True), (*cleaned.removed, *removed)


def _build_other(photo: Photo, hidden: HiddenPhoto, contents: Contents, cleaner: Cleaner) -> Built:
    facts = facts_of(photo)
    pixels, mask = (as_stored(array, facts.orientation) for array in (hidden.pixels, hidden.mask))
    return _format_of(facts).write(facts.data, contents.raster.with_hidden(pixels, mask), mask, cleaner)


def _without_extras_jpeg(photo: Photo, facts: PhotoFacts, exiftool: ExifTool) -> tuple[bytes, tuple[str, ...]]:
    source = split_jpeg(facts.data)
    stored = as_stored(photo.pixels, facts.orientation)
    segments, keep, has_extras = source.segments, [], False
    for block in join_blocks(segments):
        has_extras |= block.data.startswith(JFXX) or bool(uncompressed_pictures(block.data))
        has_extras |= block.name.startswith("APP1 FLIR") and bool(blank_thermal(block.data)[1])
        # PRIVACY: FlashPix may hold previews in a coding of its own, which nobody can tell by their looks.
        has_extras |= block.name.startswith("APP2 FPXR")
        found = find_pictures(block.data)
        same = [block.data[one.start : one.end] for one in found if _shows_same(block.data, one, stored)]
        has_extras |= len(same) < len(found) or bool(anything_openable(without_pictures(block.data, same)))
        keep += same
    removed = _strays(source)
    if not has_extras and not removed:
        return facts.data, ()
    if has_extras or any(segment.payload.startswith(b"MPF\0") for segment in segments):
        cleaned = clean_segments(segments, exiftool, keep=keep)
        segments, removed = cleaned.segments, (*cleaned.removed, *removed)
    data = Jpeg(segments, source.coded).to_bytes()
    return data, removed


def _without_extras_other(photo: Photo, contents: Contents, exiftool: ExifTool) -> Built:
    facts = facts_of(photo)
    stored = as_stored(photo.pixels, facts.orientation)
    found = [(block, one) for _, block in contents.blocks for one in find_pictures(block)]
    has_bare = any(uncompressed_pictures(block) for _, block in contents.blocks)
    if not contents.strays and not has_bare and all(_shows_same(block, one, stored) for block, one in found):
        return Built(facts.data, "copied")
    return _format_of(facts).strip(facts.data, Cleaner(exiftool))


# A thumbnail shows the photo if no part of it differs by more than sharpening, colour processing and coarse coding do.
_SMALL = 320  # pixels; a larger picture is a second photo, not a thumbnail
_MOST_BYTES = 1 << 16  # all that Exif has room for; decoders take seconds for megabytes of what is no picture
_CELLS = 16
_MOST_DIFFERENCE = 28.0  # grey levels, mean over a cell


def _shows_same(data: bytes, one: Embedded, stored: Pixels) -> bool:
    """Whether an embedded picture is a small version of the photo, perhaps with black bars (DCF wants 160 x 120)."""
    found = data[one.start : one.end]
    if one.kind != "JPEG" or one.encoded or len(found) > _MOST_BYTES or found.count(b"\xff\xd8\xff") != 1:
        return False
    try:
        with Image.open(io.BytesIO(found)) as picture:
            if max(picture.size) > _SMALL or min(picture.size) < _CELLS:
                return False
            small = np.asarray(picture.convert("L"), dtype=np.float32)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError):
        return False
    height, width = stored.shape[:2]
    bar_x = max(round((small.shape[1] - small.shape[0] * width / height) / 2), 0)
    bar_y = max(round((small.shape[0] - small.shape[1] * height / width) / 2), 0)
    small = small[bar_y : small.shape[0] - bar_y, bar_x : small.shape[1] - bar_x]
    if min(small.shape) < _CELLS:
        return False
    photo = cv2.cvtColor(cv2.resize(stored, small.shape[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    cells = [cv2.resize(picture, (2 * _CELLS, _CELLS), interpolation=cv2.INTER_AREA) for picture in (small, photo)]
    return bool(np.abs(cells[0] - cells[1].astype(np.float32)).max() <= _MOST_DIFFERENCE)


def _strays(source: Jpeg) -> tuple[str, ...]:
    """Return, in words, what is neither picture nor metadata; zeros behind the picture are padding and nothing."""
    junk = () if source.is_tidy else ("bytes between segments",)
    if not source.trailer.strip(b"\0"):
        return junk
    kinds = tuple(dict.fromkeys(one.kind for one in find_pictures(source.trailer)))
    behind = kinds or (f"{len(source.trailer)} bytes",)
    return (*junk, *(f"{what} after the picture" for what in behind))


def _format_of(facts: PhotoFacts) -> Format:
    found = format_of(facts.data)
    assert found is not None, "what was read in a format can be written in it"
    return found


def _is_cmyk(source: Jpeg) -> bool:
    return len(read_frame(source.to_bytes()).components) == 4
