"""What stands in a JPEG's blocks, read from its bytes: for comparing a source with its result. Decodes no pixels.

Reading the coefficients costs less than decoding, proves that the scan data are whole, and shows more: pixels can agree
by chance of rounding, coefficients cannot. Of the blocks that no region touches only a checksum is kept, of the others
their samples.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.photo.guard_detail import matrix_product
from pii_blur.photo.jpeg_frame import Frame
from pii_blur.photo.turbojpeg import load_turbojpeg

Mask = NDArray[np.uint8]
Flags = NDArray[np.bool_]

# Value of the cosine number u at sample x of eight (ITU-T T.81, A.3.3).
_COSINES = np.array(
    [[np.cos((2 * x + 1) * u * np.pi / 16) * np.sqrt((2 if u else 1) / 8) for x in range(8)] for u in range(8)],
    dtype=np.float32,
)
_WAVES = np.kron(_COSINES, _COSINES)  # float32 (64, 64): from coefficients to samples, both row by row
_PORTION = 1 << 13  # blocks turned at a time


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of one JPEG.

    Attributes:
        outside: by component and block row, a checksum of the coefficients of all blocks in untouched MCUs.
        planes: by component, uint8 samples as coded; only those of touched MCUs are filled in.
        small: uint8, the first component at an eighth of its size.
    """

    outside: dict[tuple[int, int], int]
    planes: list[NDArray[np.uint8]]
    small: NDArray[np.uint8]


def read_blocks(data: bytes, frame: Frame, touched: Flags) -> Blocks:
    """Read a JPEG to its end.

    Args:
        data: the file.
        frame: its headers.
        touched: bool (MCU rows, MCU columns): those that may differ from another file's.

    Raises:
        JpegError: the library cannot read it, or warns about it.
    """
    factors = [(one.horizontal, one.vertical) for one in frame.components] if len(frame.components) > 1 else [(1, 1)]
    rows, columns = touched.shape
    planes = [
        _Plane(rows * v, columns * h, frame.tables[one.table])
        for (h, v), one in zip(factors, frame.components, strict=True)
    ]
    means = np.zeros((rows * factors[0][1], columns * factors[0][0]), dtype=np.int16)
    outside: dict[tuple[int, int], int] = {}
    any_touched: Flags = touched.max(axis=1)

    def look(component: int, row: int, coefficients: NDArray[np.int16]) -> None:
        horizontal, vertical = factors[component]
        if component == 0:
            means[row, : len(coefficients)] = coefficients[:, 0]
        if any_touched[row // vertical]:
            inside = touched[row // vertical].repeat(horizontal)[: len(coefficients)]
            planes[component].take(row, inside, coefficients)
            coefficients = coefficients[~inside]
        outside[component, row] = zlib.crc32(coefficients.data)

    load_turbojpeg().show(data, look)
    brightness = np.clip(means * (frame.tables[frame.components[0].table][0] / 8) + 128, 0, 255)
    return Blocks(outside, [plane.finished() for plane in planes], brightness.astype(np.uint8))


class _Plane:
    """One component, of which the touched blocks are turned into samples, many at a time."""

    def __init__(self, rows: int, columns: int, table: NDArray[np.float32]) -> None:
        self._samples = np.zeros((rows, 8, columns, 8), dtype=np.uint8)
        self._table = table
        self._waiting: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int16]]] = []
        self._count = 0

    def take(self, row: int, inside: Flags, coefficients: NDArray[np.int16]) -> None:
        """Take in those blocks of a row, int16 (columns, 64), that are `inside`."""
        columns = np.flatnonzero(inside)
        self._waiting.append((np.full(len(columns), row), columns, coefficients[columns]))
        self._count += len(columns)
        if self._count >= _PORTION:
            self._turn()

    def finished(self) -> NDArray[np.uint8]:
        """Return uint8 (8 * rows, 8 * columns), 0 outside the touched blocks."""
        if self._count:
            self._turn()
        rows, height, columns, width = self._samples.shape
        return self._samples.reshape(rows * height, columns * width)

    def _turn(self) -> None:
        rows, columns, coefficients = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting, self._count = [], 0
        samples = matrix_product(coefficients * self._table, _WAVES)
        # In one pass: centred on 128, rounded, cut off at 0 and 255.
        whole = np.asarray(cv2.addWeighted(samples, 1.0, samples, 0.0, 128.0, dtype=cv2.CV_8U))
        self._samples.transpose(0, 2, 1, 3)[rows, columns] = whole.reshape(-1, 8, 8)


def touched_mcus(mask: Mask, frame: Frame) -> Flags:
    """Return bool (MCU rows, MCU columns): in which of them the mask is not 0 throughout."""
    width, height = frame.mcu_size
    missing = [(0, -side % step) for side, step in zip(mask.shape, (height, width), strict=True)]
    padded = np.pad(mask, missing) if np.any(missing) else mask
    # Whole rows at a time: many times as fast as NumPy's own reduction over short axes.
    rows = functools.reduce(np.maximum, (padded[k::height] for k in range(height)))
    columns = functools.reduce(np.maximum, (rows[:, k::width] for k in range(width)))
    return np.asarray(columns > 0, dtype=np.bool_)


def step_of(frame: Frame, component: int) -> tuple[int, int]:
    """Return how many pixels, across and down, one sample of a component stands for."""
    if len(frame.components) == 1:
        return 1, 1
    one, (horizontal, vertical) = frame.components[component], frame.sampling
    return horizontal // one.horizontal, vertical // one.vertical


def same_meaning(one: Frame, other: Frame) -> bool:
    """Whether the same coefficients stand for the same picture under two headers."""
    return _meaning(one) == _meaning(other)


def _meaning(frame: Frame) -> tuple[object, ...]:
    is_lone = len(frame.components) == 1
    components = [
        ((1, 1) if is_lone else (one.horizontal, one.vertical), frame.tables[one.table].tobytes())
        for one in frame.components
    ]
    return frame.width, frame.height, frame.precision, frame.is_progressive, frame.adobe_transform, components
