"""What the detector learns from: which anchor learns what, boxes that follow their pixels, labels that are cleaned."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.anchors import anchor_grid, iou_matrix
from training.assign import BACKGROUND, LEFT_OUT, Anchors, assign
from training.augment import Sample, quarter_turns, random_crop, spoil
from training.paste import find_pieces, paste
from training.pictures import CLASSES, Picture, held_out_panoramas, panorama_of, read_pictures
from training.verdicts import apply, check_labels, read_verdicts

NO_BOXES = np.zeros((0, 4), np.float32)


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def picture(pixels: np.ndarray, labels: np.ndarray, classes: list[int], origin: str = "highway") -> Picture:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True)
    size = pixels.shape[:2]
    return Picture("a.webp", origin, "train", stream.getvalue(), *size, labels, np.array(classes, np.int64), NO_BOXES)


def test_anchors_are_those_of_the_model_file() -> None:
    """8,525 for 640 px; a model with others would decode every box to a wrong place."""
    centres, strides, levels = anchor_grid(640, 640)
    assert len(centres) == 8525
    assert np.bincount(levels).tolist() == [6400, 1600, 400, 100, 25]
    assert centres[1].tolist() == [12.0, 4.0]
    assert strides[-1] == 128


@pytest.mark.parametrize(("side", "level"), [(40, 0), (100, 1), (230, 2), (560, 3)])
def test_an_object_is_learnt_on_the_level_of_its_size(side: int, level: int) -> None:
    """A level that learns objects of a size it cannot see learns to cry wolf."""
    anchors = Anchors.of(640, 640)
    box = boxes((320 - side / 2, 320 - side / 2, 320 + side / 2, 320 + side / 2))
    learning = np.flatnonzero(assign(anchors, box, NO_BOXES) == 0)
    assert len(learning) >= 3
    assert level in anchors.levels[learning]
    assert (np.abs(anchors.levels[learning] - level) <= 1).all()
    centres = anchors.centres[learning]
    assert ((centres > box[0, :2]) & (centres < box[0, 2:])).all()


def test_every_object_is_learnt_however_small_or_crowded() -> None:
    """A distant person of a few pixels holds no anchor's centre, and must not become background."""
    tiny = boxes((101, 100, 104, 107))
    assert (assign(Anchors.of(320, 320), tiny, NO_BOXES) == 0).sum() == 1
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 250, (25, 2))
    crowd = np.concatenate([corners, corners + rng.uniform(20, 60, (25, 2))], axis=1).astype(np.float32)
    learnt = set(assign(Anchors.of(320, 320), crowd, NO_BOXES).tolist()) - {BACKGROUND}
    assert len(learnt) >= 24


def test_ignored_boxes_leave_out_anchors_of_their_own_size_only() -> None:
    """An unsure speck must not excuse a false bus over it; an unsure crowd must not teach that it is nothing."""
    anchors = Anchors.of(640, 640)
    speck = assign(anchors, NO_BOXES, boxes((300, 300, 330, 330)))
    assert (speck[anchors.levels >= 1] == BACKGROUND).all()
    assert (speck == LEFT_OUT).any()
    crowd = assign(anchors, NO_BOXES, boxes((100, 100, 500, 500)))
    inside = ((anchors.centres >= 100) & (anchors.centres <= 500)).all(axis=1)
    assert (crowd[inside & (anchors.levels <= 3)] == LEFT_OUT).all()
    assert (crowd[~inside] == BACKGROUND).all()


def test_objects_inside_ignored_boxes_are_still_learnt() -> None:
    """A labelled person in front of an unsure crowd is a person."""
    assigned = assign(Anchors.of(320, 320), boxes((100, 100, 140, 200)), boxes((50, 50, 300, 300)))
    assert (assigned == 0).any()


@pytest.mark.parametrize("seed", range(12))
def test_boxes_follow_their_pixels(seed: int) -> None:
    """Scaled, turned, mirrored, cut: the box still fits the object, to about the turn of 3 degrees."""
    pixels = np.full((416, 416, 3), 40, np.uint8)
    pixels[150:250, 180:240] = 220
    sample = Sample(pixels, boxes((180, 150, 240, 250)), np.array([0]), NO_BOXES)
    crop = random_crop(np.random.default_rng(seed), sample, 320, 320)
    if not len(crop.boxes):
        assert (crop.pixels > 180).mean() < 0.3
        return
    rows, columns = np.nonzero(crop.pixels[..., 0] > 180)
    seen = boxes((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    assert iou_matrix(seen, crop.boxes)[0, 0] > 0.75


@pytest.mark.parametrize("turns", range(4))
def test_a_turned_picture_keeps_its_boxes(turns: int) -> None:
    """A view that looks straight down shows people in every direction; their boxes must turn with them."""
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[10:30, 50:90] = 255
    box = boxes((50, 10, 90, 30))
    turned = quarter_turns(Sample(pixels, box, np.array([0]), box), turns)
    left, top, right, bottom = turned.boxes[0].astype(int)
    assert turned.pixels.shape == ((80, 120, 3) if turns % 2 == 0 else (120, 80, 3))
    assert (turned.pixels[top:bottom, left:right] == 255).all()
    assert (turned.pixels == 255).sum() == 20 * 40 * 3
    assert (turned.ignore == turned.boxes).all()


def test_an_object_cut_to_a_sliver_is_neither_learnt_nor_background() -> None:
    """Nobody could name it, and calling it background would be a lie."""
    sample = Sample(
        np.zeros((100, 100, 3), np.uint8), boxes((90, 0, 190, 100), (10, 10, 60, 60)), np.array([1, 0]), NO_BOXES
    )
    crops = [random_crop(np.random.default_rng(seed), sample, 64, 64) for seed in range(40)]
    for crop in crops:
        assert len(crop.boxes) == len(crop.classes)
        assert (crop.boxes >= 0).all()
        assert (crop.boxes <= 64).all()
    assert any(len(crop.ignore) for crop in crops)


def test_pasted_pieces_are_labelled_and_decoys_are_not() -> None:
    """Every labelled piece shows its object's colour; some pieces are background, so that edges alone say nothing."""
    rng = np.random.default_rng(0)
    scene = np.full((416, 416, 3), 60, np.uint8)
    scene[100:300, 200:280] = (250, 20, 20)
    people, vehicles = find_pieces([picture(scene, boxes((200, 100, 280, 300)), [0])])
    assert (len(people), len(vehicles)) == (1, 0)
    labelled = decoys = 0
    for _ in range(30):
        tile = Sample(np.full((480, 480, 3), 128, np.uint8), NO_BOXES, np.zeros(0, np.int64), NO_BOXES)
        out = paste(rng, tile, people, people, 1)
        changed = (out.pixels != 128).any()
        if len(out.boxes):
            labelled += 1
            x, y = ((out.boxes[0, :2] + out.boxes[0, 2:]) / 2).astype(int)
            assert int(out.pixels[y, x, 0]) - int(out.pixels[y, x, 1]) > 100
        elif changed:
            decoys += 1
            assert (out.pixels[..., 0] == out.pixels[..., 1]).all()
    assert labelled > 10
    assert decoys > 3
    assert (tile.pixels == 128).all()


def test_people_close_to_the_camera_are_cut_by_the_edge_and_labelled_inside_it() -> None:
    """A label that reaches out of the tile would teach boxes that nobody asked for."""
    scene = np.full((416, 416, 3), 60, np.uint8)
    scene[100:300, 200:280] = (250, 20, 20)
    people, _ = find_pieces([picture(scene, boxes((200, 100, 280, 300)), [0])])
    cut = 0
    for seed in range(400):
        tile = Sample(np.full((480, 480, 3), 128, np.uint8), NO_BOXES, np.zeros(0, np.int64), NO_BOXES)
        out = paste(np.random.default_rng(seed), tile, people, people, 1)
        for left, top, right, bottom in out.boxes:
            assert 0 <= left < right <= 480
            assert 0 <= top < bottom <= 480
            if right == 480 or left == 0 or bottom == 480 or top == 0:
                cut += 1
                red = out.pixels[round(top) : round(bottom), round(left) : round(right)].reshape(-1, 3).astype(int)
                assert (red[:, 0] - red[:, 1] > 100).mean() > 0.7
    assert cut > 5


def test_spoiling_keeps_the_shape() -> None:
    """Whatever happens to light and sharpness, the batch needs pictures of one size and type."""
    pixels = np.random.default_rng(1).integers(0, 256, (65, 97, 3), np.uint8)
    for seed in range(40):
        out = spoil(np.random.default_rng(seed), pixels)
        assert out.shape == pixels.shape
        assert out.dtype == np.uint8


def test_panoramas_are_held_out_whole() -> None:
    """A tile in training would show what its held-out neighbour shows."""
    files = {f"tile_{number:03}_{part:02}.webp" for number in range(50) for part in range(4)}
    held_out = held_out_panoramas(files)
    assert len(held_out) == 5
    assert {panorama_of(file) for file in files} >= held_out


def test_splits_do_not_mix(tmp_path: Path) -> None:
    """Nothing that a model is measured on is among what it learns from."""
    packed = picture(np.zeros((8, 8, 3), np.uint8), NO_BOXES, []).packed
    names = [f"tile_{number:03}_00.webp" for number in range(20)] + ["highway_0.webp", "highway_1.webp"]
    lines = []
    with tarfile.open(tmp_path / "images-00.tar", "w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(packed)
            archive.addfile(entry, io.BytesIO(packed))
            split = "val" if name == "highway_1.webp" else "train"
            lines.append(
                {
                    "file": name,
                    "set": "tiles" if "tile" in name else "highway",
                    "split": split,
                    "width": 8,
                    "height": 8,
                    "boxes": [],
                    "ignore": [],
                }
            )
    (tmp_path / "labels.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    by_split = {
        split: {one.file for one in read_pictures(tmp_path, (split,))} for split in ("train", "val", "held_out")
    }
    assert by_split["val"] == {"highway_1.webp"}
    assert len(by_split["held_out"]) == 2
    assert set().union(*by_split.values()) == set(names)
    assert sum(map(len, by_split.values())) == len(names)


def test_verdicts_say_what_is_learnt_what_is_background_and_what_is_left_out() -> None:
    """A chair called a person becomes background, an unlabelled person an object, and a doubt is neither."""
    chair, person, shifted = [10, 10, 60, 90, 0], [100, 10, 140, 90, 0], [200, 100, 300, 300, 0]
    unseen, wall, speck = [350, 20, 400, 120], [10, 300, 60, 400], [470, 470, 478, 478]
    line = {"file": "tile_001_00.webp", "boxes": [chair, person, shifted], "ignore": [unseen, wall, speck]}
    verdict = {"wrong": [0], "unsure": [2], "car": [0], "nothing": [1], "drawn": [[400, 300, 470, 470, 0]]}
    after = apply(line, verdict)
    assert after["boxes"] == [[400, 300, 470, 470, 0], person, [*unseen, 1]]
    assert after["ignore"] == [shifted[:4], speck]


def test_verdicts_on_other_labels_are_refused() -> None:
    """They name boxes by number: on other labels they would call people chairs and chairs people."""
    with pytest.raises(ValueError, match="is about a labels"):
        check_labels(b"{}")


def test_the_verdicts_fit_the_labels(shared: Path) -> None:
    """Each number names a box that is there, and nothing drawn reaches out of its tile."""
    source = (shared / "train" / "labels.jsonl").read_bytes()
    check_labels(source)
    lines = {Path(line["file"]).stem: line for line in map(json.loads, source.decode().splitlines())}
    for name, verdict in read_verdicts().items():
        line = lines[name]
        for kind, of in (
            ("wrong", "boxes"),
            ("unsure", "boxes"),
            *[(kind, "ignore") for kind in (*CLASSES, "nothing")],
        ):
            assert all(0 <= number < len(line[of]) for number in verdict.get(kind, [])), name
        for box in (*verdict.get("drawn", []), *verdict.get("doubt", [])):
            assert min(box[:4]) >= 0, name
            assert max(box[0], box[2]) <= line["width"], name
            assert max(box[1], box[3]) <= line["height"], name


def test_an_object_drawn_anew_replaces_the_bad_boxes_on_it() -> None:
    """Else a shifted box beside the right one is learnt too, or keeps its surroundings from being learnt."""
    shifted, doubled, vehicle = [100, 100, 300, 400, 0], [110, 90, 300, 400, 0], [100, 100, 300, 400, 1]
    line = {"file": "tile_001_00.webp", "boxes": [shifted, doubled, vehicle], "ignore": [[90, 100, 290, 380]]}
    after = apply(line, {"unsure": [0], "drawn": [[105, 80, 310, 410, 0]]})
    assert after["boxes"] == [[105, 80, 310, 410, 0], vehicle]
    assert after["ignore"] == []


def test_the_verdicts_are_well_formed() -> None:
    """Each names a tile and known kinds; a number cannot be judged twice."""
    tiles = read_verdicts()
    assert len(tiles) > 1000
    for name, verdict in tiles.items():
        assert re.fullmatch(r"tile_\d{3}_\d{2}", name)
        assert set(verdict) <= {"wrong", "unsure", "nothing", "drawn", "doubt", *CLASSES}
        for numbers in (
            [*verdict.get("wrong", []), *verdict.get("unsure", [])],
            [number for kind in (*CLASSES, "nothing") for number in verdict.get(kind, [])],
        ):
            assert len(numbers) == len(set(numbers)), name
        for left, top, right, bottom, label in verdict.get("drawn", []):
            assert left < right, name
            assert top < bottom, name
            assert 0 <= label < len(CLASSES)
