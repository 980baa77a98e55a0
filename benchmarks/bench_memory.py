"""How much memory does one photo take, by format and size? The factors of `pii_blur/photo/header.py` stand on this.

Each photo is done by a fresh process with the real model, one thread and a zone that is always hidden, so that it is
searched, hidden, written and checked; what is reported is the largest memory that process ever had, exiftool aside.

    python benchmarks/bench_memory.py [--widths 4000,8000] [--kinds jpeg,png16]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pii_blur import Settings, blur_photo, open_tools
from pii_blur.photo.header import read_header
from pii_blur.zones import Zone

MIB = 1 << 20
Picture = NDArray[np.uint8] | NDArray[np.uint16]


def main() -> int:
    """Measure what the command line asks for and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", default="4000,8000", help="of full panoramas, in pixels (default: %(default)s)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of %(default)s")
    parser.add_argument("--grain", type=float, default=4.0, help="noise, of 255: more makes larger files")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        return _do(arguments.one)
    print(f"{'kind':8} {'width':>6} {'Mpx':>6} {'file MiB':>9} {'peak MiB':>9} {'bytes/px':>9}")
    for kind in arguments.kinds.split(","):
        for width in map(int, arguments.widths.split(",")):
            _measure(kind, width, arguments.grain)
    return 0


def _measure(kind: str, width: int, grain: float) -> None:
    suffix, write = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, f"photo{suffix}")
        write(photo, _picture(width, grain))
        command = [sys.executable, __file__, "--one", str(photo)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        peak, size, pixels = int(answer), photo.stat().st_size, width * width // 2
        header = read_header(photo)
    print(
        f"{kind:8} {width:6} {pixels / 1e6:6.1f} {size / MIB:9.1f} {peak / MIB:9.0f} {peak / pixels:9.1f} {header}",
        flush=True,
    )


def _do(photo: Path) -> int:
    settings = Settings(views="fast", zones=(Zone("hide", 0, 0, 60, 60),))
    with open_tools(settings, threads=1) as tools:
        result = blur_photo(photo, photo.with_name(f"out{photo.suffix}"), settings, tools)
    if result.error is not None:
        raise RuntimeError(result.error.message)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return 0


def _picture(width: int, grain: float) -> NDArray[np.uint8]:
    """Return smooth colours with grain, uint8 RGB (width / 2, width, 3): about as hard to pack as a photo."""
    random = np.random.default_rng(1)
    tiny = random.integers(40, 215, (width // 64, width // 32, 3), dtype=np.uint8)
    pixels: NDArray[np.uint8] = np.asarray(cv2.resize(tiny, (width, width // 2), interpolation=cv2.INTER_CUBIC))
    for row in range(0, width // 2, 256):
        part = pixels[row : row + 256]
        part[:] = np.clip(part + random.normal(0, grain, part.shape), 0, 255).astype(np.uint8)
    return pixels


def _deep(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return 16 bits a sample, the lower ones noise, as cameras give them."""
    low = np.random.default_rng(2).integers(0, 256, pixels.shape, dtype=np.uint8)
    return pixels.astype(np.uint16) << 8 | low


def _cv2(*parameters: int, deep: bool = False) -> Callable[[Path, NDArray[np.uint8]], None]:
    def write(file: Path, pixels: NDArray[np.uint8]) -> None:
        picture: Picture = _deep(pixels) if deep else pixels
        if not cv2.imwrite(str(file), picture, list(parameters)):
            raise RuntimeError(f"{file.suffix} cannot be written here")

    return write


def _pillow(**options: object) -> Callable[[Path, NDArray[np.uint8]], None]:
    def write(file: Path, pixels: NDArray[np.uint8]) -> None:
        if file.suffix == ".heic":
            import pillow_heif  # noqa: PLC0415 - an extra

            pillow_heif.register_heif_opener()
        Image.fromarray(pixels).save(file, **options)

    return write


KINDS: dict[str, tuple[str, Callable[[Path, NDArray[np.uint8]], None]]] = {
    "jpeg": (".jpg", _cv2(cv2.IMWRITE_JPEG_QUALITY, 92)),
    "progr": (".jpg", _cv2(cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "png8": (".png", _cv2()),
    "png16": (".png", _cv2(deep=True)),
    "tiff8": (".tif", _cv2(cv2.IMWRITE_TIFF_COMPRESSION, 1)),
    "tiff16": (".tif", _cv2(cv2.IMWRITE_TIFF_COMPRESSION, 1, deep=True)),
    "lzw16": (".tif", _cv2(cv2.IMWRITE_TIFF_COMPRESSION, 5, deep=True)),
    "webp": (".webp", _pillow(quality=90)),
    "avif": (".avif", _pillow(quality=80, speed=10)),
    "heic": (".heic", _pillow(quality=80)),
}


if __name__ == "__main__":
    sys.exit(main())
