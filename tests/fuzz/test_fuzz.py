"""The short fuzz run. The long one: `python benchmarks/fuzz.py --inputs 20000 --seed 1`.

A failure names the number of its input. `PII_BLUR_SHARED=/none python benchmarks/fuzz.py --seed 2 --replay NUMBER` runs
it again: these tests use no samples, so that they are the same everywhere.
"""

from __future__ import annotations

import io
import traceback

import numpy as np
import pytest
from PIL import Image

from tests.fuzz import judge
from tests.fuzz.inputs import make_input
from tests.fuzz.readers import read_everything
from tests.fuzz.seeds import chunk, make_seeds, segment
from tests.fuzz.workers import run_inputs
from tests.jpegs import encode
from tests.photos import other_jpeg, street

SEED = 2
READ, RUN = 5000, 300


@pytest.fixture(scope="module")
def seeds() -> dict[str, bytes]:
    """The sound files."""
    return make_seeds()


def test_an_input_is_the_same_whatever_ran_before_it(seeds: dict[str, bytes]) -> None:
    """Otherwise no finding could be run again."""
    first = [make_input(seeds, SEED, number) for number in range(50)]
    assert first == [make_input(seeds, SEED, number) for number in reversed(range(50))][::-1]
    assert first != [make_input(seeds, SEED + 1, number) for number in range(50)]


@pytest.mark.parametrize("part", range(5))
def test_no_damaged_file_makes_a_reader_fail(seeds: dict[str, bytes], part: int) -> None:
    """Every reader answers, or refuses with the error that it promises, and does not contradict itself."""
    bugs = []
    for number in range(part * READ // 5, (part + 1) * READ // 5):
        item = make_input(seeds, SEED, number)
        try:
            read_everything(item.data)
        except Exception:
            bugs.append(f"number {number}: {item.recipe}\n{traceback.format_exc(limit=-3)}")
    assert not bugs, "\n".join(bugs[:3])


def test_every_damaged_file_is_refused_or_done_without_a_leak(seeds: dict[str, bytes]) -> None:
    """The whole program, with limits on time and memory, and Pillow as judge."""
    reports = list(run_inputs(seeds, SEED, range(RUN)))
    bugs = [f"number {one.number}: {one.reason}\n    {one.recipe}" for one in reports if one.kind == "bug"]
    assert not bugs, "\n".join(bugs)
    assert sorted(report.number for report in reports) == list(range(RUN))
    kinds = [report.kind for report in reports]
    assert (
        kinds.count("blurred") > RUN // 10 and kinds.count("clean") > RUN // 50 and kinds.count("refused") > RUN // 10
    )


def test_the_judge_sees_what_it_must() -> None:
    """A judge that finds nothing proves nothing."""
    photo = street(64, 160)
    hidden = np.zeros(photo.shape[:2], dtype=np.uint8)
    hidden[16:48, 32:96] = 255
    judge._judge_hiding(photo, np.where(hidden[..., None] > 0, 128, photo).astype(np.uint8), hidden > 0)
    grainy = np.random.default_rng(0).integers(0, 256, photo.shape, dtype=np.uint8)
    with pytest.raises(judge.FoundBug, match="still shows"):
        judge._judge_hiding(grainy, grainy, hidden > 0)
    changed = photo.copy()
    changed[0, -1] ^= 64
    with pytest.raises(judge.FoundBug, match="outside"):
        judge._judge_outside(photo, changed, hidden)


@pytest.mark.parametrize("place", ["segment", "behind", "chunk"])
def test_the_judge_sees_a_second_picture(place: str) -> None:
    """Wherever a decoder that looks for its beginning would find it."""
    photo = street(64, 128)
    plain, other = encode(photo), other_jpeg(64, 128)
    png = io.BytesIO()
    Image.fromarray(photo).save(png, "PNG")
    made = {
        "segment": plain[:2] + segment(0xE5, other) + plain[2:],
        "behind": plain + other,
        "chunk": png.getvalue()[:33] + chunk(b"prVt", other) + png.getvalue()[33:],
    }
    judge._judge_pictures(plain, photo, largest=160)
    with pytest.raises(judge.FoundBug, match="shows something else"):
        judge._judge_pictures(made[place], photo, largest=160)
    with pytest.raises(judge.FoundBug, match="second picture"):
        judge._judge_pictures(made[place], photo, largest=100)
