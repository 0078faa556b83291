"""Sums of entropic plans: of the solver's rounding, and of the certificate."""

import knobs
import numpy as np
import pytest

from otdist import InputError, Problem, certify
from otdist.certificate.marginals import scaled_sums
from otdist.geometry.protocol import Dense
from otdist.plans.plans import EntropicPlan
from otdist.solvers.sinkhorn.solver import _marginals

N, M = 5, 1100  # more columns than the certificate looks at together


def problems():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, 2)), rng.normal(size=(M, 2))
    signed = rng.normal(size=(N, M))
    forbidden = np.where(rng.random((N, M)) < 0.3, np.inf, rng.random((N, M)))
    return {
        "euclidean": Problem(x, y),
        "square": Problem(x, y, p=2),
        "power": Problem(x, y, p=1.5),
        "cityblock": Problem(x, y, metric="cityblock"),
        "chebyshev": Problem(x, y, metric="chebyshev"),
        "signed": Problem.from_cost(signed),
        "forbidden": Problem.from_cost(forbidden),
    }


def entropic_plan(problem, seed=1):
    rng = np.random.default_rng(seed)
    f, g = rng.normal(size=N) - 8, rng.normal(size=M)
    return EntropicPlan(
        problem.geometry,
        f,
        g,
        1.0,
        np.ones(N),
        rng.random(M),
        np.zeros(N),
        np.zeros(M),
    )


@pytest.mark.parametrize("name", problems())
def test_rows_that_are_too_heavy_are_scaled_down(name):
    problem = problems()[name]
    plan = entropic_plan(problem)
    dense = plan.toarray()
    sums = dense.sum(axis=1)
    mass = sums * [0.5, 2.0, 1.0, 0.1, 3.0]
    mass.flags.writeable = False  # as the weights of problems are
    rows, columns = _marginals(plan, mass, 1)
    assert rows == pytest.approx(sums, rel=1e-13)
    factor = np.array([0.5, 1.0, 1.0, 0.1, 1.0])
    assert columns == pytest.approx(factor @ dense, rel=1e-12)


@pytest.mark.parametrize("name", problems())
@pytest.mark.parametrize("scales", [False, True])
def test_the_certificate_sums_what_is_there(name, scales, monkeypatch):
    monkeypatch.setattr(knobs.CHECKERS_COMPILED_PAIRS, 0)
    problem = problems()[name]
    geometry, plan = problem.geometry, entropic_plan(problem)
    costs = geometry.dense()
    rng = np.random.default_rng(2)
    scale_a, scale_b = (rng.random(N), rng.random(M)) if scales else (None, None)
    dense = plan.toarray()
    if scales:
        dense = scale_a[:, None] * dense * scale_b
    paid = np.where(dense == 0, 0.0, dense * np.where(np.isinf(costs), 0.0, costs))
    assert isinstance(geometry, Dense) or (dense > 0).all()
    found = scaled_sums(geometry, plan.rows, 1, scale_a, scale_b)
    assert found.rows == pytest.approx(dense.sum(axis=1), rel=1e-13)
    assert found.columns == pytest.approx(dense.sum(axis=0), rel=1e-13)
    assert found.cost == pytest.approx(paid.sum(), rel=1e-12, abs=1e-12)
    assert found.size == pytest.approx(np.abs(paid).sum(), rel=1e-12)


@pytest.mark.parametrize("name", ["euclidean", "signed"])
@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_entries_that_are_no_masses_are_refused(name, bad, monkeypatch):
    monkeypatch.setattr(knobs.CHECKERS_COMPILED_PAIRS, 0)
    problem = problems()[name]

    class Wrong:
        shape = problem.shape

        def rows(self, start, stop):
            block = np.full((stop - start, M), 1 / (N * M))
            block[-1, 700] = bad
            return block

    with pytest.raises(InputError, match="a plan holds masses"):
        certify(problem, Wrong(), np.zeros(N))
