"""A file taken apart for the guard: what is its picture, what stands round it. Compares nothing."""

from __future__ import annotations

import functools
import io
from collections import Counter
from dataclasses import dataclass, field

from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo.contents import Contents
from pii_blur.photo.embedded import find_pictures, join_blocks
from pii_blur.photo.exif_ifd import uncompressed_pictures
from pii_blur.photo.formats import format_of
from pii_blur.photo.jpeg_frame import Frame, FrameError, read_frame
from pii_blur.photo.jpeg_segments import JFXX, Jpeg, exif_of, split_jpeg
from pii_blur.photo.orientation import read_orientation

_NO_LIMIT = 1 << 40  # the source was within its limits, and the result must be of its size

# Blocks that exiftool takes apart and puts together again: their tags are compared. All others stay byte for byte.
# A nameless APP0 is Canon's CIFF; FLIR's pictures are blanked where they stand, with or without a signature.
_OF_TAGS = ("APP0 JFXX", "APP1 Exif", "APP1 xap", "APP1 xmp", "APP1 FLIR", "APP2 MPF", "APP2 FPXR", "APP13 Photoshop")
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
    lost_profile = before.is_cmyk and not after.is_cmyk
    old, new = Counter(before.blocks), Counter(after.blocks)
    lost = [one for one in (old - new).elements() if not _is_of_tags(*one)]
    added = [one for one in (new - old).elements() if not _is_of_tags(*one)]
    for name, data in lost:
        if name == _PROFILE and lost_profile:
            continue
        # With a picture in it, it may be gone, or be blanked in its place: perhaps with what it is known by.
        marker = name.partition(" ")[0]
        sizes = [sum(len(part) for one, part in some if one.partition(" ")[0] == marker) for some in (lost, added)]
        is_blanked = sizes[1] in (0, sizes[0]) and (find_pictures(data) or uncompressed_pictures(data))
        if not (is_blanked or (sizes[1] == sizes[0] and any(data in part for _, part in added))):
            return name
    return ""


def _is_of_tags(name: str, data: bytes) -> bool:
    """Whether a block's tags are compared instead of its bytes."""
    # The transform of an Adobe segment may have to change; what follows the word may be damaged.
    return name.startswith(_OF_TAGS) or name == "APP0" or (name.startswith("APP14") and data.startswith(b"Adobe"))


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
