"""All distances and divergences of two measures in one table."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from otdist.comparison.smoothing import smoothed
from otdist.critics.kr_dual import Interval, critic_of, w1_interval
from otdist.distances.uniform_on_circle import require_arcs
from otdist.divergences.align import align
from otdist.divergences.shannon import (
    hellinger_distance,
    js_divergence,
    kl_divergence,
    total_variation,
)
from otdist.errors import InputError, warn
from otdist.geometry.metrics import known
from otdist.inputs import validate as _validate
from otdist.inputs.calls import answers
from otdist.inputs.convert import as_seconds
from otdist.inputs.labels import matched
from otdist.pipeline import solve
from otdist.problem.problem import Problem
from otdist.problem.result import Result, root
from otdist.runtime.show import table
from otdist.samples.estimates import knn_divergence
from otdist.solvers.registry import Kind, named
from otdist.typing import ArrayLike, FloatArray, Metric, Period, Seed

# Points from which on two clouds count as samples of distributions.
_FEWEST_SAMPLES = 20
# The bracket of the Sinkhorn row holds at any number of iterations.
_SINKHORN_LIMIT = 1000
_WIDTH = 80  # columns of the printed table


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row of a comparison; `lower` and `upper` are NaN if the value is exact."""

    name: str
    value: float
    lower: float
    upper: float
    meaning: str


@dataclass(frozen=True, slots=True, eq=False)
class Comparison(Mapping[str, Row]):
    """A table of all distances and divergences of two measures; see `compare`.

    Attributes
    ----------
    rows : tuple of Row
        Name, value, bracket and meaning of each distance or divergence.
    exact, entropic : Result
        Results of the exact and the entropic solve; `entropic` is None for p = inf.
    overlap : float
        Share of the first measure's mass on atoms of the second.
    """

    rows: tuple[Row, ...]
    exact: Result
    entropic: Result | None
    overlap: float

    def __iter__(self) -> Iterator[str]:
        return iter(row.name for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Row:
        """Return the row of that name; ``"W1"`` is ``"W_1"``."""
        for row in self.rows:
            if row.name in (name, f"W_{name[1:]}"):
                return row
        raise KeyError(f"{name!r}; there are {', '.join(self)}")

    def to_frame(self) -> Any:
        """Return the rows as a DataFrame of pandas."""
        import pandas as pd

        fields = ("value", "lower", "upper", "meaning")
        rows = {row.name: [getattr(row, field) for field in fields] for row in self.rows}
        return pd.DataFrame.from_dict(rows, orient="index", columns=fields)

    def __repr__(self) -> str:
        first = self.rows[0]
        return f"Comparison({len(self)} rows, {first.name}={first.value:.12g})"

    def _repr_html_(self) -> str:
        rows = [("", "value", "certified bracket", "meaning")]
        rows += [(row.name, f"{row.value:.9g}", _bracket(row), row.meaning) for row in self.rows]
        return table("distances and divergences", rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings, ready for JSON (inf as a string)."""
        rows = {
            row.name: {
                **{key: _plain(getattr(row, key)) for key in ("value", "lower", "upper")},
                "meaning": row.meaning,
            }
            for row in self.rows
        }
        n, m = self.exact.problem.shape
        return {
            "n": n,
            "m": m,
            "p": _plain(self.exact.problem.p),
            "method": self.exact.method,
            "status": str(self.exact.status),
            "overlap": self.overlap,
            "rows": rows,
        }

    def __str__(self) -> str:
        lines = [("", "value", "certified bracket")]
        lines += [(row.name, f"{row.value:.9g}", _bracket(row)) for row in self.rows]
        first, second = (max(len(line[k]) for line in lines) for k in range(2))
        numbers = [
            f"{name:<{first}}  {value:>{second}}  {bracket}" for name, value, bracket in lines
        ]
        meanings = [
            textwrap.fill(
                f"{row.name:<{first}}  {row.meaning}",
                _WIDTH,
                subsequent_indent=" " * (first + 2),
                break_on_hyphens=False,
            )
            for row in self.rows
        ]
        return "\n".join([*numbers, "", *meanings])


@answers
def compare(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 1,
    metric: Metric = "euclidean",
    period: Period | None = None,
    epsilon: float | None = None,
    method: str = "auto",
    normalize: bool = False,
    noise: float | None = None,
    diameter: float | None = None,
    confidence: float = 0.95,
    rng: Seed = None,
) -> Comparison:
    """Compare two measures by all distances and divergences of the library.

    Parameters
    ----------
    x, y, a, b, p, metric, period, normalize
        See `wasserstein_distance`. With a period there is no row ``KR dual``.
    epsilon : float, optional
        Entropic weight of the Sinkhorn row, in cost units; see `solve`.
    method : str, default "auto"
        Method of the exact row; see `solve`.
    noise : float, optional
        Half the side of a box, in units of distance. Adds the row ``noise``: an upper
        bound of W1 from the total variation of the measures with uniform noise on the
        box. For at most 1000 Euclidean points in total, on the line or in the plane.
    diameter, confidence, rng
        See `w1_interval`. With a diameter, x and y are taken as independent samples, and
        the row ``interval`` has a confidence interval for W1 of their distributions.

    Returns
    -------
    Comparison
        Printed, it is a table; ``.rows`` has the numbers. The rows are ``W_p``,
        ``cost`` (its p-th power times mass), ``Sinkhorn``, ``KR dual`` (W1 by its
        optimal critic), ``KL(P|Q)``, ``KL(Q|P)``, ``JS``, ``TV`` and ``Hellinger``.
        Divergences normalise the measures, and match only atoms that are exactly equal. Of
        samples that share no atom but occupy common space, ``KL(P|Q) est.`` and
        ``KL(Q|P) est.`` are estimates; see `otdist.samples.knn_divergence`.

    Raises
    ------
    InputError
        For invalid input as in `Problem`, `w1_interval` or the row ``noise``.

    Examples
    --------
    >>> from otdist import compare
    >>> table = compare([[0, 0], [0, 1]], [[0.5, 0], [0.5, 1]])
    >>> table["W_1"].value, table["TV"].value, table["KL(P|Q)"].value
    (0.5, 1.0, inf)
    """
    order = _validate.as_order(p)
    period = None if period is None else as_seconds(period, x, y)
    x, y, a, b = matched(x, y, a, b)
    if diameter is not None and not (a is None and b is None):
        raise InputError("diameter= needs samples without weights; leave a and b out")
    if period is None:
        problem = Problem(x, y, a, b, metric=metric, p=order, normalize=normalize)
    else:
        require_arcs(metric, concave=False)
        if noise is not None or diameter is not None:
            raise InputError("noise= and diameter= are for points in space; leave out period")
        problem = Problem.on_circle(x, y, a, b, period=period, p=order, normalize=normalize)
    exact = solve(problem, method=method)
    rows = [
        _transport_row(_name(problem), exact, rooted=True),
        _transport_row("cost", exact, rooted=False),
    ]
    entropic = None
    if not problem.is_bottleneck:
        entropic = solve(problem, method="sinkhorn", epsilon=epsilon, max_iter=_SINKHORN_LIMIT)
        rows.append(_transport_row("Sinkhorn", entropic, rooted=False))
    points_x, points_y = _validate.as_points("x", x), _validate.as_points("y", y)
    if period is None:
        rows += _dual_rows(exact, points_x, points_y, metric)
    else:
        points_x, points_y = _around(problem, period)
    # With weights, align does not warn of disjoint supports, which the table explains.
    aligned = align(points_x, points_y, problem.a / problem.mass, problem.b / problem.mass)
    rows += _divergence_rows(aligned.p, aligned.q)
    is_sample = a is None and b is None and period is None
    if is_sample and aligned.n_common == 0 and _overlap(points_x, points_y):
        rows += _estimated_rows(points_x, points_y)
    if noise is not None:
        rows.append(_noise_row(points_x, points_y, problem, noise))
    if diameter is not None:
        options: dict[str, Any] = {"metric": metric, "rng": rng, "confidence": confidence}
        interval = w1_interval(points_x, points_y, diameter=diameter, **options)
        rows.append(_interval_row(interval))
    return Comparison(tuple(rows), exact, entropic, aligned.overlap_p)


def _around(problem: Problem, period: float) -> list[FloatArray]:
    """Return the positions on a circle as points, in which each place has one coordinate."""
    circle: Any = problem.geometry
    sides = circle.x, circle.y
    return [np.where(side == -period / 2, period / 2, side)[:, None] for side in sides]


def _name(problem: Problem) -> str:
    return "W_2^2" if problem.metric == "sqeuclidean" else f"W_{problem.p:g}"


def _transport_row(name: str, result: Result, *, rooted: bool) -> Row:
    value, lower, upper = result.value, result.lower, result.upper
    if rooted:
        value, lower, upper = (root(end, result.problem.p) for end in (value, lower, upper))
    if named(result.method).kind is Kind.ENTROPIC:
        meaning = "cost of the rounded entropic plan; its bracket also holds for the exact cost"
    elif rooted:
        meaning = "how far mass must move; grows with the distance of the supports"
    else:
        meaning = "cost × mass of the optimal plan, without the p-th root"
    return Row(name, value, lower, upper, meaning)


def _dual_rows(exact: Result, x: FloatArray, y: FloatArray, metric: Metric) -> list[Row]:
    """W1 by its dual, from another solve only if the exact row is not W1."""
    if not isinstance(metric, str):
        return []
    if not exact.certificate.is_optimal or not exact.problem.is_metric:
        base = metric if known(metric).is_metric else "euclidean"
        exact = solve(Problem(x, y, exact.problem.a, exact.problem.b, metric=base))
    if not exact.certificate.is_optimal:
        return []
    critic = critic_of(exact, x, y)
    meaning = "W_1 by its optimal 1-Lipschitz critic, which has a slope on disjoint supports too"
    return [Row("KR dual", critic.value, exact.lower, exact.upper, meaning)]


def _divergence_rows(p: FloatArray, q: FloatArray) -> list[Row]:
    """Divergences on the common support: they do not depend on the distance of atoms."""
    blind = ", at any distance"
    values = (
        ("KL(P|Q)", kl_divergence(p, q), "inf if P has an atom that Q lacks"),
        ("KL(Q|P)", kl_divergence(q, p), "inf if Q has an atom that P lacks"),
        ("JS", js_divergence(p, q), "log 2 = 0.693 for disjoint supports" + blind),
        ("TV", total_variation(p, q), "1 for disjoint supports" + blind),
        ("Hellinger", hellinger_distance(p, q), "1 for disjoint supports" + blind),
    )
    return [Row(name, float(value), math.nan, math.nan, text) for name, value, text in values]


def _overlap(x: FloatArray, y: FloatArray) -> bool:
    """Whether two samples, not small, occupy common space, with no equal points."""
    low, high = np.maximum(x.min(axis=0), y.min(axis=0)), np.minimum(x.max(axis=0), y.max(axis=0))
    if min(len(x), len(y)) < _FEWEST_SAMPLES or not (low < high).all():
        return False
    with np.errstate(over="ignore"):
        rounded = np.concatenate([x, y]).astype(np.float32)
    return len(np.unique(rounded, axis=0)) == len(rounded)


def _estimated_rows(x: FloatArray, y: FloatArray) -> list[Row]:
    """Estimates of the divergences of the distributions that two samples are from."""
    warn(
        "x and y are samples that share no atom, and KL = inf and JS = log 2 are those of the"
        " samples; the rows of estimates are of the distributions they are from"
    )
    rows: list[Row] = []
    for name, (first, second) in (("P|Q", (x, y)), ("Q|P", (y, x))):
        try:
            found = knn_divergence(first, second)
        except InputError:  # equal points
            return rows
        meaning = (
            f"estimate ± {found.standard_error:.2g} of the KL of the distributions, by nearest"
            " neighbours; nothing is proved"
        )
        rows.append(Row(f"KL({name}) est.", found.value, math.nan, math.nan, meaning))
    return rows


def _noise_row(x: FloatArray, y: FloatArray, problem: Problem, noise: float) -> Row:
    """Return the upper bound of W1 from noise on the normalised measures."""
    half_width = _validate.as_inside("noise", noise, 0, math.inf, "a positive length")
    if problem.metric != "euclidean":
        raise InputError(f"noise needs metric='euclidean', got {problem.metric!r}")
    mass = problem.mass
    found = smoothed(x, y, problem.a / mass, problem.b / mass, half_width)
    meaning = (
        f"upper bound 2 E|e| + C TV of W_1 with noise; JS with noise is {found.js:.6g},"
        f" and gives the bound {found.js_bound:.6g}"
    )
    return Row("noise", found.tv_bound, 0.0, found.tv_bound, meaning)


def _interval_row(interval: Interval) -> Row:
    """W1 of the samples, and a confidence interval for W1 of their distributions."""
    meaning = (
        f"{interval.confidence:.4g} interval for W_1 of the distributions, if points are"
        " independent and the diameter is known"
    )
    if (critic := interval.critic) is not None:
        meaning += (
            f"; held-out {critic.family} critic {critic.value:.6g} ± {critic.standard_error:.2g}"
        )
    return Row("interval", interval.plug_in, interval.lower, interval.upper, meaning)


def _bracket(row: Row) -> str:
    if np.isnan(row.lower):
        return "estimated" if row.name.endswith("est.") else "exact"
    return f"[{row.lower:.12g}, {row.upper:.12g}]"


def _plain(value: float) -> float | str | None:
    """Return None for NaN and a string for inf, which JSON lacks."""
    if np.isnan(value):
        return None
    return value if np.isfinite(value) else str(value)
