"""No thumbnail of bare pixels leaves in an Exif block: it has no signature, only directories that lead to it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo import metadata, spared, write
from pii_blur.photo.exif_ifd import blank_uncompressed, metadata_only, orientation_only, uncompressed_pictures
from pii_blur.photo.exiftool import ExifTool, open_exiftool
from pii_blur.photo.guard_pictures import Expected, foreign_pictures
from pii_blur.photo.jpeg_segments import APP1, EXIF, Jpeg, Segment, split_jpeg
from pii_blur.photo.metadata import Mark
from pii_blur.photo.orientation import read_orientation
from pii_blur.photo.png_chunks import Chunk, assemble_png
from pii_blur.photo.read import read_photo
from tests.patience import ends
from tests.photos import hide_middle, street, street_jpeg

MARK = Mark("1.0", "model", 0.4, 1)
WIDTH, HEIGHT = 120, 60
PIXELS = np.random.default_rng(5).integers(1, 255, WIDTH * HEIGHT * 3, dtype=np.uint8).tobytes()
TABLE = 2 + 12 * 9 + 4  # bytes of a thumbnail's directory
ENTRY = tuple[int, int, int, int]  # tag, type, count, value
ORDERS = pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])

# What exiftool refuses to write into, or reads over. Of the first no more is lost than the thumbnail.
HARMLESS: dict[str, list[ENTRY]] = {
    "nothing": [],
    "type 0": [(0x110, 0, 5, 5)],
    "type 99": [(0x110, 99, 5, 5)],
    "value behind the end": [(0x110, 2, 5000, 0xFFFFFFF0)],
    "endless value": [(0x110, 2, 0x7FFFFFFF, 100)],
    "empty entries": [(0, 0, 0, 0)] * 30,
}
POINTERS: dict[str, list[ENTRY]] = {
    "Exif behind the end": [(0x8769, 4, 1, 0xFFFFF000)],
    "GPS in the header": [(0x8825, 4, 1, 1)],
    "GPS between entries": [(0x8825, 4, 1, 9)],
    "SubIFD behind the end": [(0x14A, 4, 1, 0xFFFFFF00)],
    "three SubIFDs nowhere": [(0x14A, 4, 3, 20)],
}


def exif(order: str = "<", bad: list[ENTRY] | None = None, *, chain: int = 1, is_sub: bool = False) -> bytes:
    """Return an Exif block with an orientation, one odd thing, and `chain` directories that share bare pixels."""

    def pack(letters: str, *numbers: int) -> bytes:
        return struct.pack(order + letters, *numbers)

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        short = kind == 3 and count == 1
        return pack("HHI", tag, kind, count) + (pack("HH", value, 0) if short else pack("I", value))

    make = int.from_bytes(b"AAA\0", "little" if order == "<" else "big")
    own = [entry(0x10F, 2, 4, make), entry(0x112, 3, 1, 6), *(entry(*one) for one in bad or [])]
    first = 8 + 2 + 12 * (len(own) + is_sub) + 4
    own += [entry(0x14A, 4, 1, first)] * is_sub
    pixels = first + chain * TABLE + 6
    tables = b""
    for number in range(1, chain + 1):
        tags = [(0x100, 4, 1, WIDTH), (0x101, 4, 1, HEIGHT), (0x102, 3, 3, pixels - 6), (0x103, 3, 1, 1)]
        tags += [(0x106, 3, 1, 2), (0x111, 4, 1, pixels), (0x115, 3, 1, 3), (0x116, 4, 1, HEIGHT)]
        tags += [(0x117, 4, 1, len(PIXELS))]
        following = first + number * TABLE if number < chain else 0
        tables += pack("H", 9) + b"".join(entry(*one) for one in tags) + pack("I", following)
    head = (b"II" if order == "<" else b"MM") + pack("HI", 42, 8)
    return head + pack("H", len(own)) + b"".join(own) + pack("I", 0 if is_sub else first) + tables + bytes(6) + PIXELS


def save(block: bytes, path: Path) -> Path:
    """Write a photo that carries an Exif block."""
    if path.suffix == ".png":
        file = io.BytesIO()
        Image.fromarray(street()).save(file, "PNG")
        path.write_bytes(assemble_png([Chunk(b"eXIf", block)], file.getvalue()))
    else:
        jpeg = split_jpeg(street_jpeg())
        path.write_bytes(Jpeg((*jpeg.segments, Segment(APP1, EXIF + block)), jpeg.coded).to_bytes())
    return path


def shows_pixels(data: bytes) -> bool:
    """Whether any part of the thumbnail stands anywhere."""
    return any(PIXELS[start : start + 30] in data for start in range(0, len(PIXELS) - 30, 30))


@pytest.fixture(scope="module")
def exiftool() -> Iterator[ExifTool]:
    """One exiftool for all."""
    with open_exiftool() as tool:
        yield tool


def publish(block: bytes, suffix: str, folder: Path, exiftool: ExifTool, *, is_blurred: bool) -> tuple[bytes, set[str]]:
    """Return the file that is published, and what was taken out."""
    photo, target = read_photo(save(block, folder / f"photo{suffix}")), folder / f"out{suffix}"
    if is_blurred:
        written = write.write_photo(photo, hide_middle(photo), target, exiftool=exiftool, mark=MARK)
    else:
        written = write.copy_clean(photo, target, exiftool=exiftool)
    return target.read_bytes(), set(written.removed)


@ORDERS
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("is_blurred", [True, False], ids=["blurred", "clean"])
@pytest.mark.parametrize("damage", [*HARMLESS, *POINTERS])
def test_bare_pixels_are_gone_whatever_the_damage(
    damage: str, is_blurred: bool, suffix: str, order: str, tmp_path: Path, exiftool: ExifTool
) -> None:
    """And reported; how the photo is to be turned stays, and all other tags where the structure is certain."""
    block = exif(order, (HARMLESS | POINTERS)[damage])
    data, removed = publish(block, suffix, tmp_path, exiftool, is_blurred=is_blurred)
    assert not shows_pixels(data)
    tags = exiftool.read_tags(data, suffix)
    assert tags["IFD0:Orientation"] == 6
    assert not any(tag.startswith("IFD1:") for tag in tags)
    if damage in HARMLESS:
        assert removed == {"EXIF thumbnail"}
        assert tags["IFD0:Make"] == "AAA"
    else:
        assert removed == {"damaged EXIF block"}


@ORDERS
@pytest.mark.parametrize("is_blurred", [True, False], ids=["blurred", "clean"])
@pytest.mark.parametrize("where", ["IFD2", "IFD3", "IFD5", "SubIFD"])
def test_bare_pixels_are_gone_wherever_a_directory_leads_to_them(
    where: str, is_blurred: bool, order: str, tmp_path: Path, exiftool: ExifTool
) -> None:
    """Exiftool deletes the first two by name; the others it does not know."""
    is_sub = where == "SubIFD"
    block = exif(order, is_sub=is_sub, chain=1 if is_sub else int(where[-1]))
    data, removed = publish(block, ".jpg", tmp_path, exiftool, is_blurred=is_blurred)
    assert not shows_pixels(data)
    assert removed
    assert exiftool.read_tags(data, ".jpg")["IFD0:Make"] == "AAA"


@ORDERS
@pytest.mark.parametrize("block", [{}, {"chain": 2}, {"is_sub": True}, {"bad": POINTERS["Exif behind the end"]}])
def test_the_last_look_refuses_bare_pixels(block: dict[str, object], order: str) -> None:
    """By itself, without knowing what the cleaning did."""
    gray = np.full((8, 16), 128, dtype=np.uint8)
    whole = exif(order, **block)  # type: ignore[arg-type]
    for data in (whole, EXIF + whole, b"Maker\0" + whole):
        assert "uncompressed" in foreign_pictures([("Exif", data)], Expected(gray))
        blanked, _ = blank_uncompressed(data)
        assert foreign_pictures([("Exif", blanked)], Expected(gray)) == ""
        assert len(blanked) == len(data)
        assert not shows_pixels(blanked)


def test_a_file_that_keeps_bare_pixels_is_not_published(
    tmp_path: Path, exiftool: ExifTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the cleaning ever miss them."""
    monkeypatch.setattr(spared, "metadata_only", lambda block: block)
    monkeypatch.setattr(metadata, "blank_uncompressed", lambda block: (block, []))
    with pytest.raises(PhotoFailure) as caught:
        publish(exif(bad=HARMLESS["type 99"]), ".jpg", tmp_path, exiftool, is_blurred=True)
    assert caught.value.code == "leak"
    assert not (tmp_path / "out.jpg").exists()


def test_a_linked_directory_with_strips_is_refused_even_if_their_place_is_not_known() -> None:
    """Some other program may find them."""
    block = exif().replace(struct.pack("<HHI", 0x111, 4, 1), struct.pack("<HHI", 0x111, 99, 1))
    assert uncompressed_pictures(block)


def test_pixels_where_a_jpeg_should_be_are_found() -> None:
    """A viewer that goes by the directory alone would show them."""
    block = exif().replace(struct.pack("<HHI", 0x111, 4, 1), struct.pack("<HHI", 0x201, 4, 1))
    block = block.replace(struct.pack("<HHI", 0x117, 4, 1), struct.pack("<HHI", 0x202, 4, 1))
    assert not shows_pixels(blank_uncompressed(block)[0])


def test_pixels_spread_over_two_exif_segments_are_gone(tmp_path: Path, exiftool: ExifTool) -> None:
    """The second segment goes on where the first ends, behind a header of its own."""
    block, jpeg = exif(bad=HARMLESS["type 99"]), split_jpeg(street_jpeg())
    parts = (Segment(APP1, EXIF + block[:9000]), Segment(APP1, EXIF + block[9000:]))
    (tmp_path / "photo.jpg").write_bytes(Jpeg((*parts, *jpeg.segments), jpeg.coded).to_bytes())
    photo, target = read_photo(tmp_path / "photo.jpg"), tmp_path / "out.jpg"
    write.write_photo(photo, hide_middle(photo), target, exiftool=exiftool, mark=MARK)
    assert not shows_pixels(target.read_bytes())


def test_strips_that_a_program_left_in_the_first_directory_harm_no_other_tag() -> None:
    """Converters from TIFF leave them behind; they point into what follows."""
    head = b"II*\0\x08\0\0\0"
    entries = struct.pack("<HHII", 0x10F, 2, 20, 50) + struct.pack("<HHII", 0x111, 4, 1, 8)
    block = head + struct.pack("<H", 3) + entries + struct.pack("<HHII", 0x117, 4, 1, 62) + bytes(4) + b"A" * 19 + b"\0"
    assert uncompressed_pictures(block) == []


@ORDERS
def test_only_what_an_entry_names_is_kept(order: str) -> None:
    """Gaps go as well; what belongs to nobody may show anything."""
    kept = metadata_only(exif(order, HARMLESS["type 99"]) + b"left over")
    assert kept is not None
    assert kept[50:].strip(b"\0") == b""
    assert b"AAA\0" in kept[:50]
    assert metadata_only(kept) == kept


@pytest.mark.parametrize(
    "bad", [[(0x8769, 4, 1, 8)], [(0x110, 2, 40, 30)], [(0x8769, 99, 1, 8)], [(0x110, 2, 90, 300), (0x131, 2, 90, 350)]]
)
def test_loops_and_overlaps_are_not_certain(bad: list[ENTRY]) -> None:
    """Nothing is guessed."""
    assert metadata_only(exif(bad=bad)) is None


@ORDERS
def test_a_block_that_goes_leaves_how_to_turn_the_photo(order: str) -> None:
    """Or it would lie on its side."""
    left = orientation_only(EXIF + exif(order))
    assert read_orientation(left.removeprefix(EXIF)) == 6
    assert metadata_only(left) == left
    assert orientation_only(b"nothing") == b""


@settings(max_examples=150, deadline=None)
@given(
    order=st.sampled_from("<>"),
    chain=st.integers(1, 3),
    is_sub=st.booleans(),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    end=st.integers(0, 22000),
)
def test_no_damage_leaves_pixels_that_a_directory_names(
    order: str, chain: int, is_sub: bool, changes: list[tuple[int, int]], end: int
) -> None:
    """Nor ends in an error."""
    block = bytearray(exif(order, chain=chain, is_sub=is_sub))
    for place, value in changes:
        block[place % len(block)] = value
    damaged = bytes(block[: max(end, 100)])
    blanked, _ = blank_uncompressed(damaged)
    assert len(blanked) == len(damaged)
    assert uncompressed_pictures(blanked) == []
    kept = metadata_only(damaged)
    if kept is not None:
        assert len(kept) == len(damaged)
        assert uncompressed_pictures(kept) == []


def test_a_hostile_block_costs_little_time() -> None:
    """Thousands of directories, each leading to the next."""
    table = struct.pack("<H", 400) + b"".join(struct.pack("<HHII", 0x8769, 4, 1, 8 + k) for k in range(400))
    with ends():
        blanked, _ = blank_uncompressed((b"II*\0\x08\0\0\0" + table) * 13)
        assert uncompressed_pictures(blanked) == []
