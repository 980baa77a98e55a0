"""Whether hidden regions still hold detail of the photo. Knows planes of samples and a mask, nothing of files.

A blur lets only a trace of fine detail through. So the fine detail of the source is compared with that of the result,
block by block: the share of the former that is found in the latter is near 1 where the photo shows through and near 0
where it was hidden. Detail is what no smooth shading makes: neither polynomials up to the third degree nor the three
lowest cosines, which are all that coarse coding leaves of a sky. A flat sky, which a blur cannot change, therefore has
none to look for. Grain that is added on purpose has no share in it, but makes the measurement less certain, which is
counted. Where much is left nevertheless, it is compared with what a blur of the promised width would leave: wide
stripes pass any of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

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

# Sum of squares of a block's detail: 0.75 grey levels in the mean. Less is noise.
_LEAST_ENERGY = 36.0
_LEAST_ENERGY_OF_REGION = 16 * _LEAST_ENERGY
# MEASURED on 550 regions of 22 panoramas: a block keeps at most 0.54 of its detail, a region 0.17; the photo itself,
# coded anew, 0.9 and more.
_MOST_SHARE_OF_BLOCK = 0.75
_MOST_SHARE_OF_REGION = 0.3
# The photo itself never comes to more. Where two hidden regions meet, the edge between their colours may: boxes end
# where things end, so it can lie on an edge of the photo, and be the stronger of the two.
# MEASURED: 1.5 where large boxes met at the rim of a tripod's patch.
_SHARE_OF_SOMETHING_ELSE = 1.3
_SURE = 4.0  # standard errors
# Sum of squares below which a block, 1.5 grey levels in the mean, shows nothing by itself: such a one counts beside
# others only. A faint edge between two hidden regions can lie on a faint edge of the photo for a block or two.
# MEASURED: 0.87 grey levels, share 1.09, in the blurred colour of one block where two boxes met.
_FAINT = 144.0
_LEAST_FAINT = 4
_MORE_THAN_A_BLUR = 0.2
# Pixels made large, or a blur that promises nothing, may keep any detail, but not be the photo itself: what differs is
# to be more than coding makes.
_LEAST_DIFFERENCE = 0.1
_MOST_SHARE_OF_SPECK = 0.9

_PORTION = 1 << 13  # blocks at a time, so that memory does not grow with what is hidden
_COARSEST = 32  # a blur wider than that many times the least is looked at as if it were no wider


def _smooth_bases() -> Values:
    """Return float32 (64, 25): two orthonormal bases of smooth 8 x 8 blocks, 16 polynomials and 9 cosines."""
    polynomials = np.linalg.qr(np.vander(np.linspace(-1, 1, _BLOCK), _BLOCK // 2, increasing=True))[0]
    cosines = np.cos(np.outer(2 * np.arange(_BLOCK) + 1, np.arange(3)) * np.pi / (2 * _BLOCK))
    cosines /= np.linalg.norm(cosines, axis=0)
    return np.hstack([np.kron(polynomials, polynomials), np.kron(cosines, cosines)]).astype(np.float32)


_SMOOTH = _smooth_bases()
_POLYNOMIALS = 16
_DEGREES_OF_FREEDOM = _BLOCK**2 - _POLYNOMIALS
_SIGMAS_PX = np.array([sigma_of(level) for level in range(256)])
_SIGMAS_PX[UNKNOWN] = _SIGMA  # what nobody described is held to the least
_UNMEASURED: Flags = (np.arange(256) > RIM) & (_SIGMAS_PX < _SIGMA)


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
    place = _in_specks(source, result, mask, grid)
    # Pixels made large are no larger than those of subsampled colour.
    if place is None and step == 1:
        place = _unchanged(source, result, _UNMEASURED[grid])
    factor = 1
    while place is None and min(source.shape) >= _BLOCK and factor <= _COARSEST:
        inside = (_SIGMA * step * factor <= _SIGMAS_PX)[grid]
        if factor > 1 and not inside.any():
            break
        place = _in_blocks(source, result, inside)
        place = place and (place[0] * factor, place[1] * factor)
        factor *= 2
        mask = _padded(weakest(mask, 2, 2))
        grid = weakest(mask, _BLOCK, _BLOCK)
        source, result = _padded(_halved(source)), _padded(_halved(result))
    return place and (place[0], place[1] + top)


def _in_blocks(source: Plane, result: Plane, inside: Flags) -> tuple[int, int] | None:
    """Look at each block by itself, then at all blocks of a region together."""
    if not inside.any():
        return None
    count, labels, _, middles = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    energies, commons = np.zeros(count), np.zeros(count)
    for at, energy, common, rest in _measured(source, result, inside):
        share = common / energy
        error = np.sqrt(np.maximum(rest - share * common, 0) / energy / (_DEGREES_OF_FREEDOM - 1))
        seen = np.zeros(inside.shape, dtype=np.bool_)
        faint = seen.copy()
        seen[at[0], at[1]] = (share - _SURE * error > _MOST_SHARE_OF_BLOCK) & (share < _SHARE_OF_SOMETHING_ELSE)
        faint[at[0], at[1]] = energy < _FAINT
        seen = _without_lone(seen, faint)
        if place := _more_than_a_blur(source, result, seen, each=True):
            return place
        label = labels[at[0], at[1]]
        energies += np.bincount(label, energy, count)
        commons += np.bincount(label, common, count)
    seen_regions = (energies >= _LEAST_ENERGY_OF_REGION) & (commons > _MOST_SHARE_OF_REGION * energies)
    for number in np.flatnonzero(seen_regions):
        if _more_than_a_blur(source, result, labels == number, each=False):
            return int(middles[number][0]) * _BLOCK, int(middles[number][1]) * _BLOCK
    return None


def _without_lone(seen: Flags, faint: Flags) -> Flags:
    """Return the seen blocks without the faint ones in groups of fewer than `_LEAST_FAINT` seen ones that touch."""
    if not seen.any():  # as nearly always
        return seen
    _, labels, stats, _ = cv2.connectedComponentsWithStats(seen.astype(np.uint8), connectivity=8)
    is_few = stats[:, cv2.CC_STAT_AREA] < _LEAST_FAINT
    kept: Flags = seen & ~(faint & is_few[labels])
    return kept


def _more_than_a_blur(source: Plane, result: Plane, suspects: Flags, *, each: bool) -> tuple[int, int] | None:
    """Compare what is left of some blocks with what the promised blur would leave of them; mostly there are none."""
    rows, columns = np.nonzero(suspects)
    if not rows.size:
        return None
    reach = 2  # blocks; the blur is taken of a window round the suspects, wide enough that its edge does not matter
    top, left = (max(int(axis.min()) - reach, 0) for axis in (rows, columns))
    bottom, right = (int(axis.max()) + 1 + reach for axis in (rows, columns))
    window = (slice(top * _BLOCK, bottom * _BLOCK), slice(left * _BLOCK, right * _BLOCK))
    blurred = np.asarray(cv2.GaussianBlur(source[window], (0, 0), _SIGMA), dtype=np.uint8)
    inside = suspects[top:bottom, left:right]
    pairs = zip(*(_measured(source[window], plane, inside) for plane in (result[window], blurred)), strict=True)
    energies, commons, blurs = 0.0, 0.0, 0.0
    for (at, energy, common, _), (_, _, blur, _) in pairs:
        seen = np.flatnonzero(common > blur + _MORE_THAN_A_BLUR * energy)
        if each and seen.size:
            return (int(at[1][seen[0]]) + left) * _BLOCK, (int(at[0][seen[0]]) + top) * _BLOCK
        energies, commons, blurs = energies + energy.sum(), commons + common.sum(), blurs + blur.sum()
    return None if each or commons <= blurs + _MORE_THAN_A_BLUR * energies else (left * _BLOCK, top * _BLOCK)


def _unchanged(source: Plane, result: Plane, inside: Flags) -> tuple[int, int] | None:
    """Look for blocks that hold detail and are the source's."""
    for at, energy, _, _ in _measured(source, result, inside):
        difference = _blocks(result, *at) - _blocks(source, *at)
        seen = np.flatnonzero(_products(difference, difference) < _LEAST_DIFFERENCE * energy)
        if seen.size:
            return int(at[1][seen[0]]) * _BLOCK, int(at[0][seen[0]]) * _BLOCK
    return None


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
        if energy >= _LEAST_ENERGY_OF_REGION and float((before * after).sum()) > _MOST_SHARE_OF_SPECK * energy:
            return int(left) * _BLOCK, int(top) * _BLOCK
    return None


_At = tuple[NDArray[np.intp], NDArray[np.intp]]


def _measured(source: Plane, result: Plane, inside: Flags) -> Iterator[tuple[_At, Values, Values, Values]]:
    """Yield (rows, columns) of blocks, the energy of the source's detail, what both have in common, the result's.

    Blocks of the source that have no detail to look for are left out.
    """
    all_rows, all_columns = np.nonzero(inside)
    for start in range(0, len(all_rows), _PORTION):
        at = all_rows[start : start + _PORTION], all_columns[start : start + _PORTION]
        before = _blocks(source, *at)
        whole, smooth = _products(before, before), matrix_product(before, _SMOOTH)
        cosines, smooth = smooth[:, _POLYNOMIALS:], smooth[:, :_POLYNOMIALS]
        energy = whole - _products(smooth, smooth)
        kept = np.minimum(energy, whole - _products(cosines, cosines)) >= _LEAST_ENERGY
        at, before, smooth, energy = (at[0][kept], at[1][kept]), before[kept], smooth[kept], energy[kept]
        after = _blocks(result, *at)
        smooth_after = matrix_product(after, _SMOOTH[:, :_POLYNOMIALS])
        common = _products(before, after) - _products(smooth, smooth_after)
        yield at, energy, common, _products(after, after) - _products(smooth_after, smooth_after)


def _products(one: Values, other: Values) -> Values:
    """Return the inner product of each pair of rows."""
    products: Values = np.einsum("ij,ij->i", one, other)
    return products


def _blocks(plane: Plane, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Values:
    grid = plane.reshape(plane.shape[0] // _BLOCK, _BLOCK, plane.shape[1] // _BLOCK, _BLOCK)
    return grid.transpose(0, 2, 1, 3)[rows, columns].reshape(-1, _BLOCK * _BLOCK).astype(np.float32) - 128


def matrix_product(one: Values, other: Values) -> Values:
    """Return `one @ other`, float32, by one thread."""
    if not len(one):
        return np.zeros((0, other.shape[1]), dtype=np.float32)
    # Not NumPy's product: its threads wait for each other at full speed, and cost more than the product itself.
    nothing = np.zeros((0, 0), dtype=np.float32)
    return np.asarray(cv2.gemm(one, np.ascontiguousarray(other), 1.0, nothing, 0.0), dtype=np.float32)


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
