"""HEIC and AVIF: what stands in their boxes, and that nothing but the picture and its tags goes over."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo.cleaner import Cleaner, Tags
from pii_blur.photo.exiftool import open_exiftool
from pii_blur.photo.format_heif import carry_heif, is_avif, is_heic, read_avif, read_heic, write_avif, write_heic
from pii_blur.photo.heif_boxes import split_heif
from pii_blur.photo.orientation import read_orientation
from tests.formats import HEIGHT, PROFILE, WIDTH, avif, heic, picture

LIMIT = 10**6


def exif(orientation: int) -> bytes:
    """Return an Exif block that asks to be turned."""
    block = Image.Exif()
    block[0x0112], block[0x013B] = orientation, "me"
    return block.tobytes()


@pytest.mark.parametrize("channels", [3, 4])
def test_heic_is_read(channels: int) -> None:
    """With alpha where it has some."""
    data = heic(picture(channels), quality=95)
    read = read_heic(data, LIMIT)
    assert is_heic(data) and not is_avif(data)
    assert np.abs(read.raster.samples.astype(int) - picture(channels)).mean() < 4
    assert read.strays == ()
    assert not read.is_exact


@pytest.mark.parametrize("channels", [3, 4])
def test_avif_is_read(channels: int) -> None:
    """With alpha where it has some."""
    data = avif(picture(channels), quality=95)
    read = read_avif(data, LIMIT)
    assert is_avif(data) and not is_heic(data)
    assert np.abs(read.raster.samples.astype(int) - picture(channels)).mean() < 4
    assert read.strays == ()


@pytest.mark.parametrize("make", [heic, avif])
def test_metadata_is_found_in_the_boxes(make: object) -> None:
    """By our own reader, byte for byte: Pillow writes Exif anew."""
    data = make(picture(3), icc_profile=PROFILE, xmp=b"<x/>", exif=exif(1))  # type: ignore[operator]
    heif = split_heif(data)
    assert (heif.xmp, heif.icc) == (b"<x/>", PROFILE)
    assert b"me\0" in heif.exif
    assert (heif.width, heif.height, heif.depth) == (WIDTH, HEIGHT, 8)
    assert b"<x/>" in carry_heif(data)[0]


def test_a_turned_heic_is_upright_and_its_exif_says_so() -> None:
    """The file turns the picture; readers that obeyed Exif as well would turn it twice."""
    data = heic(picture(3), quality=95, exif=exif(6))
    read = read_heic(data, LIMIT)
    assert split_heif(data).turns
    assert read_orientation(read.exif) == read.orientation == 1
    assert np.abs(read.raster.samples.astype(int) - np.rot90(picture(3), -1)).mean() < 4


def test_xmp_does_not_turn_the_written_picture() -> None:
    """Its Orientation means nothing here, but a library obeys it."""
    turning = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    turning += b'<r:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></r:RDF></x:xmpmeta>'
    for make, read, write in ((heic, read_heic, write_heic), (avif, read_avif, write_avif)):
        data = make(picture(3), exif=exif(1))
        contents = read(data, LIMIT)
        with open_exiftool() as exiftool:
            cleaner = Cleaner(exiftool)
            cleaned = Tags(exif(6).removeprefix(b"Exif\0\0"), turning)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Cleaner, "clean_tags", lambda *_, cleaned=cleaned: (cleaned, ()))
                built = write(data, contents.raster, np.zeros((HEIGHT, WIDTH), np.uint8), cleaner)
        result = split_heif(built.data)
        assert not result.turns
        assert result.xmp == turning
        assert read_orientation(result.exif) == 6


def test_a_thumbnail_is_told() -> None:
    """It shows what will be hidden."""
    assert read_heic(heic(picture(3), thumbnail=64), LIMIT).strays == ("thumbnail",)


def test_what_nothing_refers_to_is_told() -> None:
    """Films of motion photos, padding with a picture in it, a forgotten item."""
    data = heic(picture(3))
    film = (24).to_bytes(4) + b"mpvd" + b"film" * 4
    padding = (16).to_bytes(4) + b"free" + b"pictures"
    assert read_heic(data + film, LIMIT).strays == ("box mpvd",)
    assert read_heic(data + padding, LIMIT).strays == ("padding with something in it",)
    assert read_heic(data + (16).to_bytes(4) + b"free" + bytes(8), LIMIT).strays == ()
    start = data.rindex(b"mdat")
    longer = (int.from_bytes(data[start - 4 : start]) + 9).to_bytes(4)
    assert read_heic(data[: start - 4] + longer + data[start:] + b"unblurred", LIMIT).strays == (
        "bytes that nothing refers to",
    )


def test_several_pictures_are_refused() -> None:
    """Each would have to be searched."""
    library = pytest.importorskip("pillow_heif")
    coder, file = library.from_pillow(Image.fromarray(picture(3))), io.BytesIO()
    coder.add_from_pillow(Image.fromarray(picture(3, seed=1)))
    coder.save(file, format="HEIF")
    with pytest.raises(PhotoFailure, match="2 pictures"):
        read_heic(file.getvalue(), LIMIT)


def test_ten_bits_are_refused() -> None:
    """Eight would be kept of them."""
    library = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    coder = library.from_bytes(mode="RGB;16", size=(WIDTH, HEIGHT), data=picture(3, np.uint16).tobytes())
    coder.save(file, format="HEIF")
    with pytest.raises(PhotoFailure, match="10 bits"):
        read_heic(file.getvalue(), LIMIT)


def test_series_and_turned_avif_are_refused() -> None:
    """Neither is decoded the way it is shown."""
    pictures = [Image.fromarray(picture(3, seed=seed)) for seed in (0, 1)]
    pytest.importorskip("PIL.AvifImagePlugin", reason="this Pillow has no AVIF")
    file = io.BytesIO()
    pictures[0].save(file, "AVIF", save_all=True, append_images=pictures[1:])
    with pytest.raises(PhotoFailure, match="series"):
        read_avif(file.getvalue(), LIMIT)
    with pytest.raises(PhotoFailure, match="turned"):
        read_avif(avif(picture(3), exif=exif(6)), LIMIT)


def test_the_size_is_checked_before_anything_is_decoded() -> None:
    """Coded pictures of one colour are tiny."""
    with pytest.raises(PhotoFailure) as caught:
        read_heic(heic(picture(3)), 1000)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(("make", "read"), [(heic, read_heic), (avif, read_avif)])
def test_what_is_cut_off_is_refused_quietly(
    make: object, read: object, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    """At any place."""
    data = make(picture(3))  # type: ignore[operator]
    with pytest.raises(PhotoFailure) as caught:
        read(data[: int(part * len(data))], LIMIT)  # type: ignore[operator]
    assert caught.value.code in ("truncated", "damaged")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("make", "read"), [(heic, read_heic), (avif, read_avif)])
def test_damage_inside_the_coded_picture_is_refused_or_decoded(make: object, read: object) -> None:
    """Never another error: what a decoder says of it is a RuntimeError in some libraries."""
    data = make(picture(3))  # type: ignore[operator]
    start, refused = data.index(b"mdat") + 4, 0
    for place in range(start, len(data), max((len(data) - start) // 200, 1)):
        try:
            read(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :], LIMIT)  # type: ignore[operator]
        except PhotoFailure as failure:
            assert failure.code == "truncated" and "copy it again" in failure.message
            refused += 1
    assert refused


def test_no_damage_in_the_boxes_raises_anything_but_a_photo_failure() -> None:
    """Byte by byte through everything in front of the coded picture."""
    data = heic(picture(3), xmp=b"<x/>")
    for place in range(min(data.index(b"mdat"), 900)):
        for value in (0, 0xFF):
            broken = data[:place] + bytes([value]) + data[place + 1 :]
            try:
                split_heif(broken)
            except PhotoFailure:
                continue


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not everybody has the package."""
    data = heic(picture(3))
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(PhotoFailure, match="pip install"):
        read_heic(data, LIMIT)
