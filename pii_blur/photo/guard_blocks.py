"""What stands in a JPEG's blocks, read from its bytes: for comparing a source with its result. Decodes no pixels.

Reading the coefficients costs less than decoding, proves that the scan data are whole, and shows more: pixels can agree
by chance of rounding, coefficients cannot. Of the blocks that no region touches only a checksum is kept, of the others
their samples.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Blocks:
    """The blocks of one JPEG.

    Attributes:
        outside: by component and block row, a checksum of the coefficients of all blocks in untouched MCUs.
        planes: by component, uint8 samples as coded; only those of touched MCUs are filled in.
        small: uint8, the first component at an eighth of its size.
    """

    outside: dict[tuple[int, int], int] = field(default_factory=dict)
    planes: list[NDArray[np.uint8]] = field(default_factory=list)
    small: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.uint8))


def read_blocks(data: bytes, frame: Frame, touched: Flags) -> Blocks:
    """Read a JPEG to its end.

    Args:
        data: the file.
        frame: its headers.
        touched: bool (MCU rows, MCU columns): those that may differ from another file's.

    Raises:
        JpegError: the library cannot read it, or warns about it.
    """
    blocks = Blocks()
    factors = [(one.horizontal, one.vertical) for one in frame.components] if len(frame.components) > 1 else [(1, 1)]
    rows, columns = touched.shape
    blocks.planes = [np.zeros((rows * v * 8, columns * h * 8), dtype=np.uint8) for h, v in factors]
    blocks.small = np.zeros((rows * factors[0][1], columns * factors[0][0]), dtype=np.uint8)
    tables = [frame.tables[one.table] for one in frame.components]

    def look(component: int, row: int, coefficients: NDArray[np.int16]) -> None:
        horizontal, vertical = factors[component]
        inside = touched[row // vertical].repeat(horizontal)[: len(coefficients)]
        if component == 0:
            brightness = coefficients[:, 0] * (tables[0][0] / 8) + 128
            blocks.small[row, : len(brightness)] = np.clip(brightness, 0, 255)
        if not inside.any():
            blocks.outside[component, row] = zlib.crc32(coefficients.data)
            return
        blocks.outside[component, row] = zlib.crc32(coefficients[~inside].tobytes())
        samples = matrix_product(coefficients[inside] * tables[component], _WAVES)
        samples = np.clip(np.rint(samples) + 128, 0, 255).astype(np.uint8).reshape(-1, 8, 8)
        strip = blocks.planes[component][row * 8 : row * 8 + 8].reshape(8, -1, 8)
        strip[:, np.flatnonzero(inside)] = samples.transpose(1, 0, 2)

    load_turbojpeg().show(data, look)
    return blocks


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
