"""Whether a photo has arrived whole, or is still being written. Looks at times, and at the two ends of a file."""

from __future__ import annotations

import os
from pathlib import Path

from pii_blur.batch.jobs import FoundPhoto, is_settled

STALLED = 10
"""How many times longer a photo that breaks off is waited for: its upload may have stalled, and may go on."""

_TAIL = 1 << 16  # bytes; what cameras write behind a picture is mostly shorter


def has_arrived(photo: FoundPhoto, file: Path, settle: float, now_ns: int) -> bool:
    """Whether a photo is complete, as far as that can be told without decoding it.

    It is if nobody has touched it for `settle` seconds and it does not break off. One that ends properly is also
    complete if only its name is new: it was renamed into place, or copied together with its time of last change, which
    is set when all else is done. One that breaks off is waited for ten times as long; then it is what it is.

    Args:
        photo: as the system shows it now.
        file: where it lies.
        settle: seconds; 0 waits for nothing.
        now_ns: nanoseconds since 1970.
    """
    if settle == 0:
        return True
    if is_settled(photo, settle, now_ns):
        return _is_whole(file) is not False or is_settled(photo, STALLED * settle, now_ns)
    by_content = FoundPhoto(photo.key, photo.size, photo.mtime_ns, photo.mtime_ns)
    return is_settled(by_content, settle, now_ns) and _is_whole(file) is True


def _is_whole(file: Path) -> bool | None:
    """Return whether a JPEG, PNG or WebP has its end; None for what has no such sign, or cannot be looked at."""
    try:
        # Without waiting, as `read_photo`: a named pipe may call itself a photo.
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            head = stream.read(12)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL))
            tail = stream.read(_TAIL)
    except OSError:
        return None
    if head.startswith(b"\xff\xd8"):
        return b"\xff\xd9" in tail
    if head.startswith(b"\x89PNG"):
        return b"IEND" in tail
    if head.startswith(b"RIFF"):
        return size >= 8 + int.from_bytes(head[4:8], "little")
    return None
