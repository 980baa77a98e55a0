"""Draws the courtyard. Knows nothing of files, metadata or of what the program will find.

The photographs are the two of people that scikit-image ships: `astronaut` (Eileen Collins; NASA, public domain) and
`camera` (by Lav Varshney, CC0), and so are the textures `brick` and `gravel` (CC0). All else is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.sphere.axes import Floats, rotation_matrix
from pii_blur.sphere.extent import PanoExtent

Pixels = NDArray[np.uint8]

EYE_M = 1.7  # height of the camera above the ground
HALF_SIDE_M = 9.0  # of the square courtyard, the camera in its middle
WALL_M = 5.0  # height of its walls
TEXTURE_PX_PER_M = 96
BAND_ROWS = 64  # drawn at a time, so that a large panorama needs little memory


@dataclass(frozen=True, slots=True)
class Easel:
    """A photograph that stands upright in the courtyard and faces the camera.

    Attributes:
        photo: name of the picture in `skimage.data`.
        yaw: degrees, where it stands; 180 is on the panorama's seam.
        distance_m: from the camera.
        side_m: of the square photograph, whose middle is at the camera's height.
    """

    photo: str
    yaw: float
    distance_m: float
    side_m: float = 1.0


EASELS = (
    Easel("astronaut", 180.0, 3.0),
    Easel("astronaut", -62.0, 4.5),
    Easel("astronaut", 68.0, 6.5),
    Easel("camera", -118.0, 2.6),
    Easel("camera", 0.0, 4.0),
    Easel("camera", 118.0, 7.0, 1.2),
)


def draw_courtyard(width: int) -> Pixels:
    """Return the panorama of the whole sphere, uint8 RGB (width / 2, width, 3)."""
    extent = PanoExtent.full(width, width // 2)
    ground, wall, clouds = _ground(), _wall(), _clouds()
    pixels: Pixels = np.empty((extent.height, extent.width, 3), np.uint8)
    columns = np.arange(extent.width) + 0.5
    for top in range(0, extent.height, BAND_ROWS):
        rows = np.arange(top, min(top + BAND_ROWS, extent.height)) + 0.5
        directions = extent.to_directions(np.stack(np.meshgrid(columns, rows), axis=-1))
        pixels[top : top + len(rows)] = _colours(directions, ground, wall, clouds)
    for easel in EASELS:
        _stand(pixels, extent, easel)
    return pixels


def _colours(directions: Floats, ground: Pixels, wall: Pixels, clouds: Pixels) -> Pixels:
    """Return the colours of the empty courtyard, uint8 (n, m, 3), in (n, m, 3) directions."""
    x, y, z = np.moveaxis(directions, -1, 0)
    to_wall = HALF_SIDE_M / np.maximum(np.abs(x), np.abs(z)).clip(1e-9)
    height = EYE_M - y * to_wall  # above the ground, where the ray meets the plane of a wall
    to_ground = EYE_M / y.clip(1e-9)
    along = np.where(np.abs(x) > np.abs(z), z, x) * to_wall
    to_cloud = 1.0 / (-y).clip(1e-3)
    seen_wall = _texture(wall, along + HALF_SIDE_M, WALL_M - height)
    seen_ground = _texture(ground, x * to_ground + HALF_SIDE_M, z * to_ground + HALF_SIDE_M)
    seen_clouds = _texture(clouds, x * to_cloud * 2.0, z * to_cloud * 2.0)
    haze = np.clip(-y * 2.2, 0.15, 1.0)[..., None]
    sky = seen_clouds * haze + np.array([214.0, 224.0, 232.0]) * (1.0 - haze)
    colours: Pixels = np.select(
        [(height <= 0.0)[..., None], (height <= WALL_M)[..., None]], [seen_ground, seen_wall], sky
    ).astype(np.uint8)
    return colours


def _texture(texture: Pixels, x_m: Floats, y_m: Floats) -> Pixels:
    """Look up a texture that repeats, at distances in metres from its top left corner."""
    map_x = (x_m * TEXTURE_PX_PER_M) % texture.shape[1]
    map_y = (y_m * TEXTURE_PX_PER_M) % texture.shape[0]
    maps = map_x.astype(np.float32), map_y.astype(np.float32)
    return np.asarray(cv2.remap(texture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), dtype=np.uint8)


def _ground() -> Pixels:
    """Return gravel for the whole courtyard, in paving stones of 1.5 m."""
    side = round(2 * HALF_SIDE_M * TEXTURE_PX_PER_M)
    gravel = cv2.resize(_grey("gravel"), (192, 192), interpolation=cv2.INTER_AREA)
    tiled = np.tile(gravel, (side // 192, side // 192)).astype(np.float64)
    # Gravel far away is finer than a pixel: only a faint, even grain of it is left.
    pixels: Pixels = ((170 + 0.25 * (tiled - tiled.mean()))[..., None] * (1.0, 0.96, 0.88)).astype(np.uint8)
    for line in range(0, side, round(1.5 * TEXTURE_PX_PER_M)):
        cv2.line(pixels, (line, 0), (line, side), (138, 130, 118), 3)
        cv2.line(pixels, (0, line), (side, line), (138, 130, 118), 3)
    return pixels


def _wall() -> Pixels:
    """Return one wall of the courtyard: bricks with two rows of windows and a stone base."""
    height, width = round(WALL_M * TEXTURE_PX_PER_M), round(2 * HALF_SIDE_M * TEXTURE_PX_PER_M)
    brick = cv2.resize(cv2.rotate(_grey("brick"), cv2.ROTATE_90_CLOCKWISE), (216, 216), interpolation=cv2.INTER_AREA)
    tiled = np.tile(brick, (height // 216 + 1, width // 216))[:height].astype(np.float64)
    pixels: Pixels = np.clip((tiled - tiled.mean() + 120)[..., None] * (1.35, 1.0, 0.82), 0, 255).astype(np.uint8)
    for left_m in np.arange(0.75, 2 * HALF_SIDE_M, 3.0):
        for top_m in (0.5, 2.7):
            left, top = round(left_m * TEXTURE_PX_PER_M), round(top_m * TEXTURE_PX_PER_M)
            right, bottom = left + round(1.5 * TEXTURE_PX_PER_M), top + round(1.5 * TEXTURE_PX_PER_M)
            cv2.rectangle(pixels, (left, top), (right, bottom), (226, 222, 212), cv2.FILLED)
            cv2.rectangle(pixels, (left + 10, top + 10), (right - 10, bottom - 10), (74, 92, 108), cv2.FILLED)
            cv2.line(pixels, ((left + right) // 2, top), ((left + right) // 2, bottom), (226, 222, 212), 8)
            cv2.line(pixels, (left, (2 * top + bottom) // 3), (right, (2 * top + bottom) // 3), (226, 222, 212), 8)
    pixels[-round(0.35 * TEXTURE_PX_PER_M) :] = (150, 144, 134)
    return pixels


def _clouds() -> Pixels:
    """Return a sky that repeats: noise of six sizes, the same at every call."""
    random = np.random.default_rng(360)
    total = np.zeros((1024, 1024), np.float32)
    for octave in range(2, 8):
        cells = np.pad(random.random((2**octave, 2**octave), np.float32), 2, mode="wrap")
        step = 1024 // 2**octave
        smooth = cv2.resize(cells, (1024 + 4 * step, 1024 + 4 * step), interpolation=cv2.INTER_CUBIC)
        total += smooth[2 * step : -2 * step, 2 * step : -2 * step] * 0.5**octave
    white = np.clip((total / total.max() - 0.55) * 3.5, 0.0, 1.0)[..., None]
    pixels: Pixels = (white * (246.0, 247.0, 249.0) + (1.0 - white) * (118.0, 164.0, 214.0)).astype(np.uint8)
    return pixels


def _stand(pixels: Pixels, extent: PanoExtent, easel: Easel) -> None:
    """Draw an easel into the panorama: a picture on the plane that touches the sphere at its yaw on the horizon."""
    half = 0.56 * easel.side_m / easel.distance_m  # on the plane at distance 1, with the frame
    foot = EYE_M / easel.distance_m
    px_per_unit = extent.width / (2.0 * np.pi)
    board = _board(easel.photo, round(2.0 * half * px_per_unit), round((half + foot) * px_per_unit))
    scale = board.shape[1] / (2.0 * half)
    rows = np.arange(*np.rint((0.5 + np.arctan([-half, foot]) / np.pi) * extent.height).astype(int))
    reach = int(np.arctan(half) / (2.0 * np.pi) * extent.width) + 2
    middle = round((easel.yaw / 360.0 + 0.5) * extent.width)
    columns = np.arange(middle - reach, middle + reach) % extent.width  # the one at yaw 180 crosses the seam
    directions = extent.to_directions(np.stack(np.meshgrid(columns + 0.5, rows + 0.5), axis=-1))
    x, y, z = np.moveaxis(directions @ rotation_matrix(easel.yaw, 0.0), -1, 0)
    map_x = ((x / z + half) * scale - 0.5).astype(np.float32)
    map_y = ((y / z + half) * scale - 0.5).astype(np.float32)
    seen = cv2.remap(board, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT).astype(np.float64)
    alpha = seen[..., 3:] / 255.0
    window = np.ix_(rows, columns)
    pixels[window] = np.rint(seen[..., :3] + (1.0 - alpha) * pixels[window]).astype(np.uint8)


def _board(photo: str, width: int, height: int) -> Pixels:
    """Return a framed photograph on two legs, uint8 (height, width, 4): RGB multiplied by the opacity in the fourth."""
    board: Pixels = np.zeros((height, width, 4), np.uint8)
    wood, thick = (92, 68, 46, 255), max(width // 40, 1)
    for near, far in ((0.25, 0.12), (0.75, 0.88)):
        cv2.line(board, (round(near * width), width // 2), (round(far * width), height), wood, thick, cv2.LINE_AA)
    cv2.rectangle(board, (0, 0), (width, width), wood, cv2.FILLED)
    edge = round(0.06 / 1.12 * width)  # the frame's share: _stand makes the board 1.12 times the photograph
    side = width - 2 * edge
    board[edge : edge + side, edge : edge + side, :3] = cv2.resize(
        _colour(photo), (side, side), interpolation=cv2.INTER_AREA if side < 512 else cv2.INTER_CUBIC
    )
    return board


def _colour(name: str) -> Pixels:
    """Return a picture of scikit-image as uint8 RGB."""
    from skimage import data  # noqa: PLC0415 - an extra that only drawing needs

    pixels = np.asarray(getattr(data, name)(), dtype=np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _grey(name: str) -> Pixels:
    """Return one channel of a picture of scikit-image, uint8."""
    return _colour(name)[..., 1]
