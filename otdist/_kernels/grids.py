"""Sums of exponentials along one axis of a grid, in the logarithmic domain.

Lines are cut into tiles. Between two tiles the Gibbs kernel, over its own maximum, is a
small matrix, and the line's exponentials over theirs a vector: the product takes one
multiplication an entry. What underflows in it is less than 1e-290 of the largest term, so
sums that are not tiny themselves have lost nothing, and those that are tiny are done again,
one exponential after the other.
"""

import numpy as np
from numba import njit

from otdist._kernels.simd import smaller

# Exponentials below exp(-_DEEP) are left out of products.
_DEEP = 690.0
# Sums below this may have lost terms.
_SAFE = 1e-200
# Terms below this part of all sums of a tile do not change them.
_NOTHING = 2.0**-62
# The same as an exponent.
_SHALLOW = 43.0


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False, fastmath={"nnan", "nsz"})
def log_sum(line: np.ndarray, cost: np.ndarray) -> float:
    """Return ``log sum_i exp(line[i] - cost[i])``; -inf if there is no term."""
    least = np.inf
    for i in range(line.size):
        least = smaller(cost[i] - line[i], least)
    if least == np.inf:
        return -np.inf
    total = 0.0
    for i in range(line.size):
        term = least - (cost[i] - line[i])
        if term > -_SHALLOW:
            total += np.exp(term)
    return np.log(total) - least


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False, fastmath={"nnan", "nsz"})
def _exponentials(
    line: np.ndarray, tile: int, tops: np.ndarray, values: np.ndarray
) -> None:
    """Write the maximum of every tile, and ``exp(line - maximum)``."""
    for t in range(tops.size):
        part, out = line[t * tile : (t + 1) * tile], values[t * tile : (t + 1) * tile]
        least = np.inf
        for i in range(part.size):
            least = smaller(-part[i], least)
        tops[t] = -least
        for i in range(part.size):
            is_there = part[i] + least > -_DEEP and least < np.inf
            out[i] = np.exp(part[i] + least) if is_there else 0.0


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    fastmath={"contract", "nnan", "nsz"},
)
def _add_tile(
    values: np.ndarray, scale: float, kernel: np.ndarray, least: float, sums: np.ndarray
) -> None:
    """Add ``scale * values @ kernel``, but for the terms below `least`."""
    size = values.size
    whole = size - size % 4
    for i in range(0, whole, 4):
        v0, v1 = scale * values[i], scale * values[i + 1]
        v2, v3 = scale * values[i + 2], scale * values[i + 3]
        if max(max(v0, v1), max(v2, v3)) > least:
            r0, r1, r2, r3 = kernel[i], kernel[i + 1], kernel[i + 2], kernel[i + 3]
            for j in range(sums.size):
                sums[j] += (v0 * r0[j] + v1 * r1[j]) + (v2 * r2[j] + v3 * r3[j])
    for i in range(whole, size):
        row = kernel[i]
        for j in range(sums.size):
            sums[j] += scale * values[i] * row[j]


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False, fastmath={"nnan", "nsz"})
def _smallest(values: np.ndarray) -> float:
    least = np.inf
    for k in range(values.size):
        least = smaller(values[k], least)
    return least


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def log_sums(
    lines: np.ndarray,
    cost: np.ndarray,
    kernel: np.ndarray,
    peak: np.ndarray,
    tile: int,
    tops: np.ndarray,
    values: np.ndarray,
    sums: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write ``log sum_i exp(lines[k, i] - cost[i, j])`` to ``out[k, j]``.

    `cost` (side, side) is symmetric and in units of epsilon; `kernel` is
    ``exp(-cost - peak)`` with the maxima `peak` between tiles. `tops`, one for each tile,
    `values` (side,) and `sums` (tile,) are scratch.
    """
    side, n_tiles = lines.shape[1], tops.size
    for k in range(lines.shape[0]):
        line = lines[k]
        _exponentials(line, tile, tops, values)
        for t in range(n_tiles):
            start = t * tile
            part = sums[: min(tile, side - start)]
            stop = start + part.size
            nearest, top = 0, -np.inf
            for s in range(n_tiles):
                if tops[s] + peak[s, t] > top:
                    nearest, top = s, tops[s] + peak[s, t]
            if top == -np.inf:
                out[k, start:stop] = top
                continue
            part[:] = 0.0
            least = 0.0
            # From the largest terms outwards, so that most tiles change nothing.
            for step in range(2 * n_tiles):
                s = nearest - (step + 1) // 2 if step % 2 else nearest + step // 2
                if not 0 <= s < n_tiles:
                    continue
                depth = tops[s] + peak[s, t] - top
                if not depth > -_DEEP:
                    continue
                scale = np.exp(depth)
                if scale <= least:
                    continue
                of = slice(s * tile, (s + 1) * tile)
                _add_tile(values[of], scale, kernel[of, start:stop], least, part)
                least = _NOTHING * _smallest(part)
            for j in range(part.size):
                if part[j] > _SAFE:
                    out[k, start + j] = top + np.log(part[j])
                else:
                    out[k, start + j] = log_sum(line, cost[start + j])
