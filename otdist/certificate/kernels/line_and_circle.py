"""C-transforms on line and circle, for certificates: compiled, and by no solver's code."""

import numpy as np

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)


@inner
def to_power(distance: float, p: float) -> float:
    """Return ``distance ** p``."""
    if p == 1.0:
        return distance
    if p == 2.0:
        return distance * distance
    return distance * distance * distance if p == 3.0 else distance**p


@inner
def nearest_sums(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    where: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write ``min_i |x[i] - y[j]| - f[i]``; `where` (m,) int64 is scratch.

    `left` and `right` (n,) take the same minimum at the points x, over atoms to the left
    and to the right. It moves from point to point by what is between them: an offset
    common to all points costs no digits.
    """
    n, i = x.size, 0
    from_left, from_right = np.inf, np.inf
    last_left, last_right = x[0], x[n - 1]
    for k in range(n):
        i = n - 1 - k
        from_left += x[k] - last_left
        from_right += last_right - x[i]
        last_left, last_right = x[k], x[i]
        from_left = min(from_left, -f[k])
        from_right = min(from_right, -f[i])
        left[k], right[i] = from_left, from_right
    # How many x are to the left of each y, merged without branches.
    i, j = 0, 0
    while i < n and j < y.size:
        passed = x[i] <= y[j]
        where[j] = i
        i += passed
        j += not passed
    while j < y.size:
        where[j] = n
        j += 1
    for j in range(y.size):
        # Beyond either end its nearest x stands in for the one that is missing: that
        # minimum over fewer atoms is found on the other side, and is no smaller there.
        below, above = max(where[j] - 1, 0), min(where[j], n - 1)
        best[j] = min(left[below] + abs(y[j] - x[below]), right[above] + abs(x[above] - y[j]))


@inner
def monotone_minima(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    p: float,
    where: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write ``min_i |x[i] - y[j]| ** p - f[i]``; for p >= 1.

    The minimising i never falls as j grows. Halving the step between the j that
    are done scans O(n + m) pairs a level.
    """
    n, m = x.size, y.size
    step = 1
    while step < m:
        step *= 2
    while step >= 1:
        for j in range(step - 1, m, 2 * step):
            low = where[j - step] if j >= step else 0
            high = where[j + step] if j + step < m else n - 1
            least, first = np.inf, low
            for i in range(low, high + 1):
                slack = to_power(abs(x[i] - y[j]), p) - f[i]
                if slack < least:
                    least, first = slack, i
            best[j], where[j] = least, first
        step //= 2


@kernel
def circle_minimum(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    period: float,
    p: float,
    where: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write ``min_i arc(x[i], y[j]) ** p - f[i]``, for sorted positions, p >= 1.

    `where` (m,) int64 is scratch.
    """
    minima_around(x, f, y, period, p, where, best)


@inner
def minima_around(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    period: float,
    p: float,
    where: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write ``min_i arc(x[i], y[j]) ** p - f[i]``, for p >= 1.

    Three turns of x make it a minimum over a line, on which the minimising i never
    falls as j grows, and rises by n around the circle: the first column tells where
    to look for all others.
    """
    n, m = x.size, y.size
    _scan_around(x, f, y, period, p, 0, 0, 3 * n - 1, where, best)
    first, last = where[0], min(where[0] + n, 3 * n - 1)
    step = 1
    while step < m:
        step *= 2
    while step >= 1:
        for j in range(step - 1, m, 2 * step):
            low = where[j - step] if j >= step else first
            high = where[j + step] if j + step < m else last
            _scan_around(x, f, y, period, p, j, low, high, where, best)
        step //= 2


@inner
def _scan_around(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    period: float,
    p: float,
    j: int,
    low: int,
    high: int,
    where: np.ndarray,
    best: np.ndarray,
) -> None:
    """Look for the least slack of column j among rows of three turns."""
    n, half = x.size, 0.5 * period
    least, first = np.inf, low
    for k in range(low, high + 1):
        i = k - n if k >= n else k
        i = i - n if i >= n else i
        if k < n:
            distance = (half - x[i]) + (y[j] + half)
        elif k < 2 * n:
            distance = abs(x[i] - y[j])
        else:
            distance = (half - y[j]) + (x[i] + half)
        slack = to_power(distance, p) - f[i]
        if slack < least:
            least, first = slack, k
    best[j], where[j] = least, first
