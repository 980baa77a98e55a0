"""Splice a forced region into every JPEG of some folders and print what became of each file.

    python benchmarks/bench_splice.py ../shared/eval/panos ../shared/eval/metadata

Per file: the way taken (or why it was refused), the blocks that differ outside the touched MCUs as jpeglib reads
them, the size before and after (without APPn and COM segments), and the best of three times for the splice, for the
check that a source is sound, and for a plain decode to compare with. The region is 10 % by 12.5 %, off the MCU grid.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pii_blur.photo.splice import SpliceRefused, splice_jpeg
from pii_blur.photo.turbojpeg import check_decodes
from tests.jpegs import changed_blocks_outside


def best_ms(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest of `repeats` runs in milliseconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times) * 1000


def decode(data: bytes) -> NDArray[np.uint8] | None:
    """Decode to RGB as stored, or return None."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def without_segments(data: bytes) -> int:
    """Return the size in bytes without APPn and COM segments and without what follows the picture."""
    removed, position = 0, 2
    while data[position + 1] != 0xDA:
        length = 2 + int.from_bytes(data[position + 2 : position + 4])
        if data[position + 1] >= 0xE0:
            removed += length
        position += length
    end = data.find(b"\xff\xd9", position)
    while (follow := data.find(b"\xff\xda", end)) > 0 and data.find(b"\xff\xd8", end, follow) < 0:
        end = data.find(b"\xff\xd9", follow)
    return end + 2 - removed


def row(file: Path) -> str:
    """Splice one file and describe it."""
    source = file.read_bytes()
    image = decode(source)
    if image is None:
        return f"no picture ({check_decodes(source)})"
    height, width = image.shape[:2]
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[height // 3 : height // 3 + height // 8 + 1, width // 2 : width // 2 + width // 10 + 1] = 255
    pixels = np.where(mask[..., np.newaxis] > 0, cv2.blur(image, (61, 61)), image).astype(np.uint8)
    try:
        spliced = splice_jpeg(source, pixels, mask)
    except SpliceRefused as refused:
        return f"refused: {refused.reason}"
    way = "spliced" + (f" ({', '.join(spliced.notes)})" if spliced.notes else "")
    outside = changed_blocks_outside(source, spliced.data, mask)
    before, after = without_segments(source), without_segments(spliced.data)
    splice_ms = best_ms(lambda: splice_jpeg(source, pixels, mask))
    check_ms, decode_ms = best_ms(lambda: check_decodes(source)), best_ms(lambda: decode(source))
    return (
        f"{way:8} {width:5}x{height:<5} {outside:7} {before:9} {after:9} {100 * after / before - 100:+6.1f} %"
        f" {splice_ms:7.0f} {check_ms:6.0f} {decode_ms:7.0f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    files = [file for folder in parser.parse_args().folders for file in sorted(folder.glob("*.jp*g"))]
    print(
        f"{'file':44} {'way':8} {'pixels':11} {'outside':>7} {'before':>9} {'after':>9} {'':8}"
        f" {'splice':>7} {'check':>6} {'decode':>7} ms"
    )
    for file in files:
        print(f"{file.name[-44:]:44} {row(file)}", flush=True)
    print(
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB (with the reader of jpeglib)"
    )


if __name__ == "__main__":
    main()
