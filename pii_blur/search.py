"""Looks for people and vehicles in a photo: first in all views of a plan, then once more at each thing found."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pii_blur.detect.detector import Detector
from pii_blur.photo.photo import Photo
from pii_blur.regions import Region, lift
from pii_blur.second_look import VIEWS_PER_CROP, WORTH, look_again
from pii_blur.settings import Settings
from pii_blur.sphere.close_up import close_up
from pii_blur.sphere.project import Pyramid, render_view
from pii_blur.sphere.views import PerspectiveView, Tile, plan_views

# A photo of more bytes than this (33 megapixels) is hidden and written without the memory that searching it took.
_LARGE = 100_000_000


def find_regions(photo: Photo, detector: Detector, settings: Settings, *, threads: int = 1) -> list[Region]:
    """Look for people and vehicles in all views of a photo.

    Args:
        photo: what to search; see `read_photo` and `Photo.from_pixels`.
        detector: from `Tools.detector` or `load_detector`.
        settings: classes, thresholds and view plan.
        threads: how many views are searched at a time.

    Returns:
        All boxes of all views that are to be hidden, in an order that depends on nothing but the arguments. The same
        thing is mostly in it several times: every one is hidden.
    """
    views = plan_views(
        photo.extent, settings.views, detector.size, pose_pitch=photo.pose_pitch, pose_roll=photo.pose_roll
    )
    regions = _first_look(photo, views, detector, settings, threads)
    if settings.second_look:
        regions = look_again(
            regions,
            detector,
            settings.labels,
            most_crops=max(len(views) // VIEWS_PER_CROP, 1),
            close_up=partial(close_up, photo.extent, pose_pitch=photo.pose_pitch, pose_roll=photo.pose_roll),
            render=partial(render_view, Pyramid(photo.pixels), photo.extent, is_in_plan=False),
            threads=threads,
        )
    if photo.pixels.nbytes > _LARGE:
        detector.rest()
    return [region for region in regions if settings.hides(region.label, region.score, region.share(photo.extent))]


def _first_look(
    photo: Photo, views: Sequence[PerspectiveView | Tile], detector: Detector, settings: Settings, threads: int
) -> list[Region]:
    """Return what is found in all views, less what cannot be hidden even after a second look."""
    # What is not sure enough at the first look may be at the second.
    most = WORTH if settings.second_look else 1.0
    thresholds = {label: min(settings.least_score(label), most) for label in settings.labels}
    pyramid = Pyramid(photo.pixels)

    def look(view: PerspectiveView | Tile) -> list[Region]:
        return lift(view, detector.detect(render_view(pyramid, photo.extent, view), thresholds))

    with ThreadPoolExecutor(threads) as pool:
        return [region for found in pool.map(look, views) for region in found]
