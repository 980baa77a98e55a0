"""Input number N of a fuzz run: the same for the same seed number, seeds and N, whatever ran before it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from tests.fuzz import hostile, mutations

_HUGE_SHARE = 0.004  # of the inputs; each of them takes as long as dozens of others
_UNTOUCHED_SHARE = 0.02


@dataclass(frozen=True)
class FuzzInput:
    """One damaged file.

    Attributes:
        data: the file.
        suffix: of its name.
        recipe: the seed's name and what was done to it, in words.
        finds: whether the stand-in detector finds something in it.
    """

    data: bytes = field(repr=False)
    suffix: str
    recipe: str
    finds: bool


def make_input(seeds: Mapping[str, bytes], seed: int, number: int) -> FuzzInput:
    """Make one input.

    Args:
        seeds: sound files by name.
        seed: of the run.
        number: of the input in the run.
    """
    rng = random.Random(f"{seed}/{number}")
    names = sorted(seeds)
    name = rng.choice(names)
    data, done = seeds[name], []
    steps = 0 if rng.random() < _UNTOUCHED_SHARE else rng.choice((1, 1, 1, 2, 2, 3, 5))
    is_huge = rng.random() < _HUGE_SHARE
    for step in range(steps):
        is_last = step == steps - 1
        data, did = _mutate(data, rng, seeds[rng.choice(names)], is_huge=is_huge and is_last)
        done.append(did)
    return FuzzInput(data, PurePath(name).suffix, " > ".join([name, *done]), finds=rng.random() < 0.8)


def _mutate(data: bytes, rng: random.Random, other: bytes, *, is_huge: bool) -> tuple[bytes, str]:
    is_jpeg, is_png = data[:2] == b"\xff\xd8", data[:4] == b"\x89PNG"
    if rng.random() < 0.02:
        return mutations.splice(data, rng, other), "splice"
    if is_jpeg and len(data) > 20 and (is_huge or rng.random() < 0.65):
        in_jpeg = mutations.flooded if is_huge else rng.choice(mutations.IN_JPEG)
        pieces = mutations.jpeg_pieces(data)
        if not is_huge and other[:2] == b"\xff\xd8" and rng.random() < 0.15:
            foreign = rng.choice(mutations.jpeg_pieces(other)[1:])
            pieces.insert(rng.randrange(1, len(pieces)), foreign)
        return b"".join(in_jpeg(pieces, rng)), in_jpeg.__name__
    if is_png and len(data) > 60 and (is_huge or rng.random() < 0.65):
        in_png = mutations.bombed if is_huge else rng.choice(mutations.IN_PNG)
        return b"".join(in_png(mutations.png_pieces(data), rng)), in_png.__name__
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0") and rng.random() < 0.5:
        return hostile.hostile_tiff(data, rng), "strange_tiff"
    anywhere = rng.choice(mutations.ANYWHERE)
    changed = anywhere(data, rng)
    if is_png and rng.random() < 0.8:
        return b"".join(mutations.with_right_checksums(mutations.png_pieces(changed))), f"{anywhere.__name__}, sound"
    return changed, anywhere.__name__
