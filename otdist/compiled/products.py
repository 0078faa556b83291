"""Euclidean costs from products of matrices, which BLAS computes best."""

import numpy as np

from otdist.runtime.kernel_cache import njit

kernel = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)


@kernel
def from_products(
    x: np.ndarray,
    y: np.ndarray,
    size_x: np.ndarray,
    size_y: np.ndarray,
    squared: bool,
    p: float,
    close: float,
    out: np.ndarray,
) -> None:
    """Turn products ``x y`` of points (n, d) and (m, d) from some middle into costs.

    ``|x|² + |y|² - 2 x y`` loses digits where it is small beside its terms. Below the
    part `close` of them the distance comes from differences of coordinates.
    """
    n, m = out.shape
    for i in range(n):
        row, own = out[i], size_x[i]
        n_close = 0
        for j in range(m):
            row[j] = (own + size_y[j]) - 2.0 * row[j]
            n_close += row[j] < close * (own + size_y[j])
        for j in range(m):
            if n_close == 0:
                break
            if row[j] < close * (own + size_y[j]):
                n_close -= 1
                total = 0.0
                for k in range(x.shape[1]):
                    total += (x[i, k] - y[j, k]) * (x[i, k] - y[j, k])
                row[j] = total
        if not squared and p != 2.0:
            for j in range(m):
                row[j] = np.sqrt(row[j])
        if p != 1.0 and (squared or p != 2.0):
            for j in range(m):
                row[j] = row[j] ** p
