"""What exiftool's tags mean to us: which ones show a picture, which may change, what to call them in a report."""

from __future__ import annotations

import re
from collections.abc import Mapping

Tags = Mapping[str, object]

EXIF_THUMBNAIL = "EXIF thumbnail"

# Exiftool's options that leave out all that may stand in an Exif block.
OF_EXIF = ("--EXIF:all", "--MakerNotes:all", "--PrintIM:all")

# Tags that belong to a picture, by the beginning of their name in exiftool's answers, and what to call it in a report.
_PICTURES = {
    "IFD1:": EXIF_THUMBNAIL,
    **{f"IFD{number}:": "EXIF preview" for number in range(2, 16)},
    "MPF": "MPF index",
    "MPImage": "MPF index",
    "FlashPix:": "FlashPix",
    "JFXX:": "JFXX thumbnail",
    "JFIF:Thumbnail": "JFIF thumbnail",
    "Photoshop:PhotoshopThumbnail": "Photoshop thumbnail",
    "XMP-xmp:Thumbnail": "XMP thumbnail",
    "XMP-xmp:PageI": "XMP page picture",
    "XMP-xmpGImg:": "XMP thumbnail",
    "XMP-GImage:": "GImage picture",
    "XMP-GDepth:": "GDepth picture",
    "XMP-GAudio:": "GAudio sound",
    "FLIR:RawThermalImage": "FLIR thermal picture",
    "FLIR:EmbeddedImage": "FLIR visible-light picture",
}
# The same by their end: those of maker notes stand in a group named after the maker.
_PICTURE_ENDS = (
    *("PreviewImage", "PreviewImageStart", "PreviewImageLength", "PreviewImageValid"),
    *("ThumbnailImage", "ThumbnailOffset", "ThumbnailLength"),
    *("JpgFromRaw", "JpgFromRawStart", "JpgFromRawLength"),
    *("OtherImage", "OtherImageStart", "OtherImageLength"),
)

# What else may come, go or change, by the beginning of its name, and why. Nothing else may.
_OTHERS_THAT_CHANGE = (
    "XMP-PiiBlur:",  # our mark
    "System:",  # name, size and dates of the file in which exiftool reads
    "ExifTool:",  # exiftool's own version, warnings and run time
    "SourceFile",
    "Composite:",  # computed from other tags, pictures among them
    "File:EncodingProcess",  # how the picture is coded, if it was encoded anew
    "File:ColorComponents",
    "File:YCbCrSubSampling",
    "File:ExifByteOrder",  # goes with an Exif block in which there was nothing but a thumbnail
    "XMP-x:XMPToolkit",  # who wrote the XMP last: exiftool, with our mark
    "XMP-xmpNote:HasExtendedXMP",  # XMP that fits into one segment without its pictures is joined
    "Adobe:ColorTransform",  # a picture that was RGB or CMYK is YCbCr when encoded anew
    "Canon:OriginalDecisionDataOffset",  # a place in the whole file, of data that stands behind the picture
    "FLIR:RawThermalImage",  # overwritten; its type is told from its first bytes
)
# What exiftool adds to an Exif block that has lost, or never had, what the standard demands (Exif 2.32, table 21).
_DEMANDED = ("IFD0:XResolution", "IFD0:YResolution", "IFD0:ResolutionUnit", "IFD0:YCbCrPositioning")
# A maker note whose offsets exiftool has put right shows what could not be read before, under numbers only.
_NUMBERED = re.compile(r"_0x[0-9a-f]{4}$")
# Of CMYK pictures only: they are RGB now, under which a printer's profile has no meaning.
_OF_PRINTERS = ("ICC-header:", "ICC_Profile:")


def picture_names(before: Tags, after: Tags, *, has_new_thumbnail: bool = False) -> list[str]:
    """Return, in words, the pictures that `before` tells of and `after` does not. Both come from `read_tags`."""
    gone = {_picture_name(tag): None for tag in before if tag not in after and _picture_name(tag)}
    if has_new_thumbnail:
        gone.pop(EXIF_THUMBNAIL, None)
        gone[f"{EXIF_THUMBNAIL} (made anew)"] = None
    return list(gone)


def changed_tags(before: Tags, after: Tags, *, is_cmyk: bool = False) -> list[str]:
    """Return the tags that are lost, new or different in `after`, apart from those that must or may be.

    Args:
        before, after: from `read_tags`.
        is_cmyk: whether the picture was CMYK and is no more.
    """
    free = _OTHERS_THAT_CHANGE + (_OF_PRINTERS if is_cmyk else ())
    different = (tag for tag in before.keys() | after.keys() if before.get(tag) != after.get(tag))
    return sorted(
        tag for tag in different if not (tag.startswith(free) or _picture_name(tag) or _may_be_new(tag, before))
    )


def _may_be_new(tag: str, before: Tags) -> bool:
    return tag not in before and (tag in _DEMANDED or bool(_NUMBERED.search(tag)))


def _picture_name(tag: str) -> str:
    """Return what to call the picture that a tag belongs to; empty if it belongs to none."""
    known = next((name for beginning, name in _PICTURES.items() if tag.startswith(beginning)), "")
    if not known and tag.endswith(_PICTURE_ENDS) and not tag.startswith("Composite:"):
        known = f"{tag.partition(':')[0]} preview"
    return known
