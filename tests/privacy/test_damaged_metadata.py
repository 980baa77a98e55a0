"""Damaged and hostile metadata: what exiftool would not give back as it was stays untouched, or the photo is refused.

In either case no picture goes with it, and nothing costs more work than it is worth.
"""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo import openable
from pii_blur.photo.embedded import find_pictures, join_blocks
from pii_blur.photo.encode import make_thumbnail
from pii_blur.photo.exiftool import ExifTool, open_exiftool
from pii_blur.photo.guard_parts import lost_block, take_apart
from pii_blur.photo.guard_pictures import Expected, foreign_pictures
from pii_blur.photo.jpeg_segments import APP1, EXIF, EXTENDED_XMP, XMP, Jpeg, Segment, split_jpeg
from pii_blur.photo.metadata import MARK_NAMESPACE, Mark
from pii_blur.photo.openable import anything_openable
from pii_blur.photo.read import read_photo
from pii_blur.photo.spared import PHOTOSHOP, XMP_BLOCK, check_spared
from pii_blur.photo.write import Written, copy_clean, write_photo
from tests.photos import hide_middle, other_jpeg, street, street_jpeg, with_tags

MARK = Mark("1.0", "model", 0.4, 1)
APP2, APP9, APP13 = 0xE2, 0xE9, 0xED
PROFILE = bytes(range(256)) * 3
# Without rdf:RDF: exiftool reads it, and would write it anew without the tags.
BROKEN_XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' "
    b"xmlns:dc='http://purl.org/dc/elements/1.1/' dc:format='%s'><dc:source>kept</dc:source></rdf:Description>"
    b"</x:xmpmeta>"
)


@pytest.fixture(scope="module")
def exiftool() -> Iterator[ExifTool]:
    """One exiftool for all."""
    with open_exiftool() as tool:
        yield tool


def with_further(data: bytes, *segments: Segment) -> bytes:
    """Put segments in front of a JPEG's own."""
    jpeg = split_jpeg(data)
    return Jpeg((*segments, *jpeg.segments), jpeg.coded).to_bytes()


def blur(data: bytes, folder: Path, exiftool: ExifTool, suffix: str = ".jpg") -> tuple[bytes, Written]:
    """Publish a photo with something hidden, as the program does."""
    path, target = folder / f"photo{suffix}", folder / f"out{suffix}"
    path.write_bytes(data)
    photo = read_photo(path)
    written = write_photo(photo, hide_middle(photo), target, exiftool=exiftool, mark=MARK)
    return target.read_bytes(), written


def refused(data: bytes, folder: Path, exiftool: ExifTool) -> PhotoFailure:
    """Return why it is not published."""
    with pytest.raises(PhotoFailure) as caught:
        blur(data, folder, exiftool)
    assert not (folder / "out.jpg").exists()
    return caught.value


def segments_of(data: bytes, marker: int, beginning: bytes) -> list[Segment]:
    """Return the segments that begin like this."""
    return [one for one in split_jpeg(data).segments if one.marker == marker and one.payload.startswith(beginning)]


# --- what exiftool would spoil --------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [(1, 2, 3), (2, 1, 3), (1, 1, 9)])
def test_a_profile_in_parts_beside_mpf_stays_as_it_is(
    numbers: tuple[int, ...], tmp_path: Path, exiftool: ExifTool
) -> None:
    """Deleting MPF makes exiftool join the profile, and lose it where the numbers of its parts are wrong."""
    parts = [PROFILE[start : start + 256] for start in (0, 256, 512)]
    icc = [
        Segment(APP2, b"ICC_PROFILE\0" + bytes((number, 3)) + part) for number, part in zip(numbers, parts, strict=True)
    ]
    mpf = Segment(APP2, b"MPF\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    written, _ = blur(with_further(street_jpeg(), *icc, mpf), tmp_path, exiftool)
    assert segments_of(written, APP2, b"ICC") == icc
    assert segments_of(written, APP2, b"MPF") == []


def test_damaged_xmp_stays_and_a_picture_in_it_goes(tmp_path: Path, exiftool: ExifTool) -> None:
    """Exiftool would drop what it cannot read; the mark is left out rather than a second packet put in."""
    packet = XMP + BROKEN_XMP % b"plain"
    written, _ = blur(with_further(street_jpeg(), Segment(APP1, packet)), tmp_path, exiftool)
    assert segments_of(written, APP1, XMP) == [Segment(APP1, packet)]
    assert MARK_NAMESPACE not in written
    letters = base64.b64encode(other_jpeg(32, 64))
    packet = XMP + BROKEN_XMP % letters
    written, result = blur(with_further(street_jpeg(), Segment(APP1, packet)), tmp_path, exiftool)
    (kept,) = segments_of(written, APP1, XMP)
    assert len(kept.payload) == len(packet) and letters[:40] not in kept.payload
    assert kept.payload.startswith(packet[: packet.index(letters)]) and kept.payload.endswith(packet[-50:])
    assert any("base64" in name for name in result.removed)


@pytest.mark.parametrize("how", ["references to letters", "sound", "extended"])
def test_damaged_xmp_that_may_hold_a_picture_is_refused(how: str, tmp_path: Path, exiftool: ExifTool) -> None:
    """One whose letters no search would see, or one in a coding that nobody prescribes."""
    letters = base64.b64encode(other_jpeg(32, 64))
    references = b"".join(b"&#%d;" % letter for letter in letters[:8]) + letters[8:]
    sound = b"' xmlns:g='http://ns.google.com/photos/1.0/audio/' g:Data='AAAA"
    packets = {
        "references to letters": BROKEN_XMP % references,
        "sound": BROKEN_XMP % sound,
        "extended": BROKEN_XMP % b"plain",
    }
    further = [Segment(APP1, XMP + packets[how])]
    if how == "extended":
        rest = BROKEN_XMP % references
        header = EXTENDED_XMP + b"0" * 32 + struct.pack(">II", len(rest), 0)
        further.append(Segment(APP1, header + rest))
    failure = refused(with_further(street_jpeg(), *further), tmp_path, exiftool)
    assert failure.code == "metadata"
    assert "exiftool" in failure.message
    # What exiftool cannot read it leaves out; should it ever read this, and spoil it:
    for encoding in ("utf-16", "utf-16-be", "utf-32"):
        with pytest.raises(PhotoFailure):
            check_spared(XMP_BLOCK, (BROKEN_XMP % letters).decode().encode(encoding))


def test_a_damaged_photoshop_block_stays_unless_there_may_be_a_thumbnail_in_it(
    tmp_path: Path, exiftool: ExifTool
) -> None:
    """Which may be bare pixels."""
    sound = b"8BIM\x04\x04\0\0" + struct.pack(">I", 8) + b"\x1c\x02\x19\0\x03abc"
    block = Segment(APP13, PHOTOSHOP + sound + b"8BIM\x04\x25\0\0\xff\xff\xff\xff damaged")
    written, _ = blur(with_further(street_jpeg(), block), tmp_path, exiftool)
    assert segments_of(written, APP13, PHOTOSHOP) == [block]
    for resource in (b"\x04\x09", b"\x04\x0c"):
        block = Segment(APP13, PHOTOSHOP + b"8BIM" + resource + b"\0\0\xff\xff\xff\xff" + bytes(28) + b"\x80\x81" * 300)
        (tmp_path / "out.jpg").unlink(missing_ok=True)
        assert refused(with_further(street_jpeg(), block), tmp_path, exiftool).code == "metadata"


def test_of_two_exif_blocks_both_stay_with_one_thumbnail(tmp_path: Path, exiftool: ExifTool) -> None:
    """Exiftool puts the fresh one into both."""
    source = with_tags(street_jpeg(), tmp_path, "-ThumbnailImage<={other}", "-Artist=first")
    second = with_tags(street_jpeg(), tmp_path, "-ThumbnailImage<={other}", "-Artist=other")
    source = with_further(source, *segments_of(second, APP1, EXIF))
    written, _ = blur(source, tmp_path, exiftool)
    blocks = [block.data for block in join_blocks(split_jpeg(written).segments) if block.name == "APP1 Exif"]
    assert [b"other" in block for block in blocks] == [True, False]
    assert [b"first" in block for block in blocks] == [False, True]
    assert sum(len(find_pictures(block)) for block in blocks) == 1


def test_exif_that_would_lose_its_meaning_is_refused(tmp_path: Path, exiftool: ExifTool) -> None:
    """Without a first block that is damage, the second would turn the photo."""
    source = with_tags(street_jpeg(), tmp_path, "-Orientation#=6")
    failure = refused(with_further(source, Segment(APP1, EXIF + b"MM\0*\x93\xb1\xbf\x92 damage")), tmp_path, exiftool)
    assert failure.code == "metadata"
    assert "Orientation" in failure.message


def test_what_opens_as_a_picture_but_looks_like_none_is_refused(tmp_path: Path, exiftool: ExifTool) -> None:
    """Whether something is hidden or not: nobody can say where it ends."""
    source = with_further(street_jpeg(), Segment(APP9, b"Camera\0" + odd_jpeg()))
    assert refused(source, tmp_path, exiftool).code == "metadata"
    with pytest.raises(PhotoFailure) as caught:
        copy_clean(read_photo(tmp_path / "photo.jpg"), tmp_path / "out.jpg", exiftool=exiftool)
    assert caught.value.code == "metadata"


# --- the second opinion ---------------------------------------------------------------------------------------------


def odd_jpeg() -> bytes:
    """Return a JPEG that opens, though its frame header names a quantisation table that no JPEG has."""
    data = bytearray(other_jpeg(32, 64))
    frame = data.index(b"\xff\xc0\0\x11")
    data[frame + 12] = 9
    assert find_pictures(bytes(data)) == []
    return bytes(data)


@pytest.mark.parametrize("size", [0, 10, 65_000])
@pytest.mark.parametrize("count", [1, 40])
def test_a_jpeg_is_opened_however_long_its_metadata(size: int, count: int) -> None:
    """Two and a half megabytes may stand between its beginning and its frame header, and junk between them."""
    data = odd_jpeg()
    further = b"".join(Segment(marker, bytes(size)).to_bytes() for marker in (0xE1, 0xEF, 0xFE)) * count
    for between in (b"", b"\0junk\xff\0"):
        assert anything_openable(bytes(100) + data[:2] + b"\xff\xe5\0\x02" + between + further + data[2:]) == "JPEG"


def test_a_jpeg_with_more_tables_than_there_can_be_counts_as_one() -> None:
    """Instead of being decoded, or let through."""
    data = odd_jpeg()
    tables = Segment(0xDB, bytes(60_000)).to_bytes()
    assert anything_openable(data[:2] + tables * 3 + data[2:]) == "JPEG"


@pytest.mark.parametrize("flags", [0x00, 0x10, 0x70, 0xF7])
def test_a_gif_is_found_however_long_its_comment(flags: int) -> None:
    """By its header alone, whatever stands in that."""
    colours = bytes(3 << (flags & 7) + 1) if flags & 0x80 else b""
    comment = b"!\xfe" + (b"\xff" + b"c" * 255) * 100 + b"\0"
    frame = b",\0\0\0\0\x20\0\x10\0\0\x08" + b"\x02\x4c\x01\0;"
    gif = b"GIF89a\x20\0\x10\0" + bytes((flags, 0, 0)) + colours + comment + frame
    assert Image.open(io.BytesIO(gif)).size == (32, 16)
    assert [one.kind for one in find_pictures(bytes(9) + gif)] == ["GIF"]
    assert find_pictures(b"converted from a GIF89a file, with care") == []


def test_small_bitmaps_are_opened_and_two_letters_are_none() -> None:
    """BM stands in every long block by chance."""
    bitmap = cv2.imencode(".bmp", street(40, 60))[1].tobytes()
    assert anything_openable(b"table" + bitmap) == "BMP"
    assert anything_openable(b"BM" * 5000) == ""


@pytest.mark.parametrize(
    "flood",
    [
        b"\xff\xd8",
        b"\xff\xd8\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\1\x11\0",
        b"\xff\xd8" + b"\xff" * 4000,
        b"\xff\xd8\xff\xe0\0\x02" + b"\0" * 4000,
        b"GIF89a ",
        b"BM" + bytes(12) + b"\x28\0\0\0" + bytes(30),
        b"\x89PNG\r\n",
        b"A" * 15 + b" ",
    ],
)
def test_what_is_full_of_beginnings_costs_little(flood: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow went byte by byte through all that follows each: hours for a block of some megabytes."""
    real, seen = Image.open, list[int]()

    def counted(file: io.BytesIO, **options: object) -> Image.Image:
        seen.append(len(file.getvalue()))
        return real(file, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(openable.Image, "open", counted)
    anything_openable(flood * (3_000_000 // len(flood)))
    assert sum(seen) < 30_000_000
    assert max(seen, default=0) <= 1 << 16


def test_a_thumbnail_larger_than_exif_has_room_for_is_none() -> None:
    """Nor is one with another in it; looking at megabytes costs seconds."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 320, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=100, subsampling=0)
    assert len(file.getvalue()) > 1 << 16
    expected = Expected(cv2.cvtColor(noise, cv2.COLOR_RGB2GRAY))
    assert foreign_pictures([("block", file.getvalue())], expected) == "second JPEG in block"


def test_a_picture_of_a_few_blocks_gets_no_thumbnail() -> None:
    """Nobody could tell whether it shows the same."""
    assert make_thumbnail(street(8, 64)) == b""
    assert make_thumbnail(street(16, 64)) != b""


# --- blocks, as the guard compares them -----------------------------------------------------------------------------


def test_blocks_of_one_name_are_told_apart() -> None:
    """What a block is known by need not be text; each must still be there."""
    one, other = Segment(APP9, b"\x80mine" + bytes(9)), Segment(APP9, b"\x81yours" + bytes(9))
    both, before = with_further(street_jpeg(), one, other), with_further(street_jpeg(), other, one)
    parts = [take_apart(data, "JPEG") for data in (both, before, with_further(street_jpeg(), one))]
    assert lost_block(parts[0], parts[1]) == ""
    assert lost_block(parts[0], parts[2]) == "APP9"
    blanked = Segment(APP9, bytes(14))
    assert lost_block(parts[0], take_apart(with_further(street_jpeg(), blanked, other), "JPEG")) == "APP9"


def test_a_block_whose_name_was_part_of_a_picture_may_be_blanked() -> None:
    """Then it goes by another name."""
    source = with_further(street_jpeg(), Segment(APP9, other_jpeg(32, 64)), Segment(APP9, b"\0kept"))
    blank = with_further(street_jpeg(), Segment(APP9, bytes(len(other_jpeg(32, 64)))), Segment(APP9, b"\0kept"))
    assert lost_block(take_apart(source, "JPEG"), take_apart(blank, "JPEG")) == ""
