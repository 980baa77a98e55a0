"""What a JPEG's headers say about its coefficients: size, coding, sampling, tables. Decodes no picture data."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Order in which DQT lists an 8x8 table (ITU-T T.81, figure A.6): ZIGZAG[k] is the row-major place of the k-th entry.
ZIGZAG = np.array(
    sorted(range(64), key=lambda n: (n // 8 + n % 8, n // 8 if (n // 8 + n % 8) % 2 else n % 8)), dtype=np.intp
)

# Numbers of codes per length in the typical Huffman tables (ITU-T T.81, tables K.3 to K.6). A table made for one
# picture ("optimised") practically never has the same.
_TYPICAL_HUFFMAN = {
    bytes.fromhex("00010501010101010100000000000000"),
    bytes.fromhex("00030101010101010101010000000000"),
    bytes.fromhex("0002010303020403050504040000017d"),
    bytes.fromhex("00020102040403040705040400010277"),
}

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _APP0, _APP14 = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xE0, 0xEE
_FILL = re.compile(rb"\xff+")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, 0xCC}


class FrameError(ValueError):
    """The headers cannot be read; the message says what is wrong with them, in a few words."""


@dataclass(frozen=True, slots=True)
class Component:
    """One colour component: its id in the file, its sampling factors (1 to 4) and the quantisation table it uses."""

    id: int
    horizontal: int
    vertical: int
    table: int


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything that stands before the first scan and decides what its coefficients mean.

    Attributes:
        process: n of the SOFn marker: 0 and 1 are sequential, 2 progressive, 3 lossless, 9 and up arithmetic.
        precision: bits per sample.
        width, height: pixels as stored.
        components: in file order.
        tables: quantisation tables by number, each float32 (64,), row-major; not yet defined ones are absent.
        huffman_is_typical: no table differs from the typical ones of the standard.
        restart_interval: in MCUs; 0 for none.
        has_jfif: a JFIF marker is there, so that three components mean YCbCr.
        adobe_transform: colour transform of the Adobe marker (0 none, 1 YCbCr, 2 YCCK); None without one.
    """

    process: int
    precision: int
    width: int
    height: int
    components: tuple[Component, ...]
    tables: dict[int, NDArray[np.float32]]
    huffman_is_typical: bool
    restart_interval: int
    has_jfif: bool
    adobe_transform: int | None

    @property
    def is_progressive(self) -> bool:
        """Whether the scans refine each other."""
        return self.process in (2, 6, 10, 14)

    @property
    def sampling(self) -> tuple[int, int]:
        """Largest horizontal and vertical factor. A lone component is not sampled against anything: (1, 1)."""
        if len(self.components) == 1:
            return 1, 1
        return max(c.horizontal for c in self.components), max(c.vertical for c in self.components)

    @property
    def mcu_size(self) -> tuple[int, int]:
        """Width and height in pixels of the smallest part that can be replaced without touching its neighbours."""
        horizontal, vertical = self.sampling
        return 8 * horizontal, 8 * vertical


def read_frame(data: bytes) -> Frame:
    """Read the headers of a JPEG up to its first scan.

    Raises:
        FrameError: they are cut off, out of order, contradictory, or there is junk between them.
    """
    if data[:2] != bytes((0xFF, _SOI)):
        raise FrameError("no JPEG")
    reader = _Headers()
    position = 2
    while True:
        if data[position : position + 1] != b"\xff":
            raise FrameError("junk between segments" if position < len(data) else "ends before its picture")
        position += _count_fill(data, position)
        marker, length = data[position : position + 1], int.from_bytes(data[position + 1 : position + 3])
        if marker in (b"", b"\x00", bytes((_EOI,)), bytes((_SOI,))) or length < 2:
            raise FrameError("ends before its picture")
        payload = data[position + 3 : position + 1 + length]
        if len(payload) != length - 2:
            raise FrameError("ends before its picture")
        if marker[0] == _SOS:
            return reader.frame()
        try:
            reader.take(marker[0], payload)
        except (IndexError, ValueError) as error:
            raise FrameError(str(error) if isinstance(error, FrameError) else "malformed segment") from error
        position += 1 + length


def _count_fill(data: bytes, position: int) -> int:
    """Count the bytes 0xFF from a position on: any number may stand in front of a marker."""
    fill = _FILL.match(data, position)
    return 0 if fill is None else fill.end() - position


class _Headers:
    """Collects segments in the order in which they stand."""

    def __init__(self) -> None:
        self._sof: tuple[int, bytes] | None = None
        self._tables: dict[int, NDArray[np.float32]] = {}
        self._huffman_is_typical = True
        self._restart_interval = 0
        self._has_jfif = False
        self._adobe_transform: int | None = None

    def take(self, marker: int, payload: bytes) -> None:
        if marker in _FRAMES:
            if self._sof is not None:
                raise FrameError("two frames")
            self._sof = marker - 0xC0, payload
        elif marker == _DQT:
            self._take_quantisation(payload)
        elif marker == _DHT:
            self._take_huffman(payload)
        elif marker == _DRI:
            self._restart_interval = int.from_bytes(payload[:2])
        elif marker == _APP0 and payload[:5] == b"JFIF\0" and len(payload) >= 14:
            self._has_jfif = True
        elif marker == _APP14 and payload[:5] == b"Adobe" and len(payload) >= 12:
            self._adobe_transform = payload[11]

    def _take_quantisation(self, payload: bytes) -> None:
        while payload:
            wide, number = payload[0] >> 4, payload[0] & 15
            size = 128 if wide else 64
            values = np.frombuffer(payload[1 : 1 + size], dtype=">u2" if wide else np.uint8)
            table = np.zeros(64, dtype=np.float32)
            table[ZIGZAG] = values
            if not table.all():
                raise FrameError("quantisation table with a zero")
            self._tables[number] = table
            payload = payload[1 + size :]

    def _take_huffman(self, payload: bytes) -> None:
        while payload:
            counts = payload[1:17]
            if len(counts) != 16:
                raise FrameError("malformed Huffman table")
            self._huffman_is_typical &= counts in _TYPICAL_HUFFMAN
            payload = payload[17 + sum(counts) :]

    def frame(self) -> Frame:
        if self._sof is None:
            raise FrameError("scan without a frame")
        process, sof = self._sof
        if len(sof) < 6 or len(sof) != 6 + 3 * sof[5]:
            raise FrameError("malformed frame")
        triples = (sof[k : k + 3] for k in range(6, len(sof), 3))
        components = tuple(Component(key, sampling >> 4, sampling & 15, table) for key, sampling, table in triples)
        height, width = int.from_bytes(sof[1:3]), int.from_bytes(sof[3:5])
        if not (components and width and height and all(c.horizontal and c.vertical for c in components)):
            raise FrameError("malformed frame")
        return Frame(
            process=process,
            precision=sof[0],
            width=width,
            height=height,
            components=components,
            tables=self._tables,
            huffman_is_typical=self._huffman_is_typical,
            restart_interval=self._restart_interval,
            has_jfif=self._has_jfif,
            adobe_transform=self._adobe_transform,
        )
