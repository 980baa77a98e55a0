"""The last look at a finished file, before it gets its name: does it hide what it must, and keep what it must?

Trusts nothing that made the file. It gets the bytes as they lie on the disk, the source's bytes, and the mask that says
where something was to be hidden; everything else it reads from the bytes itself, by other ways than those by which the
file was made: coefficients instead of pixels, attempts to open instead of names of tags.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin

from pii_blur.errors import PhotoFailure
from pii_blur.mask import UNTOUCHED
from pii_blur.photo.exif_ifd import is_given_up
from pii_blur.photo.exiftool import ExifTool
from pii_blur.photo.guard_blocks import Blocks, read_blocks, same_meaning, step_of, touched_mcus
from pii_blur.photo.guard_detail import Plane, shows_through, weakest
from pii_blur.photo.guard_parts import Parts, lost_block, take_apart
from pii_blur.photo.guard_pictures import Expected, foreign_pictures, holds_picture
from pii_blur.photo.photo import Photo, PhotoFacts, Pixels
from pii_blur.photo.raster import Raster
from pii_blur.photo.tags import OF_EXIF, changed_tags
from pii_blur.photo.turbojpeg import JpegError

Mask = NDArray[np.uint8]

_SMALL = 8  # how many times smaller the pictures are that thumbnails are compared with
_TILE = 32
_MOST_CHANGE = 12.0  # grey levels, mean over a tile: what coding a picture anew with its own tables never reaches
_MOST_KEPT = 99  # thumbnails in a photo that was only copied: as many as its makers liked
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
    with _compared(written, photo, exiftool) as (before, after, pool):
        mask = _as_stored(mask, before.orientation)
        if before.contents is not None and after.contents is not None:
            most = 0.0 if before.contents.is_exact else _MOST_CHANGE
            expected = _compare_rasters(before.contents.raster, after.contents.raster, mask, most)
        elif is_lossless:
            expected = _compare_blocks(before, after, mask, pool)
        else:
            source = Raster(_as_stored(photo.pixels, before.orientation))
            expected = _compare_rasters(source, Raster(_decoded(after.plain)), mask, _MOST_CHANGE)
        _refuse_pictures(after, expected)


def guard_copy(written: bytes, photo: Photo, *, exiftool: ExifTool) -> None:
    """Examine a photo in which nothing was found: the same picture, and no other.

    Raises:
        PhotoFailure: see `guard_blurred`.
    """
    facts = _facts(photo)
    with _compared(written, photo, exiftool) as (before, after, _):
        source = _as_stored(photo.pixels, before.orientation)
        if before.contents is not None and after.contents is not None:
            old, new = before.contents.raster, after.contents.raster
            if not np.array_equal(old.samples, new.samples):
                if before.contents.is_exact:
                    raise _wrong("its picture is not the source's")
                # What has no lossless coding loses its further pictures only by being coded anew.
                _compare_rasters(old, new, np.zeros(old.samples.shape[:2], dtype=np.uint8), _MOST_CHANGE)
        elif facts.damage:
            nothing = np.zeros(source.shape[:2], dtype=np.uint8)
            _compare_rasters(Raster(source), Raster(_decoded(after.plain)), nothing, _MOST_CHANGE)
        elif before.coded != after.coded:
            raise _wrong("its picture is not the source's")
        _refuse_pictures(after, Expected(_brightness(source), most=_MOST_KEPT))


@contextmanager
def _compared(written: bytes, photo: Photo, exiftool: ExifTool) -> Iterator[tuple[Parts, Parts, Executor]]:
    """Take source and result apart and compare all but the pictures; exiftool works while the pictures are compared."""
    facts = _facts(photo)
    before = take_apart(facts.data, facts.format)
    try:
        after = take_apart(written, facts.format)
    except PhotoFailure as error:
        raise _wrong(error.message) from error
    if before.size != after.size:
        raise _wrong("it has another size")
    if before.orientation != after.orientation or before.orientation != facts.orientation:
        raise _wrong("it has another orientation")
    # PRIVACY: whatever stands behind or beside the picture may show what was never examined.
    if after.strays:
        raise _leak(after.strays)
    if name := lost_block(before, after):
        raise _wrong(f"{name} is lost or changed")
    with ThreadPoolExecutor(3) as pool:
        tags = pool.submit(_changed_tags, before, after, exiftool) if written != facts.data else None
        yield before, after, pool
        if tags is not None and (changed := tags.result()):
            raise _wrong(f"tags are lost or changed: {', '.join(changed[:5])}")


def _changed_tags(before: Parts, after: Parts, exiftool: ExifTool) -> list[str]:
    """Return the tags that are not what they were, though they must be."""
    # What could not be told apart was not kept.
    left_out = OF_EXIF if is_given_up(before.exif, after.exif) else ()
    old, new = (exiftool.read_tags(parts.carrier, parts.suffix, "-b", *left_out) for parts in (before, after))
    changed = changed_tags(old, new, is_cmyk=before.is_cmyk and not after.is_cmyk)
    # A JPEG's comment was compared byte for byte; exiftool shows no zeros, which a film in it begins with.
    is_done = {"File:Comment"} if before.frame is not None else set()
    return [tag for tag in changed if tag not in is_done and not holds_picture(old.get(tag, ""))]


def _compare_blocks(before: Parts, after: Parts, mask: Mask, pool: Executor) -> Expected:
    """Compare two JPEGs block by block, without decoding them to pixels."""
    assert before.frame is not None and after.frame is not None
    if not same_meaning(before.frame, after.frame):
        raise _wrong("it is coded in another way than its source")
    touched = touched_mcus(mask, before.frame)
    reading = [pool.submit(read_blocks, parts.plain, before.frame, touched) for parts in (before, after)]
    try:
        old, new = (one.result() for one in reading)
    except JpegError as error:
        raise _wrong(f"it does not decode: {error}") from error
    changed = sum(old.outside[place] != new.outside.get(place) for place in old.outside)
    if changed:
        raise _wrong(f"coefficients outside the hidden blocks differ in {changed} rows")
    _refuse_detail_of_blocks(before, old, new, mask, pool)
    height, width = (-(-side // _SMALL) for side in mask.shape)
    return Expected(new.small[:height, :width], old.small[:height, :width])


def _refuse_detail_of_blocks(before: Parts, old: Blocks, new: Blocks, mask: Mask, pool: Executor) -> None:
    assert before.frame is not None
    steps = [step_of(before.frame, component) for component in range(len(old.planes))]
    masks = {step: weakest(mask, step[1], step[0]) for step in set(steps)}

    def look(source: Plane, result: Plane, step: tuple[int, int]) -> tuple[int, int] | None:
        across, down = step
        part = masks[step]
        height, width = part.shape
        place = shows_through(source[:height, :width], result[:height, :width], part, step=down)
        return place and (place[0] * across, place[1] * down)

    # PRIVACY: colour has edges as well; every component is looked at.
    for place in pool.map(look, old.planes, new.planes, steps):
        _refuse_detail(place)


def _compare_rasters(source: Raster, result: Raster, mask: Mask, most: float) -> Expected:
    """Compare decoded pictures: outside what is hidden they are equal, or nearly so."""
    if (source.samples.shape, source.samples.dtype) != (result.samples.shape, result.samples.dtype):
        raise _wrong("it has other channels or another depth")
    # As many bits as the source has: the brightest pixel may be a hidden one.
    old, new = source.to_rgb(), Raster(result.samples, source.bits).to_rgb()
    if most == 0.0:
        differs = source.differs_from(result)
        is_wrong = bool(differs[mask == UNTOUCHED].any())
    else:
        difference = cv2.absdiff(new, old)
        difference[mask != UNTOUCHED] = 0
        size = (max(mask.shape[1] // _TILE, 1), max(mask.shape[0] // _TILE, 1))
        is_wrong = bool(cv2.resize(difference, size, interpolation=cv2.INTER_AREA).max() > most)
    if is_wrong:
        raise _wrong("the picture outside the hidden regions differs from its source")
    before, after = (_planes(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)) for pixels in (old, new))
    if source.samples.dtype != np.uint8 and most == 0.0:
        # PRIVACY: the lower bits of deep samples are a picture of their own.
        before += _planes(source.samples[..., : source.colours])
        after += _planes(result.samples[..., : source.colours])
    for plane, other in zip(before, after, strict=True):
        _refuse_detail(shows_through(plane, other, mask))
    return Expected(_brightness(new), _brightness(old))


def _planes(picture: object) -> list[NDArray[np.uint8]]:
    """Return the channels of a picture, of deep samples the lower eight bits."""
    samples = np.asarray(picture)
    return [np.ascontiguousarray(samples[..., channel] & 0xFF).astype(np.uint8) for channel in range(samples.shape[2])]


def _brightness(pixels: Pixels) -> NDArray[np.uint8]:
    size = (max(pixels.shape[1] // _SMALL, 1), max(pixels.shape[0] // _SMALL, 1))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _refuse_pictures(after: Parts, expected: Expected) -> None:
    # PRIVACY: after all that took pictures out, nothing that is left may open as one but the fresh thumbnail.
    if what := foreign_pictures(after.blocks, expected):
        raise _leak(what)


def _refuse_detail(place: tuple[int, int] | None) -> None:
    if place is not None:
        raise _leak(f"a hidden region, in which the photo shows through near {place[0]}, {place[1]}")


def _as_stored(picture: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn an upright picture the way it lies in the file; by other means than those that made the file."""
    turn = _TURNS.get(orientation)
    return picture if turn is None else np.asarray(turn(picture), dtype=np.uint8)


def _decoded(written: bytes) -> Pixels:
    try:
        # Not Image.open: its own, lower limit on the number of pixels is not ours.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about damaged Exif, which plays no part here
            with JpegImagePlugin.JpegImageFile(io.BytesIO(written)) as picture:
                return np.array(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise _wrong(f"it does not decode: {error}") from error


def _facts(photo: Photo) -> PhotoFacts:
    assert photo.facts is not None, "only a photo that was read from a file can be compared with it"
    return photo.facts


def _wrong(what: str) -> PhotoFailure:
    why = f"the written file is not as it must be ({what})"
    return PhotoFailure(f"{why}; nothing was published: please report it", "verify")


def _leak(what: str) -> PhotoFailure:
    why = f"the written file still carries something that was not blurred ({what})"
    return PhotoFailure(f"{why}; nothing was published: please report it", "leak")
