"""What `evaluate.py` judges: for each photo what is marked, what was found, and what each box covers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import judging, searching
from benchmarks.detail import detail_weights
from benchmarks.judging import NOWHERE, Footprints, Judgement, KnownObject, Scene, read_objects
from benchmarks.searching import Kept, Search, Searcher, digest_code
from pii_blur import regions, second_look
from pii_blur.certainty import highest_prob
from pii_blur.photo.photo import Photo
from pii_blur.photo.read import read_photo
from pii_blur.settings import Settings
from pii_blur.sphere import close_up, project


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """One photo.

    Attributes:
        objects: all that are marked, flagged ones too.
        search: the boxes that may be hidden.
        first, second: (n,) calibrated scores after each look.
        prob, prob_one_look: (n,) the highest PROB / 100 at which each box is hidden, with and without the second look.
        scene, footprints: for judging them.
        weights: see `detail_weights`.
    """

    objects: Sequence[KnownObject]
    search: Search
    first: NDArray[np.float32]
    second: NDArray[np.float32]
    prob: NDArray[np.float64]
    prob_one_look: NDArray[np.float64]
    scene: Scene
    footprints: Footprints
    weights: NDArray[np.float64]

    def judge(self, scores: NDArray[np.floating]) -> Judgement:
        """Return what the boxes hide if they have these scores."""
        return self.scene.judge(self.footprints, scores)


def gather(file: Path, photos: Path, searcher: Searcher, grow: float) -> Searched:
    """Search one photo and lay out what is judged; from the searcher's cache where it was done before.

    Args:
        file: annotations; the photo has its name, and the ending ``.jpg``.
        photos: folder of the photos.
        searcher: looks for people and vehicles.
        grow: factor by which boxes are enlarged before they hide.
    """
    path = photos / f"{file.stem}.jpg"
    photo = read_photo(path)
    objects = read_objects(file)
    scene = Scene(objects)
    search = searcher.search(photo, path).only(Settings().labels)
    first = search.calibrated(searcher.card)
    code = digest_code(judging, searching, regions, second_look, close_up, project)
    found = hashlib.sha256(search.boxes.tobytes() + first.tobytes()).hexdigest()
    asked = (code, found, searcher.card.sha256, file.read_bytes(), grow)
    kept = searcher.kept(path, asked, lambda: _lay_out(photo, search, first, scene, searcher, grow))
    probs = (highest_prob(scores, kept["share"]) for scores in (kept["second"], first))
    footprints = Footprints(kept["places"], kept["counts"])
    return Searched(objects, search, first, kept["second"], *probs, scene, footprints, kept["weights"])


def _lay_out(
    photo: Photo, search: Search, first: NDArray[np.float32], scene: Scene, searcher: Searcher, grow: float
) -> Kept:
    """Return what each box covers, and its score after the second look."""
    lifted = list(search.regions(first))
    shown = [region for region in lifted if region is not None]
    is_shown = np.array([region is not None for region in lifted], bool)
    second, share = first.copy(), np.zeros(len(first))
    second[is_shown] = searcher.look_again(photo, search, shown)
    share[is_shown] = [region.share(photo.extent) for region in shown]
    parts = [NOWHERE if region is None else scene.footprint(region.quad.grown(grow)) for region in lifted]
    footprints = Footprints.of(parts)
    return {
        "second": second,
        "share": share,
        "places": footprints.places,
        "counts": footprints.counts,
        "weights": detail_weights(photo.pixels, scene.is_elsewhere.shape),
    }
