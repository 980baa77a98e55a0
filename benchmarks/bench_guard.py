"""What the check on every finished file costs, against the reading and writing that it protects.

    python benchmarks/bench_guard.py ../shared/eval/panos/*building.jpg ../shared/eval/panos/*GSAG2002.jpg

Per file: the best of several times to read the photo, to write it (encode, clean the metadata, put it on the disk) with
the check left out, and for the check alone; the last column is the check's share of the other two. Two regions are
forced into each photo: a person-sized one and the whole lowest part, which is what hiding a car roof costs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pii_blur.obfuscate.obfuscator import Strength
from pii_blur.obfuscate.paint import Canvas, paint
from pii_blur.photo import write as writing
from pii_blur.photo.exiftool import ExifTool, open_exiftool
from pii_blur.photo.guard import guard_blurred
from pii_blur.photo.metadata import Mark
from pii_blur.photo.photo import HiddenPhoto, Photo
from pii_blur.photo.publish import publish
from pii_blur.photo.read import read_photo
from pii_blur.sphere.project import Pyramid
from pii_blur.sphere.quad import SphereQuad

PLACES = {
    "20 people and cars": [(18 * n - 175, -5, 2 + n % 5, 5) for n in range(20)],
    "and the lowest part": [(18 * n - 175, -5, 2 + n % 5, 5) for n in range(20)] + [(0, -90, 60, 60)],
}


def best_ms(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the shortest of several runs: wall and processor time in milliseconds."""
    times = []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    return 1000 * min(wall for wall, _ in times), 1000 * min(processor for _, processor in times)


def hide(photo: Photo, places: list[tuple[float, float, float, float]]) -> HiddenPhoto:
    """Hide boxes given by yaw, pitch, width and height in degrees."""
    canvas = Canvas(photo.pixels.copy(), np.zeros(photo.pixels.shape[:2], np.uint8))
    quads = [SphereQuad.from_angles(*place) for place in places]
    paint(Pyramid(photo.pixels), photo.extent, quads, method="gaussian", strength=Strength(), canvas=canvas)
    return HiddenPhoto(canvas.pixels, canvas.mask)


def row(path: Path, name: str, exiftool: ExifTool, repeats: int) -> str:
    """Measure one file with one set of regions."""
    photo = read_photo(path)
    hidden = hide(photo, PLACES[name])
    mark = Mark("0", "bench", 0.4, len(PLACES[name]))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.jpg"
        way = writing.write_photo(photo, hidden, target, exiftool=exiftool, mark=mark).way
        data = target.read_bytes()
        examine = partial(
            guard_blurred, data, photo, hidden.mask, is_lossless=way.startswith("lossless"), exiftool=exiftool
        )
        reading = best_ms(lambda: read_photo(path), repeats)
        checking = best_ms(examine, repeats)
        # The same writing, with nothing examined before the file gets its name.
        writing.publish = lambda data, destination, *, check: publish(data, destination, check=len)
        try:
            bare = best_ms(lambda: writing.write_photo(photo, hidden, target, exiftool=exiftool, mark=mark), repeats)
        finally:
            writing.publish = publish
    height, width = photo.pixels.shape[:2]
    shares = [100 * check / (read + write) for check, read, write in zip(checking, reading, bare, strict=True)]
    return (
        f"{path.name[-24:]:24} {width:5}x{height:<5} {name:20} {100 * (hidden.mask > 0).mean():5.1f} %"
        + "".join(f" {wall:7.0f} {processor:7.0f}" for wall, processor in (reading, bare, checking))
        + f" {shares[0]:6.0f} % {shares[1]:6.0f} %"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(
        "ms, wall and processor time" + " " * 38 + "read" + " " * 12 + "write" + " " * 11 + "check" + " " * 11 + "share"
    )
    with open_exiftool() as exiftool:
        for path in options.files:
            for name in PLACES:
                print(row(path, name, exiftool, options.repeats), flush=True)


if __name__ == "__main__":
    main()
