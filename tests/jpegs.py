"""JPEGs of every coding, made on the spot, and an independent reader of their coefficients (jpeglib)."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image


def picture(height: int, width: int, seed: int = 0, *, detail: int = 6) -> NDArray[np.uint8]:
    """Return uint8 (height, width, 3) RGB: soft coloured blobs, about `detail` pixels across, with some grain."""
    random = np.random.default_rng(seed)
    blobs = random.integers(0, 256, (height // detail + 2, width // detail + 2, 3), dtype=np.uint8)
    soft = cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(soft + random.integers(-4, 5, soft.shape), 0, 255).astype(np.uint8)


def encode(pixels: NDArray[np.uint8], *, mode: str = "RGB", **options: object) -> bytes:
    """Encode RGB pixels with Pillow after conversion to `mode`; `options` are those of its JPEG writer."""
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def cjpeg(pixels: NDArray[np.uint8], *switches: str, scans: str = "") -> bytes:
    """Encode RGB pixels with cjpeg, which can do what Pillow cannot. Skips the test where it is not installed.

    Args:
        pixels: uint8 (height, width, 3).
        switches: cjpeg's own.
        scans: a scan script; by default one scan.
    """
    if shutil.which("cjpeg") is None:
        pytest.skip("cjpeg is not installed (libjpeg-turbo-progs)")
    height, width = pixels.shape[:2]
    ppm = b"P6 %d %d 255\n" % (width, height) + pixels.tobytes()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "scans"
        script.write_text(scans)
        command = ["cjpeg", *switches, *(["-scans", str(script)] if scans else [])]
        return subprocess.run(command, input=ppm, capture_output=True, check=True, timeout=30).stdout


def decode(data: bytes) -> NDArray[np.uint8]:
    """Return uint8 (height, width, 3) RGB, as stored."""
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def decode_luma(data: bytes) -> NDArray[np.uint8]:
    """Return the luma plane, uint8 (height, width), without any colour conversion."""
    image = Image.open(io.BytesIO(data))
    image.draft("L", image.size)
    assert image.mode == "L"
    return np.array(image)


@dataclass(frozen=True)
class Coefficients:
    """What jpeglib reads: per component int16 (rows, columns, 8, 8), and sampling factors (vertical, horizontal)."""

    planes: list[NDArray[np.int16]]
    factors: list[tuple[int, int]]


def coefficients(data: bytes) -> Coefficients:
    """Read the quantised coefficients of a JPEG. Skips the test where jpeglib is not installed."""
    jpeglib = pytest.importorskip("jpeglib", reason="jpeglib is not installed (no wheel for this platform?)")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.jpg"
        file.write_bytes(data)
        read = jpeglib.read_dct(str(file))
        planes = [plane for plane in (read.Y, read.Cb, read.Cr) if plane is not None]
        return Coefficients(planes, [(int(v), int(h)) for v, h in read.samp_factor[: len(planes)]])


def touched_blocks(mask: NDArray[np.uint8], read: Coefficients) -> list[NDArray[np.bool_]]:
    """Return per component, bool (rows, columns), which blocks lie in MCUs that the mask touches."""
    factors = read.factors if len(read.planes) > 1 else [(1, 1)]
    tile_h, tile_w = (8 * max(factor[axis] for factor in factors) for axis in (0, 1))
    padded = np.pad(mask != 0, ((0, -mask.shape[0] % tile_h), (0, -mask.shape[1] % tile_w)))
    tiles = padded.reshape(padded.shape[0] // tile_h, tile_h, -1, tile_w).any(axis=(1, 3))
    return [
        tiles.repeat(vertical, axis=0).repeat(horizontal, axis=1)[: plane.shape[0], : plane.shape[1]]
        for plane, (vertical, horizontal) in zip(read.planes, factors, strict=True)
    ]


def changed_blocks_outside(source: bytes, result: bytes, mask: NDArray[np.uint8]) -> int:
    """Count the blocks outside the touched MCUs of which any coefficient differs. Layouts must be the same."""
    before, after = coefficients(source), coefficients(result)
    # The factors of a lone component mean nothing.
    assert before.factors == after.factors or len(before.planes) == 1
    changed = 0
    for old, new, inside in zip(before.planes, after.planes, touched_blocks(mask, before), strict=True):
        assert old.shape == new.shape
        changed += int(((old != new).any(axis=(2, 3)) & ~inside).sum())
    return changed
