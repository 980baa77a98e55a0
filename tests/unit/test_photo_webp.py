"""WebP: its chunks, lossless and lossy, with alpha."""

from __future__ import annotations

import numpy as np
import pytest

from pii_blur.errors import PhotoFailure
from pii_blur.photo.format_webp import carry_webp, read_webp
from tests.formats import PROFILE, picture, pillow

LIMIT = 10**6


def webp(channels: int = 3, **options: object) -> bytes:
    """Return a WebP."""
    return pillow(picture(channels), "WEBP", **{"lossless": True, "exact": True, **options})


def with_chunk(data: bytes, kind: bytes, payload: bytes) -> bytes:
    """Append a chunk."""
    body = data[8:] + kind + len(payload).to_bytes(4, "little") + payload + bytes(len(payload) % 2)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_pictures_are_read_exactly(channels: int) -> None:
    """Colours under transparent alpha included."""
    read = read_webp(webp(channels), LIMIT)
    assert (read.raster.samples == picture(channels)).all()
    assert read.is_exact


def test_lossy_pictures_are_known_to_be_lossy() -> None:
    """What cannot stay as it is must be said."""
    read = read_webp(webp(4, lossless=False, quality=95), LIMIT)
    assert not read.is_exact
    assert np.abs(read.raster.samples.astype(int) - picture(4)).mean() < 4


def test_metadata_is_found() -> None:
    """Exif, XMP and profile, and no more."""
    read = read_webp(webp(icc_profile=PROFILE, xmp=b"<x/>", exif=b"Exif\0\0II*\0\x08\0\0\0"), LIMIT)
    assert dict(read.blocks) == {"Exif": b"II*\0\x08\0\0\0", "XMP": b"<x/>", "ICC": PROFILE}
    assert not read.strays
    assert carry_webp(webp(xmp=b"<x/>"))[0].count(b"<x/>") == 1


def test_what_does_not_belong_there_is_told() -> None:
    """Chunks that nobody knows, second pictures, bytes after the end."""
    data = webp()
    inner = data[12:]
    second = with_chunk(data, inner[:4], inner[8:])
    assert read_webp(with_chunk(data, b"JUNK", b"what is this"), LIMIT).strays == ("chunk JUNK",)
    assert read_webp(data + b"film", LIMIT).strays == ("4 bytes after the picture",)
    assert read_webp(second, LIMIT).strays == ("chunk VP8L",)
    assert read_webp(data + bytes(5), LIMIT).strays == ()


DATA = webp()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (DATA[:-50], "truncated"),
        (DATA[:30], "truncated"),
        (DATA[:12], "truncated"),
        (b"RIFF\x04\0\0\0WEBP", "damaged"),
        (b"RIFF\x20\0\0\0WEBPVP8L\x14\0\0\0\x2f" + bytes(40), "truncated"),
        (with_chunk(DATA, b"ANIM", bytes(6)), "unsupported"),
        (DATA[:40] + bytes(2000) + DATA[2040:], "truncated"),
    ],
)
def test_damage_and_animations_are_refused(data: bytes, code: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In words, and quietly."""
    with pytest.raises(PhotoFailure) as caught:
        read_webp(data, LIMIT)
    assert caught.value.code in (code, "damaged")
    assert capfd.readouterr() == ("", "")


def test_the_size_is_checked_before_anything_is_decoded() -> None:
    """From the picture's own header, not only the file's."""
    with pytest.raises(PhotoFailure) as caught:
        read_webp(DATA, 1000)
    assert caught.value.code == "too_large"
    wrong = bytearray(webp(xmp=b"<x/>"))
    wrong[24:27] = b"\x01\0\0"
    with pytest.raises(PhotoFailure) as caught:
        read_webp(bytes(wrong), LIMIT)
    assert caught.value.code == "damaged"
