"""What exiftool's tags mean to us: which ones show a picture, which may change, what to call them in a report."""

from __future__ import annotations

from collections.abc import Mapping

Tags = Mapping[str, object]

EXIF_THUMBNAIL = "EXIF thumbnail"

# Tags that belong to a picture, by the beginning of their name in exiftool's answers, and what to call it in a report.
_PICTURES = {
    "IFD1:": EXIF_THUMBNAIL,
    "IFD2:": "EXIF preview",
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
_PICTURE_ENDS = ("PreviewImage", "PreviewImageStart", "PreviewImageLength", "PreviewImageValid", "ThumbnailImage")
_MORE_PICTURE_ENDS = ("JpgFromRaw", "OtherImage", "ThumbnailOffset", "ThumbnailLength")

# Our mark; what tells of the file and not of the photo; how XMP is laid out; how the colours are coded.
_OTHERS_THAT_CHANGE = (
    "XMP-PiiBlur:",
    "System:",
    "File:",
    "Composite:",
    "ExifTool:",
    "SourceFile",
    "XMP-x:XMPToolkit",
    "XMP-xmpNote:HasExtendedXMP",
    "Adobe:ColorTransform",
)


def picture_names(before: Tags, after: Tags, *, has_new_thumbnail: bool = False) -> list[str]:
    """Return, in words, the pictures that `before` tells of and `after` does not. Both come from `read_tags`."""
    gone = {_picture_name(tag): None for tag in before if tag not in after and _picture_name(tag)}
    if has_new_thumbnail:
        gone.pop(EXIF_THUMBNAIL, None)
        gone[f"{EXIF_THUMBNAIL} (made anew)"] = None
    return list(gone)


def changed_tags(before: Tags, after: Tags) -> list[str]:
    """Return the tags of `before` that are missing from or differ in `after`, apart from those that must or may."""
    return sorted(
        tag
        for tag, value in before.items()
        if after.get(tag) != value and not _picture_name(tag) and not tag.startswith(_OTHERS_THAT_CHANGE)
    )


def _picture_name(tag: str) -> str:
    """Return what to call the picture that a tag belongs to; empty if it belongs to none."""
    known = next((name for beginning, name in _PICTURES.items() if tag.startswith(beginning)), "")
    if not known and tag.endswith((*_PICTURE_ENDS, *_MORE_PICTURE_ENDS)) and not tag.startswith("Composite:"):
        known = f"{tag.partition(':')[0]} preview"
    return known
