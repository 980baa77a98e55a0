"""What is painted over a region hides all of it, nothing beside it, and equally well everywhere on the sphere."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pii_blur.mask import RIM, level_of
from pii_blur.obfuscate.obfuscator import CELLS, METHODS, Strength
from pii_blur.obfuscate.paint import Canvas, paint, restore
from pii_blur.sphere.extent import Extent, FlatExtent, PanoExtent
from pii_blur.sphere.project import Pyramid, render_view
from pii_blur.sphere.quad import SphereQuad
from pii_blur.sphere.views import PerspectiveView
from tests.scenes import background, grid_directions

PANO = PanoExtent.full(1600, 800)
PLACES = [(0, 0), (180, 0), (-179, 35), (60, 88), (0, -90), (120, -70)]


def hide(
    extent: Extent,
    pixels: np.ndarray,
    quads: list[SphereQuad],
    method: str = "gaussian",
    strength: Strength | None = None,
) -> Canvas:
    """Paint over a copy of `pixels`, with the default strength if no other is given."""
    canvas = Canvas(pixels.copy(), np.zeros(pixels.shape[:2], np.uint8))
    paint(Pyramid(pixels), extent, quads, method=method, strength=strength or Strength(), canvas=canvas)
    return canvas


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("yaw", "pitch"), PLACES)
def test_every_pixel_of_the_box_is_hidden_wholly(yaw: float, pitch: float, method: str) -> None:
    """Inside the box no pixel keeps a share of the photo: two photos that differ by a constant there come out alike."""
    quad = SphereQuad.from_angles(yaw, pitch, 24, 40)
    inside = quad.contains(grid_directions(PANO))
    pixels = background(1600, 800)
    # A checkerboard of single pixels has no part in any mean: whatever of it is left was let through.
    marked = pixels.copy()
    checker = (np.indices((800, 1600)).sum(axis=0) % 2).astype(bool)
    marked[inside & checker, 0], marked[inside & ~checker, 0] = 255, 0
    left = hide(PANO, marked, [quad], method).pixels[..., 0].astype(float)
    assert inside.sum() > 1000
    detail = left - cv2.blur(left, (2, 2))
    contrast = np.abs(left[inside & checker].mean() - left[inside & ~checker].mean())
    assert contrast < 2
    assert np.abs(detail[inside]).mean() < 12


@pytest.mark.parametrize(("yaw", "pitch"), PLACES)
def test_mask_holds_the_box_and_nothing_else_changes(yaw: float, pitch: float) -> None:
    """The mask covers the whole box, stays near it, and where it is 0 the photo is untouched."""
    quad = SphereQuad.from_angles(yaw, pitch, 20, 30)
    pixels = background(1600, 800)
    canvas = hide(PANO, pixels, [quad])
    directions = grid_directions(PANO)
    assert (canvas.mask[quad.contains(directions)] > RIM).all()
    assert (canvas.pixels[canvas.mask == 0] == pixels[canvas.mask == 0]).all()
    assert not canvas.mask[~quad.grown(1.6).contains(directions)].any()


def test_blur_is_as_strong_at_the_nadir_as_at_the_horizon() -> None:
    """Seen straight on, the same object keeps as little detail wherever on the sphere it lies, in both directions."""
    left_over = {}
    for name, yaw, pitch in (("horizon", 40, 0), ("high", 180, 60), ("nadir", 0, -90)):
        view = PerspectiveView(yaw, pitch, 60, 240)
        canvas = hide(PANO, background(1600, 800), [SphereQuad.from_angles(yaw, pitch, 40, 40)])
        seen = render_view(Pyramid(canvas.pixels), PANO, view)[70:170, 70:170, 1].astype(float)
        left_over[name] = (np.abs(np.diff(seen, axis=0)).mean(), np.abs(np.diff(seen, axis=1)).mean())
    values = np.array(list(left_over.values()))
    assert values.max() < 1.2, left_over


def test_the_larger_box_decides_where_two_overlap() -> None:
    """A small box inside a large one leaves no weaker blur behind."""
    pixels = background(1600, 800)
    large, small = SphereQuad.from_angles(10, 5, 50, 50), SphereQuad.from_angles(10, 5, 6, 6)
    assert (hide(PANO, pixels, [large, small]).pixels == hide(PANO, pixels, [large]).pixels).all()


def test_the_order_of_boxes_does_not_matter() -> None:
    """The same boxes give the same bytes in any order."""
    pixels = background(1600, 800)
    quads = [SphereQuad.from_angles(yaw, 3 * yaw - 20, 15 + yaw, 30) for yaw in (0, 7, 13)]
    assert (hide(PANO, pixels, quads).pixels == hide(PANO, pixels, quads[::-1]).pixels).all()


@pytest.mark.parametrize("extent", [FlatExtent(640, 480), PanoExtent(1600, 800, 500, 200, 640, 480)])
def test_boxes_that_reach_past_the_picture_are_hidden_up_to_its_edge(extent: Extent) -> None:
    """A person cut by the border of a flat or partial picture is hidden up to the last row and column."""
    pixels = background(640, 480)
    middle = extent.to_directions([[0.0, 0.0]])[0]
    yaw, pitch = np.degrees(np.arctan2(middle[0], middle[2])), np.degrees(np.arcsin(-middle[1]))
    quad = SphereQuad.from_angles(float(yaw), float(pitch), 20, 20)
    canvas = hide(extent, pixels, [quad])
    inside = quad.contains(grid_directions(extent))
    assert inside[0, 0]
    assert (canvas.mask[inside] > RIM).all()
    assert np.abs(np.diff(canvas.pixels[inside].astype(int), axis=0)).mean() < 2


def test_restored_zone_is_the_photo_again_and_counts_as_untouched() -> None:
    """A never-hidden zone keeps the photo's own pixels, and nothing outside it comes back."""
    pixels = background(1600, 800)
    box, zone = SphereQuad.from_angles(0, 0, 40, 40), SphereQuad.from_angles(10, 0, 20, 60)
    canvas = hide(PANO, pixels, [box])
    before = canvas.pixels.copy()
    restore(pixels, PANO, [zone], canvas)
    inside = zone.contains(grid_directions(PANO))
    assert (canvas.pixels[inside] == pixels[inside]).all()
    assert not canvas.mask[inside].any()
    assert (canvas.pixels[~inside] == before[~inside]).all()


def test_no_more_cells_than_promised_can_be_told_apart_in_a_weak_blur() -> None:
    """Blurred themselves, stripes finer than the cells across the object lose all but a trace of their contrast."""
    quad = SphereQuad.from_angles(0, 0, 40, 40)
    yaw = (np.arange(1600) + 0.5) / 1600 * 360 - 180
    stripes = 127 + 120 * np.sin(yaw / 40 * CELLS / 2 * 2 * np.pi)  # CELLS dark and bright cells across the object
    pixels = np.repeat(np.repeat(stripes.astype(np.uint8)[None, :, None], 800, 0), 3, 2)
    weak = Strength(0.999, allow_weak=True)
    left = hide(PANO, pixels, [quad], strength=weak).pixels[400, 740:860, 0].astype(float)
    assert np.ptp(left) < 0.03 * 240


@pytest.mark.parametrize(("method", "colour"), [("solid", 128), ("black", 0)])
def test_plain_fill_keeps_nothing(method: str, colour: int) -> None:
    """`solid` shows one grey, `black` black, whatever was there; both promise the check that nothing is left."""
    quad = SphereQuad.from_angles(0, 0, 20, 20)
    inside = quad.contains(grid_directions(PANO))
    canvas = hide(PANO, background(1600, 800), [quad], method)
    assert (canvas.pixels[inside] == colour).all()
    assert (canvas.mask[inside] == level_of(math.inf)).all()


def test_a_method_from_elsewhere_gets_nothing_of_what_it_hides() -> None:
    """It is given the scene after everything hidden was taken out of it."""
    quad = SphereQuad.from_angles(0, 0, 20, 20)
    pixels = background(1600, 800)
    pixels[quad.contains(grid_directions(PANO))] = (250, 0, 250)
    seen = []

    def stripes(patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
        seen.append(patch)
        return np.full_like(patch, 255)

    canvas = Canvas(pixels.copy(), np.zeros(pixels.shape[:2], np.uint8))
    paint(Pyramid(pixels), PANO, [quad], method=stripes, strength=Strength(), canvas=canvas)
    assert (canvas.pixels[quad.contains(grid_directions(PANO))] == 255).all()
    assert len(seen) == 1
    assert (seen[0][..., 1] >= seen[0][..., 0]).all()  # of the person's purple no trace


@pytest.mark.parametrize("weak", [{"factor": 0.5}, {"kernel": (21, 2, 9)}])
def test_weaker_than_the_default_needs_an_explicit_word(weak: dict[str, object]) -> None:
    """Nobody gets a weak blur by accident."""
    with pytest.raises(ValueError, match="--allow-weak"):
        Strength(**weak)  # type: ignore[arg-type]
    Strength(**weak, allow_weak=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kernel", "sigma"), [((21, 2, 9), 5.2), ((65, 3, 9), 13.7), ((65, 1, 9), 18.1)])
def test_understand_ai_kernels_blur_as_they_did_there(kernel: tuple[int, float, int], sigma: float) -> None:
    """The effective widths measured on understand.ai's own kernels come out again."""
    assert Strength(kernel=kernel, allow_weak=True).kernel_sigma_px() == pytest.approx(sigma, rel=0.03)
