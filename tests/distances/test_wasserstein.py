"""Bare numbers: the path that each takes, and the files on it."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import knobs
import numpy as np
import pytest
from conftest import JIT_OFF

import otdist
from otdist import InputError, Problem, emd, solve, wasserstein_distance
from otdist.batch import single
from otdist.batch.pairs import LARGEST
from otdist.solvers.network_simplex import search
from otdist.solvers.network_simplex.assignment import solve_square

PACKAGE = str(Path(otdist.__file__).parent)
METRICS = ["euclidean", "cityblock", "chebyshev", "sqeuclidean"]


def clouds(n, m, d=2, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1
    a, b = rng.random(n) * (rng.random(n) < 0.8), rng.random(m)
    a[0] += 0.1
    return x, y, a / math.fsum(a), b / math.fsum(b)


@pytest.fixture
def refused(monkeypatch):
    """Make every call of `solve` an error: the compiled engine must do it."""

    def refuse(*arguments, **options):
        raise AssertionError("solve was called")

    monkeypatch.setattr("otdist.distances.wasserstein.solve", refuse)
    # Where nothing is compiled yet, the first distance of a process is found by HiGHS.
    monkeypatch.setattr("otdist.distances.wasserstein._is_worth_compiling", lambda *_: True)
    return refuse


# ------------------------------------------------------------------- the engine's values


@pytest.mark.parametrize("d", [2, 5, 30])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_small_clouds_are_batches_of_one(metric, p, d, refused):
    if metric == "sqeuclidean" and p != 1:
        return
    x, y, a, b = clouds(7, 9, d)
    problem = Problem(x, y, a, b, metric=metric, p=p)
    found = wasserstein_distance(x, y, a, b, metric=metric, p=p)
    assert type(found) is float
    assert found == pytest.approx(solve(problem).distance, rel=1e-12)
    scaled = wasserstein_distance(x, y, 3 * a, 5 * b, metric=metric, p=p, normalize=True)
    assert scaled == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("n, m", [(1, 1), (1, 6), (6, 1), (8, 8)])
def test_small_matrices_are_batches_of_one(n, m, refused):
    x, y, a, b = clouds(n, m, seed=n)
    for shift in (0.0, -2.0):  # negative costs, too
        cost = np.linalg.norm(x[:, None] - y, axis=2) + shift
        found = emd(a, b, cost)
        assert type(found) is float
        assert found == pytest.approx(solve(Problem.from_cost(cost, a, b)).value, rel=1e-12)
        assert emd(b, a, cost.T) == pytest.approx(found, rel=1e-12)


@pytest.mark.skipif(JIT_OFF, reason="too many atoms for plain Python")
def test_the_largest_small_problem_is_proved(refused):
    x, y, a, b = clouds(LARGEST, LARGEST, seed=3)
    value = wasserstein_distance(x, y, a, b)
    wanted = solve(Problem(x, y, a, b)).distance
    assert value == pytest.approx(wanted, rel=1e-9)
    with pytest.raises(AssertionError, match="solve was called"):
        wasserstein_distance(np.vstack([x, x[:1]]), y)


@pytest.mark.skipif(JIT_OFF, reason="too many atoms for plain Python")
@pytest.mark.parametrize("kind", ["plane", "random"])
@pytest.mark.parametrize("m", [LARGEST // 2, LARGEST])
def test_larger_matrices_are_small_problems_too(refused, kind, m):
    rng = np.random.default_rng(5)
    x, y, *_ = clouds(LARGEST, m, seed=3)
    cost = np.linalg.norm(x[:, None] - y, axis=2) if kind == "plane" else rng.random((LARGEST, m))
    assert cost.size > single._MANY_PAIRS
    uniform, even = np.full(LARGEST, 1 / LARGEST), np.full(m, 1 / m)
    for a in (uniform, rng.dirichlet(np.ones(LARGEST))):
        wanted = solve(Problem.from_cost(cost, a, even)).value
        assert emd(a, even, cost) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.skipif(JIT_OFF, reason="too many atoms for plain Python")
def test_matrices_of_more_bins_are_left_to_solve(refused):
    cost = np.random.default_rng(4).random((LARGEST + 1, 2))
    with pytest.raises(AssertionError, match="solve was called"):
        emd(np.full(LARGEST + 1, 1 / (LARGEST + 1)), [0.5, 0.5], cost)


@pytest.mark.parametrize("kind", ["plane", "random"])
def test_assignments_are_tried_once(kind, monkeypatch, refused):
    n = 24 if JIT_OFF else 200
    monkeypatch.setattr(knobs.SINGLE_MANY_PAIRS, n * n - 1)
    tried = []

    def spy(*arguments):
        tried.append(arguments)
        return solve_square(*arguments)

    monkeypatch.setattr(search, "solve_square", spy)
    x, y, *_ = clouds(n, n, seed=6)
    cost = np.linalg.norm(x[:, None] - y - 3, axis=2)
    if kind == "random":
        cost = np.random.default_rng(7).random((n, n))
    uniform = np.full(n, 1 / n)
    wanted = solve(Problem.from_cost(cost), method="highs").value
    assert emd(uniform, uniform, cost) == pytest.approx(wanted, rel=1e-9)
    assert len(tried) == 1


# ---------------------------------------------------------------------- the other path


@pytest.mark.parametrize(
    "options",
    [
        {"p": math.inf},
        {"metric": lambda x, y: float(np.abs(x - y).sum())},
        {"method": "network_simplex"},
        {"progress": True},
    ],
    ids=str,
)
def test_everything_else_is_solved(options, refused):
    x, y, _, _ = clouds(4, 5)
    with pytest.raises(AssertionError, match="solve was called"):
        wasserstein_distance(x, y, **options)
    with pytest.raises(AssertionError, match="solve was called"):
        wasserstein_distance([0.0, 1.0], [3.0, 5.0], method="network_simplex")
    with pytest.raises(AssertionError, match="solve was called"):
        emd([0.5, 0.5], [0.5, 0.5], [[0, math.inf], [1, 0]])


@pytest.mark.skipif(not JIT_OFF, reason="compiled, the claim never leaves the kernel")
@pytest.mark.parametrize("lie", ["code", "mass", "g"])
def test_a_claim_that_proves_nothing_is_solved_again(lie, monkeypatch):
    x, y, a, b = clouds(5, 6)
    cost = np.linalg.norm(x[:, None] - y, axis=2)
    wanted = wasserstein_distance(x, y, a, b)
    calls = []

    def lying(solve_pairs):
        def lie_about_all(*arguments):
            solve_pairs(*arguments)
            work, claims = arguments[-3:-1]
            if lie == "code":
                claims.code[0] = 1
            elif lie == "mass":
                claims.mass[0, 0] *= 1.01
            else:
                claims.g[0] += np.linspace(0, 1, claims.g.shape[1])
                work.potential[:] += np.linspace(0, 1, len(work.potential))

        return lie_about_all

    def counted(*arguments, **options):
        calls.append(arguments)
        return solve(*arguments, **options)

    kernels = single.at_once
    monkeypatch.setattr(kernels, "solve_matrix", lying(kernels.solve_matrix))
    monkeypatch.setattr("otdist.distances.wasserstein.solve", counted)
    assert wasserstein_distance(x, y, a, b) == pytest.approx(wanted, rel=1e-12)
    assert emd(a, b, cost) == pytest.approx(wanted, rel=1e-12)
    assert len(calls) == 2


def test_options_are_checked_on_every_path():
    x, y, _, _ = clouds(4, 5)
    with pytest.raises(InputError, match="n_jobs must be a positive integer"):
        wasserstein_distance(x, y, n_jobs=0)
    with pytest.raises(InputError, match="method 'best' is unknown"):
        wasserstein_distance(x, y, method="best")


# ------------------------------------------------------------------------ files passed


def files_passed(call):
    """Return the files of the package in which a function runs during a call."""
    call()
    found = set()

    def note(frame, event, argument):
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(PACKAGE):
            found.add(name.removeprefix(PACKAGE))

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.skipif(JIT_OFF, reason="without compilation kernels are functions, too")
@pytest.mark.parametrize("n, most", [(50, 12), (3000, 25)])
def test_a_distance_in_the_plane_passes_few_files(n, most):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 1
    found = files_passed(lambda: wasserstein_distance(x, y))
    assert len(found) <= most, sorted(found)
    assert "/distances/wasserstein.py" in found


# ------------------------------------------------------------- weights rounded otherwise


@pytest.mark.parametrize("p", [2, 3])
@pytest.mark.parametrize("d", [1, 2])
def test_a_distribution_and_its_counts_are_nearly_one(d, p):
    """Weights that differ in their last digits move 1e-17 of the mass, which was not proved."""
    rng = np.random.default_rng(2)
    for n in (3, 8, 30):
        for times in (3, 5, 7):
            x, a = rng.normal(size=(n, d)), rng.random(n)
            a /= math.fsum(a)
            shares = times * a / math.fsum(times * a)
            problem = Problem(x, x, shares, a, p=p)
            result = solve(problem)
            assert result.certificate.proves(1e-9)
            moved = math.fsum(np.abs(shares - a))
            assert 0 <= result.lower <= result.value <= moved * problem.geometry.largest
            found = wasserstein_distance(x, x, times * a, a, p=p, normalize=True)
            assert found <= (2e-15) ** (1 / p) * problem.geometry.largest ** (1 / p)
