"""The certificate holds whatever it is given, and shows what is wrong with it."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
import oracles
import pytest
import strategies
from checks import EPS, assert_brackets, assert_narrow, cost_of, plan_of
from conftest import JIT_OFF
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import cdist

from otdist import InputError, Problem, certify, kr_dual, solve
from otdist.certificate.certify import _as_given, _small_bounds, lower_bound
from otdist.certificate.checkers import MatrixChecker
from otdist.geometry.line import Line
from otdist.geometry.points import Points
from otdist.plans.plans import Arcs
from otdist.runtime import blocks

INF = math.inf


class Lazy:
    """A plan that is computed by rows, and nothing else."""

    def __init__(self, plan):
        self.plan, self.shape = np.asarray(plan, float), np.shape(plan)

    def rows(self, start, stop):
        return self.plan[start:stop]


def truth_of(problem):
    return oracles.exact(cost_of(problem), problem.a, problem.b)


def exact_truth(problem):
    """Return the optimum as a Fraction, or a float where costs are square roots."""
    geometry = problem.geometry
    if isinstance(geometry, Line):
        return oracles.exact_on_line(geometry.x, geometry.y, problem.a, problem.b, geometry.p)
    truth = truth_of(problem)
    return float(truth) if isinstance(geometry, Points) else truth


@st.composite
def any_plans(draw, n, m):
    """Masses >= 0 that need not be a coupling of anything, some of them 0."""
    mass = st.sampled_from([0.0, 0.0, 0.01, 0.25, 1.0, 7.5])
    return np.array(draw(st.lists(mass, min_size=n * m, max_size=n * m))).reshape(n, m)


# --------------------------------------------------------------------- weak duality


@given(st.data())
def test_any_plan_and_any_potentials_bracket_the_truth(data):
    problem = data.draw(strategies.dense_problems())
    n, m = problem.shape
    scale = float(np.abs(cost_of(problem)).max())
    f = data.draw(strategies.potentials(n)) * scale
    g = data.draw(strategies.potentials(m)) * scale
    plan = data.draw(any_plans(n, m))
    truth = truth_of(problem)
    for given_plan in (plan, sparse.coo_array(plan), Lazy(plan)):
        certificate = certify(problem, given_plan, f, g)
        assert_brackets(certificate, truth)
        error = np.abs(plan.sum(1) - problem.a).sum()
        error += np.abs(plan.sum(0) - problem.b).sum()
        assert certificate.marginal_error == pytest.approx(error, rel=1e-12, abs=1e-15)
        violation = max(float((f[:, None] + g - cost_of(problem)).max()), 0.0)
        assert certificate.dual_violation == pytest.approx(violation, rel=1e-12, abs=1e-12 * scale)


@given(st.data())
def test_any_claim_on_the_line_brackets_the_truth(data):
    problem = data.draw(strategies.line_problems())
    n, m = problem.shape
    f = data.draw(strategies.potentials(n))
    plan = data.draw(any_plans(n, m))
    geometry = problem.geometry
    truth = oracles.exact_on_line(geometry.x, geometry.y, problem.a, problem.b, geometry.p)
    if geometry.p != int(geometry.p):
        truth = float(truth)  # of powers that are rounded
    certificate = certify(problem, plan, f)
    assert certificate.dual_violation == 0.0
    assert_brackets(certificate, truth)


@given(strategies.forbidding_problems())
def test_plans_that_do_not_fit_forbidden_arcs_cost_infinity_or_more_than_the_truth(
    problem,
):
    n, m = problem.shape
    truth = truth_of(problem)
    assume(problem.a.all() and problem.b.all())
    for plan in (np.zeros((n, m)), np.outer(problem.a, problem.b) / problem.mass):
        assert_brackets(certify(problem, plan, np.zeros(n)), truth)


def test_known_pairs():
    problem = Problem.from_cost([[0.0, 2.0], [1.0, 1.0]])
    proved = certify(problem, np.eye(2) / 2, [0.0, 0.0], [0.0, 1.0])
    assert_narrow(proved, 0.5)
    assert proved.value == 0.5
    assert proved.marginal_error == proved.dual_violation == 0.0
    assert proved.proves(1e-14)
    assert proved.is_optimal
    loose = certify(problem, np.full((2, 2), 0.25), [0.0, 0.0], [0.0, 1.5])
    assert_brackets(loose, Fraction(1, 2))
    assert (loose.value, loose.dual_violation) == (1.0, 0.5)
    assert loose.gap == loose.upper - loose.lower == pytest.approx(0.5, rel=1e-14)
    assert loose.relative_gap == pytest.approx(0.5, rel=1e-14)
    assert not loose.proves(0.4)
    assert loose.proves(0.5 + 1e-14)
    assert loose.is_coupling
    assert not loose.is_optimal
    # (f, g) = (1, 1), (-1, 0): g is replaced by the best there is.
    assert_narrow(certify(problem, np.eye(2) / 2, [1.0, 1.0]), 0.5)


def test_a_verdict_in_words():
    problem = Problem.from_cost([[0.0, 2.0], [1.0, 1.0]])
    for plan, words in [
        (np.eye(2) / 2, "a coupling, and optimal: its cost is proved by a gap of"),
        (np.full((2, 2), 0.25), r"a coupling; its cost is at most 0.5 above .* \[0.5, 1\]"),
        ([[0.5, 0.0], [0.0, 0.0]], r"no coupling: its marginals are off by a mass of 1;"),
    ]:
        assert re.match(words, certify(problem, plan, [0.0, 0.0]).verdict)


def test_a_plan_alone_gives_the_upper_end():
    problem = Problem([0.0, 1.0], [2.0, 5.0], p=2)
    alone = certify(problem, np.eye(2) / 2)
    by_zeros = certify(problem, np.eye(2) / 2, [0.0, 0.0])
    assert (alone.lower, alone.upper) == (by_zeros.lower, by_zeros.upper)
    assert alone.value == 10.0
    assert_brackets(alone, Fraction(10))
    assert alone.is_coupling


def test_a_marginal_is_compared_with_its_own_weight():
    """An atom of little weight may be left out without any other seeing it."""
    problem = Problem.from_cost([[0.0, 0.0], [1e20, 1e20]], [1.0, 1e-14], [1.0, 1e-14])
    certificate = certify(problem, [[1.0, 0.0], [0.0, 0.0]], [0.0, 0.0])
    assert_brackets(certificate, oracles.exact(cost_of(problem), problem.a, problem.b))
    assert not certificate.is_coupling
    assert not certificate.proves(1e-9)
    for off, fits in ((9e-10, True), (1.1e-9, False)):
        plan = np.diag(problem.a) * [1.0, 1 + off]
        assert certify(problem, plan, [0.0, 0.0]).is_coupling is fits


# -------------------------------------------------------------- damage that is caught


def proved(kind):
    rng = np.random.default_rng(21)
    n = 6 if JIT_OFF else 40
    if kind == "line":
        problem = Problem(rng.normal(size=n), rng.normal(size=n + 3) + 1, p=2)
    elif kind == "points":
        problem = Problem(rng.normal(size=(n, 2)), rng.normal(size=(n + 3, 2)) + 1)
    else:
        problem = Problem.from_cost(rng.random((n, n + 3)))
    result = solve(problem)
    assert result.success
    assert result.value > 0
    return result


@pytest.mark.parametrize("kind", ["line", "points", "matrix"])
@pytest.mark.parametrize("form", [np.asarray, sparse.coo_array, sparse.csr_array, Lazy])
def test_damage_is_caught_and_the_bracket_still_holds(kind, form):
    result = proved(kind)
    problem, plan = result.problem, plan_of(result)
    f, g = result.potentials
    truth = result.value
    whole = certify(problem, form(plan), f, g)
    # Sums of a plan by rows are charged the rounding that they may have in the worst case.
    worst = 2 * sum(problem.shape) * EPS * problem.geometry.largest if form is Lazy else 0.0
    assert whole.gap <= 1e-12 * whole.upper + worst
    assert whole.is_coupling

    lost = certify(problem, form(0.99 * plan), f, g)
    assert lost.marginal_error == pytest.approx(0.02, rel=1e-9)
    one_arc = plan.copy()
    one_arc[tuple(np.argwhere(plan)[0])] = 0.0
    one_lost = certify(problem, form(one_arc), f, g)
    assert one_lost.marginal_error > 1e-3
    more = certify(problem, form(1.01 * plan), f, g)
    assert more.marginal_error == pytest.approx(0.02, rel=1e-9)
    rolled = certify(problem, form(np.roll(plan, 1, axis=0)), f, g)
    worse = certify(problem, form(np.outer(problem.a, problem.b)), f, g)
    assert worse.marginal_error <= 1e-13
    assert worse.gap > 0.01 * truth

    size = 0.01 * np.abs(f).max()
    up = certify(problem, form(plan), f + size, g)
    assert up.dual_violation == pytest.approx(size, rel=1e-9)
    down = certify(problem, form(plan), f - size, g)
    bent = f.copy()
    bent[0] += 0.01 * (np.ptp(f) + truth)
    curved = certify(problem, form(plan), bent, g)
    assert curved.dual_violation > 0
    # Without g, which would still prove it.
    curved = certify(problem, form(plan), bent)
    assert curved.gap > 1e-6 * truth

    for certificate in (lost, one_lost, more):
        assert not certificate.is_coupling
    for certificate in (worse, up, down, curved):
        assert certificate.is_coupling
    for certificate in (lost, one_lost, more, rolled, worse, up, down, curved):
        # The optimum is in the bracket of the result, and so both overlap.
        assert certificate.lower <= result.upper
        assert certificate.upper >= result.lower


@pytest.mark.parametrize("kind", ["line", "points", "matrix"])
@pytest.mark.parametrize("part", [1e-2, 1e-3, 1e-6, 1e-9, 1e-11])
def test_little_lost_mass_is_repaired_too(kind, part):
    result = proved(kind)
    for form in (np.asarray, Lazy):
        plan = plan_of(result) * (1 - part)
        certificate = certify(result.problem, form(plan), *result.potentials)
        # Sums of 40 masses are right to 1e-15, which is 1e-4 of the smallest part.
        assert certificate.marginal_error == pytest.approx(2 * part, rel=1e-3)
        assert certificate.upper >= result.lower
        # On the line what is missing is coupled in order, which is optimal again.
        assert kind == "line" or certificate.upper > result.value * (1 + part / 100)


def test_a_plan_on_a_forbidden_arc_costs_infinity():
    problem = Problem.from_cost([[0.0, INF], [1.0, 2.0]])
    plan = np.array([[0.25, 0.25], [0.25, 0.25]])
    for form in (np.asarray, sparse.csr_array, Lazy):
        certificate = certify(problem, form(plan), [0.0, 0.0])
        assert certificate.upper == INF
        assert 1 - 1e-14 <= certificate.lower <= 1.0
        assert not certificate.proves(1.0)


def test_repair_is_that_of_altschuler_weed_rigollet():
    problem = Problem.from_cost([[1.0, 10.0], [100.0, 1000.0]], [0.5, 0.5], [0.5, 0.5])
    # Row 0 has 1.0, scaled to 0.5; then columns (0.4, 0.1) fit; the rest is row 1's
    # 0.5 and columns' (0.1, 0.4), spread as a product.
    certificate = certify(problem, [[0.8, 0.2], [0.0, 0.0]], [0.0, 0.0])
    expected = 0.4 * 1 + 0.1 * 10 + 0.1 * 100 + 0.4 * 1000
    assert certificate.value == pytest.approx(expected, rel=1e-15)
    assert 0 < certificate.upper - expected <= 1e-14 * 1000
    # Columns too heavy after the rows: column 0 has 0.8, scaled to 0.5.
    certificate = certify(problem, [[0.5, 0.0], [0.3, 0.2]], [0.0, 0.0])
    kept = np.array([[0.5, 0.0], [0.3, 0.2]]) * [0.5 / 0.8, 1.0]
    rest_a, rest_b = 0.5 - kept.sum(1), 0.5 - kept.sum(0)
    whole = kept + np.outer(rest_a, rest_b) / rest_a.sum()
    expected = (whole * cost_of(problem)).sum()
    assert certificate.value == pytest.approx(expected, rel=1e-14)
    assert 0 < certificate.upper - expected <= 1e-14 * 1000


# ------------------------------------------------------------------ foreign solutions


def test_plans_and_potentials_of_pot_are_accepted():
    import ot

    rng = np.random.default_rng(22)
    n, m = (6, 8) if JIT_OFF else (50, 70)
    x, y, a, b = rng.random((n, 2)), rng.random((m, 2)), rng.random(n), rng.random(m)
    a, b = a / a.sum(), b / b.sum()
    cost = ot.dist(x, y, "euclidean")
    plan, log = ot.emd(a, b, cost, log=True, numItermax=10**9)
    certificate = certify(Problem(x, y, a, b), plan, log["u"], log["v"])
    assert certificate.gap <= 1e-9 * certificate.upper
    assert certificate.dual_violation <= 1e-9
    entropic, log = ot.sinkhorn(a, b, cost, reg=0.05, log=True)
    f = 0.05 * np.log(log["u"])
    certificate = certify(Problem(x, y, a, b), entropic, f)
    truth = float(ot.emd2(a, b, cost))
    assert certificate.lower <= truth <= certificate.upper
    assert certificate.gap < 0.5 * truth


# --------------------------------------------------------------------------- refusals


def test_bad_claims_are_refused():
    problem = Problem.from_cost([[0.0, 2.0], [1.0, 1.0]])
    f = [0.0, 0.0]
    for plan, message in [
        ([[0.5, -0.1], [0.0, 0.6]], r"plan\[0, 1\] is -0.1; a plan holds masses"),
        ([[0.5, math.nan], [0.0, 0.5]], r"plan\[0, 1\] is nan"),
        ([[0.5, 0.0], [0.0, INF]], r"plan\[1, 1\] is inf"),
        (sparse.coo_array([[0.5, -0.1], [0.0, 0.6]]), r"plan\[0, 1\] is -0.1"),
        (sparse.csr_array([[0.5, math.nan], [0.0, 0.6]]), r"plan\[0, 1\] is nan"),
        (sparse.coo_array([[0.5, INF], [0.0, 0.6]]), r"plan\[0, 1\] is inf"),
        (Lazy([[0.5, -0.1], [0.0, 0.6]]), "a plan holds masses"),
        (Lazy([[0.5, math.nan], [0.0, 0.6]]), "a plan holds masses"),
        (np.eye(3), r"plan must have shape \(2, 2\), got \(3, 3\)"),
        ([0.5, 0.5], r"plan must have shape \(2, 2\), got \(2,\)"),
        ([["a", "b"], ["c", "d"]], "plan must hold real numbers"),
        (None, "plan is None; pass an array"),
    ]:
        with pytest.raises(InputError, match=message):
            certify(problem, plan, f)
    plan = np.eye(2) / 2
    for potentials, message in [
        (([0.0],), r"f must have shape \(2,\), got \(1,\)"),
        (([0.0, math.nan],), r"f\[1\] is nan"),
        ((f, [0.0, INF]), r"g\[1\] is inf"),
        ((f, [0.0, 0.0, 0.0]), r"g must have shape \(2,\), got \(3,\)"),
        (([[0.0], [0.0]],), r"f must have shape \(2,\)"),
    ]:
        with pytest.raises(InputError, match=message):
            certify(problem, plan, *potentials)
    with pytest.raises(InputError, match="problem must be a Problem, got list"):
        certify([[0.0]], plan, f)
    with pytest.raises(InputError, match="for p=inf the plan must be sparse or a dense"):
        certify(Problem([0.0, 2], [1.0, 5], p=INF), Lazy(plan), f)


def test_claims_are_not_changed():
    problem = Problem.from_cost([[0.0, 2.0], [1.0, 1.0]])
    plan, f, g = np.full((2, 2), 0.3), np.zeros(2), np.ones(2)
    certify(problem, plan, f, g)
    assert (plan == 0.3).all()
    assert (f == 0).all()
    assert (g == 1).all()


def test_bottleneck_certificates():
    problem = Problem([0.0, 1.0, 2.0], [0.0, 2.0], p=INF)
    right = solve(problem)
    assert_narrow(right, 1.0)
    far = np.array([[0, 1], [1, 0], [0.5, 0.5]]) / 3
    certificate = certify(problem, far, np.zeros(3))
    assert_brackets(certificate, 1)
    assert certificate.lower == right.lower
    assert 2.0 <= certificate.upper <= 2.0 * (1 + 4 * EPS)
    lost = certify(problem, 0.9 * plan_of(right), np.zeros(3))
    assert lost.marginal_error == pytest.approx(0.2)
    assert lost.upper == certificate.upper  # anything may have happened to the lost mass


# ------------------------------------------------- compiled passes and NumPy twins


@given(st.data())
def test_the_compiled_pass_agrees_with_numpy(data):
    problem = data.draw(strategies.dense_problems(zeros=False))
    n, _ = problem.shape
    result = solve(problem)
    f, g = result.potentials
    # Larger ones are left to NumPy, as rounding would hide too much.
    f = f + 0.1 * data.draw(strategies.potentials(n)) * np.abs(f).max()
    scale = float(np.abs(cost_of(problem)).max())
    found = MatrixChecker(problem.geometry).at_once(problem, result.coupling, f, g)
    lower, upper, value, error, is_coupling, violation = found
    dual = lower_bound(problem, f, g, 1)
    primal = _as_given(problem, result.coupling)
    # Both sum n + m terms of potentials of this size without accumulated error.
    slack = 16 * EPS * (scale + float(np.abs(f).max()))
    assert abs(lower - dual.value) <= slack
    assert abs(upper - primal.upper) <= slack
    assert abs(value - primal.value) <= slack
    assert abs(violation - dual.violation) <= slack
    assert error == pytest.approx(primal.error, abs=4 * EPS)
    assert is_coupling
    assert primal.is_coupling
    truth = truth_of(problem)
    assert lower <= truth <= upper
    assert dual.value <= truth <= primal.upper


def test_the_compiled_pass_leaves_to_numpy_what_is_not_as_it_must_be():
    cost = np.array([[0.0, 2.0, INF], [1.0, 1.0, 3.0]])
    problem = Problem.from_cost(cost, [1.0, 2.0], [1.0, 1.5, 0.5])
    rows, columns = np.array([0, 1, 1]), np.array([0, 1, 2])
    mass, f, g = np.array([1.0, 1.5, 0.5]), np.zeros(2), np.array([0.0, 1.0, 3.0])

    def both(rows=rows, columns=columns, mass=mass, f=f, g=g, problem=problem):
        plan = Arcs(rows, columns, mass)
        return _small_bounds(problem, plan, f, g, 1.0), lambda: certify(problem, plan, f, g)

    small, whole = both()
    assert small is not None
    assert_narrow(small, 3.0)
    assert (small.value, small.dual_violation) == (3.0, 0.0)
    assert whole().proves(1e-14)
    assert both(g=None)[0].dual_violation == 0.0
    assert both(g=g + 0.25)[0].dual_violation == 0.25
    assert both(mass=mass * (1 + 1e-9))[0] is None
    for bad in (math.nan, INF, -INF):
        for name, values in (("f", f), ("g", g)):
            wrong = np.where(np.arange(len(values)) == 1, bad, values)
            small, whole = both(**{name: wrong})
            assert small is None
            with pytest.raises(InputError, match=rf"{name}\[1\] is {bad}"):
                whole()
    for bad in (math.nan, INF, -1.0):
        small, whole = both(mass=np.array([1.0, bad, 0.5]))
        assert small is None
        with pytest.raises(InputError, match="a plan holds masses, finite and >= 0"):
            whole()
    for bad in (
        {"rows": np.array([0, 1, 2])},
        {"rows": np.array([-2, 1, 1])},
        {"columns": np.array([0, 1, 3])},
        {"columns": np.array([0, 1, -1])},
        {"rows": rows[:2]},
        {"columns": columns[:2]},
    ):
        small, whole = both(**bad)
        assert small is None
        with pytest.raises((ValueError, IndexError)):
            whole()
    small, whole = both(rows=np.array([1, 1, 0]))
    assert small is None  # marginals
    assert not whole().proves(1.0)
    for a, b in (([3.0, 0.0], [1.0, 1.5, 0.5]), ([1.0, 2.0], [1.0, 2.0, 0.0])):
        assert both(problem=Problem.from_cost(cost, a, b))[0] is None
    forbidden = Problem.from_cost(np.where(cost == 3.0, INF, cost), [1, 2], [1, 1.5, 0.5])
    small, whole = both(problem=forbidden)
    assert small is None  # a column without an allowed arc
    forbidden = Problem.from_cost(np.where(cost == 2.0, INF, cost), [1, 2], [2, 0.5, 0.5])
    plan = Arcs(np.array([0, 1, 1, 0]), np.array([0, 0, 2, 1]), np.array([0.5, 1.5, 0.5, 0.5]))
    assert _small_bounds(forbidden, plan, f, g, 1.0) is None
    assert certify(forbidden, plan, f, g).upper == INF


# ------------------------------------------------------------------------- geometry


@st.composite
def transforms(draw):
    """Points on the line and a potential, with ties, duplicates and -inf."""
    n, m = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    x, y = draw(strategies.points(n, 1))[:, 0], draw(strategies.points(m, 1))[:, 0]
    f = draw(strategies.potentials(n))
    off = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    off[draw(st.integers(0, n - 1))] = False
    f = np.where(off, -INF, np.round(f, 1) if draw(st.booleans()) else f)
    return x, y, f, draw(st.sampled_from([1.0, 1.5, 2.0, 3.0]))


def line_of(x, y, p):
    # Through Problem, which is where geometries are made.
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    line = Problem(x, y, a, b, p=p).geometry
    assert isinstance(line, Line)
    return line


@given(transforms())
def test_c_transforms_on_the_line(data):
    x, y, f, p = data
    line = line_of(x, y, p)
    cost = np.abs(np.subtract.outer(x, y)) ** p
    carried = np.isfinite(f)
    slack = 8 * EPS * (cost.max() + np.abs(f[carried]).max() + np.abs(x).max())
    expected = (cost - f[:, None]).min(axis=0)
    assert np.abs(line.column_minimum(f) - expected).max() <= slack
    # The same numbers from the other side: c(y, x) = c(x, y).
    assert np.abs(line_of(y, x, p).row_minimum(f) - expected).max() <= slack


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("n, m", [(1, 1), (1, 50), (50, 1), (200, 333), (64, 65)])
def test_c_transforms_on_longer_lines(n, m, p):
    rng = np.random.default_rng([n, m])
    for offset in (0.0, 1e6):
        x, y = rng.normal(size=n) + offset, rng.normal(size=m) + offset
        line = line_of(x, y, p)
        cost = np.abs(np.subtract.outer(x, y)) ** p
        for f in (
            np.zeros(n),
            rng.normal(size=n),
            np.where(rng.random(n) < 0.5, rng.normal(size=n), -INF),
            100 * rng.normal(size=n),
        ):
            f[0] = max(f[0], -1.0)
            finite = f[np.isfinite(f)]
            slack = 8 * EPS * (cost.max() + np.abs(finite).max())
            got = line.column_minimum(f)
            assert np.abs(got - (cost - f[:, None]).min(axis=0)).max() <= slack
            got = line.row_minimum(np.resize(finite, m))
            expected = (cost - np.resize(finite, m)).min(axis=1)
            assert np.abs(got - expected).max() <= slack


def test_the_compiled_line_minimum_agrees_with_numpy():
    from otdist.certificate.kernels.line_and_circle import sorted_minimum

    rng = np.random.default_rng(23)
    for n, m in ((1, 1), (1, 7), (7, 1), (30, 41), (64, 64), (65, 63)):
        x, y = np.sort(rng.normal(size=n)), np.sort(rng.normal(size=m))
        for p in (1.0, 1.5, 2.0, 3.0):
            cost = np.abs(np.subtract.outer(x, y)) ** p
            f = np.where(rng.random(n) < 0.7, rng.normal(size=n), -INF)
            f[-1] = 0.0
            got, slip = np.empty((2, m))
            sorted_minimum(x, f, y, 0.0, p, np.empty(m, np.int64), slip, got)
            expected = (cost - f[:, None]).min(axis=0)
            # Each level of the search adds what the places found may miss.
            slack = 16 * EPS * (cost.max() + 4)
            assert np.abs(got - expected).max() <= slack
            if p == 1.5:
                continue
            # Rounded down: no pair, in exact arithmetic, is below.
            used = np.flatnonzero(np.isfinite(f))
            for j, least in enumerate(map(Fraction, got)):
                y_j = Fraction(y[j])
                slacks = [abs(Fraction(x[i]) - y_j) ** int(p) - Fraction(f[i]) for i in used]
                assert least <= min(slacks)


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("p", [1, 2, 2.5])
@pytest.mark.parametrize("d", [2, 3])
def test_costs_of_points_against_cdist(metric, p, d):
    rng = np.random.default_rng(d)
    x, y = rng.normal(size=(9, d)), rng.normal(size=(7, d))
    y[3] = x[2]
    geometry = Problem(x, y, metric=metric, p=p).geometry
    assert isinstance(geometry, Points)
    expected = cdist(x, y, metric) ** p
    i, j = np.indices((9, 7)).reshape(2, -1)
    for got in (geometry.rows(0, 9), geometry.dense()):
        np.testing.assert_allclose(got, expected, rtol=1e-14, atol=0)
    pairs = geometry.pairs(i, j).reshape(9, 7)
    np.testing.assert_allclose(pairs, expected, rtol=1e-14, atol=0)
    np.testing.assert_allclose(geometry.rows(2, 5), expected[2:5], rtol=1e-14, atol=0)
    part = geometry.restrict(np.array([1, 4]), np.array([0, 3, 6]))
    np.testing.assert_allclose(part.dense(), expected[np.ix_([1, 4], [0, 3, 6])], 1e-14)
    assert geometry.largest >= expected.max()
    assert pairs[2, 3] == 0
    g, f = rng.normal(size=7), rng.normal(size=9)
    # The transforms take the same costs, so they are right to rounding.
    best = (expected - g).min(axis=1)
    np.testing.assert_allclose(geometry.row_minimum(g), best, atol=1e-13)
    best = (expected - f[:, None]).min(axis=0)
    np.testing.assert_allclose(geometry.column_minimum(f), best, atol=1e-13)


def test_points_far_from_the_origin_keep_their_distances():
    rng = np.random.default_rng(24)
    x, y = np.round(rng.normal(size=(2, 20, 2)), 3)
    near = Problem(x, y, p=2).geometry.dense()
    far = Problem(x + 2.0**24, y + 2.0**24, p=2).geometry.dense()
    # Coordinates are rounded to 2**-28, and so are differences of about 1.
    assert np.abs(near - far).max() <= 2.0**-25
    shifted = Problem(np.round(x * 1024) + 2.0**30, np.round(y * 1024) + 2.0**30)
    at_origin = Problem(np.round(x * 1024), np.round(y * 1024))
    assert (shifted.geometry.dense() == at_origin.geometry.dense()).all()


def test_a_metric_that_is_a_function():
    def taxi(u, v):
        return float(np.abs(u - v).sum())

    rng = np.random.default_rng(25)
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(5, 2))
    for p in (1, 2):
        named = Problem(x, y, metric="cityblock", p=p)
        custom = Problem(x, y, metric=taxi, p=p)
        assert not custom.is_metric
        i, j = np.indices((6, 5)).reshape(2, -1)
        np.testing.assert_allclose(
            custom.geometry.pairs(i, j), named.geometry.pairs(i, j), rtol=1e-14
        )
        assert solve(custom).value == pytest.approx(solve(named).value, rel=1e-13)


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev", "sqeuclidean"])
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_derivatives_against_finite_differences(metric, p, d):
    if metric == "sqeuclidean" and p != 1:
        return
    rng = np.random.default_rng(d)
    x, y = rng.normal(size=(8, d)), rng.normal(size=(8, d))
    index = np.arange(8)

    def costs(points):
        return Problem(points, y, metric=metric, p=p).geometry.pairs(index, index)

    slope = Problem(x, y, metric=metric, p=p).geometry.derivative(index, index)
    assert slope.shape == (8, d)
    for k in range(d):
        step = np.zeros(d)
        step[k] = 1e-6
        expected = (costs(x + step) - costs(x - step)) / 2e-6
        # Central differences: h**2 truncation and eps / h rounding, both about 1e-10.
        np.testing.assert_allclose(slope[:, k], expected, rtol=1e-6, atol=1e-7)


def test_derivatives_at_equal_points_are_zero():
    x = np.array([[1.0, 2.0], [3.0, -1.0]])
    index = np.arange(2)
    for metric in ("euclidean", "cityblock", "chebyshev"):
        for p in (1, 1.5, 2):
            geometry = Problem(x, x, metric=metric, p=p).geometry
            assert (geometry.derivative(index, index) == 0).all()
    assert (Problem([0.0, 3], [0.0, 3]).geometry.derivative(index, index) == 0).all()


def test_blocks_cover_every_row_once():
    for n, m in ((1, 1), (7, 3), (1000, 400), (3, blocks.BLOCK_ENTRIES * 2)):
        ranges = list(blocks.row_blocks(n, m))
        covered = np.concatenate([np.arange(*pair) for pair in ranges])
        assert (covered == np.arange(n)).all()
        height = max(stop - start for start, stop in ranges)
        assert height * m <= max(blocks.BLOCK_ENTRIES, m)


def test_problems_larger_than_one_block():
    rng = np.random.default_rng(26)
    n, m = 5, blocks.BLOCK_ENTRIES // 2
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    geometry = Problem(x, y).geometry
    f, g = rng.normal(size=n), rng.normal(size=m)
    cost = cdist(x, y)
    best = (cost - f[:, None]).min(axis=0)
    np.testing.assert_allclose(geometry.column_minimum(f), best, atol=1e-14)
    best = (cost - g).min(axis=1)
    np.testing.assert_allclose(geometry.row_minimum(g), best, atol=1e-14)


@pytest.mark.parametrize("kind", ["matrix", "points", "line", "grid", "lazy"])
@pytest.mark.parametrize("is_large", [False, True])
def test_potentials_that_have_lost_the_costs_prove_nothing(kind, is_large):
    """Rounding of potentials far above the costs once hid any gap."""
    rng = np.random.default_rng(3)
    n = 12
    x, y = rng.random((n, 1 if kind == "line" else 2)), rng.random((n, 2))
    y = y[:, :1] + 0.3 if kind == "line" else y + 0.3
    if kind == "grid":
        n = 9
        image = [m / m.sum() for m in rng.random((2, 3, 3)) + 0.1]
        problem = Problem.on_grid(*image, metric="sqeuclidean", p=1)
    elif kind == "points":
        problem = Problem(x, y)
    elif kind == "line":
        problem = Problem(x[:, 0], y[:, 0])
    else:
        problem = Problem.from_cost(Problem(x, y).geometry.dense())
    product = np.outer(problem.a, problem.b) / problem.mass
    plan = Lazy(product) if kind == "lazy" else product
    truth = truth_of(problem)
    size = problem.geometry.largest * problem.mass
    f = rng.normal(size=n) if is_large else np.zeros(n)
    for k in range(0, 1000, 37):
        found = certify(problem, plan, f * 2.0**k + 2.0**k * (not is_large))
        # Costs from coordinates are rounded, and so is the truth of them.
        assert_brackets(found, truth if kind in ("matrix", "lazy") else float(truth))
        # A constant that has lost the costs gives way to potentials of zero.
        assert found.lower >= 0 or is_large
        assert found.upper <= found.value + 1e-12 * size
        assert not found.proves(1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_no_potentials_prove_what_is_not_so(seed):
    """Random plans, and potentials from far below to far above the costs."""
    rng = np.random.default_rng(seed)
    for _ in range(12):
        n, m = rng.integers(1, 5, size=2)
        a, b = rng.random(n) + 0.01, rng.random(m) + 0.01
        a[rng.integers(n)] *= 10.0 ** -rng.integers(0, 14)
        a, b = a / a.sum(), b / b.sum()
        unit = 10.0 ** rng.integers(-8, 8)
        x, y = unit * rng.normal(size=(n, 2)), unit * rng.normal(size=(m, 2))
        x[0] *= 10.0 ** rng.integers(0, 9)
        problem = (
            Problem(x, y, a, b),
            Problem(x[:, 0], y[:, 0], a, b, p=2),
            Problem.from_cost(unit * rng.normal(size=(n, m)), a, b),
        )[rng.integers(3)]
        plan = np.outer(a, b) * rng.choice([1, 1e-3, 1e3]) * rng.random((n, m)).round()
        size = unit * 10.0 ** rng.integers(-10, 30)
        f = rng.choice([0, 1]) * size + rng.choice([size, unit]) * rng.normal(size=n)
        found = certify(problem, plan, f)
        truth = exact_truth(problem)
        assert_brackets(found, truth)
        if found.bracket().is_narrow(1e-9):
            assert abs(found.value - truth) <= 1e-9 * abs(found.upper)


@pytest.mark.parametrize("d", [1, 2])
def test_potentials_may_be_functions(d):
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(9, d)), rng.normal(size=(7, d)) + 1
    problem = Problem(x, y) if d > 1 else Problem(x[:, 0], y[:, 0])
    result = solve(problem)
    critic = kr_dual(x, y, critic="mcshane")
    found = certify(problem, result.plan, critic, lambda z: -critic(z))
    assert found.proves(1e-12)
    assert found.dual_violation <= 1e-14
    # A function that is not the best one proves less, and is told apart from it.
    half = certify(problem, result.plan, lambda z: 0.5 * critic(z))
    assert half.lower < result.value
    with pytest.raises(InputError, match="no points to evaluate it at"):
        certify(Problem.from_cost(np.eye(2)), np.eye(2) / 2, critic)
    with pytest.raises(InputError, match=r"f must have shape \(9,\)"):
        certify(problem, result.plan, lambda z: np.zeros(3))


@pytest.mark.parametrize("p, concave", [(0.5, True), (1, False), (2, False)])
def test_functions_take_numbers_on_the_line(p, concave):
    problem = Problem([0.0, 1, 3], [[2.0], [5], [6]], p=p, concave=concave)
    seen = []

    def critic(x):
        seen.append(x.shape)
        return -np.abs(x)

    by_function = certify(problem, solve(problem).plan, critic)
    by_values = certify(problem, solve(problem).plan, [0.0, -1, -3])
    assert seen == [(3,)]
    assert by_function.lower == by_values.lower


@pytest.mark.parametrize("p", [1, 2])
def test_a_distance_of_zero_needs_no_rational_arithmetic(p, monkeypatch):
    """No cost is negative, and a coupling of exact masses pays nothing."""
    rng = np.random.default_rng(5)
    x, order, a = rng.normal(size=(40, 2)), rng.permutation(40), rng.dirichlet(np.ones(40))
    for name in ("exact_lower", "along"):
        monkeypatch.setattr(f"otdist.certificate.certify.{name}", None)
    for weights in ((None, None), (a, a[order])):
        found = solve(Problem(x, x[order], *weights, p=p)).certificate
        assert found.lower == found.upper == 0
