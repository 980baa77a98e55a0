"""The coded picture of a TIFF page: strips or tiles ("pieces"), each packed on its own. Knows one page and no metadata.

That each piece stands for itself is what makes a change in place possible: only the pieces that a region touches are
coded anew, all others stay the bytes they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import PhotoFailure
from pii_blur.photo.contents import check_size
from pii_blur.photo.raster import Samples, as_samples
from pii_blur.photo.tiff_ifd import HEIGHT, STRIP_COUNTS, STRIP_OFFSETS, TILE_COUNTS, TILE_OFFSETS, WIDTH, Ifd, Tiff
from pii_blur.photo.tiff_jpeg import decode_piece_jpeg, encode_piece_jpeg
from pii_blur.photo.tiff_packing import COMPRESSIONS, DEFLATE, JPEG, LZW, NONE, OLD_DEFLATE, pack, unpack

_BITS, _COMPRESSION, _PHOTOMETRIC, _CHANNELS = 258, 259, 262, 277
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT = 278, 322, 323
_FILL_ORDER, _PLANAR, _PREDICTOR, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _JPEG_TABLES = 266, 284, 317, 338, 339, 347

_COMPRESSION_NAMES = {
    2: "fax", 3: "fax", 4: "fax", 6: "old-style JPEG", 34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA",
    50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL", 34892: "lossy DNG",
}  # fmt: skip
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6
_PHOTOMETRIC_NAMES = {
    3: "a palette", 4: "a mask", 5: "CMYK colours", 6: "YCbCr colours without JPEG compression", 8: "CIELab colours",
    9: "ICCLab colours", 10: "ITULab colours", 32803: "the raw data of a camera", 34892: "the raw data of a camera",
    32844: "LogL brightness", 32845: "LogLuv colours", 51177: "a depth map",
}  # fmt: skip
_ALPHAS = (1, 2)  # premultiplied and not; 0 is anything, for example infrared, in which people show


@dataclass(frozen=True, slots=True)
class Window:
    """One piece: number in the file, first row and column, size of its visible part, and the plane it belongs to."""

    index: int
    top: int
    left: int
    height: int
    width: int
    plane: int


@dataclass(frozen=True, slots=True)
class Page:
    """How a page is coded.

    Attributes:
        width, height: pixels.
        channels: samples a pixel, alpha included.
        dtype: of samples in the file, with its order of bytes.
        compression: TIFF's number.
        is_inverted: 0 is white.
        has_predictor: differences to the left neighbour are packed, not samples.
        is_planar: each piece holds one channel only.
        is_tiled: pieces have their full size at the edges as well.
        piece_width, piece_height: pixels.
        offsets, counts: where in the file each piece lies, in bytes.
        tables: of all JPEG-compressed pieces.
    """

    width: int
    height: int
    channels: int
    dtype: np.dtype[np.uint8] | np.dtype[np.uint16]
    compression: int
    is_inverted: bool
    has_predictor: bool
    is_planar: bool
    is_tiled: bool
    piece_width: int
    piece_height: int
    offsets: tuple[int, ...] = field(repr=False)
    counts: tuple[int, ...] = field(repr=False)
    tables: bytes = field(repr=False)

    @property
    def is_jpeg(self) -> bool:
        """Whether coding a piece anew loses something."""
        return self.compression == JPEG

    def windows(self) -> Iterator[Window]:
        """Yield all pieces in the order of the file."""
        index = 0
        for plane in range(self.channels if self.is_planar else 1):
            for top in range(0, self.height, self.piece_height):
                for left in range(0, self.width, self.piece_width):
                    height = min(self.piece_height, self.height - top)
                    yield Window(index, top, left, height, min(self.piece_width, self.width - left), plane)
                    index += 1

    def decode(self, data: bytes) -> Samples:
        """Return uint8 or uint16 (h, w, channels); 0 is black.

        Raises:
            PhotoFailure: a piece is cut off (code ``truncated``) or damaged (``damaged``).
        """
        samples = np.empty((self.height, self.width, self.channels), dtype=self.dtype.newbyteorder("="))
        for window in self.windows():
            piece = self.decode_piece(data, window)[: window.height, : window.width]
            channels = slice(window.plane, window.plane + 1) if self.is_planar else slice(None)
            samples[window.top : window.top + window.height, window.left : window.left + window.width, channels] = piece
        return samples

    def decode_piece(self, data: bytes, window: Window) -> Samples:
        """Return one piece, with what lies beyond the edge of the picture."""
        packed = self.packed(data, window)
        rows, columns, channels = self._shape(window)
        if self.is_jpeg and packed:
            shape, is_inverted = (rows, columns, channels), self.is_inverted
            return decode_piece_jpeg(packed, self.tables, shape, most_rows=self.piece_height, is_inverted=is_inverted)
        size = rows * columns * channels * self.dtype.itemsize
        # A piece without bytes was never written: all zeros (GDAL).
        unpacked = unpack(packed, self.compression, size) if packed else bytes(size)
        if len(unpacked) < size:
            raise PhotoFailure("the picture is cut off: a strip or tile is too short", "truncated")
        piece = np.frombuffer(unpacked, dtype=self.dtype, count=rows * columns * channels)
        piece = piece.reshape(rows, columns, channels).astype(self.dtype.newbyteorder("="))
        if self.has_predictor:
            np.add.accumulate(piece, axis=1, out=piece)
        return as_samples(np.invert(piece) if self.is_inverted else piece)

    def encode_piece(self, data: bytes, window: Window, samples: Samples, mask: NDArray[np.uint8]) -> tuple[bytes, str]:
        """Code a piece anew.

        Args:
            data: the source.
            window: which piece.
            samples, mask: of the whole picture.

        Returns:
            The packed bytes, and what was lost on the way in words; empty if nothing.
        """
        rows, columns, _ = self._shape(window)
        part = (slice(window.top, window.top + window.height), slice(window.left, window.left + window.width))
        beyond = ((0, rows - window.height), (0, columns - window.width))
        piece = samples[part][..., window.plane : window.plane + 1] if self.is_planar else samples[part]
        # PRIVACY: what lies beyond the edge of the picture is made anew as well: it often repeats the edge.
        piece = as_samples(np.pad(piece, (*beyond, (0, 0)), mode="edge"))
        if self.is_jpeg and (packed := self.packed(data, window)):
            touched = np.pad(mask[part], beyond, mode="edge")
            return encode_piece_jpeg(packed, self.tables, piece, touched, is_inverted=self.is_inverted)
        piece = as_samples(np.invert(piece)) if self.is_inverted else piece
        if self.has_predictor:
            piece[:, 1:] = piece[:, 1:] - piece[:, :-1]
        return pack(piece.astype(self.dtype).tobytes(), self.compression, rows), ""

    def packed(self, data: bytes, window: Window) -> bytes:
        """Return the bytes of a piece as they stand in the file."""
        start = self.offsets[window.index]
        return data[start : start + self.counts[window.index]] if start else b""

    def _shape(self, window: Window) -> tuple[int, int, int]:
        rows = self.piece_height if self.is_tiled else window.height
        return rows, self.piece_width, 1 if self.is_planar else self.channels


def read_page(tiff: Tiff, ifd: Ifd, max_pixels: int) -> Page:
    """Understand how a page is coded; decodes nothing.

    Raises:
        PhotoFailure: codes ``unsupported``, ``too_large``, ``truncated``, ``damaged``.
    """
    width, height = tiff.value(ifd, WIDTH, 0), tiff.value(ifd, HEIGHT, 0)
    channels, bits = tiff.value(ifd, _CHANNELS, 1), set(tiff.values(ifd, _BITS, [1]))
    check_size(width, height, max_pixels, bytes_per_pixel=channels * max(bits, default=1) // 8)
    compression, photometric = tiff.value(ifd, _COMPRESSION, NONE), tiff.value(ifd, _PHOTOMETRIC, _BLACK_IS_ZERO)
    _refuse_strange(tiff, ifd, channels, bits, compression, photometric)
    is_tiled = ifd.get(TILE_OFFSETS) is not None
    if is_tiled:
        piece = tiff.value(ifd, _TILE_WIDTH, 0), tiff.value(ifd, _TILE_HEIGHT, 0)
    else:
        piece = width, min(tiff.value(ifd, _ROWS_PER_STRIP, height), height)
    check_size(*piece, max_pixels, bytes_per_pixel=channels * max(bits) // 8)
    byte = np.dtype(np.uint8) if bits == {8} else np.dtype(np.uint16)
    page = Page(
        width=width,
        height=height,
        channels=channels,
        dtype=byte.newbyteorder("<" if tiff.order == "little" else ">"),
        compression=compression,
        is_inverted=photometric == _WHITE_IS_ZERO,
        has_predictor=tiff.value(ifd, _PREDICTOR, 1) == 2 and compression in (LZW, DEFLATE, OLD_DEFLATE),
        is_planar=tiff.value(ifd, _PLANAR, 1) == 2 and channels > 1,
        is_tiled=is_tiled,
        piece_width=piece[0],
        piece_height=piece[1],
        offsets=tiff.values(ifd, TILE_OFFSETS if is_tiled else STRIP_OFFSETS),
        counts=tiff.values(ifd, TILE_COUNTS if is_tiled else STRIP_COUNTS),
        tables=next((tiff.content(entry) for entry in ifd.entries if entry.tag == _JPEG_TABLES), b""),
    )
    _check_pieces(page, len(tiff.data))
    return page


def _refuse_strange(tiff: Tiff, ifd: Ifd, channels: int, bits: set[int], compression: int, photometric: int) -> None:
    """Refuse, by name, what is not handled."""
    formats = set(tiff.values(ifd, _SAMPLE_FORMAT, [1]))
    extra, is_jpeg = tiff.values(ifd, _EXTRA_SAMPLES), compression == JPEG
    colours = 3 if photometric in (_RGB, _YCBCR) else 1
    strange = ""
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) and not (photometric == _YCBCR and is_jpeg):
        strange = _PHOTOMETRIC_NAMES.get(photometric, f"colours of kind {photometric}")
    elif compression not in COMPRESSIONS:
        strange = f"{_COMPRESSION_NAMES.get(compression, f'unknown ({compression})')} compression"
    elif not (formats <= {1, 4}) or bits not in ({8}, {16}):
        kind = "floating-point" if 3 in formats else "signed" if 2 in formats else ""
        strange = " ".join(filter(None, [kind, f"samples of {'/'.join(map(str, sorted(bits)))} bits"]))
    elif channels not in (colours, colours + 1) or (channels > colours and extra[:1] not in [(a,) for a in _ALPHAS]):
        strange = f"{channels} channels, of which not all are colour or alpha"
    elif is_jpeg and (photometric == _RGB or channels > colours or bits != {8} or tiff.value(ifd, _PLANAR, 1) != 1):
        strange = "JPEG compression of RGB, alpha or separate channels"
    elif tiff.value(ifd, _PREDICTOR, 1) not in (1, 2):
        strange = "a floating-point predictor"
    elif tiff.value(ifd, _FILL_ORDER, 1) != 1 and compression != NONE:
        strange = "reversed bits"
    if strange:
        raise PhotoFailure(
            f"TIFF with {strange} is not supported; save it as RGB or grey with 8 or 16 bits, LZW-compressed",
            "unsupported",
        )


def _check_pieces(page: Page, size: int) -> None:
    """Make sure that all pieces lie within the file, and no two on top of each other."""
    planes = page.channels if page.is_planar else 1
    count = -(-page.width // page.piece_width) * -(-page.height // page.piece_height) * planes
    if len(page.offsets) < count or len(page.counts) < count:
        raise PhotoFailure("the file is damaged: strips or tiles are missing", "damaged")
    ranges = sorted((start, start + length) for start, length in zip(page.offsets, page.counts, strict=False) if start)
    if any(end > size for _, end in ranges):
        raise PhotoFailure("the picture is cut off: strips or tiles lie behind the end of the file", "truncated")
    if any(one[1] > following[0] for one, following in pairwise(ranges)):
        raise PhotoFailure("TIFF whose strips or tiles lie on top of each other is not supported", "unsupported")
