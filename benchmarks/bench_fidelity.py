"""Hide one region in every photo of some folders and print what became of each file.

    python benchmarks/bench_fidelity.py ../shared/eval/panos ../shared/eval/metadata

Per file: the way taken; blocks outside the hidden MCUs whose coefficients differ, as jpeglib reads them (`-` where the
picture was encoded anew); tags lost or changed outside the list of `photo/tags.py`, by a second exiftool of its own;
kinds of APPn and COM segments lost (other than those that hold nothing but pictures); pictures that Pillow opens
anywhere in the file but the fresh thumbnail; size before and after; milliseconds to write, the check included. The
region is 10 % by 12.5 %, off the MCU grid.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pii_blur.errors import PhotoFailure
from pii_blur.obfuscate.obfuscator import Strength
from pii_blur.obfuscate.paint import Canvas, paint
from pii_blur.photo.exiftool import ExifTool, open_exiftool
from pii_blur.photo.jpeg_frame import FrameError, read_frame
from pii_blur.photo.jpeg_segments import split_jpeg
from pii_blur.photo.metadata import Mark
from pii_blur.photo.orientation import as_stored
from pii_blur.photo.photo import HiddenPhoto, Photo
from pii_blur.photo.read import read_photo
from pii_blur.photo.tags import changed_tags
from pii_blur.photo.turbojpeg import check_decodes
from pii_blur.photo.write import write_photo
from pii_blur.sphere.extent import FlatExtent
from pii_blur.sphere.project import Pyramid
from pii_blur.sphere.quad import SphereQuad
from tests.jpegs import changed_blocks_outside
from tests.photos import pictures_anywhere

MARK = Mark("0", "bench", 0.4, 1)
# Blocks that may go as a whole: they hold nothing but pictures, or say where some are.
PICTURES_ONLY = (b"MPF\0", b"JFXX\0", b"FPXR\0")


@dataclass(frozen=True)
class Row:
    """What became of one file; numbers are of things lost or left, and all should be 0."""

    way: str
    outside: int | None
    tags: list[str]
    segments: list[str]
    pictures: int
    before: int
    after: int
    milliseconds: float

    def text(self) -> str:
        """Return one line."""
        outside = "-" if self.outside is None else str(self.outside)
        grown = 100 * self.after / self.before - 100
        return (
            f"{outside:>7} {len(self.tags):4} {len(self.segments):4} {self.pictures:4} {self.before:9} {self.after:9}"
            f" {grown:+6.1f} % {self.milliseconds:6.0f}  {self.way} {' '.join(self.tags + self.segments)}"
        )


def hide(photo: Photo) -> HiddenPhoto:
    """Hide one region where every kind of picture has something."""
    canvas = Canvas(photo.pixels.copy(), np.zeros(photo.pixels.shape[:2], np.uint8))
    height, width = canvas.mask.shape
    corners = [(0.53, 0.37), (0.63, 0.37), (0.63, 0.495), (0.53, 0.495)]
    extent = photo.extent if min(height, width) >= 64 else FlatExtent(width, height)
    quad = SphereQuad(extent.to_directions([[x * width, y * height] for x, y in corners]))
    paint(Pyramid(photo.pixels), extent, [quad], method="gaussian", strength=Strength(), canvas=canvas)
    return HiddenPhoto(canvas.pixels, canvas.mask)


def tags_of(data: bytes, folder: Path) -> dict[str, object]:
    """Return all tags of a file, read by an exiftool that has nothing to do with ours."""
    path = folder / "tags.jpg"
    path.write_bytes(data)
    command = ["exiftool", "-config", "", "-j", "-G1", "-a", "-u", "-n", "-b", str(path)]
    answer = subprocess.run(command, capture_output=True, timeout=60, check=False).stdout
    return dict(json.loads(answer.decode("utf-8", "replace"))[0])


def lost_segments(source: bytes, result: bytes) -> list[str]:
    """Return the source's kinds of segments of which the result has none."""

    def kinds(data: bytes) -> list[tuple[int, bytes]]:
        segments = [one for one in split_jpeg(data).segments if not one.payload.startswith(PICTURES_ONLY)]
        return [(one.marker, one.payload[:5]) for one in segments]

    before, after = kinds(source), kinds(result)
    lost = sorted({kind for kind in before if kind not in after})
    return [f"lost APP{marker - 0xE0} {name.decode('ascii', 'replace')}" for marker, name in lost]


def measure(path: Path, folder: Path, exiftool: ExifTool) -> Row:
    """Do one file."""
    photo = read_photo(path)
    assert photo.facts is not None
    hidden, target = hide(photo), folder / "out.jpg"
    started = time.perf_counter()
    written = write_photo(photo, hidden, target, exiftool=exiftool, mark=MARK)
    milliseconds = 1000 * (time.perf_counter() - started)
    source, result = split_jpeg(photo.facts.data).to_bytes(), target.read_bytes()
    before, after = tags_of(source, folder), tags_of(result, folder)
    is_lossless = written.way.startswith("lossless")
    mask = as_stored(hidden.mask, photo.facts.orientation)
    is_cmyk = len(read_frame(source).components) == 4
    return Row(
        way=written.way,
        outside=changed_blocks_outside(source, result, mask) if is_lossless else None,
        tags=[tag for tag in changed_tags(before, after, is_cmyk=is_cmyk) if not tag.startswith("XMP-PiiBlur")],
        segments=lost_segments(source, result),
        pictures=max(len(pictures_anywhere(result)) - ("IFD1:ThumbnailImage" in after), 0),
        before=len(photo.facts.data),
        after=len(result),
        milliseconds=milliseconds,
    )


def ought_to_be_lossless(path: Path) -> bool:
    """Whether a file is a YCbCr-coded or grey JPEG, of the usual coding, that decodes without a warning."""
    data = path.read_bytes()
    try:
        jpeg = split_jpeg(data)
        plain = jpeg.to_bytes()
        frame = read_frame(plain)
    except (PhotoFailure, FrameError):
        return False
    is_rgb = frame.adobe_transform == 0 or bytes(one.id for one in frame.components) == b"RGB"
    is_usual = frame.process in (0, 1, 2) and frame.precision == 8
    return is_usual and len(frame.components) in (1, 3) and not is_rgb and check_decodes(plain) is None


def main() -> None:
    """Print the table and what it comes to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    files = [file for folder in parser.parse_args().folders for file in sorted(folder.glob("*.jp*g"))]
    print(f"{'file':40} {'outside':>7} tags segm pict    before     after            ms  way")
    rows: dict[Path, Row] = {}
    with open_exiftool() as exiftool, tempfile.TemporaryDirectory() as folder:
        for file in files:
            try:
                rows[file] = measure(file, Path(folder), exiftool)
                print(f"{file.name[-40:]:40} {rows[file].text()}", flush=True)
            except PhotoFailure as failure:
                print(
                    f"{file.name[-40:]:40} refused: {failure.code}: {failure.message.rpartition(': ')[2]}", flush=True
                )
    expected = [file for file in files if ought_to_be_lossless(file)]
    missed = [file.name for file in expected if file not in rows or not rows[file].way.startswith("lossless")]
    done = rows.values()
    print(
        f"{len(files)} files, {len(rows)} written; blocks changed outside {sum(row.outside or 0 for row in done)},"
        f" tags {sum(len(row.tags) for row in done)}, pictures {sum(row.pictures for row in done)}, segments"
        f" {sum(len(row.segments) for row in done)} (Exif without a tag but the thumbnail's, or damaged; CMYK profile)"
    )
    print(
        f"{len(expected) - len(missed)} of {len(expected)} YCbCr-coded or grey JPEGs that decode without a warning took"
        f" the lossless way {missed or ''}"
    )
    is_good = not missed and all(not (row.outside or row.tags or row.pictures) for row in done)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
