"""Metrics are records: one name, one code for all kernels, and nothing falls through."""

import ast
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import otdist
from otdist import InputError, Problem, kr_dual, solve
from otdist.certificate import checkers
from otdist.certificate.kernels import points as certificate
from otdist.compiled import costs as kernel
from otdist.geometry import metrics
from otdist.geometry.points import Points, cost_matrix, kernel_code
from otdist.inputs.validate import frozen

PACKAGE = Path(otdist.__file__).parent
NAMES = sorted(metrics.NAMED)


def clouds(seed, n=7, m=5, d=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [1.0, 2.5])
def test_solvers_and_certificates_compute_what_the_record_says(name, p):
    x, y = clouds(1)
    p = 1.0 if name == "sqeuclidean" else p
    expected = cost_matrix(x, y, name, p)
    costs = Points(x, y, name, p, 1.0).costs()
    np.testing.assert_allclose(kernel.rows_of(costs, 0, len(x)), expected, rtol=1e-14)
    minimum = np.full(len(y), np.inf)
    # The kernel is compiled for read-only points.
    points = frozen(x.T), np.zeros(len(x)), frozen(y.T)
    norm = checkers.norm_of(name)
    certificate.points_minimum(*points, norm, p, 0, np.empty(8), minimum)
    np.testing.assert_allclose(minimum, expected.min(axis=0), rtol=1e-14)


def test_codes_differ_and_kernels_know_the_same_ones():
    codes = {metric.code for metric in metrics.NAMED.values()}
    assert len(codes) == len(metrics.NAMED)
    assert codes == set(kernel.METRIC_CODES) == set(certificate.METRIC_CODES)
    assert kernel.MATRIX not in codes


@pytest.mark.parametrize("name", NAMES)
def test_the_steepest_vector_has_dual_norm_1(name):
    metric, rng = metrics.NAMED[name], np.random.default_rng(0)
    order = {"cityblock": np.inf, "chebyshev": 1}.get(name, 2)
    norm = {"cityblock": 1, "chebyshev": np.inf}.get(name, 2)
    for moment in [*rng.normal(size=(20, 4)), np.array([1e-300, 0.0])]:
        slope = metric.steepest(moment)
        assert np.linalg.norm(slope, order) <= 1
        scale = np.abs(moment).max()
        expected = np.linalg.norm(moment / scale, norm) * scale
        assert slope @ moment == pytest.approx(expected, rel=1e-14)
    assert (metric.steepest(np.zeros(3)) == 0).all()


@pytest.fixture
def toy(monkeypatch):
    """Return a metric with a record and no branch in any kernel: twice the L1 distance."""
    record = replace(
        metrics.NAMED["cityblock"],
        name="twice",
        code=77,
        add=lambda total, part: np.add(total, 2 * np.abs(part), out=total),
        gradient=lambda difference: 2 * np.sign(difference),
        is_tiled=False,
        separable_at=frozenset(),
    )
    monkeypatch.setitem(metrics.NAMED, record.name, record)
    return record


def test_a_code_that_kernels_do_not_know_is_refused(toy):
    x, y = clouds(2)
    with pytest.raises(InputError, match=r"'twice' has the code 77, .* solvers"):
        kernel_code(toy.name)
    with pytest.raises(InputError, match="kernels of the certificate"):
        checkers.norm_of(toy.name)
    with pytest.raises(InputError, match="code 77"):
        solve(Problem(x, y, metric=toy.name), method="sinkhorn", epsilon=0.1)


def test_a_record_alone_is_enough_where_no_kernel_computes_costs(toy):
    x, y = clouds(3)
    problem = Problem(x, y, metric=toy.name)
    matrix = 2 * np.abs(x[:, None] - y).sum(axis=2)
    np.testing.assert_allclose(problem.geometry.dense(), matrix, rtol=1e-15)
    slope = problem.geometry.derivative(np.arange(5), np.arange(5))
    assert (slope == 2 * np.sign(x[:5] - y)).all()
    assert problem.is_metric


def test_names_that_are_no_metric():
    for make in (lambda: Problem([[0.0]], [[1.0]], metric="l2"), lambda: metrics.known("l2")):
        with pytest.raises(InputError, match="'l2' is unknown; known metrics are 'euclidean'"):
            make()
    with pytest.raises(InputError, match=r"one of 'euclidean', 'cityblock', 'chebyshev'; got"):
        kr_dual([[0.0]], [[1.0]], metric="sqeuclidean")


#: What a metric is made of: a record, and a branch in the costs of the solvers' kernels and
#: in those of the certificate's (the solvers compute blocks and single costs). The new one
#: is twice the L1 distance, also on the line.
A_NEW_METRIC = {
    "geometry/metrics.py": (
        ('name="cityblock",', 'name="fare",\n            code=5,'),
        ("            code=1,\n", ""),
        ("add=_add_size,", "add=lambda total, part: _add_size(total, 2 * part),"),
        ("gradient=np.sign,", "gradient=lambda difference: 2 * np.sign(difference),"),
        ("steepest=np.sign,", "steepest=lambda moment: 2 * np.sign(moment),"),
        ("            separable_at=frozenset({1.0}),\n            line_power=1.0,\n", ""),
        ("            is_tiled=True,\n", ""),
    ),
    "compiled/costs.py": (
        (
            "        if kind == CITYBLOCK:\n",
            (
                "        if kind == 5:\n            for j in range(out.size):\n"
                "                out[j] += 2 * abs(x_k - y_k[j])\n        elif kind == CITYBLOCK:\n"
            ),
        ),
        (
            "        if costs.kind == CITYBLOCK:\n",
            (
                "        if costs.kind == 5:\n            total += 2 * abs(difference)\n"
                "        elif costs.kind == CITYBLOCK:\n"
            ),
        ),
        ("METRIC_CODES = (", "METRIC_CODES = (5, "),
    ),
    "certificate/kernels/points.py": (
        (
            "        if norm == 1:\n",
            (
                "        if norm == 5:\n            for j in range(size):\n"
                "                out[j] += 2 * abs(x_k - y_k[j])\n        elif norm == 1:\n"
            ),
        ),
        ("METRIC_CODES = (", "METRIC_CODES = (5, "),
    ),
}
SOLVED = """
import numpy as np
import otdist
from otdist import Problem, kr_dual, solve
from otdist.certificate import checkers
from otdist.solvers.network_simplex import solver
checkers._COMPILED_PAIRS = 0

def values(metric, unit):
    x, y = np.random.default_rng(0).normal(size=(2, 9, 3))
    A, B = np.random.default_rng(1).integers(1, 5, size=(2, 3, 4))
    problems = [
        Problem(x, y, metric=metric),
        Problem(x, y, metric=metric, p=2.5),
        Problem(x[:, :1], y[:, :1], metric=metric),
        Problem(x, y, metric=metric, p=np.inf),
        Problem.on_grid(A, B, metric=metric, normalize=True),
        Problem.partial(x, y, metric=metric, price=0.7 * unit),
    ]
    for problem in problems:
        for small in (0, 1 << 18):
            solver._SMALL = small
            result = solve(problem)
            assert result.status == "optimal", result
            yield result.value / unit ** (1 if np.isinf(problem.p) else problem.p)
    yield otdist.wasserstein_distance(x[:, 0], y[:, 0], metric=metric) / unit
    yield otdist.pairwise([x[:, 0], y[:, 0]], metric=metric)[0, 1] / unit
    result = solve(problems[0], method="sinkhorn", epsilon=0.5 * unit, tol=1e-12)
    critic = kr_dual(x, y, metric=metric, critic="mcshane")
    yield from (result.lower / unit, result.upper / unit, critic.value / unit)
    gradients = solve(problems[0]).gradients()
    yield float(np.abs(gradients.x).sum()) / unit

print(repr([list(map(float, values(*each))) for each in (("cityblock", 1), ("fare", 2))]))
"""


def test_a_new_metric_touches_three_files(tmp_path):
    """All other files ask its record, or have a way for metrics that they do not know."""
    copy = tmp_path / "otdist"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, changes in A_NEW_METRIC.items():
        source = (copy / name).read_text()
        if name == "geometry/metrics.py":
            start = source.index('        NamedMetric(\n            name="cityblock"')
            stop = source.index("        NamedMetric(", start + 1)
            record = source[start:stop]
            for old, new in changes:
                assert old in record, old
                record = record.replace(old, new)
            source = source[:stop] + record + source[stop:]
        else:
            for old, new in changes:
                assert old in source, old
                source = source.replace(old, new)
        (copy / name).write_text(source)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_DISABLE_JIT": "1"}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SOLVED],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    known, new = ast.literal_eval(run.stdout)
    assert new == pytest.approx(known, rel=1e-9)
