"""Every format but JPEG from file to file, with the real exiftool and the guard."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo.exiftool import ExifTool, open_exiftool
from pii_blur.photo.metadata import Mark
from pii_blur.photo.photo import Photo
from pii_blur.photo.read import read_photo
from pii_blur.photo.tags import changed_tags
from pii_blur.photo.write import copy_clean, write_photo
from pii_blur.pipeline import Tools, blur_photo
from pii_blur.results import Outcome
from pii_blur.settings import Settings
from pii_blur.sphere.extent import PanoExtent
from pii_blur.sphere.quad import SphereQuad
from tests.formats import PROFILE, Samples, avif, heic, hide_plainly, picture, pillow, png, tiff
from tests.photos import pictures_anywhere, street, with_tags
from tests.scenes import ColourDetector, background, draw_people, grid_directions

MARK = Mark("1.0", "model", 0.4, 1, Settings().claim())
TAGS = (
    "-GPSLatitude=48.5",
    "-GPSLatitudeRef=N",
    "-GPSLongitude=9.25",
    "-GPSLongitudeRef=E",
    "-Artist=me",
    "-Make=Camera",
    "-DateTimeOriginal=2024:01:02 03:04:05",
    "-XMP-dc:Creator=me",
    "-ProjectionType=equirectangular",
    "-UsePanoramaViewer=true",
    "-FullPanoWidthPixels=256",
    "-FullPanoHeightPixels=128",
    "-CroppedAreaLeftPixels=0",
)


@dataclass(frozen=True)
class Kind:
    """One kind of file: how to make it, its ending, whether its samples stay exactly."""

    make: Callable[[], bytes]
    suffix: str
    is_exact: bool = True
    tags: tuple[str, ...] = TAGS


def lossy_webp(channels: int) -> Callable[[], bytes]:
    """Return a maker."""
    return lambda: pillow(picture(channels), "WEBP", quality=92, icc_profile=PROFILE)


def lossless_webp(channels: int) -> Callable[[], bytes]:
    """Return a maker."""
    return lambda: pillow(picture(channels), "WEBP", lossless=True, exact=True, icc_profile=PROFILE)


def jpeg_tiff() -> bytes:
    """Return a JPEG-compressed TIFF in YCbCr."""
    file = io.BytesIO()
    Image.fromarray(picture(3)).convert("YCbCr").save(file, "TIFF", compression="jpeg", quality=92)
    return file.getvalue()


DEEP = np.uint16
KINDS = {
    "PNG, grey": Kind(lambda: png(picture(1)), ".png"),
    "PNG": Kind(lambda: png(picture(3), icc_profile=PROFILE), ".png"),
    "PNG, alpha": Kind(lambda: png(picture(4)), ".png"),
    "PNG, 16 bits": Kind(lambda: png(picture(3, DEEP)), ".png"),
    "PNG, 16 bits, alpha": Kind(lambda: png(picture(4, DEEP)), ".png"),
    "TIFF, grey, 16 bits": Kind(lambda: tiff(picture(1, DEEP), compression="zlib", predictor=True), ".tif"),
    "TIFF": Kind(lambda: tiff(picture(3), iccprofile=PROFILE), ".tif"),
    "TIFF, strips": Kind(lambda: tiff(picture(3), rowsperstrip=10, compression="zlib"), ".tif"),
    "TIFF, tiles, 16 bits, alpha": Kind(lambda: tiff(picture(4, DEEP), tile=(32, 32), byteorder=">"), ".tif"),
    "TIFF, LZW": Kind(lambda: pillow(picture(3), "TIFF", compression="tiff_lzw", icc_profile=PROFILE), ".tif"),
    "TIFF, JPEG": Kind(jpeg_tiff, ".tif", is_exact=False),
    "BigTIFF": Kind(lambda: tiff(picture(3, DEEP), bigtiff=True), ".tif", tags=()),
    "WebP": Kind(lossless_webp(3), ".webp"),
    "WebP, alpha": Kind(lossless_webp(4), ".webp"),
    "WebP, lossy": Kind(lossy_webp(3), ".webp", is_exact=False),
    "WebP, lossy, alpha": Kind(lossy_webp(4), ".webp", is_exact=False),
    "HEIC": Kind(lambda: heic(picture(3), quality=92, icc_profile=PROFILE), ".heic", is_exact=False),
    "HEIC, alpha": Kind(lambda: heic(picture(4), quality=92), ".heic", is_exact=False),
    "AVIF": Kind(lambda: avif(picture(3), quality=90, icc_profile=PROFILE), ".avif", is_exact=False),
    "AVIF, alpha": Kind(lambda: avif(picture(4), quality=90), ".avif", is_exact=False),
}


@pytest.fixture(scope="module")
def exiftool() -> Iterator[ExifTool]:
    """One exiftool for all."""
    with open_exiftool() as tool:
        yield tool


def make(name: str, folder: Path, *more: str) -> Path:
    """Write a photo of a kind, with tags."""
    kind = KINDS[name]
    data = kind.make()
    path = folder / f"photo{kind.suffix}"
    arguments = (*kind.tags, *more)
    path.write_bytes(with_tags(data, folder, *arguments, suffix=kind.suffix) if arguments else data)
    return path


def samples(photo: Photo) -> Samples:
    """Return what was read, in full depth."""
    assert photo.facts is not None and photo.facts.contents is not None
    return photo.facts.contents.raster.samples


@pytest.mark.parametrize("name", KINDS)
def test_the_hidden_is_hidden_and_the_rest_is_as_it_was(name: str, tmp_path: Path, exiftool: ExifTool) -> None:
    """Samples in their own depth, transparency, all tags; and the same photo gives the same bytes."""
    path, target = make(name, tmp_path), tmp_path / f"out{KINDS[name].suffix}"
    photo = read_photo(path)
    hidden = hide_plainly(photo)
    written = write_photo(photo, hidden, target, exiftool=exiftool, mark=MARK)
    result = read_photo(target)
    before, after, inside = samples(photo), samples(result), hidden.mask > 0
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    if KINDS[name].is_exact:
        assert written.way == "lossless"
        assert (after[~inside] == before[~inside]).all()
        if before.shape[2] in (2, 4):
            assert (after[..., -1] == before[..., -1]).all()
    else:
        assert np.abs(after[~inside].astype(int) - before[~inside]).mean() < 5
        assert written.way == "lossless" if "JPEG" in name else written.way.startswith("re-encoded (")
    core = cv2.erode(hidden.mask, np.ones((33, 33), np.uint8)) > 0
    assert np.abs(result.pixels[core].astype(int) - hidden.pixels[core]).mean() < 4
    assert result.facts is not None and result.facts.claim == MARK.claim
    assert result.extent == photo.extent
    assert changed_tags(*(tags_of(file, exiftool) for file in (path, target))) == []
    again = write_photo(photo, hidden, target, exiftool=exiftool, mark=MARK)
    assert again.sha256 == written.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()


def tags_of(path: Path, exiftool: ExifTool) -> dict[str, object]:
    """Return the tags of the photo, none of how the file is laid out."""
    laid_out = (
        "QuickTime:",
        "Meta:",
        "RIFF:",
        "PNG:",
        "IFD0:Strip",
        "IFD0:Tile",
        "File:",
        "IFD0:JPEGTables",
        "IFD0:ApplicationNotes",
    )
    tags = exiftool.read_tags(path.read_bytes(), path.suffix)
    return {tag: value for tag, value in tags.items() if not tag.startswith(laid_out)}


@pytest.mark.parametrize("name", KINDS)
def test_a_photo_without_people_is_copied_byte_for_byte(name: str, tmp_path: Path, exiftool: ExifTool) -> None:
    """Unless something is in it that nobody examined."""
    path, target = make(name, tmp_path), tmp_path / "out"
    written = copy_clean(read_photo(path), target, exiftool=exiftool)
    assert written.way == "copied"
    assert target.read_bytes() == path.read_bytes()


HIDDEN_IN_XMP = ("-XMP-GImage:ImageData<={other}", "-XMP-GImage:ImageMimeType=image/jpeg")
WRITABLE = [name for name, kind in KINDS.items() if kind.tags]


@pytest.mark.parametrize("name", WRITABLE)
def test_pictures_in_the_metadata_do_not_survive(name: str, tmp_path: Path, exiftool: ExifTool) -> None:
    """A second picture in XMP, and the thumbnail of before; a fresh one may be there."""
    thumbnail = () if KINDS[name].suffix == ".tif" else ("-IFD1:ThumbnailImage<={other}",)
    path, target = make(name, tmp_path, *HIDDEN_IN_XMP, *thumbnail), tmp_path / "out"
    photo, secret = read_photo(path), cv2.resize(street(90, 160, 99), (32, 18), interpolation=cv2.INTER_AREA)
    for write in (
        lambda: write_photo(photo, hide_plainly(photo), target, exiftool=exiftool, mark=MARK),
        lambda: copy_clean(photo, target, exiftool=exiftool),
    ):
        written = write()
        assert "GImage picture" in written.removed
        for found in pictures_anywhere(target.read_bytes()):
            small = cv2.resize(found, (32, 18), interpolation=cv2.INTER_AREA)
            assert np.abs(small.astype(int) - secret).mean() > 20
        assert read_photo(target).pixels.shape == photo.pixels.shape


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("part", [0.3, 0.7])
def test_what_is_cut_off_is_refused(name: str, part: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nobody else says a word."""
    data = KINDS[name].make()
    path = tmp_path / "photo"
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(PhotoFailure) as caught:
        read_photo(path)
    assert caught.value.code in ("truncated", "damaged")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "suffix", [".png", ".tif", ".webp", pytest.param(".heic", id="heic"), pytest.param(".avif", id="avif")]
)
def test_people_are_hidden_in_every_format(suffix: str, tmp_path: Path) -> None:
    """The whole way, with the colour detector; 16 bits where the format has them."""
    extent, person = PanoExtent.full(512, 256), SphereQuad.from_angles(20, -5, 20, 40)
    scene = draw_people(background(512, 256), extent, [person])
    deep = (scene.astype(np.uint16) * 257).astype(np.uint16)
    makers: dict[str, Callable[[], bytes]] = {
        ".png": lambda: png(deep),
        ".tif": lambda: tiff(deep, compression="zlib", rowsperstrip=16),
        ".webp": lambda: pillow(scene, "WEBP", lossless=True),
        ".heic": lambda: heic(scene, quality=95),
        ".avif": lambda: avif(scene, quality=95),
    }
    path, target = tmp_path / f"photo{suffix}", tmp_path / f"out{suffix}"
    path.write_bytes(makers[suffix]())
    with open_exiftool() as exiftool:
        result = blur_photo(path, target, Settings(), Tools(ColourDetector(), exiftool))
    assert result.outcome is Outcome.BLURRED, result.error
    inside = person.contains(grid_directions(extent))
    before, after = (detail(read_photo(file).pixels)[inside].mean() for file in (path, target))
    assert after < 0.1 * before


def detail(pixels: np.ndarray) -> np.ndarray:
    """Return how much each pixel differs from its surroundings."""
    return np.abs(pixels.astype(np.float32) - cv2.blur(pixels, (3, 3)).astype(np.float32)).mean(axis=2)
