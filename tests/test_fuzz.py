"""Some seconds of the fuzzer, and what it finds when answers are made wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import knobs
import mpmath
import numpy as np
import oracles
import pytest
from conftest import JIT_OFF
from fuzz import families, judge, run, shrink, truth
from fuzz.paths import PATHS

import otdist
from otdist import Status

ROOT = Path(__file__).parents[1]
#: Cases of each path that take about two seconds.
CASES = {"one": 500, "axis": 200, "pairwise": 60, "partial": 500, "grid": 150}
CASES |= {"graph": 250, "circle": 500, "sinkhorn": 50, "certify": 500}
#: Paths that call `solve`.
SOLVING = ("one", "partial", "grid", "graph", "circle", "sinkhorn")


@pytest.fixture(autouse=True)
def _time_is_not_measured_without_kernels(monkeypatch):
    if JIT_OFF:
        monkeypatch.setattr(knobs.FUZZ_LONGEST_CALL, 1e9)


def cases_of(path):
    return CASES[path] // 10 if JIT_OFF else CASES[path]


@pytest.mark.parametrize("path", PATHS)
def test_random_problems(path):
    report = run.run(16, [path], cases=cases_of(path))
    assert not report.failure, report.failure
    assert report.number >= cases_of(path)


def test_the_same_seed_gives_the_same_problems():
    first, again = (PATHS["one"].draw(np.random.default_rng([7, 0, 0])) for _ in range(2))
    assert first.family == again.family
    for name, value in first.data.items():
        assert np.array_equal(value, again.data[name]), name


def test_the_program_prints_a_table_with_its_seed():
    command = [sys.executable, "-m", "tests.fuzz", "--seed", "5", "--path", "axis"]
    done = subprocess.run(
        [*command, "--minutes", "0.001"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "| axis |" in done.stdout, done.stderr
    assert "Seed 5" in done.stdout
    assert done.returncode == ("print(" in done.stdout)


# ---------------------------------------------------------------------------- the truth


def test_the_optimum_is_that_of_a_plain_implementation():
    rng = np.random.default_rng(1)
    for _ in range(150):
        n, m = (families.size(rng, 5) for _ in "ab")
        _, a, b = families.weights(rng, n, m)
        _, cost = families.costs(rng, n, m)
        weights = truth.both_weights(a.tolist(), b.tolist())
        found = truth.optimum(weights, *truth.matrix_costs(cost.tolist()))
        plain = oracles.exact(cost, a, b)
        assert (found.shortage > 0) == (plain is None)
        assert plain is None or Fraction(found.low, found.unit) == plain


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, 15, 50, 100])
@pytest.mark.parametrize("metric", families.METRICS)
def test_costs_of_points_have_sixty_digits(metric, p):
    rng = np.random.default_rng(round(2 * p))
    x, y = (families.points(rng, (2,), 3, p)[1][0].tolist() for _ in "xy")
    costs, exponent, _ = truth.point_costs(x, y, metric, p)
    with mpmath.workdps(80):
        for u, row in zip(x, costs, strict=True):
            for v, cost in zip(y, row, strict=True):
                apart = [abs(mpmath.mpf(s) - t) for s, t in zip(u, v, strict=True)]
                norm = {
                    "euclidean": mpmath.sqrt(mpmath.fsum(t * t for t in apart)),
                    "cityblock": mpmath.fsum(apart),
                    "chebyshev": max(apart),
                }[metric]
                right, found = norm ** mpmath.mpf(p), mpmath.ldexp(cost, exponent)
                assert right * (1 - mpmath.mpf(10) ** -60) <= found
                assert found <= right * (1 + mpmath.mpf(10) ** -75)


def test_the_sorted_coupling_is_optimal_on_the_line():
    rng = np.random.default_rng(2)
    for _ in range(100):
        n, m, p = families.size(rng), families.size(rng), families.pick(rng, families.ORDERS)
        _, a, b = families.weights(rng, n, m)
        _, (x, y) = families.points(rng, (n, m), 1, p)
        x, y, a, b = (each.tolist() for each in (x, y, a, b))
        plain = truth.optimum(truth.both_weights(a, b), *truth.point_costs(x, y, "euclidean", p))
        found = truth.on_line([u for (u,) in x], [v for (v,) in y], a, b, p)
        assert found.low * plain.unit <= plain.high * found.unit
        assert plain.low * found.unit <= found.high * plain.unit


def test_weights_without_a_way_to_go():
    inf = float("inf")

    def optimum(a, b, cost):
        return truth.optimum(truth.both_weights(a, b), *truth.matrix_costs(cost))

    for light, is_infeasible in ((1e-30, False), (0.25, True)):
        found = optimum([1.0, light], [1.0, light], [[0.0, 0.0], [inf, inf]])
        assert found.shortage == pytest.approx(light / (1 + light))
        assert (found.is_infeasible, found.is_undecided) == (is_infeasible, not is_infeasible)
    assert optimum([1.0, 2.0], [2.0, 1.0], [[0.0, inf], [inf, 0.0]]).shortage == pytest.approx(
        1 / 3
    )
    # 0.1 + 0.2 is not 0.3 in float64.
    blocks = [[0.0, inf], [0.0, inf], [inf, 0.0]]
    assert 0 < optimum([0.1, 0.2, 0.7], [0.3, 0.7], blocks).shortage < 1e-15


# --------------------------------------------------------------------- planted mistakes


def certified(**changes):
    """Return a change of results or certificates, one function for each field."""

    def change(answer):
        certificate = getattr(answer, "certificate", answer)
        new = {name: make(getattr(certificate, name)) for name, make in changes.items()}
        changed = replace(certificate, **new)
        return changed if certificate is answer else replace(answer, certificate=changed)

    return change


def far_off(status):
    """Return a change of results to a wide bracket, a wrong value and a status."""

    def change(result):
        size = 1 + abs(result.value)
        fields = {"lower": result.lower - size, "upper": result.upper + size}
        certificate = replace(result.certificate, **fields, value=result.value + size / 2)
        return replace(result, certificate=certificate, status=Status(status))

    return change


def of_other_potentials(result):
    f, g = result.potentials
    return replace(result, potentials=(f + 0.1 * result.coupling.epsilon, g))


def fail(answer):
    raise ZeroDivisionError("planted")


def wait(answer):
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    return answer


LOWER = certified(lower=lambda v: v + 1e-12 * abs(v))
UPPER = certified(upper=lambda v: v - 1e-12 * abs(v))

#: Path, function, a change of what it returns, and the rules of which one is broken.
PLANTED = [
    *((path, "solve", LOWER, {"lower"}) for path in SOLVING),
    ("one", "solve", UPPER, {"upper", "value"}),
    ("one", "solve", certified(value=lambda v: v + 1 + abs(v)), {"value"}),
    ("one", "solve", far_off("optimal"), {"optimal"}),
    ("one", "solve", far_off("as_exact_as_input"), {"as exact as input"}),
    ("one", "emd", lambda v: v * (1 + 1e-8), {"number"}),
    ("one", "wasserstein_distance", lambda v: v * (1 + 1e-8), {"number"}),
    ("one", "emd", lambda v: v * (1 + 1e-13), {"agreement"}),
    ("one", "emd", fail, {"exception"}),
    ("one", "solve", wait, {"time"}),
    ("axis", "wasserstein_distance", lambda v: v * (1 + 1e-8), {"number"}),
    ("pairwise", "pairwise", lambda v: v * np.nan, {"reason"}),
    ("sinkhorn", "solve", lambda r: replace(r, status=Status.NOT_PROVED), {"early end"}),
    (
        "sinkhorn",
        "solve",
        lambda r: replace(r, regularized_value=1.001 * r.regularized_value + 1e-3),
        {"disagreement"},
    ),
    ("sinkhorn", "solve", of_other_potentials, {"marginals", "plan"}),
    ("certify", "certify", LOWER, {"lower"}),
    ("certify", "certify", UPPER, {"upper"}),
    ("certify", "certify", certified(is_coupling=lambda v: True), {"coupling"}),
    ("certify", "certify", certified(is_coupling=lambda v: False), {"coupling"}),
]


def rule_broken(path, name, function, monkeypatch):
    """Return the rule that the fuzzer finds broken, or nothing; the program printed runs."""
    monkeypatch.setitem(judge.NAMES, name, function)
    failure = run.run(3, [path], cases=CASES[path], patience=2).failure
    if not failure:
        return ""
    exec(failure, {})  # noqa: S102
    return failure.rpartition("  # ")[2].partition(":")[0]


@pytest.mark.parametrize("path, name, change, rules", PLANTED)
def test_planted_mistakes_are_found(path, name, change, rules, monkeypatch):
    if "time" in rules:
        monkeypatch.setattr(knobs.FUZZ_LONGEST_CALL, 0.02)
    right = getattr(otdist, name)

    def wrong(*arguments, **options):
        return change(right(*arguments, **options))

    assert rule_broken(path, name, wrong, monkeypatch) in rules


def test_a_lost_atom_is_found(monkeypatch):
    def without_the_lightest(a, b, cost):
        otdist.emd(a, b, cost)  # for its errors
        a = np.array(a)
        used = np.flatnonzero(a)
        a[used[np.argmin(a[used])]] *= len(used) == 1
        return otdist.emd(a / a.sum() * np.sum(b), b, cost)

    found = rule_broken("one", "emd", without_the_lightest, monkeypatch)
    assert found in {"number", "feasibility", "agreement"}


def test_a_swapped_weight_is_found(monkeypatch):
    def with_other_weights(measures, other, **options):
        if "cost" in options:
            other = np.array(other)
            other[:, [0, -1]] = other[:, [-1, 0]]
        return otdist.pairwise(measures, other, **options)

    found = rule_broken("pairwise", "pairwise", with_other_weights, monkeypatch)
    assert found in {"number", "feasibility"}


def test_cases_shrink_to_the_smallest():
    """What is wrong is the third atom of five, and its weight above 1/2."""

    def check(case):
        if (case.a > 0.5).any() and len(case.a) > 1:
            raise judge.Violation("planted", "emd(a, b, cost)", "")

    rng = np.random.default_rng(0)
    a = np.array([0.1, 0.2, 0.7123456789, 0.1, 0.3])
    data = {"a": a, "b": a[::-1], "cost": rng.random((5, 5)), "p": 15.0}
    case = judge.Case("one", "", data, {"a": "n", "b": "m", "cost": "nm"})
    small, _ = shrink.shrink(case, shrink.violation_of(case, check), check, 30)
    assert sorted(small.a) == [0.0, 1.0]
    assert len(small.b) == 1
    assert small.p == 1
    assert not small.cost.any()
