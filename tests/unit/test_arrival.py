"""Half a photo is left alone until it is whole; a whole one is not kept waiting."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from pii_blur.batch.arrival import STALLED, has_arrived
from pii_blur.batch.jobs import FoundPhoto
from tests.photos import street

NOW_NS = 2_000_000_000 * 10**9
SETTLE = 10.0


def encoded(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(street()).save(buffer, name)
    return buffer.getvalue()


def arrived(file: Path, data: bytes, *, content_s: float, name_s: float, settle: float = SETTLE) -> bool:
    """Whether `data` counts as arrived if its content changed and its name came so many seconds ago."""
    file.write_bytes(data)
    times = (NOW_NS - int(seconds * 1e9) for seconds in (content_s, name_s))
    return has_arrived(FoundPhoto("a", len(data), *times), file, settle, NOW_NS)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_half_a_photo_is_waited_for_longer(tmp_path: Path, name: str) -> None:
    """An upload may stall and go on; what never goes on is done, and fails with its own reason."""
    whole = encoded(name)
    file = tmp_path / "a"
    half = whole[: len(whole) // 2]
    assert not arrived(file, half, content_s=SETTLE + 1, name_s=SETTLE + 1)
    assert arrived(file, half, content_s=STALLED * SETTLE + 1, name_s=STALLED * SETTLE + 1)
    assert arrived(file, whole, content_s=SETTLE + 1, name_s=SETTLE + 1)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_photo_that_was_renamed_into_place_is_taken_at_once(tmp_path: Path, name: str) -> None:
    """Only its name is new, and it has its end."""
    whole = encoded(name)
    assert arrived(tmp_path / "a", whole, content_s=1000, name_s=0)
    assert not arrived(tmp_path / "a", whole[:-100], content_s=1000, name_s=0)
    assert not arrived(tmp_path / "a", whole, content_s=0, name_s=0), "it may be overwritten from its start"


def test_what_has_no_sign_of_its_end_waits_for_time_alone(tmp_path: Path) -> None:
    """A TIFF's directory may stand anywhere."""
    whole = encoded("TIFF")
    assert not arrived(tmp_path / "a", whole, content_s=1000, name_s=0)
    assert arrived(tmp_path / "a", whole, content_s=SETTLE + 1, name_s=SETTLE + 1)


def test_bytes_behind_the_picture_do_not_hide_its_end(tmp_path: Path) -> None:
    """Cameras write further pictures and notes there."""
    whole = encoded("JPEG") + b"SEFT" * 1000
    assert arrived(tmp_path / "a", whole, content_s=1000, name_s=0)


def test_without_settling_nothing_is_waited_for(tmp_path: Path) -> None:
    """As asked for."""
    assert arrived(tmp_path / "a", encoded("JPEG")[:50], content_s=0, name_s=0, settle=0.0)


def test_photo_that_cannot_be_looked_at_is_for_the_reader_to_judge(tmp_path: Path) -> None:
    """It says why."""
    long_ago = NOW_NS - 10**12
    assert has_arrived(FoundPhoto("a", 1, long_ago, long_ago), tmp_path / "gone.jpg", SETTLE, NOW_NS)
