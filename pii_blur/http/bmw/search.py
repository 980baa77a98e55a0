"""Finds what the wishes name: with this program's own model, or by showing every view of the photo to a server.

A server gets the same upright, undistorted views as our own model, so that any model works on panoramas, also across
the seam and at the poles. A flat photo is shown whole and in tiles.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pii_blur.detect.detections import Detections
from pii_blur.http.bmw.pictures import Part, parts, read_masks, to_png
from pii_blur.http.bmw.segments import draw_part, quad_of
from pii_blur.http.bmw.server import Box, Client, InferenceServer
from pii_blur.http.bmw.turns import turn
from pii_blur.http.bmw.wishes import BUILT_IN, Model, Wish
from pii_blur.labels import Label
from pii_blur.photo.photo import Photo
from pii_blur.pipeline import Tools
from pii_blur.regions import lift
from pii_blur.search import find_regions
from pii_blur.settings import Settings
from pii_blur.sphere.project import Pyramid, render_view
from pii_blur.sphere.quad import SphereQuad
from pii_blur.sphere.views import PerspectiveView, Tile, plan_views

Flags = NDArray[np.bool_]
View = PerspectiveView | Tile
Seen = dict[str, list[Part]] | list[Box]

# What a server is shown: as much as our own model sees of a view.
VIEW_PX = 640
# By how much masks are widened, in pixels of a view: their edges are less exact than boxes.
_MASK_MARGIN_PX = 3


@dataclass(frozen=True, slots=True, eq=False)
class Find:
    """What was found for one wish.

    Attributes:
        wish: which.
        quads: boxes, enlarged already; they hold all of it.
        mask: (height, width) of the photo's upright pixels, where only part of the boxes is meant; else None.
    """

    wish: Wish
    quads: tuple[SphereQuad, ...]
    mask: Flags | None = None


def find_all(
    photo: Photo,
    wishes: Sequence[Wish],
    settings: Settings,
    tools: Tools,
    client: Client,
    *,
    search_s: float,
    folder: Path,
) -> list[Find]:
    """Return what is found for each wish, in their order; each model is asked once for all of its classes.

    Args:
        photo: what is searched.
        wishes: what is looked for.
        settings: view plan and margin; for our own model also how sure it must be.
        tools: our own model, and how many views are searched at a time.
        client: from `open_client`.
        search_s: how long servers may take over all views together.
        folder: a private one that all workers share.

    Raises:
        ServerFailure: a server did not answer for every view: what it would have found is not known.
    """
    finds: dict[int, Find] = {}
    end = time.monotonic() + search_s
    models = list(dict.fromkeys(wish.model for wish in wishes))
    for model in models:
        numbers = [number for number, wish in enumerate(wishes) if wish.model == model]
        wanted = [wishes[number] for number in numbers]
        if model.address == BUILT_IN:
            found = _with_own_model(photo, wanted, settings, tools)
        else:
            server = InferenceServer(model.address, client)
            found = _with_server(photo, wanted, settings, _Asker(server, model, folder, end), threads=tools.threads)
        finds.update(zip(numbers, found, strict=True))
    return [finds[number] for number in range(len(wishes))]


def _with_own_model(photo: Photo, wishes: Sequence[Wish], settings: Settings, tools: Tools) -> list[Find]:
    labels = [Label.from_word(wish.class_name) for wish in wishes]
    regions = find_regions(photo, tools.detector, replace(settings, labels=tuple(labels)), threads=tools.threads)
    return [
        Find(wish, tuple(region.quad.grown(settings.grow) for region in regions if region.label is label))
        for wish, label in zip(wishes, labels, strict=True)
    ]


def _with_server(
    photo: Photo, wishes: Sequence[Wish], settings: Settings, asker: _Asker, *, threads: int
) -> list[Find]:
    views = plan_views(photo.extent, settings.views, VIEW_PX, pose_pitch=photo.pose_pitch, pose_roll=photo.pose_roll)
    wanted = [wish.class_name for wish in wishes]
    pyramid = Pyramid(photo.pixels)

    def look(view: View) -> Seen:
        return asker.ask(to_png(render_view(pyramid, photo.extent, view)), wanted)

    pool = ThreadPoolExecutor(threads)
    try:
        seen = list(pool.map(look, views))
    finally:
        pool.shutdown(cancel_futures=True)
    quads: dict[str, list[SphereQuad]] = {name: [] for name in wanted}
    masks: dict[str, Flags] = {}
    for view, answer in zip(views, seen, strict=True):
        for name in wanted:
            if isinstance(answer, list):
                quads[name] += [quad.grown(settings.grow) for quad in _quads_of(view, answer, name)]
                continue
            mask = masks.setdefault(name, np.zeros(photo.pixels.shape[:2], np.bool_))
            for part in answer[name]:
                quad = quad_of(part, view)
                draw_part(part, quad, view, photo.extent, mask)
                quads[name].append(quad)
    return [Find(wish, tuple(quads[wish.class_name]), masks.get(wish.class_name)) for wish in wishes]


@dataclass(frozen=True, slots=True)
class _Asker:
    """Shows views to a model of a server, until `end` (`time.monotonic`); see `find_all` for `folder`."""

    server: InferenceServer
    model: Model
    folder: Path
    end: float

    def ask(self, png: bytes, wanted: Sequence[str]) -> Seen:
        """Return what is found in one view: boxes of all classes, or parts of masks of the wanted ones."""
        late = self.server.wrong("has not seen all views of the photo in time")
        if time.monotonic() > self.end:
            raise late
        if not self.model.is_segmentation:
            return self.server.predict(self.model.name, png)
        try:
            # PRIVACY: BMW's own servers keep their last mask in one file: of two that are asked for at a time, both may
            # be answered with the second.
            with turn(self.folder, self.server.address, self.end):
                answer = self.server.inference(self.model.name, png)
        except TimeoutError:
            raise late from None
        numbers = {name: self.model.classes.index(name) for name in wanted}
        try:
            masks = read_masks(answer, VIEW_PX, numbers, self.model.palette)
        except ValueError as error:
            raise self.server.wrong(f"answers with a mask that cannot be used: {error}") from error
        return {name: list(parts(mask, _MASK_MARGIN_PX)) for name, mask in masks.items()}


def _quads_of(view: View, boxes: Sequence[Box], name: str) -> list[SphereQuad]:
    """Return the boxes of a class on the sphere; the threshold is the server's own, so all count."""
    edges = [box[1:] for box in boxes if box.class_name == name]
    if not edges:
        return []
    count = len(edges)
    # Which label stands there plays no part: the class was told apart already.
    detections = Detections(np.array(edges, np.float32), np.ones(count, np.float32), np.zeros(count, np.int16))
    return [region.quad for region in lift(view, detections)]
