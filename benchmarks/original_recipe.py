"""What a photo costs by the recipe of 2020 and by ours, measured in one run, in turns, on the same photo.

    pip install -r benchmarks/requirements.txt
    python benchmarks/original_recipe.py [--photo FILE]

The recipe: RetinaNet ResNet-50 at 800 px by torch, on the very crops of our view plan; the photo decoded; for each box
found an ellipse blended between the photo and a blurred copy of the *whole* photo, exactly as the old program did it;
encoded; one exiftool process a file to copy the tags. Its weights are random: they change what is found, not what it
costs. So it hides as many boxes, of the sizes and in the places, that our run found.

What is left out favours the recipe: starting Python, loading torch and the network, cutting the crops.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch_retinanet import SIDE, RetinaNet, describe, make_network

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from contrib.demo.photo_file import write_photo  # noqa: E402
from contrib.demo.scene import draw_courtyard  # noqa: E402
from pii_blur import Photo, Settings, Tools, blur_photo, find_regions, open_tools, read_photo  # noqa: E402
from pii_blur.sphere.project import Pyramid, render_view  # noqa: E402
from pii_blur.sphere.views import plan_views  # noqa: E402

Pixels = NDArray[np.uint8]
Ellipse = tuple[tuple[int, int], tuple[int, int]]  # centre and half-axes, pixels
Seconds = dict[str, float]
T = TypeVar("T")

DEMO_WIDTH = 5760
LARGE_WIDTH = 11000  # of the photo on which memory is measured
CORES = os.cpu_count() or 1


def main() -> None:
    """Measure and print."""
    arguments = _parse()
    torch.set_num_threads(CORES)
    with tempfile.TemporaryDirectory() as folder:
        photo = arguments.photo or _demo_photo(Path(folder) / "in" / "demo.jpg", DEMO_WIDTH)
        _print_machine(photo)
        network = make_network()
        print(f"recipe of 2020: RetinaNet ResNet-50, random weights, {describe(network)}")
        settings = Settings(views=arguments.views)
        with open_tools(settings, threads=CORES) as tools:
            rounds = list(_rounds(arguments, photo, Path(folder), network, settings, tools))
        _print_comparison(*zip(*rounds, strict=True))
        if not arguments.skip_memory:
            large = _demo_photo(Path(folder) / "large" / "demo.jpg", LARGE_WIDTH)
            _, peak_mib = _run_ours(large, Path(folder) / "large-out", settings)
            print(f"memory of ours at {LARGE_WIDTH} x {LARGE_WIDTH // 2}: peak {peak_mib:.0f} MiB (exiftool aside)")


def _rounds(
    arguments: argparse.Namespace, photo: Path, folder: Path, network: RetinaNet, settings: Settings, tools: Tools
) -> Iterator[tuple[Seconds, Seconds, float]]:
    """Yield, after one warm-up of each, the recipe's seconds, ours per stage, and ours as a process of its own."""
    picture = read_photo(photo)
    regions = find_regions(picture, tools.detector, settings)
    ellipses = [_ellipse(picture, region.quad.corners) for region in regions]
    crops = _crops(picture, settings, tools)
    few_crops, few_ellipses = _spread(crops, arguments.sample), _spread(ellipses, arguments.sample)
    print(f"{len(crops)} crops ({settings.views}), {len(regions)} boxes; of each the recipe really does")
    print(f"{arguments.sample or 'all'} a round, as every one costs it the same, and the time is scaled up\n")
    _detect(network, crops[:1])
    for number in range(arguments.rounds + 1):
        recipe = _recipe(photo, folder / "recipe.jpg", network, few_crops, few_ellipses)
        recipe["detect"] *= len(crops) / len(few_crops)
        recipe["blur"] *= len(ellipses) / max(len(few_ellipses), 1)
        start = time.perf_counter()
        result = blur_photo(photo, folder / "ours.jpg", settings, tools)
        ours = {**result.seconds, "end to end": time.perf_counter() - start}
        wall, _ = _run_ours(photo, folder / f"out-{number}", settings)
        if number > 0:  # the first round is the warm-up
            recipe["end to end"] = sum(recipe.values())
            yield recipe, ours, wall


def _recipe(
    photo: Path, output: Path, network: RetinaNet, crops: Sequence[Pixels], ellipses: Sequence[Ellipse]
) -> Seconds:
    """Do a photo the old way and return the seconds of each stage."""
    seconds: Seconds = {}
    with _timed(seconds, "detect"):
        _detect(network, crops)
    with _timed(seconds, "read"):
        pixels = cv2.imread(str(photo))
    with _timed(seconds, "blur"):
        for ellipse in ellipses:
            pixels = _blur_whole_picture(pixels, ellipse)
    with _timed(seconds, "write"):
        cv2.imwrite(str(output), pixels)
    with _timed(seconds, "exiftool"):
        command = ["exiftool", "-q", "-m", "-overwrite_original", "-TagsFromFile", str(photo), str(output)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    return seconds


def _detect(network: RetinaNet, crops: Sequence[Pixels]) -> None:
    """Run the network on each crop as the recipe does: enlarged to 800 px, one by one."""
    with torch.inference_mode():
        for crop in crops:
            large = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
            for logits, _ in network(torch.from_numpy(large).permute(2, 0, 1)[None]):
                (torch.sigmoid(logits) > 0.05).nonzero()  # random weights leave nothing to decode or suppress


def _blur_whole_picture(pixels: Pixels, ellipse: Ellipse) -> Pixels:
    """Hide one box the old way: kernel 21, sigma 11, over the whole picture, blended in float64."""
    mask = np.zeros(pixels.shape[:2], np.uint8)
    cv2.ellipse(mask, *ellipse, 0, 0, 360, 255, cv2.FILLED, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (21, 21), 11)
    blurred = cv2.GaussianBlur(pixels, (21, 21), 11)
    alpha = cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR) / 255.0
    return cv2.convertScaleAbs(pixels * (1 - alpha) + blurred * alpha)


def _run_ours(photo: Path, output: Path, settings: Settings) -> tuple[float, float]:
    """Run the command line on one photo and return wall seconds and the its largest memory in MiB."""
    command = [sys.executable, str(ROOT / "pii-blur.py"), str(photo), str(output), f"{100 * settings.min_score:g}"]
    command += ["--views", settings.views, "--workers", "0", "--threads", str(CORES), "--settle", "0", "--quiet"]
    start = time.perf_counter()
    peak_kib = 0
    with subprocess.Popen(command) as process:
        # Not wait4's ru_maxrss: it starts at the memory of the process that forked, and torch is in this one.
        while process.poll() is None:
            peak_kib = max(peak_kib, _peak_kib(process.pid))
            time.sleep(0.02)
    wall = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return wall, peak_kib / 1024


def _peak_kib(pid: int) -> int:
    """Return the largest memory that a process had so far (Linux; 0 elsewhere and once it has ended)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _crops(photo: Photo, settings: Settings, tools: Tools) -> list[Pixels]:
    """Return what our view plan shows of the photo."""
    pyramid = Pyramid(photo.pixels)
    views = plan_views(photo.extent, settings.views, tools.detector.size)
    return [render_view(pyramid, photo.extent, view) for view in views]


def _ellipse(photo: Photo, corners: NDArray[np.float64]) -> Ellipse:
    """Return the old program's ellipse for a box on the sphere: 1.2 times the box, in picture pixels."""
    points = photo.extent.to_points(corners)
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    half_x, half_y = (high - low) / 2 * 1.2
    return (int(x), int(y)), (int(half_x), int(half_y))


def _spread(things: Sequence[T], count: int) -> list[T]:
    """Return `count` of the things, evenly spread; all of them where `count` is 0 or larger than there are."""
    if not 0 < count < len(things):
        return list(things)
    return [things[k * len(things) // count] for k in range(count)]


@contextmanager
def _timed(seconds: Seconds, stage: str) -> Iterator[None]:
    """Note how long the `with` took."""
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start


def _demo_photo(file: Path, width: int) -> Path:
    """Draw the demo panorama and return its path."""
    write_photo(draw_courtyard(width), file)
    return file


def _print_machine(photo: Path) -> None:
    """Print what was measured where."""
    height, width = cv2.imread(str(photo)).shape[:2]
    print(f"{_processor()}, {CORES} cores, {platform.system()}, Python {platform.python_version()}")
    print(f"photo: {photo.name}, {width} x {height}, {photo.stat().st_size / 1e6:.1f} MB")


def _processor() -> str:
    """Return the processor's name."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def _print_comparison(recipe: Sequence[Seconds], ours: Sequence[Seconds], walls: Sequence[float]) -> None:
    """Print the median seconds of each stage and the ratios."""
    before, after = _medians(recipe), _medians(ours)
    wall = statistics.median(walls)
    for name, stages in (("recipe of 2020", before), ("ours, tools open", after)):
        print(f"{name} (seconds, median of {len(walls)} rounds)")
        for stage, spent in stages.items():
            print(f"    {stage:<12}{spent:9.3f}")
    print(f"ours, a process of its own: {wall:.3f} (starting Python, the model and exiftool included)\n")
    print(f"ratio, photo against photo:                 {before['end to end'] / after['end to end']:6.1f} x")
    print(f"ratio, photo against our whole process:     {before['end to end'] / wall:6.1f} x")
    ratios = sorted(old["end to end"] / new["end to end"] for old, new in zip(recipe, ours, strict=True))
    print(f"photo against photo, by round:              {', '.join(f'{ratio:.1f}' for ratio in ratios)}")
    # Torch waits for its slowest thread at every layer: beside other work it suffers far more than we do.
    print(
        f"load of the machine at the end:             {os.getloadavg()[0]:6.1f} on {CORES} cores; near {CORES} is quiet"
    )


def _medians(rounds: Sequence[Seconds]) -> Seconds:
    """Return the median of each stage."""
    return {stage: statistics.median(seconds[stage] for seconds in rounds) for stage in rounds[0]}


def _parse() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description="The recipe of 2020 against ours, on one photo.")
    parser.add_argument("--photo", type=Path, help=f"a panorama (default: the demo, {DEMO_WIDTH} px wide)")
    parser.add_argument("--views", default=Settings().views, help="our view plan (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="after the warm-up (default: %(default)s)")
    parser.add_argument(
        "--sample", type=int, default=6, help="crops and boxes that the recipe does a round, 0 for all (%(default)s)"
    )
    parser.add_argument("--skip-memory", action="store_true", help="leave out the large photo")
    return parser.parse_args()


if __name__ == "__main__":
    main()
