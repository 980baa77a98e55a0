"""The last look refuses every finished file that leaks or lost something, however it came about, and no good one.

Every test makes a good file by the real program, spoils one thing in it, and hands it to the guard.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.mask import RIM, UNKNOWN, UNMEASURED, level_of
from pii_blur.obfuscate.obfuscator import METHODS, Strength
from pii_blur.obfuscate.paint import Canvas, paint
from pii_blur.photo import write as writing
from pii_blur.photo.encode import make_thumbnail
from pii_blur.photo.exiftool import ExifTool, open_exiftool
from pii_blur.photo.guard import guard_blurred, guard_copy
from pii_blur.photo.guard_detail import shows_through
from pii_blur.photo.guard_pictures import Expected, foreign_pictures
from pii_blur.photo.jpeg_segments import APP0, APP1, COM, EXIF, Jpeg, Segment, split_jpeg
from pii_blur.photo.metadata import Mark
from pii_blur.photo.orientation import as_stored
from pii_blur.photo.photo import HiddenPhoto, Photo
from pii_blur.photo.png_chunks import Chunk, Png, split_png
from pii_blur.photo.read import read_photo
from pii_blur.photo.splice import splice_jpeg
from pii_blur.photo.tags import changed_tags
from pii_blur.photo.write import copy_clean, write_photo
from pii_blur.sphere.project import Pyramid
from pii_blur.sphere.quad import SphereQuad
from tests.photos import hide_middle, other_jpeg, street, with_tags
from tests.privacy.test_no_preview_survives import make

MARK = Mark("1.0", "model", 0.4, 1)
WIDTH, HEIGHT = 768, 384
# On the seam, near, far, and so far that hardly a block fits into it.
PLACES = [(0, 0, 40, 60), (180, -10, 20, 40), (100, 5, 9, 16), (-100, 5, 4, 6)]
THUMBNAIL = ("-ThumbnailImage<={other}", "-Artist=kept", "-Comment=kept", "-XMP-dc:Title=kept", "-Make=Camera")


@pytest.fixture(scope="module")
def exiftool() -> Iterator[ExifTool]:
    """One exiftool for all."""
    with open_exiftool() as tool:
        yield tool


def scene(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """Return a picture with coarse, fine and coloured detail everywhere."""
    fine = np.random.default_rng(seed).normal(0, 14, (height, width, 3))
    soft = cv2.GaussianBlur(np.random.default_rng(seed + 1).normal(0, 90, (height, width, 3)), (0, 0), 2.0)
    return np.clip(street(height, width, seed).astype(float) * 0.6 + 50 + fine + 2 * soft, 0, 255).astype(np.uint8)


def hide(photo: Photo, method: str = "gaussian", strength: Strength | None = None) -> HiddenPhoto:
    """Hide people the way the program does."""
    canvas = Canvas(photo.pixels.copy(), np.zeros(photo.pixels.shape[:2], np.uint8))
    quads = [SphereQuad.from_angles(*place) for place in PLACES]
    paint(Pyramid(photo.pixels), photo.extent, quads, method=method, strength=strength or Strength(), canvas=canvas)
    return HiddenPhoto(canvas.pixels, canvas.mask)


class Case:
    """A photo, what is hidden in it, and its good result."""

    def __init__(self, folder: Path, exiftool: ExifTool, *tags: str, suffix: str = ".jpg", **options: object) -> None:
        self.exiftool = exiftool
        file = io.BytesIO()
        pixels = options.pop("pixels", scene())
        kind = {".jpg": "JPEG", ".png": "PNG"}[suffix]
        Image.fromarray(pixels).save(file, kind, **({"quality": 92, **options} if kind == "JPEG" else options))
        path = folder / f"photo{suffix}"
        path.write_bytes(with_tags(file.getvalue(), folder, *tags, suffix=suffix) if tags else file.getvalue())
        self.photo = read_photo(path)
        self.hidden = hide(self.photo)
        self.target = folder / f"out{suffix}"
        self.way = write_photo(self.photo, self.hidden, self.target, exiftool=exiftool, mark=MARK).way
        self.good = self.target.read_bytes()
        assert self.photo.facts is not None
        self.source = self.photo.facts.data

    def examine(self, written: bytes, mask: np.ndarray | None = None) -> None:
        """Let the guard look at a file."""
        guard_blurred(
            written,
            self.photo,
            self.hidden.mask if mask is None else mask,
            is_lossless=self.way.startswith("lossless"),
            exiftool=self.exiftool,
        )

    def refused(self, written: bytes, code: str, because: str) -> None:
        """The guard accepts the good file and refuses the spoiled one, for the right reason."""
        assert written != self.good
        self.examine(self.good)
        with pytest.raises(PhotoFailure, match=because) as caught:
            self.examine(written)
        assert caught.value.code == code

    def spliced(self, pixels: np.ndarray, mask: np.ndarray) -> bytes:
        """Return the good file with further pixels put into it."""
        return around(self.good, splice_jpeg(self.good, pixels, mask).data)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, exiftool: ExifTool) -> Case:
    """A JPEG with thumbnail, comment and tags."""
    return Case(tmp_path_factory.mktemp("case"), exiftool, *THUMBNAIL)


@pytest.fixture(scope="module")
def png_case(tmp_path_factory: pytest.TempPathFactory, exiftool: ExifTool) -> Case:
    """A PNG."""
    return Case(tmp_path_factory.mktemp("png"), exiftool, "-Author=kept", suffix=".png")


def around(metadata: bytes, picture: bytes) -> bytes:
    """Put one file's segments round another's picture."""
    return Jpeg(split_jpeg(metadata).segments, split_jpeg(picture).coded).to_bytes()


def with_segments(data: bytes, change: object) -> bytes:
    """Return a JPEG with other segments."""
    jpeg = split_jpeg(data)
    return Jpeg(tuple(change(list(jpeg.segments))), jpeg.coded).to_bytes()  # type: ignore[operator]


def middle_of(mask: np.ndarray, level: int) -> tuple[int, int]:
    """Return (row, column) of a place deep inside a region with this value."""
    inside = cv2.distanceTransform((mask == level).astype(np.uint8), cv2.DIST_L2, 5)
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(row), int(column)


# --- what it lets pass ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("kind", ["scene", "sky", "night", "stripes"])
def test_good_files_pass(method: str, quality: int, kind: str, tmp_path: Path, exiftool: ExifTool) -> None:
    """Flat, dark, noisy and striped pictures as well, coded well or badly, hidden by any method."""
    sky = np.linspace((90, 140, 220), (200, 220, 250), HEIGHT)[:, None].repeat(WIDTH, 1)
    night = np.abs(np.random.default_rng(1).normal(0, 6, (HEIGHT, WIDTH, 3)))
    stripes = 127 + 120 * np.sin(np.arange(WIDTH) / 3.0)[None, :, None].repeat(HEIGHT, 0).repeat(3, 2)
    pixels = {"scene": scene(), "sky": sky, "night": night, "stripes": stripes}[kind].astype(np.uint8)
    path = tmp_path / "photo.jpg"
    Image.fromarray(pixels).save(path, quality=quality)
    photo = read_photo(path)
    written = write_photo(photo, hide(photo, method), tmp_path / "out.jpg", exiftool=exiftool, mark=MARK)
    assert written.way == "lossless"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos_are_examined_where_their_regions_lie(
    orientation: int, tmp_path: Path, exiftool: ExifTool
) -> None:
    """A good one passes; the source in the coding of the result does not."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = scene(400, 800) if orientation < 5 else scene(800, 400)
    case = Case(tmp_path, exiftool, pixels=pixels, exif=exif)
    case.refused(around(case.good, case.source), "leak", "shows through")


def test_weak_blur_that_was_asked_for_passes(tmp_path: Path, exiftool: ExifTool) -> None:
    """With --allow-weak."""
    path = tmp_path / "photo.jpg"
    Image.fromarray(scene()).save(path, quality=92)
    photo = read_photo(path)
    for strength in (Strength(0.2, allow_weak=True), Strength(kernel=(21, 2, 9), allow_weak=True)):
        write_photo(photo, hide(photo, strength=strength), tmp_path / "out.jpg", exiftool=exiftool, mark=MARK)


# --- (1) whole, same size, same orientation ------------------------------------------------------------------------


def test_a_file_that_is_cut_off_or_damaged_is_refused(case: Case) -> None:
    """In the middle of its picture, or with bits of it flipped."""
    case.refused(case.good[: len(case.good) * 3 // 4], "verify", "cut off")
    coded = split_jpeg(case.good).coded
    shorter = Jpeg(split_jpeg(case.good).segments, coded[: len(coded) * 3 // 4]).to_bytes()
    case.refused(shorter, "verify", "does not decode")
    # Not a coefficient is wrong, but what one decoder skips, another may stumble over.
    case.refused(Jpeg(split_jpeg(case.good).segments, coded + b"\x12\x34" * 40).to_bytes(), "verify", "does not decode")


def test_another_size_is_refused(case: Case, tmp_path: Path) -> None:
    """Half of it, say."""
    file = io.BytesIO()
    Image.fromarray(case.hidden.pixels[: HEIGHT // 2]).save(file, "JPEG", quality=92)
    case.refused(around(case.good, file.getvalue()), "verify", "size")


def test_another_orientation_is_refused(case: Case, tmp_path: Path) -> None:
    """Viewers would show the photo turned."""
    case.refused(with_tags(case.good, tmp_path, "-n", "-Orientation=3"), "verify", "orientation")


# --- (2) nothing shows through -------------------------------------------------------------------------------------


def test_the_source_itself_is_refused(case: Case) -> None:
    """All coefficients outside are as they must be."""
    case.refused(around(case.good, case.source), "leak", "shows through")


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_one_region_in_the_clear_is_enough(case: Case, place: int) -> None:
    """Whichever it is, the smallest as well."""
    canvas = Canvas(case.photo.pixels.copy(), np.zeros((HEIGHT, WIDTH), np.uint8))
    quads = [SphereQuad.from_angles(*PLACES[place])]
    paint(Pyramid(case.photo.pixels), case.photo.extent, quads, method="solid", strength=Strength(), canvas=canvas)
    spoiled = case.spliced(case.photo.pixels, canvas.mask)
    case.refused(spoiled, "leak", "shows through")


def test_one_block_in_the_clear_is_enough(case: Case) -> None:
    """16 by 16 pixels inside a region."""
    row, column = middle_of(case.hidden.mask, int(np.bincount(case.hidden.mask[case.hidden.mask > RIM]).argmax()))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[row // 16 * 16 : row // 16 * 16 + 16, column // 16 * 16 : column // 16 * 16 + 16] = 255
    pixels = np.where(mask[..., None] > 0, case.photo.pixels, case.hidden.pixels)
    case.refused(case.spliced(pixels, mask), "leak", "shows through")


def test_colour_in_the_clear_is_noticed(tmp_path: Path, exiftool: ExifTool) -> None:
    """Hidden brightness under the photo's own colour still shows what is there."""
    case = Case(tmp_path, exiftool, subsampling=0, quality=95)
    old, new = (cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb) for pixels in (case.photo.pixels, case.hidden.pixels))
    mixed = cv2.cvtColor(np.dstack([np.full_like(new[..., 0], 128), old[..., 1:]]), cv2.COLOR_YCrCb2RGB)
    case.refused(case.spliced(mixed, case.hidden.mask), "leak", "shows through")


def test_blur_much_narrower_than_promised_is_noticed(case: Case) -> None:
    """Wide enough for a person far away, but not for the near one that it hides."""
    narrow = cv2.GaussianBlur(case.photo.pixels, (0, 0), 2.6)
    case.refused(case.spliced(narrow, case.hidden.mask), "leak", "shows through")


def test_the_weakest_share_of_a_whole_region_is_noticed() -> None:
    """Half of the photo mixed into every pixel: no block by itself is the photo."""
    source = scene()[..., 0]
    hidden = cv2.GaussianBlur(source, (0, 0), 6)
    mask = np.zeros_like(source)
    mask[64:320, 128:640] = level_of(6)
    assert shows_through(source, hidden, mask) is None
    mixed = np.rint(0.55 * hidden + 0.45 * source.astype(float)).astype(np.uint8)
    assert shows_through(source, mixed, mask) is not None


@pytest.mark.parametrize("level", [UNMEASURED, UNKNOWN, level_of(2.5), level_of(np.inf)])
def test_what_was_not_hidden_is_noticed_however_it_was_to_be_hidden(level: int) -> None:
    """Pixels made large, plain colour, or by means that nobody described."""
    source = scene()[..., 0]
    mask = np.zeros_like(source)
    mask[60:200, 100:300] = level
    hidden = np.where(mask > 0, np.uint8(128), source)
    assert shows_through(source, hidden, mask) is None
    assert shows_through(source, source.copy(), mask) is not None
    hidden[120:136, 200:216] = source[120:136, 200:216]
    assert shows_through(source, hidden, mask) is not None


@pytest.mark.parametrize("level", [UNKNOWN, level_of(2.5)])
def test_a_thin_veil_is_noticed(level: int) -> None:
    """The photo, a little lighter, is no longer the photo itself, and yet all of it is there."""
    source = scene()[..., 0]
    mask = np.zeros_like(source)
    mask[60:200, 100:300] = level
    veiled = np.where(mask > 0, np.rint(0.8 * source + 50), source).astype(np.uint8)
    assert shows_through(source, veiled, mask) is not None


def test_added_grain_does_not_look_like_the_photo() -> None:
    """It has as much detail, but not the photo's."""
    source = scene()[..., 0]
    mask = np.full_like(source, level_of(8))
    blurred = cv2.GaussianBlur(source, (0, 0), 8).astype(float)
    grain = np.random.default_rng(5).normal(0, 8, source.shape)
    assert shows_through(source, np.clip(blurred + grain, 0, 255).astype(np.uint8), mask) is None


def test_an_edge_between_hidden_regions_is_not_the_photo_though_it_lies_on_an_edge_of_it() -> None:
    """Boxes end where things end; the colours that hide two of them may differ by more than the things did."""
    source = np.random.default_rng(5).integers(90, 96, (512, 256), dtype=np.uint8)
    source[124:] += 20
    mask = np.full_like(source, level_of(2.5))
    hidden = np.full_like(source, 60)
    hidden[124:] += 50
    assert shows_through(source, hidden, mask) is None
    hidden[120:128] = source[120:128]
    assert shows_through(source, hidden, mask) is not None


def test_one_block_of_next_to_no_detail_shows_nobody_but_four_might() -> None:
    """One level up and down: by chance an edge between two hidden regions looks like that, for a block."""
    source = np.full((256, 256), 100, np.uint8)
    source[::2, ::2] += 2
    source[1::2, 1::2] += 2
    mask = np.full_like(source, level_of(2.5))
    hidden = np.full_like(source, 101)
    hidden[64:72, 64:72] = source[64:72, 64:72]
    assert shows_through(source, hidden, mask) is None
    hidden[64:80, 64:80] = source[64:80, 64:80]
    assert shows_through(source, hidden, mask) is not None


def test_a_speck_too_small_for_a_block_is_noticed() -> None:
    """Nine pixels across."""
    source = scene()[..., 0]
    mask = np.zeros_like(source)
    mask[100:109, 100:109] = UNKNOWN
    assert shows_through(source, source.copy(), mask) is not None
    assert shows_through(source, np.where(mask > 0, np.uint8(128), source), mask) is None


# --- (3) nothing else changed --------------------------------------------------------------------------------------


def test_one_changed_coefficient_outside_is_noticed(case: Case) -> None:
    """Any block of an MCU that no region touches."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    row, column = np.argwhere(cv2.dilate(case.hidden.mask, np.ones((65, 65), np.uint8)) == 0)[0]
    mask[row, column] = 255
    pixels = read_photo(case.target).pixels.copy()
    pixels[row - row % 16 : row - row % 16 + 16, column - column % 16 : column - column % 16 + 16] += 8
    case.refused(case.spliced(pixels, mask), "verify", "outside")


def test_the_same_coefficients_under_another_table_are_another_picture(case: Case) -> None:
    """One entry of a quantisation table changes every block."""
    jpeg = split_jpeg(case.good)
    coded = bytearray(jpeg.coded)
    coded[coded.index(b"\xff\xdb") + 5 + 3] += 1
    case.refused(Jpeg(jpeg.segments, bytes(coded)).to_bytes(), "verify", "another way")


def test_a_picture_encoded_anew_does_not_pass_as_lossless(case: Case) -> None:
    """With other tables, or with the same ones."""
    for options in ({"quality": 90}, {"quality": 92, "subsampling": 2}):
        file = io.BytesIO()
        Image.fromarray(case.hidden.pixels).save(file, "JPEG", **options)
        case.refused(around(case.good, file.getvalue()), "verify", "coded in another way|outside")


def test_a_picture_encoded_anew_may_not_be_another(tmp_path: Path, exiftool: ExifTool) -> None:
    """Where coefficients cannot be kept, a bound holds outside the regions, and all of (2) inside."""
    file = io.BytesIO()
    Image.fromarray(scene()).convert("CMYK").save(file, "JPEG", quality=92)
    (tmp_path / "photo.jpg").write_bytes(file.getvalue())
    photo = read_photo(tmp_path / "photo.jpg")
    hidden = hide(photo)
    assert write_photo(photo, hidden, tmp_path / "out.jpg", exiftool=exiftool).way.startswith("re-encoded")
    good = (tmp_path / "out.jpg").read_bytes()
    corner = hidden.pixels.copy()
    corner[:32, :32] = 255 - corner[:32, :32]
    for pixels, code in ((corner, "verify"), (photo.pixels, "leak")):
        coded = io.BytesIO()
        Image.fromarray(pixels).save(coded, "JPEG", quality=92, subsampling=0)
        with pytest.raises(PhotoFailure) as caught:
            guard_blurred(around(good, coded.getvalue()), photo, hidden.mask, is_lossless=False, exiftool=exiftool)
        assert caught.value.code == code


def coded_png(case: Case, pixels: np.ndarray) -> bytes:
    """Return the good PNG with other pixels."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    new, good = split_png(file.getvalue()), split_png(case.good)
    return Png((new.chunks[0], *good.metadata, *new.chunks[1:])).to_bytes()


def test_one_changed_pixel_of_a_png_is_noticed(png_case: Case) -> None:
    """By a single grey level."""
    pixels = png_case.hidden.pixels.copy()
    pixels[0, 0, 1] ^= 1
    png_case.refused(coded_png(png_case, pixels), "verify", "outside")


def test_a_region_in_the_clear_in_a_png_is_noticed(png_case: Case) -> None:
    """As in a JPEG."""
    png_case.refused(coded_png(png_case, np.array(png_case.photo.pixels)), "leak", "shows through")


# --- (4) no other picture ------------------------------------------------------------------------------------------


def small(pixels: np.ndarray, photo: Photo) -> bytes:
    """Return a thumbnail of upright pixels."""
    assert photo.facts is not None
    return make_thumbnail(as_stored(pixels, photo.facts.orientation))


def test_a_thumbnail_of_the_unblurred_photo_is_refused(case: Case, tmp_path: Path) -> None:
    """It is much like the blurred one; a single region in it is enough."""
    only_one = case.hidden.pixels.copy()
    near = case.hidden.mask == case.hidden.mask.max()
    only_one[near] = case.photo.pixels[near]
    bright = np.where(case.hidden.mask[..., None] > 0, 255, case.hidden.pixels).astype(np.uint8)
    for pixels in (case.photo.pixels, only_one, bright):
        (tmp_path / "thumb.jpg").write_bytes(small(pixels, case.photo))
        spoiled = with_tags(case.good, tmp_path, f"-ThumbnailImage<={tmp_path / 'thumb.jpg'}")
        case.refused(spoiled, "leak", "thumbnail")


def test_a_thumbnail_need_not_differ_much_from_the_result_to_be_the_source_s() -> None:
    """Grey people on a grey street: what matters is which of the two it is like, wherever they differ."""
    source = street(48, 96)[..., 0] // 2 + 60
    result = source.copy()
    result[20:30, 40:52] = cv2.blur(source, (15, 15))[20:30, 40:52]
    assert 6 < np.abs(source.astype(int) - result)[20:30, 40:52].mean() < 20
    for shown, finding in ((result, ""), (source, "a thumbnail that was not blurred in APP1 Exif")):
        file = io.BytesIO()
        Image.fromarray(shown).save(file, "JPEG", quality=90)
        assert foreign_pictures([("APP1 Exif", file.getvalue())], Expected(result, source)) == finding


def test_a_thumbnail_like_neither_is_not_taken_for_the_source_s() -> None:
    """Of leaves and gravel coarse coding keeps little; by chance that is a bit more like what was hidden."""
    source = np.full((80, 160), 100, np.uint8)
    result, shown = source.copy(), source.copy()
    result[20:40:2, 20:40], result[21:40:2, 20:40] = 108, 92
    shown[20:40, 20:40:2], shown[20:40, 21:40:2] = 107, 93
    for picture, finding in ((shown, ""), (source, "a thumbnail that was not blurred in APP1 Exif")):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=98)
        assert foreign_pictures([("APP1 Exif", file.getvalue())], Expected(result, source)) == finding


def test_a_thumbnail_of_something_else_is_refused(case: Case, tmp_path: Path) -> None:
    """Whatever it shows, nobody examined it."""
    case.refused(with_tags(case.good, tmp_path, "-ThumbnailImage<={other}"), "leak", "thumbnail")


def test_a_large_picture_is_no_thumbnail(case: Case) -> None:
    """Even of the blurred photo: only what is small has been compared."""
    file = io.BytesIO()
    Image.fromarray(case.hidden.pixels).save(file, "JPEG", quality=50)
    bare = with_segments(case.good, lambda all_: [one for one in all_ if not one.payload.startswith(EXIF)])
    spoiled = with_segments(bare, lambda all_: [*all_, Segment(0xEA, b"Camera\0" + file.getvalue())])
    with pytest.raises(PhotoFailure, match="second picture") as caught:
        case.examine(spoiled)
    assert caught.value.code == "leak"


FRESH = base64.b64encode(other_jpeg())
PNG_PICTURE = cv2.imencode(".png", street())[1].tobytes()
BESIDE = {
    "a second thumbnail": lambda fresh: Segment(0xEA, b"Camera\0" + fresh),
    "another JPEG": lambda _: Segment(0xEA, b"Camera\0" + other_jpeg()),
    "a JPEG in a comment": lambda _: Segment(COM, other_jpeg()),
    "a JFXX thumbnail": lambda _: Segment(APP0, b"JFXX\0\x13" + bytes(2)),
    "a PNG": lambda _: Segment(0xEA, b"Camera\0" + PNG_PICTURE),
    "a bitmap": lambda _: Segment(0xEA, b"Camera\0" + cv2.imencode(".bmp", street(40, 60))[1].tobytes()),
    "a film": lambda _: Segment(0xE3, b"\0\0\0\x18ftypmp42" + b"moov" * 200),
    "a film without its beginning": lambda _: Segment(0xE3, b"\0\0\0\x20moov\0\0\0\x6cmvhd" + bytes(200)),
    "a JPEG in base64": lambda _: Segment(APP1, b"unknown\0 x='" + FRESH[:4000] + b"'"),
    "a JPEG in base64 behind other bytes": lambda _: Segment(
        APP1, b"unknown\0 x='" + base64.b64encode(b"head" + other_jpeg()) + b"'"
    ),
    "a JPEG without its first byte": lambda _: Segment(0xEA, b"Camera\0\0" + other_jpeg()[1:]),
}


@pytest.mark.parametrize("what", BESIDE)
def test_a_further_picture_is_refused(case: Case, what: str) -> None:
    """Wherever it hides."""
    (fresh,) = [one.payload for one in split_jpeg(case.good).segments if one.payload.startswith(EXIF)]
    fresh = fresh[fresh.index(b"\xff\xd8\xff") : fresh.index(b"\xff\xd9") + 2]
    spoiled = with_segments(case.good, lambda all_: [*all_, BESIDE[what](fresh)])
    case.refused(spoiled, "leak", " in |JFIF")


def test_what_follows_the_picture_is_refused(case: Case, png_case: Case) -> None:
    """A second picture, a film, anything but padding."""
    case.refused(case.good + other_jpeg(), "leak", "after the end|after the picture")
    case.refused(case.good + b"moov", "leak", "after the end|after the picture")
    case.examine(case.good + bytes(100))
    png_case.refused(png_case.good + other_jpeg(), "leak", "after the end|after the picture")


def test_what_lies_between_segments_is_refused(case: Case) -> None:
    """Decoders skip it, people who look for it do not."""
    case.refused(case.good[:2] + b"hidden" * 20 + case.good[2:], "leak", "between segments")


def test_further_pictures_of_a_png_are_refused(png_case: Case) -> None:
    """Frames of an animation, or a picture in a chunk."""
    png = split_png(png_case.good)
    for chunk in (Chunk(b"acTL", bytes(8)), Chunk(b"prVw", other_jpeg())):
        spoiled = Png((png.chunks[0], chunk, *png.chunks[1:])).to_bytes()
        png_case.refused(spoiled, "leak", "frames| in prVw")


TAGS_OF_PICTURES = ("MPF", "MPImage", "Photoshop:PhotoshopT", "XMP-xmp:Thumb", "XMP-GImage", "XMP-GDepth", "FlashPix")


@pytest.mark.parametrize("name", ["MPF", "Photoshop thumbnail", "XMP thumbnails", "GImage", "GDepth", "FlashPix"])
def test_the_tags_of_a_picture_go_with_it(name: str, tmp_path: Path, exiftool: ExifTool) -> None:
    """Nothing points at what is not there any more, and no blanked bytes pass for a picture."""
    photo, target = make(name, tmp_path), tmp_path / "out.jpg"
    write_photo(photo, hide_middle(photo), target, exiftool=exiftool, mark=MARK)
    tags = exiftool.read_tags(target.read_bytes(), ".jpg")
    assert [tag for tag in tags if tag.startswith(TAGS_OF_PICTURES)] == []


# --- (5) all metadata ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", ["-Artist=changed", "-Artist=", "-XMP-dc:Title=", "-Copyright=new", "-GPSLatitude=1", "-IPTC:City=new"]
)
def test_a_tag_that_changed_came_or_went_is_noticed(case: Case, tmp_path: Path, change: str) -> None:
    """Whichever block it stands in."""
    case.refused(with_tags(case.good, tmp_path, change), "verify", "tags|lost")


def test_only_what_tells_of_a_picture_may_go_and_only_what_the_standard_demands_may_come() -> None:
    """The list of what may differ, held by a tag of each kind."""
    before = {"IFD0:Artist": "A", "ExifIFD:OtherImageStart": 463, "Olympus:PreviewImageValid": 1, "File:Comment": "C"}
    assert changed_tags(before, {"IFD0:Artist": "A", "File:Comment": "C"}) == []
    assert changed_tags(before, {"IFD0:Artist": "B"}) == ["File:Comment", "IFD0:Artist"]
    assert changed_tags({}, {"IFD0:XResolution": 72, "GE:GE_0x0206": 1, "XMP-PiiBlur:Regions": 3}) == []
    assert changed_tags({}, {"IFD0:Copyright": "x"}) == ["IFD0:Copyright"]
    assert changed_tags({"ICC-header:ProfileClass": "prtr"}, {}) == ["ICC-header:ProfileClass"]
    assert changed_tags({"ICC-header:ProfileClass": "prtr"}, {}, is_cmyk=True) == []


def test_a_lost_comment_or_unknown_segment_is_noticed(tmp_path: Path, exiftool: ExifTool) -> None:
    """Also what exiftool knows no tags for."""
    folder = tmp_path / "made"
    folder.mkdir()
    file = io.BytesIO()
    Image.fromarray(scene()).save(file, "JPEG", quality=92)
    plain = with_segments(
        with_tags(file.getvalue(), folder, "-Comment=kept"), lambda all_: [*all_, Segment(0xE9, b"mine")]
    )
    path = tmp_path / "photo.jpg"
    path.write_bytes(plain)
    photo = read_photo(path)
    hidden = hide(photo)
    write_photo(photo, hidden, tmp_path / "out.jpg", exiftool=exiftool, mark=MARK)
    good = (tmp_path / "out.jpg").read_bytes()
    for marker in (COM, 0xE9):
        spoiled = with_segments(good, lambda all_, gone=marker: [one for one in all_ if one.marker != gone])
        with pytest.raises(PhotoFailure, match=r"COM|APP9") as caught:
            guard_blurred(spoiled, photo, hidden.mask, is_lossless=True, exiftool=exiftool)
        assert caught.value.code == "verify"


def test_a_lost_text_of_a_png_is_noticed(png_case: Case) -> None:
    """Its tags are compared as a JPEG's are."""
    png = split_png(png_case.good)
    without = Png(tuple(one for one in png.chunks if b"kept" not in one.payload)).to_bytes()
    png_case.refused(without, "verify", "tags")


# --- copies, and the file itself -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_copy_must_be_the_same_picture_and_no_other(suffix: str, tmp_path: Path, exiftool: ExifTool) -> None:
    """Of a photo in which nothing was found."""
    case = Case(tmp_path, exiftool, "-Artist=kept" if suffix == ".jpg" else "-Author=kept", suffix=suffix)
    copy_clean(case.photo, tmp_path / f"copy{suffix}", exiftool=exiftool)
    good = (tmp_path / f"copy{suffix}").read_bytes()
    guard_copy(good, case.photo, exiftool=exiftool)
    lost = with_tags(good, tmp_path, "-all=", suffix=suffix)
    spoiled = {"leak": good + other_jpeg(), "verify": case.good}
    if suffix == ".jpg":
        spoiled |= {"leak ": with_tags(good, tmp_path, "-ThumbnailImage<={other}")}
    for code, written in ({**spoiled, "verify ": lost}).items():
        with pytest.raises(PhotoFailure) as caught:
            guard_copy(written, case.photo, exiftool=exiftool)
        assert caught.value.code == code.strip()


def test_what_is_examined_is_the_file_on_the_disk(
    case: Case, tmp_path: Path, exiftool: ExifTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk, or anything else, that puts other bytes there fails the photo; no name is given to them."""
    real = Path.read_bytes
    target = tmp_path / "out" / "photo.jpg"

    def rotten(path: Path) -> bytes:
        data = real(path)
        return data[: len(data) // 2] if path.suffix == ".part" else data

    monkeypatch.setattr(Path, "read_bytes", rotten)
    with pytest.raises(PhotoFailure) as caught:
        write_photo(case.photo, case.hidden, target, exiftool=exiftool, mark=MARK)
    assert caught.value.code == "verify"
    with pytest.raises(PhotoFailure):
        copy_clean(case.photo, target, exiftool=exiftool)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("mistake", ["no splice", "thumbnail", "tags"])
def test_mistakes_of_the_writer_leave_nothing_at_the_destination(
    case: Case, mistake: str, tmp_path: Path, exiftool: ExifTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong in making the file: it fails, and says so."""
    assert case.photo.facts is not None
    source = case.photo.facts.data
    real = writing.clean_segments

    def careless(segments: object, *arguments: object, **options: object) -> object:
        cleaned = real(segments, *arguments, **options)  # type: ignore[arg-type]
        kept = [one for one in cleaned.segments if one.marker != APP1]
        return type(cleaned)(tuple(kept), cleaned.removed)

    replaced = {
        "no splice": ("encode_jpeg", lambda photo, hidden: (source, "lossless")),
        "thumbnail": ("make_thumbnail", lambda pixels: make_thumbnail(as_stored(case.photo.pixels, 1))),
        "tags": ("clean_segments", careless),
    }
    monkeypatch.setattr(writing, *replaced[mistake])
    target = tmp_path / "out" / "photo.jpg"
    with pytest.raises(PhotoFailure) as caught:
        write_photo(case.photo, case.hidden, target, exiftool=exiftool, mark=MARK)
    assert caught.value.code == ("verify" if mistake == "tags" else "leak")
    assert list(target.parent.iterdir()) == []
