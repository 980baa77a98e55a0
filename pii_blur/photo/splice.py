"""Put changed pixels into a JPEG without touching the rest of its coefficients. Knows pixels and a mask, not why.

A JPEG keeps its picture as quantised cosine coefficients of 8x8 blocks, grouped into MCUs (16x16 pixels with the usual
4:2:0 sampling). The MCUs that the mask touches get coefficients made from the new pixels with the file's own
tables; all others are handed on as the integers they are, so they decode to exactly what they were. Two things
differ from the source's coding and mean nothing: several baseline scans become one, and a progressive file gets the
library's usual script of scans.

The border: decoders interpolate subsampled chroma between neighbouring blocks, so the outermost chroma of a kept MCU
beside a replaced one may decode to another value. Its coefficients are the same, and what flows in comes from the new
pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pii_blur.photo.jpeg_frame import Frame, FrameError, read_frame
from pii_blur.photo.jpegtran import recode
from pii_blur.photo.turbojpeg import JpegError, load_turbojpeg

# RGB to YCbCr, full range (JFIF 1.02, page 3), after the level shift by 128 that precedes the transform.
_TO_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], dtype=np.float32
)
_LEVEL_SHIFT = (-128.0, 0.0, 0.0)

# Orthonormal 8-point DCT-II; twice applied it is the transform of ITU-T T.81, A.3.3.
_DCT = np.array(
    [[np.cos((2 * x + 1) * u * np.pi / 16) * np.sqrt((2 if u else 1) / 8) for x in range(8)] for u in range(8)],
    dtype=np.float32,
)

# What baseline Huffman coding can carry (ITU-T T.81, F.1.2): 11 bits for a DC difference, 10 for an AC coefficient.
# 8-bit pixels cannot make more, so clipping to it never shows; it keeps the cast to int16 safe.
_LOWEST = np.array([-1024] + [-1023] * 63, dtype=np.float32)
_HIGHEST = np.full(64, 1023, dtype=np.float32)


class SpliceRefused(Exception):
    """This JPEG cannot be spliced; encode it anew.

    Attributes:
        reason: a few words for log and report, e.g. ``RGB-coded`` or ``damaged scan data (...)``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Spliced:
    """A spliced JPEG.

    Attributes:
        data: the file: SOI, a JFIF APP0 written by the library (density of the source, no thumbnail), tables, frame,
            scans, EOI. It carries no other APPn and no COM segment; the source's are the caller's to put back, in
            place of that APP0.
        notes: what could not be kept of the coding, one short phrase each; empty in the usual case.
    """

    data: bytes = field(repr=False)
    notes: tuple[str, ...] = ()


def splice_jpeg(source: bytes, pixels: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Spliced:
    """Replace the MCUs of a JPEG that a mask touches, and nothing else.

    Tables, sampling, component ids, density, progressive mode, optimised Huffman coding and restart intervals stay; the
    last two need libturbojpeg 3 or the program jpegtran, else `Spliced.notes` says what was lost.

    Args:
        source: the JPEG file.
        pixels: uint8 (h, w, 3) RGB 0..255, as stored in the file (before EXIF orientation).
        mask: uint8 (h, w), nonzero wherever `pixels` differs from the decoded source.

    Raises:
        SpliceRefused: the file is coded in a way that is not handled, or damaged.
        MissingDependency: libturbojpeg is not installed.
    """
    frame = _spliceable_frame(source)
    # Before anything is allocated by what the header claims.
    if pixels.shape != (frame.height, frame.width, 3) or mask.shape != (frame.height, frame.width):
        raise SpliceRefused("header and picture differ in size")
    library = load_turbojpeg()
    wants_optimized = not frame.is_progressive and not frame.huffman_is_typical
    try:
        data = library.transform(
            source,
            _BlockMaker(frame, pixels, mask),
            progressive=frame.is_progressive,
            optimize=wants_optimized,
            restart_interval=frame.restart_interval,
        )
    except JpegError as error:
        cause = "damaged scan data" if error.is_warning else "libturbojpeg cannot transform it"
        raise SpliceRefused(f"{cause} ({error.message})") from error
    if not _means_the_same(frame, data):
        raise SpliceRefused("libturbojpeg changed tables or sampling")
    lost = _lost_coding(frame, data)
    if not lost:
        return Spliced(data)
    better = recode(
        data, progressive=frame.is_progressive, optimize=wants_optimized, restart_interval=frame.restart_interval
    )
    if better is None or not _means_the_same(frame, better):
        return Spliced(data, lost)
    return Spliced(better, _lost_coding(frame, better))


def _spliceable_frame(source: bytes) -> Frame:
    """Read the headers and refuse every coding whose picture this module could get wrong."""
    try:
        frame = read_frame(source)
    except FrameError as error:
        raise SpliceRefused(f"unusable header ({error})") from error
    ids = bytes(component.id for component in frame.components)
    horizontal, vertical = frame.sampling
    is_one = len(frame.components) == 1
    refusals = {
        "arithmetic coding": frame.process >= 9,
        "lossless or hierarchical coding": frame.process in (3, 5, 6, 7),
        f"{frame.precision} bits per sample": frame.precision != 8,
        "CMYK": len(frame.components) == 4,
        f"{len(frame.components)} components": len(frame.components) not in (1, 3, 4),
        "RGB-coded": len(frame.components) == 3 and (frame.adobe_transform == 0 or ids == b"RGB"),
        "unknown colour transform": len(frame.components) == 3 and frame.adobe_transform not in (None, 0, 1),
        "missing quantisation table": any(component.table not in frame.tables for component in frame.components),
        "fractional chroma sampling": not is_one
        and any(horizontal % component.horizontal or vertical % component.vertical for component in frame.components),
    }
    for reason, applies in refusals.items():
        if applies:
            raise SpliceRefused(reason)
    return frame


def _means_the_same(frame: Frame, data: bytes) -> bool:
    """Whether the coefficients in `data` stand for the same picture as they would under `frame`."""
    try:
        other = read_frame(data)
    except FrameError:
        return False

    def meaning(frame: Frame) -> tuple[object, ...]:
        components = [(c.id, c.horizontal, c.vertical, frame.tables[c.table].tobytes()) for c in frame.components]
        if len(components) == 1:  # factors of a lone component mean nothing, and the library writes 1x1
            components = [(components[0][0], 1, 1, components[0][3])]
        return frame.width, frame.height, frame.precision, frame.is_progressive, components

    return meaning(frame) == meaning(other)


def _lost_coding(frame: Frame, data: bytes) -> tuple[str, ...]:
    """Name what `frame` had and `data` has not; libturbojpeg 2 writes neither of these."""
    written = read_frame(data)
    lost = []
    if written.huffman_is_typical and not frame.huffman_is_typical:
        lost.append("optimised Huffman tables lost")
    if written.restart_interval != frame.restart_interval:
        lost.append("restart intervals lost")
    return tuple(lost)


class _BlockMaker:
    """Overwrites the blocks of touched MCUs, row by row, with coefficients of the new pixels."""

    def __init__(self, frame: Frame, pixels: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
        self._frame = frame
        self._pixels = pixels
        width, height = frame.mcu_size
        rows = np.maximum.reduceat(mask, np.arange(0, frame.height, height), axis=0)
        self._touched = np.maximum.reduceat(rows, np.arange(0, frame.width, width), axis=1) > 0

    def __call__(self, component: int, block_row: int, coefficients: NDArray[np.int16]) -> None:
        # A damaged Huffman table can make coefficients that nobody may write: libturbojpeg 2 turns them into garbage.
        if coefficients.max() > _HIGHEST[0] or (coefficients.min() <= _LOWEST[0] and (coefficients < _LOWEST).any()):
            raise SpliceRefused("coefficients out of range")
        # PRIVACY: the new coefficients are a function of the new pixels alone; the old ones are not looked at again.
        horizontal, vertical = self._factors(component)
        mcu_columns = np.flatnonzero(self._touched[block_row // vertical])
        if mcu_columns.size == 0:
            return
        samples = self._samples(component, block_row, mcu_columns)
        blocks = samples.reshape(8, -1, 8).transpose(1, 0, 2)
        table = self._frame.tables[self._frame.components[component].table]
        quantised = np.rint((_DCT @ blocks @ _DCT.T).reshape(-1, 64) / table)
        columns = (mcu_columns[:, np.newaxis] * horizontal + np.arange(horizontal)).ravel()
        # Blocks that only pad the last MCU are not stored; the encoder makes them up.
        stored = columns < len(coefficients)
        coefficients[columns[stored]] = np.clip(quantised, _LOWEST, _HIGHEST)[stored].astype(np.int16)

    def _factors(self, component: int) -> tuple[int, int]:
        if len(self._frame.components) == 1:
            return 1, 1
        entry = self._frame.components[component]
        return entry.horizontal, entry.vertical

    def _samples(self, component: int, block_row: int, mcu_columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return float32 (8, n) samples -128..127 of one component for a row of blocks in the given MCU columns.

        Past the picture's edge its last column and row are repeated; subsampled components take the mean of the pixels
        that a sample stands for.
        """
        horizontal, vertical = self._factors(component)
        mcu_width, mcu_height = self._frame.mcu_size
        step_x, step_y = mcu_width // (8 * horizontal), mcu_height // (8 * vertical)
        rows = np.minimum(block_row * 8 * step_y + np.arange(8 * step_y), self._frame.height - 1)
        columns = (mcu_columns[:, np.newaxis] * mcu_width + np.arange(mcu_width)).ravel()
        columns = np.minimum(columns, self._frame.width - 1)
        rgb = self._pixels[rows].take(columns, axis=1).astype(np.float32)
        samples = rgb @ _TO_YCBCR[component] + np.float32(_LEVEL_SHIFT[component])
        mean: NDArray[np.float32] = samples.reshape(8, step_y, -1, step_x).mean(axis=(1, 3))
        return mean
