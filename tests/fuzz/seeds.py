"""The files that the fuzz run starts from: every coding and every kind of metadata, small, made on the spot.

All pictures are between 64 x 32 and 320 x 160 pixels, so that a whole run takes milliseconds.
"""

from __future__ import annotations

import io
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, features

from pii_blur.photo.exiftool import ExifTool, open_exiftool
from tests.jpegs import cjpeg, encode, picture
from tests.photos import other_jpeg

LARGEST_SAMPLE = 20_000  # bytes; larger ones make a run slow and add no structure

GPANO = (
    "-XMP-GPano:ProjectionType=equirectangular",
    "-XMP-GPano:FullPanoWidthPixels=320",
    "-XMP-GPano:FullPanoHeightPixels=160",
    "-XMP-GPano:CroppedAreaImageWidthPixels=320",
    "-XMP-GPano:CroppedAreaImageHeightPixels=160",
    "-XMP-GPano:CroppedAreaLeftPixels=0",
    "-XMP-GPano:CroppedAreaTopPixels=0",
    "-XMP-GPano:PosePitchDegrees=4.5",
    "-XMP-GPano:PoseRollDegrees=-2",
)
CAMERA = (
    "-IFD0:Make=Maker",
    "-IFD0:Model=Model 1",
    "-ExifIFD:DateTimeOriginal=2024:05:06 07:08:09",
    "-GPSLatitude=52.5",
    "-GPSLatitudeRef=N",
    "-GPSLongitude=13.4",
    "-GPSLongitudeRef=E",
)
THUMBNAIL = "-IFD1:ThumbnailImage<={other.jpg}"


def street(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a picture, uint8 (height, width, 3), with detail fine enough for a blur to take it away."""
    return picture(height, width, seed, detail=4)


def make_seeds() -> dict[str, bytes]:
    """Return all seeds by name; the same ones for the same versions of Pillow, libjpeg and exiftool."""
    with open_exiftool() as exiftool:
        seeds = {f"{name}.jpg": data for name, data in {**_codings(), **_metadata(exiftool)}.items()}
        seeds |= {f"{name}.png": data for name, data in _pngs(exiftool).items()}
    return seeds | _other_formats()


def read_samples(folder: Path) -> dict[str, bytes]:
    """Return the small files of a folder with real photos."""
    small = (file for file in sorted(folder.iterdir()) if file.stat().st_size <= LARGEST_SAMPLE)
    return {file.name: file.read_bytes() for file in small}


def segment(marker: int, payload: bytes) -> bytes:
    """Return one JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def chunk(kind: bytes, payload: bytes) -> bytes:
    """Return one PNG chunk."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def _codings() -> dict[str, bytes]:
    """JPEGs of every coding, without metadata."""
    small, middle, odd = street(32, 64), street(80, 160), street(51, 101)
    made = {
        "plain": encode(middle, quality=92),
        "full_chroma": encode(small, quality=95, subsampling=0),
        "half_chroma_progressive": encode(odd, subsampling=1, progressive=True),
        "grey": encode(odd, mode="L"),
        "grey_progressive": encode(small, mode="L", progressive=True),
        "restarts": encode(middle, restart_marker_blocks=3),
        "optimised": encode(middle, optimize=True, quality=60),
        "cmyk": encode(small, mode="CMYK"),
        "rgb": encode(small, keep_rgb=True),
        "progressive": encode(street(160, 320), progressive=True, quality=60),
        "flat": encode(street(48, 64)),
    }
    if shutil.which("cjpeg"):
        made |= {
            "arithmetic": cjpeg(small, "-arithmetic"),
            "tall_chroma": cjpeg(odd, "-sample", "1x2"),
            "three_scans": cjpeg(odd, scans="0;1;2;"),
        }
    return made


def _metadata(exiftool: ExifTool) -> dict[str, bytes]:
    """JPEGs with all that cameras and programs hide in them."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    def tagged(data: bytes, *arguments: str, thumbnail: bytes = other_jpeg(45, 80)) -> bytes:
        return exiftool.edit(data, ".jpg", list(arguments), {"other.jpg": thumbnail})

    def inserted(data: bytes, *segments: bytes) -> bytes:
        return data[:2] + b"".join(segments) + data[2:]

    plain, small = encode(street(80, 160), quality=80), encode(street(32, 64))
    icc = [segment(0xE2, b"ICC_PROFILE\0" + bytes((n + 1, 2)) + profile[n * 300 : (n + 1) * 300]) for n in (0, 1)]
    photos = io.BytesIO()
    Image.fromarray(street(80, 160)).save(
        photos, "MPO", save_all=True, append_images=[Image.fromarray(street(80, 160, 7))]
    )
    camera = tagged(encode(street(160, 320)), *CAMERA, *GPANO, THUMBNAIL, "-Comment=taken by hand")
    return {
        "camera": camera,
        "gpano": tagged(encode(street(160, 320), quality=70), *GPANO),
        "partial_gpano": tagged(encode(street(60, 160)), *GPANO, "-XMP-GPano:CroppedAreaImageWidthPixels=160"),
        "turned": tagged(plain, *CAMERA, "-IFD0:Orientation#=6", THUMBNAIL),
        "own_thumbnail": tagged(plain, *CAMERA, THUMBNAIL, thumbnail=plain),
        "icc": encode(street(80, 160), icc_profile=profile),
        "icc_in_parts": inserted(small, *icc),
        "mpf": photos.getvalue(),
        "photoshop": tagged(plain, "-PhotoshopThumbnail<={other.jpg}", "-IPTC:Keywords=street"),
        "xmp_thumbnail": tagged(plain, "-XMP-xmp:ThumbnailImage<={other.jpg}"),
        "jfxx": inserted(small, segment(0xE0, b"JFXX\0\x10" + other_jpeg(32, 64))),
        "thermal": inserted(small, *thermal()),
        "extended_xmp": inserted(small, *extended_xmp()),
        "picture_behind": tagged(plain, *CAMERA) + other_jpeg(),
        "film_behind": plain + b"\0\0\0\x18ftypmp42" + bytes(16) + b"\0\0\0\x08mdat" + other_jpeg(),
        "zeros_behind": small + bytes(200),
        "junk_between": inserted(small, b"junk", segment(0xFE, b"note"), b"\xff\xff\xff"),
        "all": inserted(camera, *icc, *thermal(), *extended_xmp(), segment(0xE5, other_jpeg(32, 64))) + other_jpeg(),
    }


def thermal() -> list[bytes]:
    """Return the segments of a FLIR block with two records, one of them a picture."""
    picture = other_jpeg(32, 64)
    contents = [(0x20, bytes(range(64))), (0x0E, bytes(32) + picture), (0x01, bytes(32) + b"\x17\x22" * 200)]
    offset, directory, body = 64 + 32 * len(contents), b"", b""
    for kind, data in contents:
        directory += struct.pack(">HHIII", kind, 2, 100, offset + len(body), len(data)).ljust(32, b"\0")
        body += data
    block = struct.pack(">4s16sIII", b"FFF\0", b"camera", 101, 64, len(contents)).ljust(64, b"\0") + directory + body
    parts = [block[start : start + 500] for start in range(0, len(block), 500)]
    return [segment(0xE1, b"FLIR\0\x01" + bytes((n, len(parts) - 1)) + part) for n, part in enumerate(parts)]


def extended_xmp(key: bytes = b"0123456789ABCDEF0123456789ABCDEF") -> list[bytes]:
    """Return the segments of an XMP packet whose rest stands in two further segments."""
    main = xmp_packet(b'<rdf:Description xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="%s"/>' % key)
    rest = xmp_packet(b'<rdf:Description xmlns:d="urn:d" d:long="%s"/>' % (b"long text " * 40), is_wrapped=False)
    half = len(rest) // 2
    parts = [(0, rest[:half]), (half, rest[half:])]
    header = b"http://ns.adobe.com/xmp/extension/\0" + key
    return [
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + main),
        *(segment(0xE1, header + struct.pack(">II", len(rest), start) + part) for start, part in parts),
    ]


def xmp_packet(body: bytes, *, is_wrapped: bool = True) -> bytes:
    """Return an XMP packet round some RDF."""
    rdf = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' + body + b"</rdf:RDF>"
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + rdf + b"</x:xmpmeta>"
    if not is_wrapped:
        return packet
    return b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>' + packet + b'<?xpacket end="w"?>'


def _pngs(exiftool: ExifTool) -> dict[str, bytes]:
    def saved(picture: Image.Image, **options: object) -> bytes:
        file = io.BytesIO()
        picture.save(file, "PNG", **options)
        return file.getvalue()

    def before_pixels(data: bytes, *chunks: bytes) -> bytes:
        place = data.index(b"IDAT") - 4
        return data[:place] + b"".join(chunks) + data[place:]

    photo, small = Image.fromarray(street(80, 160)), Image.fromarray(street(32, 64))
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "street")
    texts.add_text("Packed", "text " * 50, zip=True)
    texts.add_itxt("International", "Straße " * 20, "de", "Titel", zip=True)
    hexadecimal = b"\nexif\n%8d\n" % 2000 + other_jpeg(32, 64).hex().encode() + b"\n"
    raw = b"Raw profile type exif\0\0" + zlib.compress(hexadecimal)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rich = exiftool.edit(saved(photo), ".png", [*CAMERA, *GPANO, THUMBNAIL], {"other.jpg": other_jpeg(45, 80)})
    return {
        "rgb": saved(photo),
        "grey": saved(small.convert("L")),
        "palette": saved(small.quantize(32)),
        "bits": saved(small.convert("1")),
        "interlaced": interlaced(street(32, 64)),
        "rich": rich,
        "texts": saved(small, pnginfo=texts, icc_profile=profile),
        "raw_profile": before_pixels(saved(small), chunk(b"zTXt", raw)),
        "animated": saved(small, save_all=True, append_images=[Image.fromarray(street(32, 64, 5))]),
        "picture_behind": saved(small) + other_jpeg(),
        "alpha": saved(small.convert("RGBA")),
        "deep": saved(Image.fromarray(street(32, 64)[..., 0].astype(np.uint16) * 257)),
    }


def interlaced(pixels: np.ndarray) -> bytes:
    """Return an interlaced PNG of uint8 (height, width, 3), which Pillow reads but does not write."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(
        b"\0" + row.tobytes() for y, x, down, right in passes for row in pixels[y::down, x::right] if row.size
    )
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 1)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _other_formats() -> dict[str, bytes]:
    """What is read or refused beside JPEG and PNG."""
    photo, small = Image.fromarray(street(80, 160)), Image.fromarray(street(32, 64))
    deep = Image.fromarray(street(32, 64)[..., 0].astype(np.uint16) * 257)
    wanted: dict[str, tuple[str, Image.Image, dict[str, object]]] = {
        "plain.tif": ("TIFF", photo, {}),
        "packed.tif": ("TIFF", small, {"compression": "tiff_lzw"}),
        "deep.tif": ("TIFF", deep, {}),
        "jpeg.tif": ("TIFF", photo, {"compression": "jpeg"}),
        "deflated.tif": ("TIFF", small, {"compression": "tiff_adobe_deflate"}),
        "grey.tif": ("TIFF", small.convert("L"), {"compression": "packbits"}),
        "big.tif": ("TIFF", small, {"big_tiff": True}),
        "alpha.tif": ("TIFF", small.convert("RGBA"), {}),
        "pages.tif": ("TIFF", small, {"save_all": True, "append_images": [photo]}),
        "plain.webp": ("WEBP", photo, {}),
        "exact.webp": ("WEBP", small, {"lossless": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}),
        "plain.avif": ("AVIF", photo, {"speed": 10}),
        "plain.gif": ("GIF", small, {}),
        "plain.bmp": ("BMP", small, {}),
    }
    present: dict[str, Callable[[], bool]] = {
        "WEBP": lambda: features.check("webp"),
        "AVIF": lambda: features.check("avif"),
        "TIFF": lambda: features.check("libtiff"),
    }
    made = {}
    for name, (kind, image, options) in wanted.items():
        if present.get(kind, lambda: True)():
            file = io.BytesIO()
            image.save(file, kind, **options)
            made[name] = file.getvalue()
    return made
