"""Lets exiftool delete pictures by the names of their tags, from metadata round a tiny picture. Knows no container."""

from __future__ import annotations

from collections.abc import Sequence

from pii_blur.photo.exif_ifd import is_given_up
from pii_blur.photo.exiftool import ExifTool
from pii_blur.photo.spared import would_change
from pii_blur.photo.tags import OF_EXIF, changed_tags, picture_names

# PRIVACY: every tag known to hold a picture, film or sound. MEASURED: over 41 files with hidden pictures this list left
# none but a JFXX thumbnail (dropped below); plain deletion of ThumbnailImage leaves those in XMP.
_THUMBNAIL = ("-IFD1:all=", "-IFD2:all=")
_PICTURES = (
    "-MPF:all=",
    "-PhotoshopThumbnail=",
    "-XMP-xmp:Thumbnails=",
    "-XMP-xmp:ThumbnailImage=",
    "-XMP-xmp:PageInfo=",
    "-XMP-GImage:all=",
    "-XMP-GDepth:all=",
    "-XMP-GAudio:all=",
    "-PreviewImage=",
    "-JpgFromRaw=",
    "-OtherImage=",
    "-FlashPix:all=",
)


def edit_by_name(
    carrier: bytes,
    suffix: str,
    exiftool: ExifTool,
    thumbnail: bytes,
    further: Sequence[str] = (),
    *,
    keeps_thumbnail: bool = False,
) -> tuple[bytes, list[str], list[str]]:
    """Let exiftool delete all pictures that it has a name for.

    Args:
        carrier: metadata round a tiny picture.
        suffix: ``.jpg`` or ``.png``.
        exiftool: does it.
        thumbnail: a JPEG to put in place of the EXIF thumbnail, if there is one.
        further: arguments for exiftool.
        keeps_thumbnail: the EXIF thumbnail is left alone.

    Returns:
        The carrier without them, their names, and the other tags that changed, though they should not.
    """
    before = exiftool.read_tags(carrier, suffix)
    arguments = [*_PICTURES, *([] if keeps_thumbnail else _THUMBNAIL), *further]
    attached = {}
    if thumbnail and "IFD1:ThumbnailImage" in before:
        arguments.append("-IFD1:ThumbnailImage<={thumbnail.jpg}")
        attached["thumbnail.jpg"] = thumbnail
    edited = exiftool.edit(carrier, suffix, arguments, attached)
    after = exiftool.read_tags(edited, suffix)
    return edited, picture_names(before, after, has_new_thumbnail=bool(attached)), changed_tags(before, after)


def refuse_changes(
    before: bytes, after: bytes, suffix: str, exiftool: ExifTool, old_exif: bytes, new_exif: bytes
) -> None:
    """Compare all tags of two carriers but those of pictures.

    Args:
        before, after: metadata round a tiny picture.
        suffix: of their names.
        exiftool: reads them.
        old_exif, new_exif: their Exif blocks; nothing in them is compared where the new one says no more than how to
            turn the photo.

    Raises:
        PhotoFailure: code ``metadata``.
    """
    left_out = OF_EXIF if is_given_up(old_exif, new_exif) else ()
    old, new = (exiftool.read_tags(carrier, suffix, *left_out) for carrier in (before, after))
    if changed := changed_tags(old, new):
        raise would_change(changed)
