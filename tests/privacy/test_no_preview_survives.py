"""No picture that was not blurred leaves with a photo, wherever a camera or a program hid it."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pii_blur.photo.exiftool import ExifTool, open_exiftool
from pii_blur.photo.jpeg_segments import APP0, APP1, APP2, EXTENDED_XMP, XMP, Jpeg, Segment, split_jpeg
from pii_blur.photo.metadata import Mark
from pii_blur.photo.photo import Photo
from pii_blur.photo.read import read_photo
from pii_blur.photo.write import copy_clean, write_photo
from tests.photos import hide_middle, other_jpeg, pictures_anywhere, street, street_jpeg, with_tags

OTHER = other_jpeg()
FILM = b"\x00\x00\x00\x18ftypmp42\0\0\0\0mp42isom" + b"moov" * 200
MARK = Mark("1.0", "model", 0.4, 1)
Make = Callable[[bytes, Path], bytes]


def tagged(*arguments: str) -> Make:
    """Let exiftool hide it."""
    return lambda data, folder: with_tags(data, folder, *arguments)


def followed_by(trailer: bytes) -> Make:
    """Put it behind the picture."""
    return lambda data, _: data + trailer


def beside(*segments: Segment) -> Make:
    """Put it among the segments."""
    return lambda data, _: Jpeg((*split_jpeg(data).segments, *segments), split_jpeg(data).coded).to_bytes()


def xmp(text: bytes) -> bytes:
    """Return an XMP packet with a property that nobody knows."""
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<r:Description xmlns:q="http://q/"><q:hidden>' + text + b"</q:hidden></r:Description></r:RDF></x:xmpmeta>"
    )


def extended_xmp(text: bytes) -> list[Segment]:
    """Spread an XMP packet over segments, cut where it hurts."""
    packet = xmp(text)
    guid = b"0123456789ABCDEF0123456789ABCDEF"
    main = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description'
        b' xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="' + guid + b'"/></r:RDF></x:xmpmeta>'
    )
    cut = packet.index(text) + 2
    head = EXTENDED_XMP + guid + struct.pack(">I", len(packet))
    parts = [head + struct.pack(">I", start) + packet[start:end] for start, end in ((0, cut), (cut, len(packet)))]
    return [Segment(APP1, part) for part in (XMP + main, *parts)]


def jfxx() -> Segment:
    """Return a JFXX thumbnail: JFIF's own way."""
    small = io.BytesIO()
    Image.fromarray(street(seed=99)).resize((60, 40)).save(small, "JPEG")
    return Segment(APP0, b"JFXX\0\x10" + small.getvalue())


def flashpix() -> tuple[Segment, Segment]:
    """Return a FlashPix preview in a coding of its own: its list of contents, and its stream."""
    name = "/\x05Screen Nail_bd0100609719a180\0".encode("utf-16-le")
    stream = OTHER[len(OTHER) // 2 :]
    contents = struct.pack(">BBHIB", 0, 1, 1, len(stream), 0) + name
    return Segment(APP2, b"FPXR\0" + contents), Segment(APP2, b"FPXR\0" + struct.pack(">BBHI", 0, 2, 0, 0) + stream)


HIDDEN: dict[str, Make] = {
    "EXIF thumbnail": tagged("-ThumbnailImage<={other}"),
    "Photoshop thumbnail": tagged("-PhotoshopThumbnail<={other}"),
    "XMP thumbnails": tagged("-XMP-xmp:ThumbnailImage<={other}", "-XMP-xmp:ThumbnailFormat=JPEG"),
    "GImage": tagged("-XMP-GImage:ImageData<={other}", "-XMP-GImage:ImageMimeType=image/jpeg"),
    "GDepth": tagged("-XMP-GDepth:DepthImage<={other}", "-XMP-GDepth:Near=1"),
    "GDepth, spread over segments": beside(*extended_xmp(base64.b64encode(OTHER))),
    "unknown XMP": beside(Segment(APP1, XMP + xmp(base64.b64encode(OTHER)))),
    "JFXX": beside(jfxx()),
    "unknown APP segment": beside(Segment(0xEA, b"Camera\0" + OTHER)),
    "unknown APP segment, no first byte": beside(Segment(0xEA, b"Camera\0\0" + OTHER[1:])),
    "comment": beside(Segment(0xFE, OTHER)),
    "film in a segment": beside(Segment(0xE3, FILM)),
    "PNG in a segment": beside(Segment(0xE3, cv2.imencode(".png", street(seed=99))[1].tobytes())),
    "second picture": followed_by(OTHER),
    "MPF": lambda data, folder: beside(Segment(APP2, b"MPF\0II*\0\x08\0\0\0\0\0\0\0\0\0"))(data, folder) + OTHER,
    "sound in a segment": beside(Segment(APP2, b"FPXR\0sound" + b"RIFF\x64\0\0\0WAVEfmt " + b"moov" * 50)),
    "FlashPix": beside(*flashpix()),
    "junk between segments": lambda data, _: data[:2] + OTHER[2:-2].replace(b"\xff", b"\xfe") + data[2:],
    "motion photo": followed_by(b"MotionPhoto_Data" + FILM),
    "unknown trailer": followed_by(b"camera" + bytes(50) + b"end"),
}


@pytest.fixture(scope="module")
def exiftool() -> Iterator[ExifTool]:
    """One exiftool for all."""
    with open_exiftool() as tool:
        yield tool


def looks_like(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two pictures show the same."""
    small = [cv2.resize(picture, (32, 18), interpolation=cv2.INTER_AREA).astype(int) for picture in (found, expected)]
    return bool(np.abs(small[0] - small[1]).mean() < 12)


def assert_nothing_hidden(data: bytes, removed: tuple[str, ...]) -> None:
    """Neither the bytes of the hidden picture or film, nor a picture like it, are left; and it is reported."""
    secret = street(90, 160, 99)
    for piece in (OTHER[len(OTHER) // 2 :][:60], base64.b64encode(OTHER)[1000:1060], b"moovmoov"):
        assert piece not in data
    assert not any(looks_like(found, secret) for found in pictures_anywhere(data))
    assert not split_jpeg(data).trailer
    assert removed


def make(name: str, folder: Path, **options: object) -> Photo:
    """Return a photo that hides something."""
    plain = with_tags(street_jpeg(**options), folder, "-Artist=kept", "-GPSLatitude=1", "-Make=Camera")
    data = HIDDEN[name](plain, folder)
    assert len(data) > len(plain) + 50, "nothing was hidden"
    (folder / "photo.jpg").write_bytes(data)
    return read_photo(folder / "photo.jpg")


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_hidden_in_a_blurred_photo_is_gone(name: str, tmp_path: Path, exiftool: ExifTool) -> None:
    """And the rest of the metadata is there."""
    photo, target = make(name, tmp_path), tmp_path / "out.jpg"
    written = write_photo(photo, hide_middle(photo), target, exiftool=exiftool, mark=MARK)
    assert_nothing_hidden(target.read_bytes(), written.removed)
    assert exiftool.read_tags(target.read_bytes(), ".jpg")["IFD0:Artist"] == "kept"


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_hidden_in_a_clean_photo_is_gone_and_nothing_else(
    name: str, tmp_path: Path, exiftool: ExifTool
) -> None:
    """Nobody examined it; the picture itself keeps every byte."""
    photo, target = make(name, tmp_path), tmp_path / "out.jpg"
    assert photo.facts is not None
    written = copy_clean(photo, target, exiftool=exiftool)
    assert_nothing_hidden(target.read_bytes(), written.removed)
    assert split_jpeg(target.read_bytes()).coded == split_jpeg(photo.facts.data).coded
    assert exiftool.read_tags(target.read_bytes(), ".jpg")["IFD0:Artist"] == "kept"


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_fresh_thumbnail_shows_the_blurred_photo(orientation: int, tmp_path: Path, exiftool: ExifTool) -> None:
    """As stored, so that viewers that turn the photo turn it as well."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo, target = make("EXIF thumbnail", tmp_path, exif=exif), tmp_path / "out.jpg"
    write_photo(photo, hide_middle(photo), target, exiftool=exiftool, mark=MARK)
    data = target.read_bytes()
    (thumbnail,) = pictures_anywhere(data)
    with Image.open(io.BytesIO(data)) as image:
        stored = np.array(image)
    assert thumbnail.shape[1] == 160
    assert looks_like(thumbnail, stored)
    assert thumbnail.shape[:2] == (96, 160)


def test_a_photo_without_thumbnail_gets_none(tmp_path: Path, exiftool: ExifTool) -> None:
    """Nothing is added but the mark."""
    (tmp_path / "photo.jpg").write_bytes(with_tags(street_jpeg(), tmp_path, "-Artist=kept"))
    photo, target = read_photo(tmp_path / "photo.jpg"), tmp_path / "out.jpg"
    written = write_photo(photo, hide_middle(photo), target, exiftool=exiftool, mark=MARK)
    assert pictures_anywhere(target.read_bytes()) == []
    assert written.removed == ()
    tags = exiftool.read_tags(target.read_bytes(), ".jpg")
    mark = {name: value for name, value in tags.items() if name.startswith("XMP-PiiBlur")}
    assert mark == {
        "XMP-PiiBlur:ToolVersion": "1.0" if isinstance(mark["XMP-PiiBlur:ToolVersion"], str) else 1.0,
        "XMP-PiiBlur:Model": "model",
        "XMP-PiiBlur:MinScore": 40,
        "XMP-PiiBlur:Regions": 1,
    }


def test_a_clean_photo_with_its_own_thumbnail_is_copied_byte_for_byte(tmp_path: Path, exiftool: ExifTool) -> None:
    """The thumbnail shows what was examined."""
    small = io.BytesIO()
    Image.fromarray(street()).resize((160, 96)).save(small, "JPEG")
    (tmp_path / "small.jpg").write_bytes(small.getvalue())
    data = with_tags(street_jpeg(), tmp_path, f"-ThumbnailImage<={tmp_path / 'small.jpg'}") + bytes(16)
    (tmp_path / "photo.jpg").write_bytes(data)
    written = copy_clean(read_photo(tmp_path / "photo.jpg"), tmp_path / "out.jpg", exiftool=exiftool)
    assert (tmp_path / "out.jpg").read_bytes() == data
    assert (written.way, written.removed) == ("copied", ())


def test_a_second_picture_goes_but_the_thumbnail_of_a_clean_photo_stays(tmp_path: Path, exiftool: ExifTool) -> None:
    """That part alone is taken out."""
    small = io.BytesIO()
    Image.fromarray(street()).resize((160, 96)).save(small, "JPEG")
    (tmp_path / "small.jpg").write_bytes(small.getvalue())
    data = with_tags(street_jpeg(), tmp_path, f"-ThumbnailImage<={tmp_path / 'small.jpg'}")
    data = beside(Segment(0xEA, b"Camera\0" + OTHER))(data, tmp_path)
    (tmp_path / "photo.jpg").write_bytes(data)
    written = copy_clean(read_photo(tmp_path / "photo.jpg"), tmp_path / "out.jpg", exiftool=exiftool)
    result = (tmp_path / "out.jpg").read_bytes()
    assert small.getvalue() in result
    assert_nothing_hidden(result, written.removed)


def hidden_png(folder: Path, where: str) -> Path:
    """Return a PNG that hides a picture."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "kept")
    if where == "text":
        info.add_text("Preview", base64.b64encode(OTHER).decode(), zip=True)
    elif where == "XMP":
        info.add_itxt("XML:com.adobe.xmp", xmp(base64.b64encode(OTHER)).decode(), zip=True)
    elif where == "raw profile":
        info.add_text("Raw profile type app12", f"\napp12\n{len(OTHER)}\n{OTHER.hex()}\n", zip=True)
    elif where == "unknown chunk":
        info.add(b"prVw", OTHER)
    file = io.BytesIO()
    Image.fromarray(street()).save(file, "PNG", pnginfo=info)
    data = file.getvalue()
    if where == "EXIF":
        data = with_tags(data, folder, "-ThumbnailImage<={other}", "-Make=Camera", suffix=".png")
    path = folder / "photo.png"
    path.write_bytes(data + (OTHER if where == "trailer" else b""))
    return path


@pytest.mark.parametrize("where", ["EXIF", "text", "XMP", "raw profile", "unknown chunk", "trailer"])
@pytest.mark.parametrize("is_blurred", [True, False])
def test_what_is_hidden_in_a_png_is_gone(where: str, is_blurred: bool, tmp_path: Path, exiftool: ExifTool) -> None:
    """Packed or in hexadecimal too; the pixels outside the hidden region are the same."""
    photo, target = read_photo(hidden_png(tmp_path, where)), tmp_path / "out.png"
    hidden = hide_middle(photo)
    if is_blurred:
        written = write_photo(photo, hidden, target, exiftool=exiftool, mark=MARK)
    else:
        written = copy_clean(photo, target, exiftool=exiftool)
    result = read_photo(target)
    assert np.array_equal(result.pixels, hidden.pixels if is_blurred else photo.pixels)
    data = target.read_bytes()
    assert not any(looks_like(found, street(90, 160, 99)) for found in pictures_anywhere(data))
    tags = exiftool.read_tags(data, ".png", "-b")
    assert tags["PNG:Author"] == "kept"
    assert base64.b64encode(OTHER)[1000:1060].decode() not in str(tags)
    assert OTHER.hex()[1000:1060] not in str(tags)
    assert written.removed
    assert ("XMP-PiiBlur:Regions" in tags) == is_blurred


def test_a_plain_png_is_copied_byte_for_byte(tmp_path: Path, exiftool: ExifTool) -> None:
    """Nothing in it needs to go."""
    path = hidden_png(tmp_path, "nowhere")
    assert copy_clean(read_photo(path), tmp_path / "out.png", exiftool=exiftool).way == "copied"
    assert (tmp_path / "out.png").read_bytes() == path.read_bytes()
