"""What a model hides of the marked people and vehicles in panoramas, and how much else, at every PROB.

    python benchmarks/evaluate.py [GT_DIR PHOTO_DIR] [--model NAME_OR_FOLDER] [--views PLAN] [--out DIR] [--real 40]

GT_DIR holds one JSON a photo, `{file, height, objects: [{cls, yaw, pitch, w, h, ignore?, depiction?, ego?}]}`, degrees;
by default both folders are those of the evaluation data (the folder `shared` beside the checkout, or PII_BLUR_SHARED).

The photos are searched once, by the program's own views and network, from a low score on; what was found is kept in a
cache, so that a second run takes seconds. Judged on the sphere (`judging.py`): nothing is blurred. `--real` runs the
whole program besides, and has the independent judge look at its results, at the PROBs given.

Prints tables; with --out, writes curve.csv, curve.png, reliability.csv and reliability.png there.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PII_BLUR_SHARED") or ROOT.parent / "shared")
sys.path.insert(0, str(ROOT))

from benchmarks import view_plans  # noqa: E402
from benchmarks.drawing import Chart, draw  # noqa: E402
from benchmarks.judging import (  # noqa: E402
    PEOPLE,
    VEHICLES,
    Group,
    Judgement,
    Share,
    false_area,
    hidden,
    threshold_for,
)
from benchmarks.material import Searched, gather  # noqa: E402
from benchmarks.reliability import reliability, verdicts  # noqa: E402
from benchmarks.searching import KNOWN_PLANS, Searcher  # noqa: E402
from pii_blur.certainty import least_asked  # noqa: E402
from pii_blur.detect.card import ModelCard  # noqa: E402
from pii_blur.detect.devices import DEFAULT_DEVICE  # noqa: E402
from pii_blur.detect.model_store import find_model  # noqa: E402
from pii_blur.labels import Label  # noqa: E402
from pii_blur.settings import DEFAULT_MODEL, Settings  # noqa: E402

PROBS = tuple(number / 100 for number in range(10, 100, 10))
RAW_SCORES = (0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
FALSE_AREAS = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06)

# (false area, people, vehicles) in per cent of YOLO11n, int8, on the plan "seed": model/README.md of the evaluation
# data, whose measure of false area is the one here.
YOLO11N = (
    (1.59, 39.5, 29.2),
    (1.74, 48.6, 43.8),
    (1.96, 55.1, 47.9),
    (2.01, 62.2, 54.2),
    (2.19, 68.6, 54.2),
    (2.39, 72.4, 60.4),
    (2.48, 76.2, 62.5),
    (3.06, 84.3, 66.7),
    (3.29, 89.7, 79.2),
    (5.90, 94.6, 87.5),
)

SIZES = ((12, 24), (24, 48), (48, 96), (96, float("inf")))
PEOPLE_24, VEHICLES_24 = Group(PEOPLE), Group(VEHICLES)


def main() -> int:
    """Search, judge, print."""
    options = _parse()
    card = find_model(options.model)
    least = _least_raw(card) if options.least is None else options.least
    searcher = Searcher(card, options.views, least, options.cache, device=options.device)
    photos = [gather(file, options.photos, searcher, options.grow) for file in sorted(options.gt.glob("*.json"))]
    if not photos:
        sys.exit(f"no annotations in {options.gt}")
    raw = [photo.judge(photo.search.raw) for photo in photos]
    asked = [photo.judge(photo.prob) for photo in photos]
    ways = {
        "raw score": raw,
        "calibrated score": [photo.judge(photo.first) for photo in photos],
        "score of two looks": [photo.judge(photo.second) for photo in photos],
        "by size, one look": [photo.judge(photo.prob_one_look) for photo in photos],
        "by size, two looks": asked,
    }
    print(f"{card.name} {card.version}, views {options.views}, {len(photos)} panoramas\n")
    _print_thresholds("PROB", [(f"{100 * at:g}", at) for at in PROBS], asked, photos)
    _print_thresholds("raw score alone", [(f"{at:g}", at) for at in RAW_SCORES], raw, photos)
    _print_groups(asked, options.prob / 100)
    rows = _print_equal_areas(ways)
    bins = _print_reliability(photos)
    if options.out:
        _write(options.out, ways, rows, bins)
    if options.real:
        _print_real(options)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gt", nargs="?", type=Path, default=SHARED / "eval" / "gt", help="folder of the annotations")
    parser.add_argument(
        "photos", nargs="?", type=Path, default=SHARED / "eval" / "panos", help="folder of the panoramas"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name in models/, or a model folder")
    parser.add_argument("--views", default="balanced", choices=KNOWN_PLANS)
    parser.add_argument("--device", default=DEFAULT_DEVICE, help="what the search runs on, see docs/usage.md")
    parser.add_argument("--grow", type=float, default=Settings().grow)
    parser.add_argument("--least", type=float, help="lowest raw score that is kept; by default that of the least PROB")
    parser.add_argument("--prob", type=float, default=40.0, help="for the table by class, size and place")
    parser.add_argument("--out", type=Path, help="folder for curves and their figures")
    parser.add_argument("--real", default="", help="PROBs, with commas between, at which the whole program is judged")
    cache = Path(tempfile.gettempdir()) / "pii-blur-evaluation"
    parser.add_argument("--cache", type=Path, default=cache, help="folder of earlier searches")
    options = parser.parse_args()
    for folder in (options.gt, options.photos):
        if not folder.is_dir():
            sys.exit(f"there is no folder {folder}")
    return options


def _least_raw(card: ModelCard) -> float:
    """Return the lowest raw score, rounded down to a hundredth, that may be hidden at the least PROB."""
    wanted = [curve for label, curve in zip(card.labels, card.curves, strict=True) if label in Settings().labels]
    steps = np.arange(101) / 100
    return float(max(min(steps[curve(steps) < least_asked(min(PROBS))][-1] for curve in wanted), 0.01))


def _cell(share: Share) -> str:
    """E.g. ``86.5 (80.8-90.7)``."""
    low, high = share.interval
    return f"{100 * share.share:.1f} ({100 * low:.0f}-{100 * high:.0f})" if share.count else "-"


def _print_thresholds(
    name: str, thresholds: Sequence[tuple[str, float]], judged: Sequence[Judgement], photos: Sequence[Searched]
) -> None:
    """Print a row for each threshold."""
    sizes = [Group(PEOPLE, low, high) for low, high in SIZES]
    print(f"Per cent hidden (95 % interval), by {name}; from 24 px where no size stands:\n")
    print(f"| {name} | people | 12-24 px | 24-48 | 48-96 | > 96 | vehicles | false area | of the detail |")
    print("|---|---|---|---|---|---|---|---|---|")
    for word, at in thresholds:
        people, vehicles = hidden(judged, at, PEOPLE_24), hidden(judged, at, VEHICLES_24)
        cells = [
            word,
            _cell(people),
            *(f"{100 * hidden(judged, at, size).share:.1f}" for size in sizes),
            _cell(vehicles),
        ]
        detail = np.mean([one.false_area(at, photo.weights) for one, photo in zip(judged, photos, strict=True)])
        cells += [f"{100 * false_area(judged, at):.2f}", f"{100 * detail:.2f}"]
        print(f"| {' | '.join(cells)} |")
    print()


def _print_groups(judged: Sequence[Judgement], at: float) -> None:
    """Print one threshold by class, size and place."""
    groups: dict[str, tuple[str, ...]] = {"people": PEOPLE, "vehicles": VEHICLES}
    groups |= {kind: (kind,) for kind in VEHICLES}
    columns = [Group((), low, high) for low, high in SIZES] + [
        Group((), place=place) for place in ("horizon", "poles", "seam")
    ]
    print(f"PROB {100 * at:g}, by class, size and place; hidden / all:\n")
    print("| | all from 24 px | 12-24 px | 24-48 | 48-96 | > 96 | horizon | near the poles | across the seam |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, kinds in groups.items():
        shares = [hidden(judged, at, Group(kinds, column.low, column.high, column.place)) for column in columns]
        cells = [name, _cell(hidden(judged, at, Group(kinds))), *(f"{share.hits}/{share.count}" for share in shares)]
        print(f"| {' | '.join(cells)} |")
    print()


def _print_equal_areas(judged: dict[str, list[Judgement]]) -> list[list[str]]:
    """Print, and return, recall at equal false area next to YOLO11n's."""
    rows = [["false area", *(f"{100 * area:g}" for area in FALSE_AREAS)]]
    areas, *recalls = zip(*YOLO11N, strict=True)
    for column, (word, group) in enumerate((("people", PEOPLE_24), ("vehicles", VEHICLES_24))):
        for name, judgements in judged.items():
            shares = [hidden(judgements, threshold_for(judgements, area), group).share for area in FALSE_AREAS]
            rows.append([f"{word}, {name}", *(f"{100 * share:.1f}" for share in shares)])
        # Below its first point the curve is not known, but it does not rise there; beyond its last it ends just short.
        known = [np.interp(100 * area, areas, recalls[column]) for area in FALSE_AREAS]
        bound = ["< " if 100 * area < areas[0] else "" for area in FALSE_AREAS]
        rows.append([f"{word}, YOLO11n", *(f"{less}{share:.1f}" for less, share in zip(bound, known, strict=True))])
    print("Per cent hidden at equal false area (the lowest threshold that keeps within it), the program last:\n")
    print(f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
    for row in rows[1:]:
        print(f"| {' | '.join(row)} |")
    print()
    return rows


def _print_reliability(photos: Sequence[Searched]) -> dict[str, list[tuple[float, Share]]]:
    """Print, and return, how often boxes of each score are right."""
    labels = np.concatenate([photo.search.labels for photo in photos])
    right = np.concatenate([verdicts(photo.search, photo.objects) for photo in photos])
    groups = {"people": labels == Label.PERSON, "vehicles": labels != Label.PERSON}
    looks = {"first": [photo.first for photo in photos], "second": [photo.second for photo in photos]}
    bins = {
        f"{name}, {look} look": reliability(np.concatenate(scores)[mine], right[mine])
        for name, mine in groups.items()
        for look, scores in looks.items()
    }
    print("Reliability: of all boxes with about that score, per cent that are right (95 % interval), and how many:\n")
    print("| | mean score | right | boxes |\n|---|---|---|---|")
    for name, rows in bins.items():
        for mean, share in rows:
            print(f"| {name} | {100 * mean:.0f} | {_cell(share)} | {share.count} |")
    print()
    return bins


def _write(
    folder: Path,
    judged: dict[str, list[Judgement]],
    rows: list[list[str]],
    bins: dict[str, list[tuple[float, Share]]],
) -> None:
    """Write curves and figures."""
    folder.mkdir(parents=True, exist_ok=True)
    points = {name: _curve(judgements) for name, judgements in judged.items()}
    with (folder / "curve.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["score", "threshold", "false_area", "people", "vehicles"])
        table.writerows(
            [name, *(f"{value:.5f}" for value in point)] for name, curve in points.items() for point in curve
        )
    with (folder / "equal_area.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with (folder / "reliability.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["group", "mean_score", "right", "boxes"])
        table.writerows(
            [name, f"{mean:.4f}", share.hits, share.count] for name, some in bins.items() for mean, share in some
        )
    charts = []
    for column, title in ((2, "people from 24 px"), (3, "vehicles from 24 px")):
        lines = [(name, [(100 * point[1], 100 * point[column]) for point in curve]) for name, curve in points.items()]
        lines.append(("YOLO11n", [(point[0], point[column - 1]) for point in YOLO11N]))
        charts.append(Chart(title, "false area, % of the picture", "% hidden", (10.0, 100.0), lines))
    draw(folder / "curve.png", charts)
    lines = [(name, [(100 * mean, 100 * share.share) for mean, share in some]) for name, some in bins.items()]
    lines.append(("as it should be", [(0.0, 0.0), (100.0, 100.0)]))
    draw(folder / "reliability.png", [Chart("reliability", "calibrated score", "% right", (100.0, 100.0), lines)])
    print(f"curves and figures: {folder}\n")


def _curve(judged: Sequence[Judgement]) -> list[tuple[float, float, float, float]]:
    """Return (threshold, false area, people, vehicles) in steps of a hundredth."""
    steps = np.arange(0.99, 0.0, -0.01)
    return [
        (float(at), false_area(judged, at), hidden(judged, at, PEOPLE_24).share, hidden(judged, at, VEHICLES_24).share)
        for at in steps
    ]


def _print_real(options: argparse.Namespace) -> None:
    """Run the program on the evaluation data and print what the independent judge says of its results."""
    print(f"By the whole program and the independent judge:\n\n{view_plans.HEADER}")
    with tempfile.TemporaryDirectory() as scratch:
        probs = sorted(options.real.split(","), key=float)
        view_plans.measure(options.views, probs, SHARED, Path(scratch) / "out", ["--model", str(options.model)])


if __name__ == "__main__":
    sys.exit(main())
