"""HEIC and AVIF of 8 bits: the picture is coded anew, Exif, XMP and colour profile go over, nothing else does.

Thumbnails, depth maps, gain maps and other auxiliary pictures but alpha stay behind: they show what was hidden. HEIC
needs pillow-heif, the extra ``heif``; AVIF needs a Pillow that has it (11.3).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pii_blur.errors import PhotoFailure
from pii_blur.photo.cleaner import Cleaner, Tags, carry_tags
from pii_blur.photo.contents import Built, Contents, check_size
from pii_blur.photo.heif_boxes import Heif, split_heif
from pii_blur.photo.orientation import find_orientation
from pii_blur.photo.raster import Raster

if TYPE_CHECKING:
    from types import ModuleType

_HEIC = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"hevc", b"hevx", b"msf1")
_AVIF = (b"avif", b"avis")
_QUALITY = 90
_NO_TAG = b"\xff\xff"  # stands for Exif's Orientation while a library writes the file,
_STAND_IN = b"stands for XMP "  # and this, repeated, for the XMP packet
# What both libraries raise at damaged pictures; RuntimeError comes from the decoders themselves.
_UNDECODABLE = (OSError, SyntaxError, ValueError, RuntimeError, EOFError)
# Colours that need no profile to be told (ITU-T H.273): primaries unsaid, BT.709 or unspecified; no film's brightness.
_PLAIN_PRIMARIES = (0, 1, 2)
_FILM_TRANSFERS = (16, 18)


def is_heic(data: bytes) -> bool:
    """Whether a file begins like a HEIC, or like something that could be one or an AVIF."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC and not _names_avif(data)


def is_avif(data: bytes) -> bool:
    """Whether a file begins like an AVIF."""
    return data[4:8] == b"ftyp" and (data[8:12] in _AVIF or (data[8:12] in _HEIC and _names_avif(data)))


def read_heic(data: bytes, max_pixels: int) -> Contents:
    """Read a HEIC; see `contents`.

    Raises:
        PhotoFailure: codes as `read_photo`.
    """
    heif = _supported(data, max_pixels, "HEIC")
    return _contents(heif, _decode_heic(data))


def read_avif(data: bytes, max_pixels: int) -> Contents:
    """Read an AVIF; see `contents`.

    Raises:
        PhotoFailure: codes as `read_photo`.
    """
    heif = _supported(data, max_pixels, "AVIF")
    if heif.turns:
        raise PhotoFailure("AVIF that is turned for display is not supported; save it upright", "unsupported")
    return _contents(heif, _decode_avif(data))


def write_heic(data: bytes, raster: Raster, mask: NDArray[np.uint8], cleaner: Cleaner) -> Built:
    """Put another picture into a HEIC; see `contents`."""
    return _built(data, raster, cleaner, "HEIC")


def write_avif(data: bytes, raster: Raster, mask: NDArray[np.uint8], cleaner: Cleaner) -> Built:
    """Put another picture into an AVIF; see `contents`."""
    return _built(data, raster, cleaner, "AVIF")


def strip_heic(data: bytes, cleaner: Cleaner) -> Built:
    """Take out of a HEIC what nobody examined, by coding it anew; see `contents`."""
    return _built(data, Raster(_decode_heic(data)), cleaner, "HEIC")


def strip_avif(data: bytes, cleaner: Cleaner) -> Built:
    """Take out of an AVIF what nobody examined, by coding it anew; see `contents`."""
    return _built(data, Raster(_decode_avif(data)), cleaner, "AVIF")


def carry_heif(data: bytes) -> tuple[bytes, str]:
    """Return a tiny PNG with the metadata; see `contents`."""
    return carry_tags(_tags(split_heif(data)))


def _supported(data: bytes, max_pixels: int, name: str) -> Heif:
    """Read the boxes and refuse, by name, what is not handled."""
    heif = split_heif(data)
    check_size(heif.width, heif.height, max_pixels, bytes_per_pixel=4)
    strange = ""
    if heif.pictures > 1:
        strange = f"{heif.pictures} pictures"
    elif heif.depth > 8:
        strange = f"{heif.depth} bits per sample"
    elif heif.coding not in ("hvc1", "av01", "grid"):
        strange = f"a picture coded as {heif.coding.strip()}"
    elif not heif.icc and (heif.colours[0] not in _PLAIN_PRIMARIES or heif.colours[1] in _FILM_TRANSFERS):
        strange = f"wide colours ({heif.colours[0]}, {heif.colours[1]}) and no colour profile"
    if strange:
        raise PhotoFailure(f"{name} with {strange} is not supported; save it as JPEG or TIFF", "unsupported")
    return heif


def _contents(heif: Heif, pixels: NDArray[np.uint8]) -> Contents:
    tags = _tags(heif)
    is_opaque = pixels.shape[2] == 4 and bool((pixels[..., 3] == 255).all())
    return Contents(
        raster=Raster(np.ascontiguousarray(pixels[..., :3]) if is_opaque else pixels),
        blocks=tags.blocks(),
        exif=tags.exif,
        xmp=tags.xmp,
        strays=heif.strays,
        is_exact=False,
    )


def _tags(heif: Heif) -> Tags:
    """Return the metadata; Exif's Orientation is 1, for the file itself says how it is to be turned (HEIF, 6.5.10)."""
    place = find_orientation(heif.exif)
    exif = bytearray(heif.exif)
    if place:
        exif[place + 8 : place + 10] = (1).to_bytes(2, "little" if exif[:1] == b"I" else "big")
    return Tags(bytes(exif), heif.xmp, heif.icc)


def _decode_heic(data: bytes) -> NDArray[np.uint8]:
    """Return uint8 (h, w, 3 or 4), turned as the file says."""
    library = _pillow_heif()
    try:
        picture = library.open_heif(data, convert_hdr_to_8bit=False, bgr_mode=False)
        pixels = np.array(picture)
    except _UNDECODABLE as error:
        raise _undecodable(error) from error
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise PhotoFailure("HEIC that is grey or deeper than 8 bits is not supported; save it as TIFF", "unsupported")
    return np.asarray(pixels, dtype=np.uint8)


def _decode_avif(data: bytes) -> NDArray[np.uint8]:
    """Return uint8 (h, w, 3 or 4)."""
    plugin = _avif()
    try:
        # Not Image.open: its own, lower limit on the number of pixels is not ours.
        with plugin.AvifImageFile(io.BytesIO(data)) as picture:
            return np.array(picture.convert("RGBA" if picture.mode in ("RGBA", "LA") else "RGB"))
    except _UNDECODABLE as error:
        raise _undecodable(error) from error


def _undecodable(error: Exception) -> PhotoFailure:
    what = f"the picture cannot be decoded ({error})"
    return PhotoFailure(f"{what}; it is cut off or damaged: copy it again from the camera", "truncated")


def _built(data: bytes, raster: Raster, cleaner: Cleaner, name: str) -> Built:
    heif = split_heif(data)
    tags, removed = cleaner.clean_tags(_tags(heif))
    # Libraries turn the picture by what Exif and XMP say, and Pillow writes Exif anew, without all of it. So both get
    # stand-ins of the same length, and the blocks themselves go where these are.
    stand_ins = {"exif": _without_orientation(tags.exif), "xmp": (_STAND_IN * len(tags.xmp))[: len(tags.xmp)]}
    height, width, channels = raster.samples.shape
    picture = Image.frombytes("RGBA" if channels == 4 else "RGB", (width, height), raster.samples.tobytes())
    file = io.BytesIO()
    blocks = stand_ins | {"icc_profile": tags.icc}
    options = {key: value for key, value in blocks.items() if value}
    if name == "HEIC":
        coder = _pillow_heif().from_pillow(picture)
        coder.save(file, format="HEIF", quality=_QUALITY, enc_params={"preset": "veryfast"}, **options)
    else:
        _avif()
        picture.save(file, "AVIF", quality=_QUALITY, speed=8, **options)
    written = file.getvalue()
    for stand_in, block in ((stand_ins["exif"], tags.exif), (stand_ins["xmp"], tags.xmp)):
        if block and written.count(stand_in) != 1:
            raise PhotoFailure("the metadata did not reach the written file", "verify")
        written = written.replace(stand_in, block) if block else written
    return Built(written, f"re-encoded ({name})", (*removed, *heif.strays))


def _without_orientation(exif: bytes) -> bytes:
    place = find_orientation(exif)
    return exif[:place] + _NO_TAG + exif[place + 2 :] if place else exif


def _names_avif(data: bytes) -> bool:
    """Whether AVIF is among the brands that a file says it follows."""
    brands = data[16 : min(int.from_bytes(data[:4]), 256)]
    return any(brands[start : start + 4] in _AVIF for start in range(0, len(brands), 4))


def _pillow_heif() -> ModuleType:
    try:
        import pillow_heif  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PhotoFailure("HEIC needs one more package: pip install 'pii-blur[heif]'", "unsupported") from error
    return pillow_heif


def _avif() -> ModuleType:
    try:
        from PIL import AvifImagePlugin, features  # noqa: PLC0415 - not in every Pillow
    except ImportError as error:
        raise PhotoFailure("AVIF needs Pillow 11.3 or newer: pip install -U pillow", "unsupported") from error
    if not features.check("avif"):
        raise PhotoFailure("this Pillow was built without AVIF: pip install -U pillow", "unsupported")
    return AvifImagePlugin
