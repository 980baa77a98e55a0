"""The one place that knows libturbojpeg: its C interface by ctypes. Knows blocks of coefficients, nothing of blurring.

The functions of the 2.x interface are used throughout; 3.x still has them all, with the same layout, and adds two
things that are taken where they are there: optimised Huffman tables and restart intervals in a transform.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pii_blur.errors import MissingDependency
from pii_blur.photo.jpeg_frame import FrameError, read_frame

# Called as (component, block row, coefficients): int16 (blocks in the row, 64), row-major, quantised, to be changed in
# place. The array is the library's memory: it must not be kept.
BlockRowFilter = Callable[[int, int, NDArray[np.int16]], None]

# turbojpeg.h
_PIXELS_GREY, _PIXELS_CMYK = 6, 11
_FAST_UPSAMPLE, _FAST_DCT, _STOP_ON_WARNING, _LIMIT_SCANS = 256, 2048, 8192, 32768
_OPTION_NO_OUTPUT, _OPTION_PROGRESSIVE, _OPTION_COPY_NONE, _OPTION_OPTIMIZE = 16, 32, 64, 256
_PARAMETER_RESTART_BLOCKS = 18
_ERROR_IS_WARNING = 0

_HOW_TO_INSTALL = {
    "linux": "install it with: apt-get install libturbojpeg0 (Ubuntu: libturbojpeg; Fedora: dnf install turbojpeg)",
    "darwin": "install it with: brew install jpeg-turbo",
    "win32": "put turbojpeg.dll from https://libjpeg-turbo.org beside pii-blur.py or on PATH",
}


class JpegError(Exception):
    """The library refused, or warned about, a JPEG.

    Attributes:
        message: the library's own words.
        is_warning: it would have gone on: the data are damaged, but not beyond all decoding.
    """

    def __init__(self, message: str, *, is_warning: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.is_warning = is_warning


class _Region(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in "xywh"]


_CustomFilter = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, _Region, _Region, ctypes.c_int, ctypes.c_int, ctypes.c_void_p
)


class _Transform(ctypes.Structure):
    _fields_ = [
        ("region", _Region),
        ("operation", ctypes.c_int),
        ("options", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("custom_filter", _CustomFilter),
    ]


class TurboJpeg:
    """The loaded library. Holds no state of its own: any number of threads may use one."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Declare the functions used.

        Raises:
            AttributeError: the library lacks one of them (it is older than 2.0).
        """
        handle, text, size, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_int
        buffers, sizes = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(size)
        self._library = library
        self._declare("tjInitTransform", handle)
        self._declare("tjInitDecompress", handle)
        self._declare("tjDestroy", number, handle)
        self._declare("tjFree", None, ctypes.c_void_p)
        self._declare("tjGetErrorStr2", text, handle)
        self._declare("tjGetErrorCode", number, handle)
        self._declare("tjTransform", number, handle, text, size, number, buffers, sizes, handle, number)
        self._declare("tjDecompress2", number, handle, text, size, handle, number, number, number, number, number)
        self.is_version_3 = hasattr(library, "tj3Set")
        if self.is_version_3:
            self._declare("tj3Set", number, handle, number, number)

    def _declare(self, name: str, result: type | None, *arguments: type) -> None:
        function = getattr(self._library, name)
        function.restype, function.argtypes = result, arguments

    def transform(
        self,
        source: bytes,
        change: BlockRowFilter,
        *,
        progressive: bool = False,
        optimize: bool = False,
        restart_interval: int = 0,
    ) -> bytes:
        """Write a JPEG again with the coefficients that `change` leaves, without decoding them to pixels.

        Every row of blocks of every component is shown to `change` once. No APPn or COM segment of the source is
        copied; for YCbCr and grey the library writes one JFIF APP0 (density as in the source, no thumbnail) itself.

        Args:
            source: a JPEG file; what follows its EOI is ignored.
            change: see `BlockRowFilter`; what it raises, this raises.
            progressive: write progressive scans.
            optimize: fit the Huffman tables to the picture; ignored by 2.x.
            restart_interval: in MCUs, 0 for none; ignored by 2.x.

        Raises:
            JpegError: the library cannot read the source, or warns about it.
        """
        options = _OPTION_COPY_NONE | (_OPTION_PROGRESSIVE if progressive else 0)
        if optimize and self.is_version_3:
            options |= _OPTION_OPTIMIZE
        return self._run(source, change, options, restart_interval)

    def show(self, source: bytes, look: BlockRowFilter) -> None:
        """Read a JPEG to its end and show every row of blocks of every component to `look` once; write nothing.

        Raises:
            JpegError: the library cannot read the source, or warns about it.
        """
        self._run(source, look, _OPTION_NO_OUTPUT | _OPTION_COPY_NONE)

    def _run(self, source: bytes, change: BlockRowFilter, options: int, restart_interval: int = 0) -> bytes:
        raised: list[BaseException] = []

        def on_row(address: int, array: _Region, plane: _Region, component: int, _: int, __: int) -> int:
            try:
                if array.y < plane.h:  # rows that only pad the last MCU are not written to the file
                    blocks = (ctypes.c_int16 * (array.w * 8)).from_address(address)
                    change(component, array.y // 8, np.frombuffer(blocks, dtype=np.int16).reshape(-1, 64))
            except BaseException as error:  # no exception may unwind through C; raised again below
                raised.append(error)
                return -1
            return 0

        job = _Transform(options=options, custom_filter=_CustomFilter(on_row))
        buffer, size = ctypes.c_void_p(), ctypes.c_ulong()
        handle = self._library.tjInitTransform()
        try:
            if restart_interval and self.is_version_3:
                self._library.tj3Set(handle, _PARAMETER_RESTART_BLOCKS, restart_interval)
            flags = _STOP_ON_WARNING | _LIMIT_SCANS
            status = self._library.tjTransform(
                handle, source, len(source), 1, ctypes.byref(buffer), ctypes.byref(size), ctypes.byref(job), flags
            )
            if raised:
                raise raised[0]
            if status != 0:
                raise self._error(handle)
            return ctypes.string_at(buffer, size.value) if buffer else b""
        finally:
            self._library.tjFree(buffer)
            self._library.tjDestroy(handle)

    def check(self, data: bytes, *, width: int, height: int, is_cmyk: bool) -> None:
        """Decode the whole of a JPEG of the given size at 1/8 scale, which reads every byte of it.

        Raises:
            JpegError: the library cannot decode it, or warns about it.
        """
        columns, rows = (width + 7) // 8, (height + 7) // 8
        layout = _PIXELS_CMYK if is_cmyk else _PIXELS_GREY
        pixels = ctypes.create_string_buffer(columns * rows * (4 if is_cmyk else 1))
        handle = self._library.tjInitDecompress()
        try:
            flags = _FAST_UPSAMPLE | _FAST_DCT | _STOP_ON_WARNING | _LIMIT_SCANS
            if self._library.tjDecompress2(handle, data, len(data), pixels, columns, 0, rows, layout, flags) != 0:
                raise self._error(handle)
        finally:
            self._library.tjDestroy(handle)

    def _error(self, handle: int) -> JpegError:
        message = self._library.tjGetErrorStr2(handle).decode("utf-8", "replace")
        return JpegError(message, is_warning=self._library.tjGetErrorCode(handle) == _ERROR_IS_WARNING)


@functools.cache
def load_turbojpeg() -> TurboJpeg:
    """Find and load libturbojpeg 2.0 or newer.

    Raises:
        MissingDependency: there is none; the message says how to install it.
    """
    too_old = ""
    for name in _candidates():
        with suppress(OSError):
            library = ctypes.CDLL(name)
            try:
                return TurboJpeg(library)
            except AttributeError:
                too_old = f" ({name} is older than 2.0)"
    remedy = _HOW_TO_INSTALL.get(sys.platform, _HOW_TO_INSTALL["linux"])
    raise MissingDependency(f"libturbojpeg is not installed{too_old}; {remedy}")


def _candidates() -> list[str]:
    """Names and paths under which the library may be found, the likeliest first."""
    if sys.platform == "win32":
        folders = [
            Path(sys.argv[0]).resolve().parent,
            Path(__file__).resolve().parents[2],
            Path("C:/libjpeg-turbo64/bin"),
        ]
        fixed = [str(folder / name) for folder in folders for name in ("turbojpeg.dll", "libturbojpeg.dll")]
    elif sys.platform == "darwin":
        homes = ["/opt/homebrew/opt/jpeg-turbo", "/usr/local/opt/jpeg-turbo", "/opt/local", "/opt/libjpeg-turbo"]
        fixed = [f"{home}/lib/libturbojpeg.dylib" for home in homes]
    else:
        fixed = ["libturbojpeg.so.0"]
    found = ctypes.util.find_library("turbojpeg")
    return [*fixed, found] if found else fixed


def check_decodes(data: bytes) -> str | None:
    """Say whether a JPEG is whole and sound.

    The picture is entropy-decoded to its end at 1/8 scale and in grey, the least work that still reads every byte, with
    every warning of the library counted as damage. Memory stays below width x height / 64 bytes, but for progressive
    files, whose coefficients the library must hold (2 bytes per sample): refuse outsized pictures first.

    Returns:
        None for a clean file, else the library's warning or error, e.g. "Premature end of JPEG file".

    Raises:
        MissingDependency: libturbojpeg is not installed.
    """
    try:
        frame = read_frame(data)
        is_cmyk = len(frame.components) == 4
        load_turbojpeg().check(data, width=frame.width, height=frame.height, is_cmyk=is_cmyk)
    except (FrameError, JpegError) as error:
        return str(error)
    return None
