"""Hides what was found, each find in its own way. Knows pictures, nothing of models and servers.

First everything is taken out of the scene, by the program's own blur, on a copy. Only that copy is shown to the
techniques: so none of them, our own or another package's, can let any of it through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pii_blur.http.bmw.search import Find, Flags
from pii_blur.http.bmw.techniques import Look, Technique, look_of
from pii_blur.mask import RIM, UNMEASURED
from pii_blur.obfuscate.obfuscator import Strength
from pii_blur.obfuscate.paint import Canvas, paint, restore
from pii_blur.photo.photo import HiddenPhoto, Photo
from pii_blur.settings import Settings
from pii_blur.sphere.extent import Extent
from pii_blur.sphere.project import Pyramid
from pii_blur.sphere.quad import SphereQuad


@dataclass(frozen=True, slots=True, eq=False)
class _Cover:
    """Boxes that are hidden in one way; only inside the mask, if there is one."""

    quads: tuple[SphereQuad, ...]
    look: Look
    mask: Flags | None = None


def hide_finds(
    photo: Photo,
    finds: Sequence[Find],
    settings: Settings,
    techniques: Mapping[str, Technique],
    *,
    allow_weak: bool = False,
) -> HiddenPhoto | None:
    """Hide everything that was found, and the operator's zones.

    Where boxes of two wishes overlap, the later is what is seen; one that hides wholly always covers a weak one.

    Args:
        photo: the untouched photo.
        finds: from `find_all`.
        settings: the operator's zones, and how those are hidden.
        techniques: from `load_techniques`.
        allow_weak: whether the operator permits hiding that can be undone.

    Returns:
        New pixels and their mask; None if there is nothing to hide.

    Raises:
        PhotoFailure: a technique of another package failed.
    """
    covers = _covers(finds, techniques, allow_weak)
    zones = tuple(zone.quad for zone in settings.zones if zone.action == "hide")
    if zones:
        covers.append(_Cover(zones, Look(settings.method, settings.strength)))
    if not covers:
        return None
    covers.sort(key=lambda cover: not cover.look.is_weak)
    canvas, scene = _canvas_of(photo), Pyramid(photo.pixels)
    strong = [quad for cover in covers if not cover.look.is_weak for quad in cover.quads]
    if strong and not (len(covers) == 1 and isinstance(covers[0].look.method, str)):
        # PRIVACY: of nothing that is hidden wholly is there a trace in what the techniques get. One of our own methods
        # that is alone sees to that itself: it takes out all boxes that it is given.
        cleaned = _canvas_of(photo)
        paint(scene, photo.extent, strong, method="gaussian", strength=Strength(), canvas=cleaned)
        scene = Pyramid(cleaned.pixels)
    for cover in covers:
        _lay(scene, photo.extent, cover, canvas)
    kept = [zone.quad for zone in settings.zones if zone.action == "keep"]
    restore(photo.pixels, photo.extent, kept, canvas, but=zones)
    return HiddenPhoto(canvas.pixels, canvas.mask)


def _covers(finds: Sequence[Find], techniques: Mapping[str, Technique], allow_weak: bool) -> list[_Cover]:
    """Return one cover a find; neighbours that look alike in one, so that each place is painted but once."""
    covers: list[_Cover] = []
    for find in finds:
        if not find.quads:
            continue
        look = look_of(techniques[find.wish.technique], find.wish.degree, allow_weak=allow_weak)
        last = covers[-1] if covers else None
        if last is not None and last.look == look and last.mask is None and find.mask is None:
            covers[-1] = replace(last, quads=last.quads + find.quads)
        else:
            covers.append(_Cover(find.quads, look, find.mask))
    return covers


def _lay(scene: Pyramid, extent: Extent, cover: _Cover, canvas: Canvas) -> None:
    """Paint a cover on `canvas`, made from `scene`; only inside its mask, if it has one."""
    look = cover.look
    if cover.mask is None and look.opacity == 1:
        paint(scene, extent, cover.quads, method=look.method, strength=look.strength, canvas=canvas)
        return
    painted = Canvas(canvas.pixels.copy(), np.zeros_like(canvas.mask))
    paint(scene, extent, cover.quads, method=look.method, strength=look.strength, canvas=painted)
    covered = painted.mask > RIM
    inside = covered if cover.mask is None else cover.mask
    # PRIVACY: a mask lies within its boxes. Should it not, what is left over is black rather than as it was.
    left_over = inside & ~covered
    painted.pixels[left_over], painted.mask[left_over] = 0, UNMEASURED
    if look.opacity == 1:
        canvas.pixels[inside], canvas.mask[inside] = painted.pixels[inside], painted.mask[inside]
        return
    mixed = (1 - look.opacity) * canvas.pixels[inside] + look.opacity * painted.pixels[inside]
    canvas.pixels[inside], canvas.mask[inside] = np.rint(mixed).astype(np.uint8), RIM


def _canvas_of(photo: Photo) -> Canvas:
    return Canvas(photo.pixels.copy(), np.zeros(photo.pixels.shape[:2], np.uint8))
