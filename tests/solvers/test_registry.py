"""The records of the methods: options, choice, and advice that can be followed."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import otdist.distances.wasserstein as plain
from otdist import (
    InputError,
    NotCertifiedError,
    Problem,
    Status,
    emd,
    kr_dual,
    sinkhorn_divergence,
    solve,
    wasserstein_distance,
)
from otdist.batch import single
from otdist.problem.result import Ended
from otdist.solvers import registry

INF = math.inf
NAMES = [solver.name for solver in registry.SOLVERS]
OPTIONS = {
    "max_iter": 5000,
    "time_limit": 60.0,
    "epsilon": 0.05,
    "warm_start": None,  # zeros, of the problem's shape
}
#: What the advice of `solve` may name: its own options.
WORDS = {"tol", "max_iter", "time_limit", "epsilon", "warm_start", "method"}


def problems():
    """Return a problem of each kind, by name."""
    rng = np.random.default_rng(0)
    x, y = rng.random((5, 2)), rng.random((5, 2))
    cost, (A, B) = rng.random((5, 5)), rng.random((2, 3, 4))
    A, B = A / A.sum(), B / B.sum()
    parents, lengths = [-1, 0, 0, 1, 1], [0, 1.0, 2, 1, 3]
    a, b = np.eye(5)[3], np.eye(5)[2]
    from scipy.sparse import csr_array

    ring = csr_array(np.roll(np.eye(5), 1, axis=0) + np.roll(np.eye(5), -1, axis=0))
    return {
        "points": Problem(x, y),
        "line": Problem(x[:, 0], y[:, 0]),
        "line, squared": Problem(x[:, 0], y[:, 0], p=2),
        "line with p = inf": Problem(x[:, 0], y[:, 0], p=INF),
        "points with p = inf": Problem(x, y, p=INF),
        "circle": Problem.on_circle(x[:, 0], y[:, 0]),
        "cost": Problem.from_cost(cost),
        "cost with p = inf": Problem.from_cost(cost, p=INF),
        "tree": Problem.on_tree(parents, lengths, a, b),
        "graph": Problem.on_graph(ring, a, b),
        "grid, L1": Problem.on_grid(A, B, metric="cityblock"),
        "grid, L2": Problem.on_grid(A, B),
        "grid, squared": Problem.on_grid(A, B, p=2),
        "partial points": Problem.partial(x, y, price=0.2),
        "partial cost": Problem.from_cost(cost, price=0.2),
    }


PROBLEMS = problems()


def option_of(name, problem):
    n, m = problem.shape
    return (np.zeros(n), np.zeros(m)) if name == "warm_start" else OPTIONS[name]


@pytest.mark.parametrize("kind", PROBLEMS)
def test_auto_takes_the_first_method_that_fits(kind):
    expected = {
        "line": "line",
        "line, squared": "line",
        "line with p = inf": "line",
        "points with p = inf": "bottleneck",
        "cost with p = inf": "bottleneck",
        "circle": "circle",
        "tree": "tree",
        "graph": "flow",
        "grid, L1": "flow",
    }
    assert registry.choose(PROBLEMS[kind]).name == expected.get(kind, "network_simplex")


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_used_or_refused(method, option):
    """Each method was given every option, and ignored those that it does not know."""
    solver = registry.named(method)
    for problem in PROBLEMS.values():
        if not solver.accepts(problem):
            continue
        given = {option: option_of(option, problem)}
        if option in solver.options:
            assert solve(problem, method=method, **given).method == method
            continue
        with pytest.raises(InputError) as caught:
            solve(problem, method=method, **given)
        message = str(caught.value)
        assert message.startswith(f"{option} is not an option of method={method!r}; ")
        assert f"for {problem!r} leave it out" in message
        for each in registry.SOLVERS:
            knows = option in each.options and each.accepts(problem)
            assert (f"{each.name!r}" in message.split(";", 1)[1]) == knows


@pytest.mark.parametrize("method", NAMES)
def test_a_problem_is_solved_or_refused(method):
    solver = registry.named(method)
    for problem in PROBLEMS.values():
        if solver.accepts(problem):
            assert solve(problem, method=method).success
            continue
        with pytest.raises(InputError) as caught:
            solve(problem, method=method)
        message = str(caught.value)
        assert message.startswith(f"method={method!r} needs {solver.requires}; for Problem(")
        others = message.rsplit(" use ", 1)[1]
        assert set(re.findall(r"'(\w+)'", others)) == {
            each.name for each in registry.SOLVERS if each.accepts(problem)
        }


@pytest.mark.parametrize("method", NAMES)
def test_options_of_all_methods(method):
    pytest.importorskip("tqdm")
    accepts = registry.named(method).accepts
    problem = next(each for each in PROBLEMS.values() if accepts(each))
    assert solve(problem, method=method, tol=0.1, n_jobs=2, progress=True).success


def test_options_that_auto_cannot_use_are_refused_too():
    with pytest.raises(InputError, match=r"time_limit is not an option of method='line', .* use"):
        solve(PROBLEMS["line"], time_limit=1)
    with pytest.raises(
        InputError, match=r"epsilon is not an option .*; for Problem.*p=inf.* leave"
    ):
        solve(PROBLEMS["points with p = inf"], epsilon=1)


# ---------------------------------------------------------------------------- advice


def advice_that_cannot_be_followed(result, words):
    """Return what is wrong with the advice of a result, for a function with these options."""
    text, solver = result.advice, registry.named(result.method)
    faults = [word for word in WORDS - words if re.search(rf"\b{word}\b", text)]
    for name in re.findall(r"method='(\w+)'", text):
        other = registry.named(name)
        if name == result.method or not other.accepts(result.problem):
            faults.append(name)
        if "warm_start" in text and "warm_start" not in other.options:
            faults.append("warm_start")
    for word in re.findall(r"(?:raise|lower) (\w+)", text):
        if word not in solver.options | {"tol"}:
            faults.append(word)
    if result.status in (Status.MAX_ITER, Status.TIME_LIMIT):
        faults += [] if f"raise {result.status}" in text else [f"no {result.status}"]
    return faults


def spoil(monkeypatch, ended):
    """Let all solvers claim potentials of 0, which prove little, and an ending."""
    honest = registry.Solver.load

    def loaded(solver):
        def run(part, options):
            claim = honest(solver)(part, options)
            return claim._replace(ended=ended, f=0 * claim.f, g=0 * claim.g)

        return run

    monkeypatch.setattr(registry.Solver, "load", loaded)


@pytest.mark.parametrize("ended", Ended)
@pytest.mark.parametrize("method", NAMES)
def test_advice_can_be_followed(method, ended, monkeypatch, as_claimed):
    solver, seen = registry.named(method), set()
    limit = {Ended.ITERATIONS: "max_iter", Ended.TIME: "time_limit"}.get(ended)
    if limit is not None and limit not in solver.options:
        pytest.skip("this method knows no such limit")
    spoil(monkeypatch, ended)
    for problem in PROBLEMS.values():
        for options in ({}, {"tol": 1e-3}):
            if solver.accepts(problem):
                result = solve(problem, method=method, **options)
                seen.add(result.status)
                assert advice_that_cannot_be_followed(result, WORDS) == []
                assert result.message.startswith(result.outcome)
                is_proved = result.status in (Status.OPTIMAL, Status.AS_EXACT_AS_INPUT)
                assert is_proved == (result.advice == "")
    is_entropic = solver.kind is registry.Kind.ENTROPIC and ended is Ended.FINISHED
    assert (Status.CONVERGED if is_entropic else limit or Status.NOT_PROVED) in seen


def test_the_check_of_advice_finds_planted_faults():
    result = solve(PROBLEMS["points"], method="sinkhorn", epsilon=0.1)
    assert advice_that_cannot_be_followed(result, WORDS) == []
    for advice, fault in [
        ("use method='sinkhorn'", "sinkhorn"),
        ("use method='line'", "line"),
        ("use method='highs' with this result as warm_start", "warm_start"),
    ]:
        planted = replace(result, advice=advice)
        assert advice_that_cannot_be_followed(planted, WORDS) == [fault]
    planted = replace(solve(PROBLEMS["line"]), advice="raise max_iter")
    assert advice_that_cannot_be_followed(planted, WORDS) == ["max_iter"]
    planted = replace(planted, status=Status.MAX_ITER, advice="raise tol")
    assert advice_that_cannot_be_followed(planted, {"tol"}) == ["no max_iter"]


@pytest.mark.parametrize("ended", Ended)
def test_plain_functions_advise_only_what_they_have(ended, monkeypatch, as_claimed):
    """emd and wasserstein_distance advised `tol` and `max_iter`, which they lack."""
    rng = np.random.default_rng(3)
    x, y = rng.random((2, 6, 2))
    cost, weights = rng.random((6, 6)), np.full(6, 1 / 6)
    spoil(monkeypatch, ended)
    monkeypatch.setattr(plain, "_at_once", lambda *_: None)
    monkeypatch.setattr(single, "least_cost", lambda *_: None)
    calls = [
        (lambda: wasserstein_distance(x, y), {"method"}),
        (lambda: wasserstein_distance(x, y, method="sinkhorn"), {"method"}),
        (lambda: wasserstein_distance(x[:, 0], y[:, 0], p=2), {"method"}),
        (lambda: emd(weights, weights, cost), set()),
        (lambda: kr_dual(x, y, critic="mcshane"), set()),
    ]
    if ended is not Ended.FINISHED:
        calls.append((lambda: sinkhorn_divergence(x, y, epsilon=0.05), {"tol", "epsilon"}))
    for call, words in calls:
        with pytest.raises(NotCertifiedError) as caught:
            call()
        _, _, advice = str(caught.value).partition("the optimum is in")
        advice = advice.partition("The exception")[0]
        result = replace(caught.value.result, status=Status.NOT_PROVED, advice=advice)
        assert advice_that_cannot_be_followed(result, words) == []


def test_every_method_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "guide" / "exact.md").read_text()
    for name in NAMES:
        assert f'"{name}"' in solve.__doc__
        assert f"| `{name}`" in page


def lines_that_name_methods(source):
    """Return the lines that compare a method's name."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        and (getattr(node.left, "id", None) or getattr(node.left, "attr", None)) == "method"
    ]


def test_only_the_registry_knows_methods_by_name():
    package = Path(registry.__file__).parents[1]
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if lines_that_name_methods(path.read_text())
    }
    assert found == {"solvers/registry.py"}
    assert lines_that_name_methods("if result.method == 'line':\n    pass") == [1]
    assert lines_that_name_methods("x = method in ('line', 'auto')") == [1]
