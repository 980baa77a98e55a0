"""Puts one input through the whole of `blur_photo` and examines what came of it, by other means than the program's own.

A damaged file may be refused, with a code that means it, or done. Whatever else happens is a bug.
"""

from __future__ import annotations

import io
import re
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from pii_blur.detect.detections import Detections
from pii_blur.labels import Label
from pii_blur.mask import RIM
from pii_blur.photo.exiftool import ExifTool
from pii_blur.photo.orientation import as_stored
from pii_blur.photo.read import read_photo
from pii_blur.pipeline import Tools, blur_photo, find_regions, hide_regions
from pii_blur.results import Outcome, PhotoResult
from pii_blur.settings import Settings
from pii_blur.zones import Zone
from tests.fuzz.inputs import FuzzInput
from tests.fuzz.mutations import jpeg_pieces
from tests.fuzz.readers import ERROR_CODES

REFUSALS = ERROR_CODES | {"exiftool", "metadata"}
GUARDED = {"leak", "verify"}
_LEAST_DETAIL = 8.0  # grey levels of contrast between neighbours: only where there is some can it be seen to be gone
_MOST_ALIKE = 0.8  # correlation of the detail before and after; a blur leaves a few per cent, the photo itself is 1
_REACH = 34  # pixels: the largest MCU, and what chroma reaches beyond it
_MOST_DIFFERENCE = 30.0  # grey levels, mean, between a thumbnail and its photo
_MOST_TRIALS = 100  # of opening something, each of which
_LARGEST_EMBEDDED = 100_000  # gets so many bytes: Pillow is slow in looking for what is not there
_MOST_BYTES = 300_000
_MOST_PIXELS = 80_000_000  # beyond which Pillow makes difficulties


class FoundBug(Exception):
    """Something that must not be; the message says what, without anything that differs between two inputs alike."""


class StandInDetector:
    """Finds a thing in the middle of some views, by what they show: no network, and always the same."""

    size = 64
    name = "stand-in"
    sha256 = "0" * 64

    def __init__(self, *, finds: bool) -> None:
        self._finds = finds

    def detect(self, crop: NDArray[np.uint8], thresholds: Mapping[Label, float]) -> Detections:
        """Return one box or none."""
        if not self._finds or int(crop.astype(np.int64).sum()) % 5:
            return Detections.none()
        box = np.array([[24, 24, 42, 46]], dtype=np.float32)
        return Detections(box, np.full(1, 0.9, np.float32), np.zeros(1, np.int16))

    def rest(self) -> None:
        """There is no memory to give back."""


# A zone as well, so that something is hidden in almost every photo.
HIDING = Settings(views="fast", zones=(Zone("hide", 0.0, 0.0, 40.0, 40.0, "middle"),))
COPYING = Settings(views="fast")


@dataclass(frozen=True)
class Verdict:
    """How an input ended.

    Attributes:
        kind: ``blurred``, ``clean``, ``refused``, or ``guarded``: the program was not content with its own result.
        reason: which way it was written, or why it was not.
    """

    kind: str
    reason: str


def judge(item: FuzzInput, folder: Path, exiftool: ExifTool) -> Verdict:
    """Run one input in an empty folder, which is empty again afterwards.

    Raises:
        FoundBug: something is wrong.
    """
    source, target = folder / f"photo{item.suffix}", folder / "out" / f"photo{item.suffix}"
    source.write_bytes(item.data)
    settings = HIDING if item.finds else COPYING
    tools = Tools(StandInDetector(finds=item.finds), exiftool)
    try:
        result = blur_photo(source, target, settings, tools)
        if source.read_bytes() != item.data:
            raise FoundBug("the source was changed")
        if result.outcome is Outcome.FAILED:
            return _judge_refusal(result, target, item.recipe)
        if [one.name for one in target.parent.iterdir()] != [target.name]:
            raise FoundBug("something was left beside the result")
        is_judged = _judge_result(source, target.read_bytes(), result, tools, settings)
        way = result.way.partition(" (")[0]
        return Verdict(result.outcome.value, way if is_judged else f"{way}, nobody else can open it")
    except FoundBug:
        raise
    except Exception as error:
        raise FoundBug(_describe(error)) from error
    finally:
        for left in [*folder.glob("out/.*"), *folder.glob("out/*"), *folder.glob("photo*")]:
            left.unlink(missing_ok=True)


def _judge_refusal(result: PhotoResult, target: Path, recipe: str) -> Verdict:
    error = result.error
    assert error is not None
    if target.parent.exists() and any(target.parent.iterdir()):
        raise FoundBug("a photo was refused, yet something was written")
    if error.code in GUARDED and " > " in recipe:
        return Verdict("guarded", f"{error.code}: {_without_numbers(error.message)}")
    if error.code == "exiftool" and "takes too long" in error.message:  # stopped after a time-out, as it must be
        return Verdict("refused", "exiftool took too long")
    if error.code not in REFUSALS or "died" in error.message:
        raise FoundBug(f"{error.code} at {error.stage}: {_without_numbers(error.message)}")
    if not error.message or not error.stage:
        raise FoundBug("a refusal without a reason")
    return Verdict("refused", error.code)


def _without_numbers(message: str) -> str:
    """Shorten a message to what it has in common with others of its kind."""
    inner = message[message.find("(") + 1 : message.rfind(")")] if "(" in message else message
    return re.sub(r"\d+", "N", inner)[:110]


def _judge_result(source: Path, written: bytes, result: PhotoResult, tools: Tools, settings: Settings) -> bool:
    """Return whether it could be judged: not what neither Pillow nor OpenCV could open in the first place."""
    photo = read_photo(source)
    assert photo.facts is not None
    before, after = _decode(source.read_bytes()), _decode(written)
    if after is None:
        if before is not None:
            raise FoundBug("Pillow can open the source, but not the result")
        if _decode_otherwise(source.read_bytes()) is None:
            return False
        after = _decode_otherwise(written)  # Pillow cannot stand damaged metadata in some formats
        if after is None:
            raise FoundBug("OpenCV can open the source, but not the result")
    # Pillow turns TIFF, and only TIFF, upright.
    orientation = 1 if photo.facts.format == "TIFF" else photo.facts.orientation
    if after.shape != as_stored(photo.pixels, orientation).shape:
        raise FoundBug("the result has another size")
    _judge_pictures(written, after, largest=160 if result.outcome is Outcome.BLURRED else 320)
    if before is None:
        return True
    is_reduced = any(name.startswith("reduced picture") for name in result.removed)  # which counts as a page
    if not is_reduced and _count_pages(source.read_bytes()) != _count_pages(written):
        raise FoundBug("the result has more or fewer pages")
    if result.outcome is Outcome.CLEAN:
        if result.way.startswith(("copied", "picture")) and not np.array_equal(before, after):
            raise FoundBug("a copy looks different")
    else:
        regions = find_regions(photo, tools.detector, settings)
        mask = as_stored(hide_regions(photo, regions, settings).mask, orientation)
        _judge_hiding(before, after, mask > RIM)
        if result.way.startswith("lossless") and not _lacks_scans(source.read_bytes()):
            _judge_outside(before, after, mask)
    return True


def _judge_hiding(before: NDArray[np.uint8], after: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> None:
    """Look for the photo's own detail where something was hidden."""
    inside = cv2.erode(np.pad(hidden, 1).astype(np.uint8), np.ones((9, 9), np.uint8))[1:-1, 1:-1] > 0
    if inside.sum() < 64:
        return
    detail = [cv2.Laplacian(picture.mean(axis=2).astype(np.float32), cv2.CV_32F)[inside] for picture in (before, after)]
    # A few strong edges, where two regions meet, must not speak for all the rest.
    limit = 3 * float(np.median(np.abs(detail[0])))
    detail = [np.clip(one, -limit, limit) for one in detail]
    if detail[0].std() < _LEAST_DETAIL or detail[1].std() < 1:
        return
    if np.corrcoef(detail[0], detail[1])[0, 1] > _MOST_ALIKE:
        raise FoundBug("a hidden region still shows the photo")


def _judge_outside(before: NDArray[np.uint8], after: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    """Make sure that nothing changed away from what was hidden."""
    near = cv2.dilate((mask > 0).astype(np.uint8), np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)) > 0
    if cv2.absdiff(before, after)[~near].any():
        raise FoundBug("a lossless result differs outside the hidden regions")


def _lacks_scans(data: bytes) -> bool:
    """Whether scans of a progressive JPEG are missing, or stand behind its end.

    Libjpeg smooths what it has of such a picture. In the result, with the same coefficients, it cannot know of that.
    """
    pieces = jpeg_pieces(data)[:-1] if data[:2] == b"\xff\xd8" else []  # the last one stands behind the end
    frame = next((one for one in pieces if one[:2] == b"\xff\xc2" and len(one) > 9), None)
    if frame is None:
        return False
    whole = set()
    for scan in (one for one in pieces if one[:2] == b"\xff\xda" and len(one) > 5 + 2 * one[4]):
        count = scan[4]
        first, last, low_bit = (*scan[5 + 2 * count : 8 + 2 * count], 0, 0, 0)[:3]
        if low_bit & 15 == 0:
            whole |= {(scan[5 + 2 * n], place) for n in range(count) for place in range(first, min(last, 63) + 1)}
    return len(whole) < 64 * frame[9]


def _judge_pictures(written: bytes, stored: NDArray[np.uint8], *, largest: int) -> None:
    """Look for a second picture, anywhere in the file, that opens and is no small version of the file's own."""
    own = cv2.resize(stored, (16, 8), interpolation=cv2.INTER_AREA).astype(np.float32)
    coded = _start_of_coded(written)
    for place in _beginnings(written):
        # What begins in the metadata must not borrow from the file's own picture behind it.
        end = coded if place < coded else len(written)
        picture = _decode(written[place : min(place + _LARGEST_EMBEDDED, end)], is_lenient=True)
        if picture is None:
            continue
        if max(picture.shape[:2]) > largest:
            raise FoundBug("a second picture")
        other = cv2.resize(picture, (16, 8), interpolation=cv2.INTER_AREA)
        if np.abs(other - own).mean() > _MOST_DIFFERENCE:
            raise FoundBug("a thumbnail that shows something else")


def _start_of_coded(data: bytes) -> int:
    """Return where the tables of a JPEG begin; 0 for any other file."""
    place = 0
    for piece in jpeg_pieces(data) if data[:2] == b"\xff\xd8" else ():
        if place and piece[1:2] and not (0xE0 <= piece[1] <= 0xEF or piece[1] == 0xFE):
            return place
        place += len(piece)
    return 0


def _beginnings(data: bytes) -> list[int]:
    """Return where further pictures may begin."""
    places = []
    for signature in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"ftyp"):
        place = data.find(signature, 1)
        while place >= 0 and len(places) < _MOST_TRIALS:
            places.append(place - 4 * (signature == b"ftyp"))
            place = data.find(signature, place + 1)
    return [place for place in places if place > 0]


def _decode(data: bytes, *, is_lenient: bool = False) -> NDArray[np.uint8] | None:
    """Return RGB pixels as Pillow sees them, None if it cannot; leniently, also those of a picture that is cut off."""
    ImageFile.LOAD_TRUNCATED_IMAGES = is_lenient
    try:
        if len(data) > _MOST_BYTES:  # Pillow goes over fill bytes and junk one by one
            return _decode_otherwise(data)
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return None
            return np.asarray(opened.convert("RGB"))
    except Exception:  # whatever Pillow stumbles over; it is the judge here, not the accused
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _decode_otherwise(data: bytes) -> NDArray[np.uint8] | None:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if picture is None else np.ascontiguousarray(picture[..., ::-1])


def _count_pages(data: bytes) -> int:
    """Return how many pages Pillow sees in a TIFF file, 0 in any other, or if it loses its way."""
    if data[:2] not in (b"II", b"MM"):  # Pillow takes seconds for megabytes of fill bytes in a JPEG
        return 0
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as opened:
            return int(getattr(opened, "n_frames", 1)) if opened.format == "TIFF" else 0
    except (OSError, SyntaxError, ValueError):
        return 0


def _describe(error: Exception) -> str:
    """Name an error and where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if "pii_blur" in one.filename] or frames
    places = " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(own[-4:]))
    return f"{type(error).__name__}: {str(error)[:100]} ({places})"
