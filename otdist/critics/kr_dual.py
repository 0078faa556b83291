"""Kantorovich-Rubinstein duality: potentials as functions on the whole space."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from otdist.critics.fit import extended
from otdist.critics.functions import Potential
from otdist.critics.sample import Sample
from otdist.critics.select import ALL, EUCLIDEAN, FAMILIES, Candidate, choose, split
from otdist.errors import InputError, NotCertifiedError
from otdist.geometry.metrics import true_metric
from otdist.inputs import validate as _validate
from otdist.pipeline import outcome_for, solve
from otdist.problem.bracket import EXACT_TOL
from otdist.problem.problem import Problem
from otdist.problem.result import Certificate, Result
from otdist.typing import ArrayLike, FloatArray, Metric, Sampler, Seed

_EXACT = ("mcshane", "whitney")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Critic:
    """A 1-Lipschitz function, high on the first measure and low on the second.

    Attributes
    ----------
    value : float
        Mean of the critic under the first measure minus that under the second, in
        distance × mass. On held-out points it is an unbiased estimate of a number
        that is at most W1 of the two laws; on the measures themselves (a critic
        "mcshane" or "whitney") it is W1 of these.
    standard_error : float
        Of `value`, over fresh samples; NaN where nothing is held out.
    n_held_out : (int, int)
        Points of either measure that `value` is from, seen by no fit and no choice;
        (0, 0) where nothing is held out.
    lipschitz : float
        1.0 in `metric`, proved by construction; see `potential`.
    metric : str
    family : str
        "linear", "radial", "ridge", "mcshane", "whitney", "funnel" or "lattice".
    potential : object
        The function itself, with the numbers that define it: a linear function, a
        function of slope at most 1 of a projection or of a distance, ``sign * min_k
        (d(z, centres[k]) + offsets[k])``, or the smaller or larger of two such.
    candidates : tuple
        All functions that were fitted, with `family`, `potential` and the `value`
        on the validation part that chose among them; best first.
    certificate : Certificate or None
        The bracket of W1 that an exact solve of the measures ended with.
    dimension : int
    """

    value: float
    standard_error: float
    n_held_out: tuple[int, int]
    lipschitz: float
    metric: str
    family: str
    potential: Potential
    candidates: tuple[Candidate, ...]
    certificate: Certificate | None
    dimension: int

    def __call__(self, points: ArrayLike) -> FloatArray:
        """Return the critic's values (k,) at points (k, d), or (k,) on the line."""
        return self.potential(self._points(points))

    def gradient(self, points: ArrayLike) -> FloatArray:
        """Return a gradient (k, d) at each point, of norm at most 1.

        The norm is the metric's dual norm. Where two pieces tie, the gradient of one
        of them; 0 at a centre.
        """
        return self.potential.gradient(self._points(points))

    def __str__(self) -> str:
        n, m = self.n_held_out
        held_out = (
            f"{self.value:.6g} ± {self.standard_error:.2g} on {n} + {m} held-out points"
            if n
            else f"{self.value:.6g} on the measures themselves"
        )
        return (
            f"{self.family} critic, {self.lipschitz:g}-Lipschitz in {self.metric!r},"
            f" high on the first measure: {held_out}"
        )

    def _points(self, points: ArrayLike) -> FloatArray:
        return _validate.as_points_in("points", points, self.dimension)


def kr_dual(
    x: ArrayLike | Sampler,
    y: ArrayLike | Sampler,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    critic: str = "auto",
    metric: str = "euclidean",
    n_samples: int = 1 << 17,
    rng: Seed = None,
) -> Critic:
    r"""Return a best 1-Lipschitz critic: the Kantorovich-Rubinstein dual of W1.

    .. math:: W_1 = \max_{f \text{ 1-Lipschitz}} E_P f - E_Q f

    Parameters
    ----------
    x, y : array_like (n, d) and (m, d), or callable
        Independent draws from the two laws P and Q, or samplers: ``x(n, rng)`` draws
        n fresh points (n, d) with a `numpy.random.Generator`.
    a, b : array_like (n,) and (m,), optional
        Masses; see `wasserstein_distance`. Beside held-out data they are weights of
        draws; measures that are given by all of their atoms want "mcshane".
    critic : str, default "auto"
        ``"auto"``: points are split at random into training, validation and test
        parts; every family is fitted to the first, the second chooses one, the third
        is looked at once, for `value`. ``"linear"``, ``"radial"``, ``"ridge"``
        or ``"funnel"``: the same within one family. ``"mcshane"``, ``"whitney"``:
        nothing is held out. The exact potential of the measures is extended to the
        whole space, as the largest 1-Lipschitz function with its values on y or the
        smallest with those on x. Both attain W1 of the measures.
    metric : str, default "euclidean"
        A metric known by name: "euclidean", "cityblock" or "chebyshev". Ridges and
        funnels are fitted in the first only.
    n_samples : int, default 131072
        Points to draw from a sampler.
    rng : numpy.random.Generator, int or None
        For drawing, splitting and fitting (SPEC 7).

    Returns
    -------
    Critic
        Callable on new points, high on the first measure.

    Raises
    ------
    InputError
        See `Problem`; a metric that is none, an unknown critic, fewer than 10 points
        with mass to split, a sampler that does not return n points.
    NotCertifiedError
        If the exact solve behind "mcshane" or "whitney" could not be proved.

    Notes
    -----
    Every family is 1-Lipschitz by construction, so that `value` is no more than W1
    of the laws but for the noise of the held-out points; `w1_interval` bounds that.
    How much less says how good the fit is, which nothing certifies.

    An evaluation costs O(k d) for each of the points, with k funnels or atoms. A fit
    takes about 1 s for 2000 points in the plane, up to a minute for 2**19 in 128
    dimensions. "mcshane" and "whitney" are one exact solve.

    References
    ----------
    E. J. McShane, "Extension of range of functions", 1934; Sriperumbudur et
    al., "On the empirical estimation of integral probability metrics", 2012;
    funnels: Korotin, Kolesov, Burnaev, "Kantorovich strikes back!", 2022.

    Examples
    --------
    >>> from otdist import datasets, kr_dual
    >>> x, y = datasets.concentric_spheres(3, 1.0, 2.0).sample(400, rng=0)
    >>> critic = kr_dual(x, y, critic="radial", rng=0)
    >>> 0.9 < critic.value <= 1.0
    True
    >>> bool(critic([[1.0, 0.0, 0.0]])[0] > critic([[2.0, 0.0, 0.0]])[0])
    True
    """
    if critic not in ("auto", *FAMILIES, *_EXACT):
        known = ", ".join(repr(name) for name in ("auto", *FAMILIES, *_EXACT))
        raise InputError(f"critic must be one of {known}; got {critic!r}")
    require_metric("kr_dual", metric)
    if metric != "euclidean" and critic in EUCLIDEAN:
        raise InputError(
            f"critic={critic!r} is fitted in metric='euclidean' only, got {metric!r};"
            " take 'auto', 'linear' or 'radial'"
        )
    generator = _validate.as_generator(rng, apart=True)
    if critic in _EXACT and (callable(x) or callable(y)):
        raise InputError(
            f"critic={critic!r} is exact for two given measures; draw samples from the"
            " samplers first, or take critic='auto'"
        )
    points_x = _draw("x", x, n_samples, generator)
    points_y = _draw("y", y, n_samples, generator)
    problem = Problem(points_x, points_y, a, b, metric=metric)
    if critic in _EXACT:
        return critic_of(solve(problem), points_x, points_y, critic)
    sample = Sample.of(points_x, points_y, problem.a, problem.b)
    mass = problem.mass
    del problem  # it has copies of the points
    families = ALL if critic == "auto" else (critic,)
    train, check, test = split(sample, generator)
    del sample, points_x, points_y
    candidates = choose(train, check, families, metric, generator)
    return _held_out(candidates, test, metric, mass)


def _held_out(candidates: tuple[Candidate, ...], test: Sample, metric: str, mass: float) -> Critic:
    """Look at the test part, once, with the candidate that was chosen."""
    chosen = candidates[0]
    on_x, on_y = chosen.potential(test.x), chosen.potential(test.y)
    return Critic(
        value=mass * test.difference(on_x, on_y),
        standard_error=mass * test.standard_error(on_x, on_y),
        n_held_out=(len(test.x), len(test.y)),
        lipschitz=1.0,
        metric=metric,
        family=chosen.family,
        potential=chosen.potential,
        candidates=candidates,
        certificate=None,
        dimension=test.x.shape[1],
    )


def require_metric(caller: str, metric: Metric) -> str:
    """Return the name of a metric that duality can use."""
    return true_metric(caller, metric).name


def _draw(name: str, source: ArrayLike | Sampler, n: int, rng: np.random.Generator) -> FloatArray:
    """Return given points, or n that are drawn from a sampler."""
    if not callable(source):
        return _validate.as_points(name, source)
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError(f"n_samples must be a positive integer, got {n!r}")
    points = _validate.as_points(f"{name}(n, rng)", source(n, rng))
    if len(points) != n:
        raise InputError(
            f"the sampler {name} must return n={n} points, got {len(points)}; its"
            " arguments are n and a numpy.random.Generator"
        )
    return points


def critic_of(result: Result, x: FloatArray, y: FloatArray, critic: str = "mcshane") -> Critic:
    """Extend the potentials of a proved W1 result between points x and y."""
    problem = result.problem
    if not result.certificate.proves(EXACT_TOL):
        raise NotCertifiedError(f"no critic without an optimum: {outcome_for(result)}", result)
    a, b, (f, g) = problem.a, problem.b, result.potentials
    assert isinstance(problem.metric, str)
    sign = 1.0 if critic == "mcshane" else -1.0
    in_x, in_y = a > 0, b > 0
    potential = extended(x[in_x], y[in_y], f[in_x], g[in_y], sign, problem.metric)
    terms = np.concatenate([a * potential(x), -b * potential(y)])
    return Critic(
        value=math.fsum(terms),
        standard_error=math.nan,
        n_held_out=(0, 0),
        lipschitz=1.0,
        metric=problem.metric,
        family=critic,
        potential=potential,
        candidates=(),
        certificate=result.certificate,
        dimension=x.shape[1],
    )


def c_transform(
    x: ArrayLike,
    y: ArrayLike,
    g: ArrayLike,
    *,
    p: float = 1,
    metric: Metric = "euclidean",
) -> FloatArray:
    """Return the c-transform ``f[i] = min_j metric(x[i], y[j]) ** p - g[j]``.

    Parameters
    ----------
    x : array_like (n, d) or (n,)
        Where to evaluate the transform.
    y : array_like (m, d) or (m,)
        Where g is given.
    g : array_like (m,)
        Any finite numbers, in cost units.
    p : float, default 1
        Order, finite.
    metric : str or callable, default "euclidean"
        See `Problem`.

    Returns
    -------
    ndarray (n,)
        The largest f such that ``f[i] + g[j] <= cost[i, j]``, cost units; for
        p = 1 a 1-Lipschitz function of x. With any masses a on x and b on y,
        ``a @ f + b @ g`` is a lower bound of the optimal value.

    Raises
    ------
    InputError
        See `Problem`; a g of the wrong shape or not finite.

    Notes
    -----
    O(nmd) time (O((n + m) log m) on the line), O(n + m) memory.

    Examples
    --------
    >>> from otdist import c_transform
    >>> c_transform([0.0, 4.0], [1.0, 2.0], [0.0, 1.0])
    array([1., 1.])
    """
    import warnings

    with warnings.catch_warnings():
        # Points are meant here, whatever they look like.
        warnings.simplefilter("ignore")
        problem = Problem(x, y, p=p, metric=metric)
    if math.isinf(problem.p):
        raise InputError("c_transform needs a finite p")
    potential = _validate.as_finite_vector("g", g, problem.shape[1])
    return problem.geometry.row_minimum(potential)
