#!/usr/bin/env python3
"""How often attackers tell whom a blur hides: one of 100 candidates, by the best of their attacks.

    python benchmarks/attack_blur.py [--all]

See tests/attacks.py for what they know and do. Chance is 1 per cent. Needs scikit-image, for its faces.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from pii_blur.obfuscate.obfuscator import Strength
from tests.attacks import (
    Array,
    Scene,
    attack,
    close_up,
    faces,
    full_body,
    in_three_views,
    interval,
    mosaic,
    other_picture,
    ours,
    recipe_of_2020,
    understand_ai,
)

Scenes = tuple[Sequence[Scene], Sequence[Scene]]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="print every attack, not only the best")
    options = parser.parse_args()
    blurs = [
        recipe_of_2020(),
        understand_ai(),
        mosaic(),
        ours(strength=Strength(0.999, allow_weak=True), name="ours, strength 0.999"),
        ours(name="**ours, default**"),
        ours(strength=Strength(2), name="ours, strength 2"),
        ours("pixelate"),
        ours("solid"),
    ]
    scenes = make_scenes()
    print(f"| hidden by | {' | '.join(scenes)} |")
    print("|---" * (1 + len(scenes)) + "|")
    for blur in blurs:
        cells = []
        for hidden, gallery in scenes.values():
            rates = attack(blur, hidden, gallery)
            if options.all:
                print(blur.name, {name: round(100 * rate, 1) for name, rate in rates.items()}, file=sys.stderr)
            best = max(rates.values())
            low, high = interval(best, len(hidden))
            cells.append(f"{100 * best:.1f} ({100 * low:.1f}-{100 * high:.1f})")
        print(f"| {blur.name} | {' | '.join(cells)} |", flush=True)


def make_scenes() -> dict[str, Scenes]:
    """Return, by what is told apart, the hidden scenes and the attacker's gallery."""
    rng = np.random.default_rng(1)
    clothes = rng.uniform(20, 220, (len(faces()), 6)).tolist()
    others = [other_picture(face, rng) for face in faces()]

    def both(make: Callable[[Array], Scene], gallery: Sequence[Array]) -> Scenes:
        return [make(face) for face in faces()], [make(face) for face in gallery]

    dressed = [full_body(face, colours) for face, colours in zip(faces(), clothes, strict=True)]
    return {
        "near head, same pixels": both(close_up, faces()),
        "near head, other picture": both(close_up, others),
        "near head in three boxes": both(in_three_views, faces()),
        "face of a whole person, same pixels": both(full_body, faces()),
        "face of a whole person, other picture": both(full_body, others),
        "whole person by the clothes, same pixels": (dressed, dressed),
    }


if __name__ == "__main__":
    main()
