"""A file taken apart for the guard: what is its picture, what stands round it. Compares nothing."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass, field

from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo.contents import Contents
from pii_blur.photo.embedded import find_pictures, join_blocks
from pii_blur.photo.formats import format_of
from pii_blur.photo.jpeg_frame import Frame, FrameError, read_frame
from pii_blur.photo.jpeg_segments import JFXX, Jpeg, exif_of, split_jpeg
from pii_blur.photo.orientation import read_orientation

_NO_LIMIT = 1 << 40  # the source was within its limits, and the result must be of its size

# Blocks that exiftool takes apart and puts together again: their tags are compared. All others stay byte for byte.
# A nameless APP0 is Canon's CIFF; FLIR's pictures are blanked where they stand, with or without a signature.
_OF_TAGS = ("APP0 JFXX", "APP1 Exif", "APP1 xap", "APP1 xmp", "APP1 FLIR", "APP2 MPF", "APP2 FPXR", "APP13 Photoshop")
_OF_TAGS_ALONE = ("APP0", "APP14 Adobe")
_EXIF = ("APP1 Exif", "eXIf", "Exif")
_PROFILE = "APP2 ICC_PROFILE"


@dataclass(frozen=True, slots=True)
class Parts:
    """A file taken apart.

    Attributes:
        blocks: name and bytes of all metadata.
        orientation: EXIF, 1 to 8.
        strays: in words, what is neither picture nor metadata; empty if nothing.
        carrier: the metadata round a stand-in picture, for exiftool, which is never given the photo itself.
        suffix: of the carrier.
        plain: JPEG: the file without trailer and without junk between its segments; else empty.
        frame: JPEG: its headers.
        contents: every other format: the decoded picture and the rest.
    """

    blocks: tuple[tuple[str, bytes], ...] = field(repr=False)
    orientation: int
    strays: str
    carrier: bytes = field(repr=False)
    suffix: str
    coded: bytes = field(repr=False, default=b"")
    plain: bytes = field(repr=False, default=b"")
    frame: Frame | None = None
    contents: Contents | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels as stored."""
        if self.frame is not None:
            return self.frame.width, self.frame.height
        assert self.contents is not None
        height, width = self.contents.raster.samples.shape[:2]
        return width, height

    @property
    def exif(self) -> bytes:
        """The Exif block as it stands in the file, empty if there is none."""
        return next((data for name, data in self.blocks if name in _EXIF), b"")

    @property
    def is_cmyk(self) -> bool:
        """Whether the picture is coded in the colours of printers."""
        return self.frame is not None and len(self.frame.components) == 4


def take_apart(data: bytes, kind: str) -> Parts:
    """Take a file apart.

    Args:
        data: the file.
        kind: `PhotoFacts.format` of the source.

    Raises:
        PhotoFailure: it is damaged.
    """
    return _jpeg_parts(data) if kind == "JPEG" else _other_parts(data, kind)


def lost_block(before: Parts, after: Parts) -> str:
    """Return the name of a JPEG's block that is not what it was, though it held no picture; empty if there is none."""
    if before.frame is None:
        return ""
    left = dict(after.blocks)
    lost_profile = before.is_cmyk and not after.is_cmyk
    for name, data in before.blocks:
        is_free = name.startswith(_OF_TAGS) or name in _OF_TAGS_ALONE or (name == _PROFILE and lost_profile)
        kept = left.get(name, b"")
        # With a picture in it, it may be gone, or be blanked in its place.
        is_blanked = len(kept) in (0, len(data)) and bool(find_pictures(data))
        if not (is_free or kept == data or is_blanked):
            return name
    return ""


def _jpeg_parts(data: bytes) -> Parts:
    jpeg = split_jpeg(data)
    plain = data[: len(data) - len(jpeg.trailer)] if jpeg.is_tidy else jpeg.to_bytes()
    try:
        frame = read_frame(plain)
    except FrameError as error:
        raise PhotoFailure(str(error), "damaged") from error
    has_jfxx = any(one.payload.startswith(JFXX) for one in jpeg.segments)
    strays = {
        "data after the end of the picture": jpeg.trailer.strip(b"\0") != b"",
        "a thumbnail of JFIF's": has_jfxx,
        "bytes between segments": not jpeg.is_tidy,
    }
    return Parts(
        blocks=tuple((block.name, block.data) for block in join_blocks(jpeg.segments)),
        orientation=read_orientation(exif_of(jpeg.segments)),
        strays=next((what for what, is_there in strays.items() if is_there), ""),
        carrier=Jpeg(jpeg.segments, split_jpeg(_tiny()).coded).to_bytes(),
        suffix=".jpg",
        coded=jpeg.coded,
        plain=plain,
        frame=frame,
    )


def _other_parts(data: bytes, kind: str) -> Parts:
    found = format_of(data)
    if found is None or found.name != kind:
        raise PhotoFailure(f"it is no {kind}", "verify")
    contents = found.read(data, _NO_LIMIT)
    carrier, suffix = found.carry(data)
    return Parts(
        blocks=contents.blocks,
        orientation=contents.orientation,
        strays=", ".join(contents.strays),
        carrier=carrier,
        suffix=suffix,
        contents=contents,
    )


@functools.cache
def _tiny() -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), 128).save(file, "JPEG")
    return file.getvalue()
