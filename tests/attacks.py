"""Attacks that try to tell who or what a blur hides, by someone who knows everything but the photo itself.

The attacker has a gallery of candidates, one of which is hidden. He knows the scene round the box, its size, method,
strength and the code. He restores what was published by linear deconvolution, hides every candidate in the same scene
in the same way, and takes the one that fits best by any of several measures. Where an attack has a setting, he has,
for us all the worse, the one with which it would have succeeded most often.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from pii_blur.obfuscate.obfuscator import Strength
from pii_blur.obfuscate.paint import Canvas, paint
from pii_blur.settings import Settings
from pii_blur.sphere.extent import FlatExtent
from pii_blur.sphere.project import Pyramid
from pii_blur.sphere.quad import SphereQuad

Array = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

SIDE_PX = 480
EXTENT = FlatExtent(SIDE_PX, SIDE_PX)
SEEN_PX = 24  # the attacker looks at boxes at this many pixels along the longer side: much finer than what is left
PEOPLE = 100


@dataclass(frozen=True)
class Scene:
    """A photo, the box that is attacked, and further boxes of the same thing as other views would give them."""

    pixels: Pixels
    box: Box
    others: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Blur:
    """A way to hide: the photo and its boxes to what is published, and its standard deviation for a box in pixels."""

    name: str
    hide: Callable[[Scene], Pixels]
    sigma_px: Callable[[Box], float]


@cache
def faces() -> list[Array]:
    """Return grey faces of 100 people, (25, 25, 3), 0 to 255, from the pictures that scikit-image brings."""
    return [np.repeat(255 * face[..., None], 3, -1).astype(np.float32) for face in data.lfw_subset()[:PEOPLE]]


def other_picture(face: Array, rng: np.random.Generator) -> Array:
    """Return what another photo of the same thing may look like: moved, turned, lit otherwise, noisy."""
    height, width = face.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), rng.normal(0, 3), 1 + rng.normal(0, 0.04))
    matrix[:, 2] += rng.normal(0, 0.03, 2) * (width, height)
    moved = cv2.warpAffine(face, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    turn, strength = rng.uniform(0, 2 * np.pi), 0.25 * rng.normal()
    light = 1 + strength * (across * np.cos(turn) + down * np.sin(turn))[..., None]
    lit = moved * light * np.exp(rng.normal(0, 0.25)) + rng.normal(0, 12)
    return np.clip(lit + rng.normal(0, 4, face.shape), 0, 255).astype(np.float32)


@cache
def _surroundings() -> Pixels:
    return np.asarray(cv2.resize(data.coffee()[:400, :400], (SIDE_PX, SIDE_PX)), dtype=np.uint8)


def close_up(face: Array, *, side: int = 108) -> Scene:
    """Return a scene in which a head fills a box."""
    left = top = (SIDE_PX - side) // 2
    pixels = _surroundings().copy()
    shown = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    pixels[top : top + side, left : left + side] = np.clip(shown, 0, 255)
    return Scene(pixels, (left, top, left + side, top + side))


def in_three_views(face: Array) -> Scene:
    """Return a close-up that three views found, none of the boxes within another."""
    scene = close_up(face)
    x0, y0, x1, y1 = scene.box
    return Scene(scene.pixels, scene.box, ((x0 - 30, y0 + 8, x1 - 36, y1 + 6), (x0 + 30, y0 - 20, x1 + 26, y1 - 12)))


def full_body(face: Array, clothes: Sequence[float] = (60, 70, 120, 40, 45, 60)) -> Scene:
    """Return a scene with a standing person: a face of a seventh of the height, coat and trousers in two colours."""
    head, wide = 24, 56
    height, middle = 7 * head, SIDE_PX // 2
    top = (SIDE_PX - height) // 2
    pixels = _surroundings().copy()
    cv2.rectangle(pixels, (middle - 22, top + head), (middle + 22, top + 4 * head), tuple(clothes[:3]), cv2.FILLED)
    for x in (middle - 21, middle + 3):
        cv2.rectangle(pixels, (x, top + 4 * head), (x + 18, top + height), tuple(clothes[3:]), cv2.FILLED)
    pixels[top : top + head, middle - head // 2 : middle + head // 2] = cv2.resize(face, (head, head))
    return Scene(pixels, (middle - wide // 2, top, middle + wide // 2, top + height))


def ours(method: str = "gaussian", strength: Strength | None = None, name: str = "") -> Blur:
    """Return a blur of this program, boxes grown as by default."""
    chosen, grow = strength or Strength(), Settings().grow

    def hide(scene: Scene) -> Pixels:
        quads = []
        for x0, y0, x1, y1 in (scene.box, *scene.others):
            corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)
            quads.append(SphereQuad(EXTENT.to_directions(corners)).grown(grow))
        canvas = Canvas(scene.pixels.copy(), np.zeros(scene.pixels.shape[:2], np.uint8))
        paint(Pyramid(scene.pixels), EXTENT, quads, method=method, strength=chosen, canvas=canvas)
        return canvas.pixels

    def sigma_px(box: Box) -> float:
        longest = grow * max(box[2] - box[0], box[3] - box[1])
        return chosen.sigma(longest / EXTENT.pixels_per_degree, EXTENT.pixels_per_degree) * EXTENT.pixels_per_degree

    return Blur(name or f"ours, {method}", hide, sigma_px)


def recipe_of_2020() -> Blur:
    """Return the blur of pii-blur in 2020, without the ellipse outside which it hid nothing."""
    return Blur("2020: 21 px, sigma 11", lambda scene: cv2.GaussianBlur(scene.pixels, (21, 21), 11), lambda _: 5.6)


def understand_ai() -> Blur:
    """Return understand.ai's default kernel."""
    return ours(strength=Strength(kernel=(21, 2, 9), allow_weak=True), name="understand.ai: 21,2,9")


def mosaic(cell: int = 20) -> Blur:
    """Return deface's mosaic of `cell` pixels."""

    def hide(scene: Scene) -> Pixels:
        small = cv2.resize(scene.pixels, (SIDE_PX // cell, SIDE_PX // cell), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)

    return Blur(f"deface: mosaic of {cell} px", hide, lambda _: cell / 12**0.5)


def seen(pixels: Pixels, box: Box) -> Array:
    """Return what lies in the box as the attacker looks at it, float32 (n, m, 3)."""
    x0, y0, x1, y1 = box
    scale = SEEN_PX / max(x1 - x0, y1 - y0)
    size = (max(round((x1 - x0) * scale), 1), max(round((y1 - y0) * scale), 1))
    return np.asarray(cv2.resize(pixels[y0:y1, x0:x1].astype(np.float32), size, interpolation=cv2.INTER_AREA))


def attack(blur: Blur, hidden: Sequence[Scene], gallery: Sequence[Scene]) -> dict[str, float]:
    """Return, for every attack, the share of hidden scenes for which it named the right candidate.

    Args:
        blur: how they are hidden.
        hidden: number k shows candidate k; all have the same boxes.
        gallery: the attacker's pictures in the same scene.
    """
    box = hidden[0].box
    published, expected = (np.stack([seen(blur.hide(one), box) for one in scenes]) for scenes in (hidden, gallery))
    originals = np.stack([seen(scene.pixels, box) for scene in gallery])
    # How two pictures of one person differ he knows from other people: those of the other half.
    halves = np.arange(len(hidden)) % 2 == 0
    variation = _waves(published) - _waves(expected)
    sigma = blur.sigma_px(box) * SEEN_PX / max(box[2] - box[0], box[3] - box[1])
    rates = {
        "nearest": _rate(_distances(published, expected)),
        "correlation": _rate(_unlikeness(published, expected)),
        "nearest to the original": _rate(_distances(published, originals)),
    }
    for floor in (0.003, 0.03, 0.3, 3.0):
        costs = np.empty((len(hidden), len(gallery)))
        for half in (halves, ~halves):
            costs[half] = _unlikelihood(_waves(published[half]), _waves(expected), variation[~half], floor)
        rates[f"likeliest, rounding {floor:g}"] = _rate(costs)
    for noise_level in (1e-6, 1e-4, 1e-2, 1e-1):
        restored, again = (_wiener(pictures, sigma, noise_level) for pictures in (published, expected))
        rates[f"Wiener {noise_level:g}, nearest"] = _rate(_distances(restored, again))
        rates[f"Wiener {noise_level:g}, correlation"] = _rate(_unlikeness(restored, originals))
    grey = originals.mean(-1, keepdims=True)
    for steps, restored in _richardson_lucy(published.mean(-1, keepdims=True), sigma, (5, 20, 60)):
        rates[f"Richardson-Lucy {steps}, correlation"] = _rate(_unlikeness(restored, grey))
    return rates


def chance_limit(trials: int, candidates: int) -> float:
    """Return the share of hits that guessing exceeds once in a thousand times."""
    share, tail, hits = 1.0 / candidates, 1.0, -1
    while tail > 0.001:
        hits += 1
        tail -= math.comb(trials, hits) * share**hits * (1 - share) ** (trials - hits)
    return hits / trials


def interval(rate: float, trials: int) -> tuple[float, float]:
    """Return the 95 per cent interval of a rate (Wilson, JASA 1927)."""
    z = 1.96
    middle = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _rate(costs: Array) -> float:
    """Return how often the right candidate costs least; ties count by their share."""
    right = np.arange(len(costs)) % costs.shape[1]
    least = costs <= costs.min(axis=1, keepdims=True)
    return float((least[np.arange(len(costs)), right] / least.sum(axis=1)).mean())


def _distances(pictures: Array, gallery: Array) -> Array:
    one, two = (stack.reshape(len(stack), -1).astype(np.float64) for stack in (pictures, gallery))
    return np.asarray(np.rint(((one**2).sum(1)[:, None] + (two**2).sum(1) - 2 * one @ two.T) * 1e3), dtype=np.float64)


def _unlikeness(pictures: Array, gallery: Array) -> Array:
    """Return minus the correlation coefficients: brightness and contrast do not count."""
    one, two = (stack.reshape(len(stack), -1).astype(np.float64) for stack in (pictures, gallery))
    one, two = ((stack - stack.mean(1, keepdims=True)) / (stack.std(1, keepdims=True) + 1e-6) for stack in (one, two))
    return np.asarray(-np.round(one @ two.T, 6))


def _unlikelihood(pictures: Array, gallery: Array, noise: Array, floor: float) -> Array:
    """Return Mahalanobis distances: what is best where differences are normal as `noise` is, rounding as `floor`."""
    values, vectors = np.linalg.eigh(np.cov(noise.T) + floor**2 * np.eye(noise.shape[1]))
    white = vectors / np.sqrt(values)
    return _distances(pictures @ white, gallery @ white)


def _waves(pictures: Array) -> Array:
    """Return the low frequencies, where all is that a blur leaves: 49 of light and 16 of each of two colours."""
    light = pictures.mean(axis=-1)
    parts = [(light, 7), (pictures[..., 0] - light, 4), (pictures[..., 2] - light, 4)]
    return np.concatenate([_cosines(plane, count) for plane, count in parts], axis=1)


def _cosines(planes: Array, count: int) -> Array:
    bases = []
    for size in planes.shape[1:]:
        at = (np.arange(size) + 0.5) / size
        bases.append(np.stack([np.cos(np.pi * k * at) for k in range(min(count, size))]) / size)
    return np.asarray((bases[0] @ planes @ bases[1].T).reshape(len(planes), -1))


def _response(shape: tuple[int, ...], sigma: float) -> Array:
    """Return what a Gaussian passes of each frequency of pictures mirrored at their edges."""
    down, across = (np.fft.fftfreq(2 * size) for size in shape[1:3])
    return np.asarray(np.exp(-2 * np.pi**2 * sigma**2 * (down[:, None] ** 2 + across**2)))[None, :, :, None]


def _filtered(pictures: Array, response: Array) -> Array:
    height, width = pictures.shape[1:3]
    mirrored = np.pad(pictures, ((0, 0), (0, height), (0, width), (0, 0)), mode="symmetric")
    spectrum = np.fft.fft2(mirrored, axes=(1, 2)) * response
    return np.asarray(np.fft.ifft2(spectrum, axes=(1, 2)).real[:, :height, :width], dtype=np.float32)


def _wiener(pictures: Array, sigma: float, noise_level: float) -> Array:
    passed = _response(pictures.shape, sigma)
    return _filtered(pictures, passed / (passed**2 + noise_level))


def _richardson_lucy(pictures: Array, sigma: float, stops: Sequence[int]) -> list[tuple[int, Array]]:
    """Return the estimates after each number of steps in `stops`."""
    passed = _response(pictures.shape, sigma)
    estimate, found = np.maximum(pictures, 1), []
    for step in range(1, max(stops) + 1):
        ratio = pictures / np.maximum(_filtered(estimate, passed), 1e-3)
        estimate = estimate * np.maximum(_filtered(ratio, passed), 0)
        if step in stops:
            found.append((step, estimate))
    return found
