"""Whether hidden regions still hold detail of the photo. Knows planes of samples and a mask, nothing of files.

A blur lets only a trace of fine detail through. So the fine detail of the source is compared with that of the result,
block by block: the share of the former that is found in the latter is near 1 where the photo shows through and near 0
where it was hidden. Detail is what no smooth shading makes: what polynomials up to the third degree leave of a block.
A flat sky, which a blur cannot change, therefore has none to look for; and grain that is added on purpose has no share
in it, but makes the measurement less certain, which is counted.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from pii_blur.mask import RIM, UNKNOWN, level_of, sigma_of

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

_PORTION = 1 << 14  # blocks at a time, so that memory does not grow with what is hidden


def _detail_basis() -> Values:
    """Return float32 (64, 48): an orthonormal basis of all 8 x 8 blocks without any smooth part."""
    # Discrete orthogonal polynomials, by orthonormalising the powers of x over eight samples.
    powers = np.vander(np.linspace(-1, 1, _BLOCK), _BLOCK, increasing=True)
    polynomials = np.linalg.qr(powers)[0]
    products = [
        np.outer(polynomials[:, i], polynomials[:, j]).ravel()
        for i in range(_BLOCK)
        for j in range(_BLOCK)
        if max(i, j) >= _BLOCK // 2
    ]
    return np.array(products, dtype=np.float32).T


_DETAIL = _detail_basis()
_SIGMAS_PX = np.array([sigma_of(level) for level in range(256)])
_LEAST_LEVEL = level_of(2 * _SIGMA / 1.9)
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
    # What nobody described is held to the least.
    mask = np.where(mask == UNKNOWN, np.uint8(_LEAST_LEVEL), mask)
    # Above and below all regions there is nothing to look at.
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    top, bottom = rows[0] // _COARSEST * _COARSEST, -(-(rows[-1] + 1) // _COARSEST) * _COARSEST
    planes = _padded(source[top:bottom]), _padded(result[top:bottom]), _padded(mask[top:bottom])
    place, factor = _in_specks(*planes) or _in_regions(*planes, _MOST_SHARE_UNMEASURED, _UNMEASURED), 1
    while place is None and min(planes[0].shape) >= _BLOCK and factor <= _COARSEST:
        wide, half_as_wide = (share * _SIGMA * step * factor <= _SIGMAS_PX for share in (1.0, 0.5))
        place = _in_blocks(*planes, wide) or _in_regions(*planes, _MOST_SHARE_OF_REGION, half_as_wide)
        place = place and (place[0] * factor, place[1] * factor)
        planes = _padded(_halved(planes[0])), _padded(_halved(planes[1])), _padded(weakest(planes[2], 2, 2))
        factor *= 2
        if not half_as_wide[planes[2]].any():
            break
    return place and (place[0], place[1] + int(top))


def _in_blocks(source: Plane, result: Plane, mask: Mask, levels: Flags) -> tuple[int, int] | None:
    """Look at each block by itself."""
    for rows, columns, energy, common, rest in _measured(source, result, levels[weakest(mask, _BLOCK, _BLOCK)]):
        share = common / np.maximum(energy, 1)
        error = np.sqrt(np.maximum(rest - share * common, 0) / np.maximum(energy, 1) / (_DETAIL.shape[1] - 1))
        seen = np.flatnonzero((energy >= _LEAST_ENERGY) & (share - _SURE * error > _MOST_SHARE_OF_BLOCK))
        if seen.size:
            return int(columns[seen[0]]) * _BLOCK, int(rows[seen[0]]) * _BLOCK
    return None


def _in_regions(source: Plane, result: Plane, mask: Mask, most: float, levels: Flags) -> tuple[int, int] | None:
    """Look at all blocks of a region together."""
    inside = levels[weakest(mask, _BLOCK, _BLOCK)]
    if not inside.any():
        return None
    count, labels, _, middles = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    energies, commons = np.zeros(count), np.zeros(count)
    for rows, columns, energy, common, _ in _measured(source, result, inside):
        label = labels[rows, columns]
        energies += np.bincount(label, energy, count)
        commons += np.bincount(label, common, count)
    seen = np.flatnonzero((energies >= _LEAST_ENERGY_OF_REGION) & (commons > most * energies))
    return (int(middles[seen[0]][0]) * _BLOCK, int(middles[seen[0]][1]) * _BLOCK) if seen.size else None


def _in_specks(source: Plane, result: Plane, mask: Mask) -> tuple[int, int] | None:
    """Look at regions too small to hold a block: whether their pixels differ as they did from their neighbours."""
    strongest = mask.reshape(-1, _BLOCK, mask.shape[1]).max(axis=1)
    touched = strongest.reshape(len(strongest), -1, _BLOCK).max(axis=2) > RIM
    count, labels, stats, _ = cv2.connectedComponentsWithStats(touched.astype(np.uint8), connectivity=8)
    held = np.bincount(labels[weakest(mask, _BLOCK, _BLOCK) > RIM], minlength=count) > 0
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
    """Yield rows and columns of blocks, the energy of the source's detail, what both have in common, the result's."""
    all_rows, all_columns = np.nonzero(inside)
    for start in range(0, len(all_rows), _PORTION):
        rows, columns = all_rows[start : start + _PORTION], all_columns[start : start + _PORTION]
        before, after = (_blocks(plane, rows, columns) @ _DETAIL for plane in (source, result))
        yield (
            rows,
            columns,
            np.einsum("ij,ij->i", before, before),
            np.einsum("ij,ij->i", before, after),
            np.einsum("ij,ij->i", after, after),
        )


def _blocks(plane: Plane, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Values:
    grid = plane.reshape(plane.shape[0] // _BLOCK, _BLOCK, plane.shape[1] // _BLOCK, _BLOCK)
    return grid.transpose(0, 2, 1, 3)[rows, columns].reshape(-1, _BLOCK * _BLOCK).astype(np.float32)


def weakest(mask: Mask, height: int, width: int) -> Mask:
    """Return the smallest value of each rectangle of `height` x `width`; at the edges they may be cut off."""
    missing = [(0, -side % step) for side, step in zip(mask.shape, (height, width), strict=True)]
    mask = np.pad(mask, missing, mode="edge") if np.any(missing) else mask
    rows = mask.reshape(-1, height, mask.shape[1]).min(axis=1)
    return np.asarray(rows.reshape(len(rows), -1, width).min(axis=2), dtype=np.uint8)


def _halved(plane: Plane) -> Plane:
    """Return means of 2 x 2 samples."""
    size = plane.shape[1] // 2, plane.shape[0] // 2
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _padded(plane: Plane) -> Plane:
    """Repeat the last column and row up to whole blocks."""
    height, width = (-side % _BLOCK for side in plane.shape)
    return np.pad(plane, ((0, height), (0, width)), mode="edge") if height or width else plane
