"""Estimates of the mean of W_p over directions, and a search for its maximum."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np

from otdist.distances.wasserstein import wasserstein_distance
from otdist.errors import FailedPairsWarning, InputError, NotCertifiedError
from otdist.geometry.points import box
from otdist.inputs import validate as _validate
from otdist.inputs.calls import answers
from otdist.inputs.labels import matched
from otdist.inputs.scale import exponent, from_unit, in_unit, largest_difference
from otdist.pipeline import solve
from otdist.problem.problem import unit_problem
from otdist.runtime.interrupts import interruptible
from otdist.sliced.directions import DIRECTIONS, Directions, blocks_of, on_sphere
from otdist.typing import ArrayLike, FloatArray, Seed

# Projected coordinates that are held at a time.
_HELD = 1 << 22
# Angles tried along a great circle, as parts of a quarter turn, and times that the
# search may turn to smaller ones.
_ANGLES = 0.5 ** np.arange(12)
_MOST_STEPS = 100
# Gains below this are rounding.
_GAIN = 1e-12


class Estimate(NamedTuple):
    """An estimate of the sliced Wasserstein distance, from proved slices.

    W_p along every direction that was drawn is proved, as by `wasserstein_distance`, for
    the coordinates along it as they are rounded to float64; a slice that is not proved is an
    error. Their mean is an estimate of the mean over all directions.

    Attributes
    ----------
    value : float
        Estimate, in units of distance; proved on the line, where there is one direction.
    standard_error : float
        Estimate of the error, from the differences of independent blocks of directions and
        the derivative of the root. NaN for a single block, 0 on the line.
    """

    value: float
    standard_error: float


class Slice(NamedTuple):
    """The direction along which two measures were found to differ the most.

    Attributes
    ----------
    value : float
        W_p of the measures along the direction, proved as by `wasserstein_distance`: within
        that tolerance a lower bound of the max-sliced distance, and of W_p of the measures.
    direction : ndarray (d,)
        A unit vector. It is found, and not proved to be the best.
    upper : float
        An upper bound of the max-sliced distance, from the couplings on the way, within
        rounding (1e-12, relative).
    """

    value: float
    direction: FloatArray
    upper: float


class _Measures(NamedTuple):
    """Points around their common middle, in the unit 2**k, and weights, None for 1/n."""

    x: FloatArray
    y: FloatArray
    a: FloatArray | None
    b: FloatArray | None
    p: float
    n_jobs: int
    k: int

    @property
    def d(self) -> int:
        return int(self.x.shape[1])

    def along(self, directions: FloatArray) -> FloatArray:
        """Return W_p along each of the directions (k, d), or raise if one is not proved."""
        values = np.empty(len(directions))
        height = max(1, _HELD // (len(self.x) + len(self.y)))
        for start in range(0, len(directions), height):
            stop = start + height
            with warnings.catch_warnings():
                # Slices that are not proved are solved again below.
                warnings.simplefilter("ignore", FailedPairsWarning)
                values[start:stop] = interruptible(
                    len(self.x) + len(self.y), self._distances, directions[start:stop], axis=-1
                )
        for k in np.flatnonzero(np.isnan(values)):
            values[k] = self._alone(int(k), directions[k])
        return values

    def _alone(self, k: int, direction: FloatArray) -> float:
        """Return W_p along one direction, solved by itself; errors name the slice."""
        try:
            return float(self._distances(direction, axis=None))
        except NotCertifiedError as error:
            message = f"slice {k}, along {direction}, is not proved: {error}"
            raise NotCertifiedError(message, error.result) from error

    def _distances(self, directions: FloatArray, axis: int | None) -> float | FloatArray:
        x, y = directions @ self.x.T, directions @ self.y.T
        n_jobs = self.n_jobs
        return wasserstein_distance(x, y, self.a, self.b, p=self.p, axis=axis, n_jobs=n_jobs)


@answers
def sliced_wasserstein_distance(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 1,
    n_projections: int = 128,
    directions: Directions = "orthogonal",
    normalize: bool = False,
    rng: Seed = None,
    n_jobs: int = 1,
) -> float:
    r"""Estimate the sliced Wasserstein distance of two weighted point clouds.

    .. math:: \mathrm{SW}_p = \Big(\int W_p(u \cdot x, u \cdot y)^p\, du\Big)^{1/p}

    over the uniform distribution of unit vectors u.

    Parameters
    ----------
    x, y, a, b, normalize
        As for `wasserstein_distance`, with Euclidean distances.
    p : float, default 1
        Order, 1 <= p < inf.
    n_projections : int, default 128
        Number of directions.
    directions : {"orthogonal", "random", "quasi"}, default "orthogonal"
        Blocks of d vectors at right angles, independent vectors, or scrambled Sobol
        points. In the plane those are evenly spread angles.
    rng : int, Generator or None
        Source of the directions (SPEC 7).
    n_jobs : int, default 1
        Threads, see `solve`.

    Returns
    -------
    float
        In units of distance. On the line W_p, exactly.

    Raises
    ------
    InputError
        See `wasserstein_distance`; p = inf, too few directions, an unknown choice.
    NotCertifiedError
        If W_p along a direction cannot be proved; the message names the slice.

    Notes
    -----
    O(k n (d + log n)) time for k directions. W_p along each direction is proved. Their mean
    is an estimate of that over all directions, unbiased for the p-th power; its error is
    estimated by `otdist.sliced.sliced_wasserstein_estimate`.

    References
    ----------
    Rabin, Peyré, Delon and Bernot, "Wasserstein barycenter and its application to
    texture mixing", 2011; Rowland, Hron, Tang, Choromanski, Sarlos and Weller,
    "Orthogonal estimation of Wasserstein distances", AISTATS 2019; Nguyen, Bariletto
    and Ho, "Quasi-Monte Carlo for 3D sliced Wasserstein", ICLR 2024.

    Examples
    --------
    For a translation by 3 in three dimensions SW_2 is ``3 / 3**0.5``.

    >>> import numpy as np
    >>> from otdist import sliced_wasserstein_distance
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> value = sliced_wasserstein_distance(x, x + [3.0, 0, 0], p=2, n_projections=300)
    >>> round(value, 9)  # exact for whole frames of three orthogonal directions
    1.732050808
    """
    measures = _measures(x, y, a, b, p, normalize, n_jobs)
    n = _validate.as_size("n_projections", n_projections)
    return _estimate(measures, n, directions, rng).value


@answers
def sliced_wasserstein_estimate(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 1,
    n_projections: int = 128,
    directions: Directions = "orthogonal",
    normalize: bool = False,
    rng: Seed = None,
    n_jobs: int = 1,
) -> Estimate:
    """Estimate the sliced Wasserstein distance together with its standard error.

    Parameters
    ----------
    x, y, a, b, p, directions, normalize, rng, n_jobs
        See `otdist.sliced_wasserstein_distance`.
    n_projections : int, default 128
        Number of directions, at least 2.

    Returns
    -------
    Estimate
        The value and its standard error. There are 8 independent blocks of directions or
        more (Student's distribution with 7 degrees of freedom), fewer for fewer than 16
        directions.

    Raises
    ------
    InputError, NotCertifiedError
        See `otdist.sliced_wasserstein_distance`.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.sliced import sliced_wasserstein_estimate
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> value, error = sliced_wasserstein_estimate(x, x + [3.0, 0, 0], rng=0)
    >>> abs(value - 1.5) < 4 * error
    True
    """
    measures = _measures(x, y, a, b, p, normalize, n_jobs)
    n = _validate.as_size("n_projections", n_projections, 2)
    return _estimate(measures, n, directions, rng)


def _estimate(measures: _Measures, n: int, directions: Directions, rng: Seed) -> Estimate:
    """Average W_p ** p over n directions; the error of a single block is NaN."""
    _validate.as_choice("directions", directions, DIRECTIONS)
    generator = _validate.as_generator(rng)
    if measures.d == 1:
        return Estimate(from_unit(float(measures.along(np.ones((1, 1)))[0]), measures.k), 0.0)
    blocks = blocks_of(n, measures.d, directions, generator)
    values = measures.along(np.concatenate(blocks))
    largest = float(values.max())
    if largest == 0:
        return Estimate(0.0, 0.0)
    powers = (values / largest) ** measures.p
    mean = float(powers.mean())
    value = float(largest * mean ** (1 / measures.p))
    error = _error_of_mean(powers, [len(block) for block in blocks])
    error = value * error / (mean * measures.p)
    return Estimate(from_unit(value, measures.k), from_unit(error, measures.k))


def _measures(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None,
    b: ArrayLike | None,
    p: float,
    normalize: bool,
    n_jobs: int,
) -> _Measures:
    order = _validate.as_order(p)
    if math.isinf(order):
        raise InputError("p must be finite for slices, got inf")
    x, y, a, b = matched(x, y, a, b)
    points_x, points_y = _validate.as_points("x", x), _validate.as_points("y", y)
    _validate.require_same_space(points_x, points_y)
    shape, of = (len(points_x), len(points_y)), ("point of x", "point of y")
    masses_a, masses_b, _ = _validate.as_masses(a, b, shape, of, normalize)
    if not (masses_a.all() and masses_b.all()):
        # Points without mass, wherever they are, cost nothing and decide nothing.
        points_x, points_y = points_x[masses_a > 0], points_y[masses_b > 0]
        masses_a, masses_b = masses_a[masses_a > 0], masses_b[masses_b > 0]
    k = exponent(largest_difference(*box(points_x, points_y)), order)
    points_x, points_y = in_unit(points_x, k), in_unit(points_y, k)
    # An offset of all points would cost digits in the products.
    middle = 0.5 * points_x.mean(axis=0) + 0.5 * points_y.mean(axis=0)
    is_uniform = a is None and b is None
    return _Measures(
        points_x - middle,
        points_y - middle,
        None if is_uniform else masses_a,
        None if is_uniform else masses_b,
        order,
        _validate.as_jobs(n_jobs),
        k,
    )


def _error_of_mean(values: FloatArray, sizes: list[int]) -> float:
    """Return the standard error of a mean of independent blocks, NaN for one block."""
    begin, weights = np.cumsum([0, *sizes[:-1]]), np.array(sizes) / len(values)
    off = np.add.reduceat(values, begin) / sizes - values.mean()
    n = len(sizes)
    return math.sqrt(n / (n - 1) * float(((weights * off) ** 2).sum())) if n > 1 else math.nan


@answers
def max_sliced_wasserstein_distance(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 1,
    n_starts: int = 8,
    normalize: bool = False,
    rng: Seed = None,
    n_jobs: int = 1,
) -> Slice:
    r"""Search for the direction along which two weighted point clouds differ the most.

    .. math:: \max_{|u| = 1} W_p(u \cdot x, u \cdot y)

    Parameters
    ----------
    x, y, a, b, normalize
        As for `wasserstein_distance`, with Euclidean distances.
    p : float, default 1
        Order, 1 <= p < inf.
    n_starts : int, default 8
        Directions to climb from: the best of 32 times as many, most of them random.
    rng : int, Generator or None
        Source of random directions (SPEC 7).
    n_jobs : int, default 1
        Threads, see `solve`.

    Returns
    -------
    Slice
        A proved ``value``, its ``direction``, and an ``upper`` bound of the maximum. There
        are many local maxima, so that ``value`` may be below the largest.

    Raises
    ------
    InputError
        See `wasserstein_distance`; p = inf.
    NotCertifiedError
        If W_p along a direction cannot be proved; the message names the slice.

    Notes
    -----
    The search follows great circles in the direction of the steepest ascent, which the
    optimal coupling on the line gives, and towards the axis along which that coupling
    moves the most, an eigenvector. Some steps are random, since the maximum may be at a
    kink. Any coupling gives an upper bound: its cost, or for p <= 2 the largest
    eigenvalue of its displacements (Paty and Cuturi, "Subspace robust Wasserstein
    distances", ICML 2019).

    References
    ----------
    Deshpande et al., "Max-sliced Wasserstein distance and its use for GANs", CVPR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.sliced import max_sliced_wasserstein_distance
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> found = max_sliced_wasserstein_distance(x, x + [3.0, 4.0], rng=0)
    >>> round(found.value, 9), found.direction.round(6), round(found.upper, 9)
    (5.0, array([0.6, 0.8]), 5.0)
    """
    measures = _measures(x, y, a, b, p, normalize, n_jobs)
    n_starts = _validate.as_size("n_starts", n_starts)
    generator = _validate.as_generator(rng)
    if measures.d == 1:
        value = from_unit(float(measures.along(np.ones((1, 1)))[0]), measures.k)
        return Slice(value, np.ones(1), value)
    directions = _starts(measures, 32 * n_starts, generator)
    values = measures.along(directions)
    best = np.argsort(-values, kind="stable")[:n_starts]
    directions, values = directions[best], values[best]
    directions, values, upper = _climbed(measures, directions, values, generator)
    top = int(values.argmax())
    direction = directions[top]
    # Of u and -u, the one that points from x to y.
    if direction @ (_mean(measures.y, measures.b) - _mean(measures.x, measures.a)) < 0:
        direction = -direction
    value = float(values[top])
    upper = from_unit(max(value, upper), measures.k)
    return Slice(from_unit(value, measures.k), direction, upper)


def _mean(points: FloatArray, masses: FloatArray | None) -> FloatArray:
    return np.average(points, axis=0, weights=masses)


def _starts(measures: _Measures, n: int, generator: np.random.Generator) -> FloatArray:
    """Return directions to start from: along means, along spreads and random ones."""
    x, y, a, b, *_ = measures
    centre_x, centre_y = _mean(x, a), _mean(y, b)
    spreads = []
    for points, centre, masses in ((x, centre_x, a), (y, centre_y, b)):
        off = points - centre
        weights = np.full(len(off), 1 / len(off)) if masses is None else masses
        spreads.append((off * weights[:, None]).T @ off)
    axes = np.linalg.eigh(spreads[1] - spreads[0])[1].T
    chosen = np.concatenate([[centre_y - centre_x], axes[:4], axes[-4:]])
    chosen = chosen[np.linalg.norm(chosen, axis=1) > 0]
    random = generator.standard_normal((max(n - len(chosen), 1), measures.d))
    return on_sphere(np.concatenate([chosen, random]))


def _climbed(
    measures: _Measures,
    directions: FloatArray,
    values: FloatArray,
    generator: np.random.Generator,
) -> tuple[FloatArray, FloatArray, float]:
    """Climb from all directions at once; return the last ones, and an upper bound."""
    directions, values, upper = directions.copy(), values.copy(), math.inf
    climbing, reach = np.arange(len(values)), np.ones(len(values))
    for _ in range(_MOST_STEPS):
        slopes = [_slope(measures, directions[k]) for k in climbing]
        upper = min(upper, *(slope.upper for slope in slopes))
        tried = np.concatenate(
            [
                _tries(directions[k], slope, reach[k], generator)
                for k, slope in zip(climbing, slopes, strict=True)
            ]
        )
        found = measures.along(tried).reshape(len(climbing), -1)
        tried = tried.reshape(*found.shape, measures.d)
        best = found.argmax(axis=1)
        gained = found[np.arange(len(climbing)), best]
        better = gained > values[climbing] * (1 + _GAIN)
        directions[climbing[better]] = tried[better, best[better]]
        values[climbing[better]] = gained[better]
        reach[climbing] *= np.where(better, 1.0, _ANGLES[-1])
        climbing = climbing[reach[climbing] > 1e-8]
        if not len(climbing):
            break
    return directions, values, upper


class _Slope(NamedTuple):
    """The ascent of W_p from a direction, and an upper bound from its coupling."""

    ascent: FloatArray  # (d,)
    axis: FloatArray  # (d,), along which the coupling moves the most
    upper: float


def _slope(measures: _Measures, direction: FloatArray) -> _Slope:
    """Return the derivative of W_p**p in the direction, by the optimal coupling."""
    x, y, a, b, p, *_ = measures
    problem, k = unit_problem(x @ direction, y @ direction, a, b, p=p)
    result = solve(problem)
    gradients = result.gradients()
    assert gradients.x is not None
    assert gradients.y is not None
    ascent = x.T @ gradients.x[:, 0] + y.T @ gradients.y[:, 0]
    ascent *= np.exp2(k * (p - 1))
    plan = result.plan
    moved = y[plan.col] - x[plan.row]
    spread = (moved * plan.data[:, None]).T @ moved
    values, vectors = np.linalg.eigh(spread)
    lengths = np.linalg.norm(moved, axis=1)
    longest = float(lengths.max()) or 1.0
    upper = longest * float((plan.data @ (lengths / longest) ** p) ** (1 / p))
    if p <= 2:
        mass = float(plan.data.sum())
        most = math.sqrt(max(float(values[-1]), 0.0) / mass)
        # Rounded up, as a bound.
        upper = min(upper, (1 + 1e-12) * most * mass ** (1 / p))
    return _Slope(ascent, vectors[:, -1], upper)


def _tries(
    direction: FloatArray, slope: _Slope, reach: float, generator: np.random.Generator
) -> FloatArray:
    """Return directions along great circles: uphill, towards the axis, and random."""
    random = generator.standard_normal((4, len(direction)))
    axis = slope.axis if slope.axis @ direction >= 0 else -slope.axis
    ways = np.vstack([slope.ascent, axis, random])
    ways -= (ways @ direction)[:, None] * direction
    # Slopes of high powers are large or small: their squares would leave float64.
    ways = np.ldexp(ways, -np.frexp(np.abs(ways).max(axis=1, keepdims=True))[1])
    lengths = np.linalg.norm(ways, axis=1, keepdims=True)
    ways /= np.where(lengths > 0, lengths, 1.0)
    angle = reach * np.pi / 2 * _ANGLES
    turned = np.cos(angle)[:, None, None] * direction + np.sin(angle)[:, None, None] * ways
    turned = np.concatenate([turned.reshape(-1, len(direction)), [axis]])
    return on_sphere(turned)
