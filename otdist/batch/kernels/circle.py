"""One pair of measures on a circle in one call, as `line_at_once` has those on the line."""

import math

import numpy as np

from otdist.batch.kernels.line import made_ready, scratch_of
from otdist.certificate.kernels.line_and_circle import line_bounds
from otdist.runtime.kernel_cache import njit
from otdist.solvers.circle.kernels.cut import couple_around

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)

#: Binary exponents of costs below which a pair on a circle gets a unit of its own.
FEWEST_DIGITS = -500


@kernel
def reduce_positions(positions: np.ndarray, period: float) -> None:
    """Bring positions into half a period around 0, as `geometry.circle.reduced` does."""
    half = 0.5 * period
    for i in range(positions.size):
        rest = np.fmod(positions[i], period)
        if rest > half:
            rest -= period
        if rest < -half:
            rest += period
        positions[i] = rest


@inner
def _is_tiny(x: np.ndarray, y: np.ndarray, p: float, period: float) -> bool:
    """Whether sorted positions are on so small a part of the circle that they need a unit."""
    half = 0.5 * period
    size, below, above = max(x[-1], y[-1]) - min(x[0], y[0]), -half, half
    for positions in (x, y):
        for i in range(positions.size):
            if positions[i] < 0.0:
                below = max(below, positions[i])
            else:
                above = min(above, positions[i])
    # Around the other way, from the middle of the turn on.
    size = min(size, (half - above) + (below + half))
    return size > 0.0 and math.frexp(size)[1] * max(p, 2.0) < FEWEST_DIGITS


@kernel
def circle_at_once(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    p: float,
    period: float,
    room: int,
    far: int,
    tolerance: float,
    ends: np.ndarray,
    integers: np.ndarray,
    floats: np.ndarray,
) -> tuple[bool, int, int, float, float, float, float, float, float]:
    """Check, couple and certify two measures on a circle, with sorted positions as reduced.

    Arguments and results are those of `line_at_once`; scratch arrays have at least 2 (n + m)
    int32, 5 (n + m) + 5 int64, and 11 (n + m) + 7 + PARTS float64.
    """
    refused = False, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    n, m = x.size, y.size
    # NaN sorts behind all numbers.
    if not (x[n - 1] < np.inf and y[m - 1] < np.inf):
        return refused
    one = scratch_of(n, m, ends, integers, floats)
    ready = made_ready(x, y, a, b, period, room, far, tolerance, one)
    turn = math.ldexp(period, -ready.unit)
    if not ready.is_ordinary or (p > 1.0 and _is_tiny(x, y, p, turn)):
        return refused
    points = x.reshape(1, n), y.reshape(1, m)
    pair = *points, ready.a.reshape(1, n), ready.b.reshape(1, m), one.which, one.factor, p, turn
    k, left = n + m, one.floats
    plan, f = (one.rows, one.columns, one.mass, one.n_arcs), left[:n].reshape(1, n)
    side, best = left[n : 2 * n], left[2 * n : 2 * k].reshape(2, m)
    ahead, spare = one.integers[: 2 * k].reshape(2, k), one.integers[2 * k : 2 * k + m]
    couple_around(*pair, one.levels, ahead, left[2 * k :], *plan, f)
    line_bounds(*pair, *plan, f, one.sums, side, best, spare, one.out)
    out = one.out[0]
    return True, ready.unit, ready.heavy, out[0], out[1], out[2], out[3], out[4], out[5]
