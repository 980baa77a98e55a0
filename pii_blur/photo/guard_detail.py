"""Whether hidden regions still hold detail of the photo. Knows planes of samples and a mask, nothing of files.

A blur lets only a trace of fine detail through. So the fine detail of the source is compared with that of the result,
block by block: the share of the former that is found in the latter is near 1 where the photo shows through and near 0
where it was hidden. Detail is what no smooth shading makes: what polynomials up to the third degree leave of a block.
A flat sky, which a blur cannot change, therefore has none to look for; and grain that is added on purpose has no share
in it, but makes the measurement less certain, which is counted.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.mask import RIM, UNKNOWN, sigma_of

Plane = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Values = NDArray[np.float32]
Flags = NDArray[np.bool_]

_BLOCK = 8  # what JPEG codes as one, so that the ringing of what lies beside a region stays out of the blocks inside

# The blur that is looked for, in samples; where a wider one was promised, the planes are shrunk until it is this wide.
# It is the least by default, but for what rounding the mask's values down takes away.
_SIGMA = 2.4

# Sum of squares of a block's detail: 0.75 grey levels in the mean. A soft wave of full contrast that the promised blur
# passes by half has about as much; what it passes by more has less.
_LEAST_ENERGY = 36.0
# MEASURED on 550 regions of 22 panoramas: a block keeps at most 0.45 of its detail, a region 0.13; the photo itself,
# coded anew, 0.9 and more.
_MOST_SHARE_OF_BLOCK = 0.75
_SURE = 4.0  # standard errors
_MOST_SHARE_OF_REGION = 0.3
_LEAST_ENERGY_OF_REGION = 16 * _LEAST_ENERGY
# Pixels made large, or a blur that promises nothing: not the photo itself.
_MOST_SHARE_UNMEASURED = 0.9
_MOST_SHARE_UNMEASURED_BLOCK = 0.98

_PORTION = 1 << 13  # blocks at a time, so that memory does not grow with what is hidden


def _smooth_basis() -> Values:
    """Return float32 (64, 16): an orthonormal basis of the 8 x 8 blocks that polynomials to the third degree make."""
    polynomials = np.linalg.qr(np.vander(np.linspace(-1, 1, _BLOCK), _BLOCK // 2, increasing=True))[0]
    return np.kron(polynomials, polynomials).astype(np.float32)


_SMOOTH = _smooth_basis()
_DEGREES_OF_FREEDOM = _BLOCK**2 - _SMOOTH.shape[1]
_SIGMAS_PX = np.array([sigma_of(level) for level in range(256)])
_SIGMAS_PX[UNKNOWN] = _SIGMA  # what nobody described is held to the least
_UNMEASURED: Flags = (np.arange(256) > RIM) & (_SIGMAS_PX < _SIGMA)
_COARSEST = 32  # a blur wider than that many times the least is looked at as if it were no wider


def shows_through(source: Plane, result: Plane, mask: Mask, *, step: int = 1) -> tuple[int, int] | None:
    """Look for detail of the source in the hidden regions of the result.

    Args:
        source, result: uint8 (h, w): one colour component of both, as coded; looked at only inside the mask.
        mask: uint8 (h, w), see `pii_blur.mask`.
        step: how many pixels of the photo, from top to bottom, one sample spans.

    Returns:
        (column, row) of a sample where the photo shows through; None if there is none.
    """
    # Above and below all regions there is nothing to look at.
    rows = np.flatnonzero(mask.max(axis=1))
    if not rows.size:
        return None
    top, bottom = int(rows[0]) // _COARSEST * _COARSEST, -(-(int(rows[-1]) + 1) // _COARSEST) * _COARSEST
    source, result, mask = _padded(source[top:bottom]), _padded(result[top:bottom]), _padded(mask[top:bottom])
    grid = weakest(mask, _BLOCK, _BLOCK)
    place = _in_specks(source, result, mask, grid) or _in_blocks(source, result, grid, _UNMEASURED_RULE)
    factor = 1
    while place is None and min(source.shape) >= _BLOCK and factor <= _COARSEST:
        least_sigma = _SIGMA * step * factor
        place = _in_blocks(source, result, grid, _Rule(least_sigma / 2 <= _SIGMAS_PX, least_sigma <= _SIGMAS_PX))
        place = place and (place[0] * factor, place[1] * factor)
        factor *= 2
        mask = _padded(weakest(mask, 2, 2))
        grid = weakest(mask, _BLOCK, _BLOCK)
        if not (_SIGMA * step * factor / 2 <= _SIGMAS_PX)[grid].any():
            break
        source, result = _padded(_halved(source)), _padded(_halved(result))
    return place and (place[0], place[1] + top)


@dataclass(frozen=True, slots=True)
class _Rule:
    """Which blocks are looked at, by the weakest value of the mask in them, and how much detail may be left.

    Attributes:
        levels: bool (256,): together with those round them.
        single_levels: bool (256,): also each by itself; some of `levels`.
        most_of_region, most_of_block: share of the source's detail.
    """

    levels: Flags
    single_levels: Flags
    most_of_region: float = _MOST_SHARE_OF_REGION
    most_of_block: float = _MOST_SHARE_OF_BLOCK


_UNMEASURED_RULE = _Rule(_UNMEASURED, _UNMEASURED, _MOST_SHARE_UNMEASURED, _MOST_SHARE_UNMEASURED_BLOCK)


def _in_blocks(source: Plane, result: Plane, grid: Mask, rule: _Rule) -> tuple[int, int] | None:
    """Look at each block by itself, then at all blocks of a region together."""
    inside = rule.levels[grid]
    if not inside.any():
        return None
    count, labels, _, middles = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    energies, commons = np.zeros(count), np.zeros(count)
    for rows, columns, energy, common, rest in _measured(source, result, inside):
        share = common / energy
        error = np.sqrt(np.maximum(rest - share * common, 0) / energy / (_DEGREES_OF_FREEDOM - 1))
        is_seen = share - _SURE * error > rule.most_of_block
        seen = np.flatnonzero(is_seen & rule.single_levels[grid[rows, columns]])
        if seen.size:
            return int(columns[seen[0]]) * _BLOCK, int(rows[seen[0]]) * _BLOCK
        label = labels[rows, columns]
        energies += np.bincount(label, energy, count)
        commons += np.bincount(label, common, count)
    seen = np.flatnonzero((energies >= _LEAST_ENERGY_OF_REGION) & (commons > rule.most_of_region * energies))
    return (int(middles[seen[0]][0]) * _BLOCK, int(middles[seen[0]][1]) * _BLOCK) if seen.size else None


def _in_specks(source: Plane, result: Plane, mask: Mask, grid: Mask) -> tuple[int, int] | None:
    """Look at regions too small to hold a block: whether their pixels differ as they did from their neighbours."""
    touched = _pooled(mask, _BLOCK, _BLOCK, np.maximum) > RIM
    count, labels, stats, _ = cv2.connectedComponentsWithStats(touched.astype(np.uint8), connectivity=8)
    held = np.bincount(labels[grid > RIM], minlength=count) > 0
    for left, top, width, height, _ in stats[1:][~held[1:]]:
        window = (slice(top * _BLOCK, (top + height) * _BLOCK), slice(left * _BLOCK, (left + width) * _BLOCK))
        inside = mask[window] > RIM
        before, after = (plane[window].astype(np.float32) for plane in (source, result))
        before, after = ((plane - cv2.blur(plane, (3, 3)))[inside] for plane in (before, after))
        energy = float((before * before).sum())
        if energy >= _LEAST_ENERGY_OF_REGION and float((before * after).sum()) > _MOST_SHARE_UNMEASURED * energy:
            return int(left) * _BLOCK, int(top) * _BLOCK
    return None


_Measured = tuple[NDArray[np.intp], NDArray[np.intp], Values, Values, Values]


def _measured(source: Plane, result: Plane, inside: Flags) -> Iterator[_Measured]:
    """Yield rows and columns of blocks, the energy of the source's detail, what both have in common, the result's.

    Blocks of the source that have no detail to look for are left out.
    """
    all_rows, all_columns = np.nonzero(inside)
    for start in range(0, len(all_rows), _PORTION):
        rows, columns = all_rows[start : start + _PORTION], all_columns[start : start + _PORTION]
        before = _blocks(source, rows, columns)
        smooth = before @ _SMOOTH
        energy = _products(before, before) - _products(smooth, smooth)
        kept = energy >= _LEAST_ENERGY
        rows, columns, before, smooth, energy = rows[kept], columns[kept], before[kept], smooth[kept], energy[kept]
        after = _blocks(result, rows, columns)
        smooth_after = after @ _SMOOTH
        common = _products(before, after) - _products(smooth, smooth_after)
        yield rows, columns, energy, common, _products(after, after) - _products(smooth_after, smooth_after)


def _products(one: Values, other: Values) -> Values:
    """Return the inner product of each pair of rows."""
    products: Values = np.einsum("ij,ij->i", one, other)
    return products


def _blocks(plane: Plane, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Values:
    grid = plane.reshape(plane.shape[0] // _BLOCK, _BLOCK, plane.shape[1] // _BLOCK, _BLOCK)
    return grid.transpose(0, 2, 1, 3)[rows, columns].reshape(-1, _BLOCK * _BLOCK).astype(np.float32) - 128


def weakest(mask: Mask, height: int, width: int) -> Mask:
    """Return the smallest value of each rectangle of `height` x `width`; at the edges they may be cut off."""
    return _pooled(mask, height, width, np.minimum)


def _pooled(mask: Mask, height: int, width: int, choose: np.ufunc) -> Mask:
    missing = [(0, -side % step) for side, step in zip(mask.shape, (height, width), strict=True)]
    mask = np.pad(mask, missing, mode="edge") if np.any(missing) else mask
    # Whole rows at a time: many times as fast as NumPy's own reduction over short axes.
    rows = functools.reduce(choose, [mask[k::height] for k in range(height)])
    return np.ascontiguousarray(functools.reduce(choose, [rows[:, k::width] for k in range(width)]))


def _halved(plane: Plane) -> Plane:
    """Return means of 2 x 2 samples."""
    size = plane.shape[1] // 2, plane.shape[0] // 2
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _padded(plane: Plane) -> Plane:
    """Repeat the last column and row up to whole blocks."""
    height, width = (-side % _BLOCK for side in plane.shape)
    return np.pad(plane, ((0, height), (0, width)), mode="edge") if height or width else plane
