"""The pictures inside the FFF block of a FLIR camera: raw temperatures and the photo of its second, visible-light lens.

The raw temperatures have no signature to be found by, and a person is warm. Layout as in exiftool's FLIR.pm.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_RAW_DATA, _EMBEDDED_IMAGE = 0x01, 0x0E
_NAMES = {_RAW_DATA: "FLIR thermal picture", _EMBEDDED_IMAGE: "FLIR visible-light picture"}
_RECORD_HEADER = 32  # size and kind of the picture stand here, and stay
_ENTRY = 32
_MOST_RECORDS = 256


def blank_thermal(data: bytes) -> tuple[bytes, list[str]]:
    """Overwrite both pictures in a joined FFF block; everything else, calibration included, stays.

    Returns:
        A block of the same length, and the names of what was overwritten.
    """
    blanked, names = bytearray(data), []
    for kind, start, end in _records(data):
        if kind in _NAMES and any(data[start:end]):
            blanked[start:end] = bytes(end - start)
            names.append(_NAMES[kind])
    return bytes(blanked), names


def _records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (kind, start, end) of the contents of each record."""
    if data[:4] not in (b"FFF\0", b"AFF\0") or len(data) < 64:
        return
    # The block may be in either byte order; its version number, about 100, tells which.
    order = next((order for order in "><" if 100 <= struct.unpack_from(f"{order}I", data, 20)[0] < 200), None)
    if order is None:
        return
    directory, count = struct.unpack_from(f"{order}II", data, 24)
    for entry in range(directory, directory + _ENTRY * min(count, _MOST_RECORDS), _ENTRY):
        if entry + _ENTRY > len(data):
            return
        (kind,) = struct.unpack_from(f"{order}H", data, entry)
        offset, length = struct.unpack_from(f"{order}II", data, entry + 12)
        start, end = offset + _RECORD_HEADER, min(offset + length, len(data))
        if start < end:
            yield kind, start, end
