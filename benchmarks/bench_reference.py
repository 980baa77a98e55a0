"""What a crop costs by ImageAI's own networks and by ours, measured in one run, in turns, on the same crops.

    reference/setup.sh
    python benchmarks/bench_reference.py [--crops 4] [--rounds 5]

Theirs look at one crop at a time with all cores, as they do; ours at as many crops at a time as there are cores, one
thread each, as the program does. Weights are random and the same in both, as far as it is the same network. Of
ImageAI 3 only the network is timed, not what makes boxes of its answers, which favours it; the others are timed whole.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pii_blur.detect.detector import load_detector  # noqa: E402
from pii_blur.detect.devices import DEFAULT_DEVICE  # noqa: E402
from pii_blur.labels import DEFAULT_LABELS  # noqa: E402
from pii_blur.settings import DEFAULT_MODEL  # noqa: E402
from pii_blur.weights.convert import convert  # noqa: E402
from reference.original import IMAGEAI_2_1_6, IMAGEAI_3, Running, is_set_up, make_crops  # noqa: E402

CORES = os.cpu_count() or 1
SIZE = 800
SMALLER = 640
FLOAT_MODEL = f"{DEFAULT_MODEL}-float"


def main() -> None:
    """Measure and print."""
    arguments = _parse()
    if not is_set_up():
        raise SystemExit("the original's packages are not here; reference/setup.sh installs them")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crops = make_crops(arguments.crops, SIZE)
        np.save(folder / "crops.npy", crops)
        with Running(IMAGEAI_3, folder) as newer, Running(IMAGEAI_2_1_6, folder) as older:
            torch_file, keras_file = folder / "torchvision.pth", folder / "resnet50_coco_best_v2.1.9.h5"
            runs = {
                f"{IMAGEAI_3.title}, {SIZE} px": newer.seconds,
                f"{IMAGEAI_2_1_6.title}, {SIZE} px": older.seconds,
                f"converted from torchvision, {SIZE} px": _ours(convert(torch_file, folder, size=SIZE), crops),
                f"converted from Keras 2.1, {SIZE} px": _ours(convert(keras_file, folder, size=SIZE), crops),
                f"converted from torchvision, {SMALLER} px": _ours(convert(torch_file, folder, size=SMALLER), crops),
                f"{FLOAT_MODEL}, {SMALLER} px": _ours(Path(FLOAT_MODEL), crops),
                f"{DEFAULT_MODEL}, {SMALLER} px": _ours(Path(DEFAULT_MODEL), crops),
            }
            if find_spec("openvino"):
                runs[f"{FLOAT_MODEL}, OpenVINO"] = _ours(Path(FLOAT_MODEL), crops, "openvino")
                runs[f"{DEFAULT_MODEL}, OpenVINO"] = _ours(Path(DEFAULT_MODEL), crops, "openvino")
            _print(runs, arguments.rounds, len(crops))


def _ours(model: Path, crops: np.ndarray, device: str = DEFAULT_DEVICE) -> Callable[[], float]:
    """Return what runs a model on all crops, enlarged or shrunk to its size, and says how long it took."""
    detector = load_detector(model, device, threads=CORES)
    fitting = [cv2.resize(crop, (detector.size, detector.size), interpolation=cv2.INTER_AREA) for crop in crops]
    thresholds = dict.fromkeys(DEFAULT_LABELS, 0.4)

    def seconds() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(lambda crop: detector.detect(crop, thresholds), fitting))
        return time.perf_counter() - start

    return seconds


def _print(runs: dict[str, Callable[[], float]], rounds: int, crops: int) -> None:
    for run in runs.values():
        run()  # the first is the warm-up
    measured = [{title: 1000 * run() / crops for title, run in runs.items()} for _ in range(rounds)]
    first = next(iter(runs))
    print(f"{CORES} cores, {crops} crops, {rounds} rounds in turns; ms a crop: least, median, and times faster than")
    print(f"{first} (median of the ratios within a round)\n")
    for title in runs:
        values = [one[title] for one in measured]
        ratio = statistics.median(one[first] / one[title] for one in measured)
        print(f"{title:<46}{min(values):8.0f}{statistics.median(values):8.0f}{ratio:8.1f}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=4, help="of how many crops a round is made (default: %(default)d)")
    parser.add_argument("--rounds", type=int, default=5, help="how often (default: %(default)d)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
