"""Finds candidate arcs of a matrix: those of nearly the least slack, or violated ones.

For the least slacks of a line (a row or a column) its slacks are divided into groups. The
minimum of each group is found in one vectorised pass; only groups with a minimum below a
threshold are searched. The members of a group lie far apart, so that neighbours, which have
similar costs, are in different groups.
"""

from typing import NamedTuple

import numpy as np

from otdist.compiled.costs import Costs, Found, minimum, n_below, slacks_of
from otdist.compiled.simd import smaller
from otdist.runtime.kernel_cache import njit
from otdist.solvers.network_simplex.kernels.simplex import is_noise

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
finite_inner = njit(**_INNER, fastmath={"nnan", "nsz"})

_CHUNK = 32  # values between two looks at a count
_TRIES = 6  # halvings of a threshold's range before it is taken as it is
_STRIP = 128  # columns of a matrix that are read together


@inner
def _threshold(slacks: np.ndarray, least: float, step: float, most: float, width: int) -> float:
    """Return a step above the minimum such that about `width` slacks are below it.

    It is at most twice `most`: a line may have fewer arcs that are not forbidden.
    """
    low, high = 0.0, np.inf
    n_tries = 0
    while n_tries < _TRIES:
        n = n_below(slacks, least + step)
        if n < width // 2 and n < slacks.size and step < most:
            low = step
        elif n > width:
            high = step
        else:
            break
        n_tries += high < np.inf
        step = 0.5 * (low + high) if high < np.inf else 2 * step
    return step


@inner
def _keep_below(values: np.ndarray, level: float, begin: int, found: np.ndarray) -> int:
    """Write the places of values below the level, from `begin` on and around.

    Places are written without a branch, so that the last ones of `found` are never kept.
    """
    n_found = 0
    n_chunks = (values.size + _CHUNK - 1) // _CHUNK
    chunk = begin // _CHUNK
    for _ in range(n_chunks):
        start = chunk * _CHUNK
        part = values[start : start + _CHUNK]
        if n_below(part, level) > 0:
            for k in range(part.size):
                found[n_found] = start + k
                n_found += part[k] < level
            if n_found > found.size - _CHUNK:
                return found.size - _CHUNK
        chunk += 1
        if chunk == n_chunks:
            chunk = 0
    return n_found


@finite_inner
def _group_minima(slacks: np.ndarray, minima: np.ndarray) -> None:
    """Write the least slack of each group: k, k + G, k + 2 G, … for group k of G."""
    size = minima.size
    for k in range(size):
        minima[k] = slacks[k]
    for start in range(size, slacks.size, size):
        part = slacks[start : start + size]
        for k in range(part.size):
            minima[k] = smaller(part[k], minima[k])


@finite_inner
def _strip_minima(
    matrix: np.ndarray, first: int, last: int, f: np.ndarray, minima: np.ndarray
) -> None:
    """Write the least slack of each group for some columns of a matrix; minima is (G, columns).

    A matrix is read by rows: its columns one by one would take three times as long.
    """
    n_groups = minima.shape[0]
    for group in range(n_groups):
        part, out, f_i = matrix[group][first:last], minima[group], f[group]
        for k in range(part.size):
            out[k] = part[k] - f_i
        for i in range(group + n_groups, f.size, n_groups):
            part, f_i = matrix[i][first:last], f[i]
            for k in range(part.size):
                out[k] = smaller(part[k] - f_i, out[k])


@inner
def _members_below(
    costs: np.ndarray,
    potential: np.ndarray,
    groups: np.ndarray,
    n_groups: int,
    level: float,
    end: np.ndarray,
    values: np.ndarray,
) -> int:
    """Write the members of some groups that are below the level, and their slacks."""
    n_found = 0
    for group in groups:
        for k in range(np.int64(group), costs.size, n_groups):
            slack = costs[k] - potential[k]
            end[n_found], values[n_found] = k, slack
            n_found += slack < level
    return n_found


@inner
def keep_best(
    end: np.ndarray, values: np.ndarray, least: float, step: float, out: np.ndarray
) -> int:
    """Write the ends of the least values, about as many as `out` has places, or all.

    Of too many ties some are left out, here and there.
    """
    width = out.size
    level = least + step
    if n_below(values, level) > width:
        level = least + _threshold(values, least, 0.75 * step, step, width)
    n_left = n_below(values, level)
    if n_left == 0:
        # All are equal up to rounding.
        level = least + step
        n_left = n_below(values, level)
    n_found = 0
    due = 0
    for k in range(end.size):
        if values[k] < level and n_found < width:
            due += width
            if due >= n_left:
                due -= max(n_left, width)
                out[n_found] = end[k]
                n_found += 1
    return n_found


class Scratch(NamedTuple):
    """Arrays for the lines of one range."""

    slacks: np.ndarray  # (size,) float64
    strip: np.ndarray  # (G, columns) float64
    minima: np.ndarray  # (G,) float64
    groups: np.ndarray  # (width + 32,) uint32
    end: np.ndarray  # (members of as many groups + 1,) uint32
    values: np.ndarray  # of the same size, float64


def scratch_for(size: int, width: int) -> Scratch:
    """Return arrays for lines of that size, with about `width` arcs kept of each.

    The size of the groups makes it cheapest to search all minima and the members of a few.
    """
    n_members = max(8, int(size**0.5 / 4))
    n_groups = (size + n_members - 1) // n_members
    room = (width + _CHUNK) * ((size + n_groups - 1) // n_groups) + 1
    return Scratch(
        slacks=np.empty(size),
        strip=np.empty((n_groups, _STRIP)),
        minima=np.empty(n_groups),
        groups=np.empty(width + _CHUNK, np.uint32),
        end=np.empty(room, np.uint32),
        values=np.empty(room),
    )


@kernel
def nearest(
    costs: Costs,
    by_column: bool,
    start: int,
    stop: int,
    potential: np.ndarray,
    scale: float,
    scratch: Scratch,
    least: np.ndarray,
    arcs: Found,
) -> None:
    """Find the arcs of smallest slack of every line in ``start … stop - 1``.

    `least` (lines,) receives the smallest slack, which is the c-transform of
    `potential`. Of equal slacks any may be taken: the search begins at another place in
    every line, so that ties are spread.
    """
    slacks, strip, minima, groups, end, values = scratch
    n_groups, width = minima.size, arcs.end.shape[1]
    step = 1e-3 * scale
    for line in range(start, stop):
        if not by_column:
            slacks_of(costs, line, potential, slacks)
            _group_minima(slacks, minima)
        else:
            column = (line - start) % _STRIP
            if column == 0:
                last = min(line + _STRIP, stop)
                _strip_minima(costs.matrix, line, last, potential, strip)
            for k in range(n_groups):
                minima[k] = strip[k, column]
        smallest = minimum(minima)
        least[line] = smallest
        arcs.number[line] = 0
        if width == 0 or smallest == np.inf:
            continue
        # Neighbouring lines need about the same step; it never shrinks to 0.
        step = max(step, 1e-13 * scale)
        step = _threshold(minima, smallest, step, 8.0 * scale, width)
        level = smallest + step
        begin = (line * 7919) % n_groups
        kept = groups[: _keep_below(minima, level, begin, groups)]
        # Two calls, since a row and a column of a matrix are two types.
        if by_column:
            column_costs = costs.matrix[:, line]
            n = _members_below(column_costs, potential, kept, n_groups, level, end, values)
        else:
            row = costs.matrix[line]
            n = _members_below(row, potential, kept, n_groups, level, end, values)
        found = arcs.end[line]
        arcs.number[line] = keep_best(end[:n], values[:n], smallest, step, found)


@kernel
def violations(
    costs: Costs,
    rows: np.ndarray,
    f: np.ndarray,
    g: np.ndarray,
    tolerance: float,
    slacks: np.ndarray,
    least: np.ndarray,
    arcs: Found,
) -> None:
    """Find arcs with ``cost - f - g < -tolerance`` in the rows given.

    All arcs of these rows are priced. Each chunk of columns contributes its most violated arc,
    and a row keeps the first `width` of them. `least` (n,) receives the smallest slack of each
    row, which is the bound that pricing proves; `slacks` (m,) is scratch.
    """
    found, count = arcs.end, arcs.number
    width = found.shape[1]
    chunk = max(8, min(128, g.size // (2 * width)))
    for i in rows:
        count[i] = 0
        slacks_of(costs, i, g, slacks)
        least[i] = minimum(slacks)
        if not least[i] - f[i] < -tolerance:
            continue
        n_chunks = (slacks.size + chunk - 1) // chunk
        begin = (i * 7919) % n_chunks
        for turn in range(n_chunks):
            left = (begin + turn) % n_chunks * chunk
            part = slacks[left : left + chunk]
            smallest = minimum(part)
            if smallest - f[i] < -tolerance:
                j = 0
                while part[j] > smallest:
                    j += 1
                j += left
                reduced = (costs.matrix[i, j] - g[j]) - f[i]
                if reduced < -tolerance and not is_noise(reduced, f[i], g[j]):
                    found[i, count[i]] = j
                    count[i] += 1
                if count[i] == width:
                    break
