"""Prices all arcs of some rows of a matrix: which are violated.

The bound that a pricing pass proves comes for free: the smallest slack of every row.
"""

import numpy as np

from otdist.compiled.costs import Costs, Found, minimum, slacks_of
from otdist.runtime.kernel_cache import njit

kernel = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)

_NOISE = 2.0**-49  # rounding of a reduced cost, as a part of the two potentials


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

    Every pair of them is priced. Of each chunk of columns the most violated arc counts,
    and of those the first `width` of a row are kept. `least` (n,) receives the
    smallest slack of each of the rows; `slacks` (m,) is scratch.
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
                # As the network simplex computes it, or that would not take the arc.
                noise = max(tolerance, _NOISE * (abs(f[i]) + abs(g[j])))
                if (costs.matrix[i, j] - g[j]) - f[i] < -noise:
                    found[i, count[i]] = j
                    count[i] += 1
                if count[i] == width:
                    break
