"""The c-transform of a potential on few points, without looking for tiles to skip."""

import numpy as np

from otdist.compiled.costs import Costs, minimum, point_slacks
from otdist.runtime.kernel_cache import njit

kernel = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)


@kernel
def least_slacks(costs: Costs, f: np.ndarray, slacks: np.ndarray, least: np.ndarray) -> None:
    """Write ``min_i c[i, j] - f[i]`` for every j; `slacks` (n,) is scratch."""
    for j in range(least.size):
        point = costs.y[:, j]
        point_slacks(point, costs.x, 0, costs.kind, costs.p, f, slacks)
        least[j] = minimum(slacks)
