"""Every argument of every public function, given things that it does not take.

A call ends with a result, or with an `InputError`: never with an error from inside.
"""

from __future__ import annotations

import datetime
import inspect
import math
import re
import warnings
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats

import otdist
from otdist import (
    InputError,
    NotCertifiedError,
    Problem,
    comparison,
    datasets,
    gaussian,
    samples,
    sliced,
    solve,
)

X, Y = [[0.0, 0.0], [1.0, 2.0], [4.0, 1.0]], [[3.0, 1.0], [2.0, 2.0], [0.0, 5.0]]
U, V, W = [0.0, 1.0, 5.0], [2.0, 3.0, 9.0], [0.2, 0.3, 0.5]
GRAPH = sp.csr_array([[0.0, 1.0, 0.0], [1.0, 0.0, 2.0], [0.0, 2.0, 0.0]])
IMAGE, OTHER = [[0.25, 0.25], [0.5, 0.0]], [[0.0, 0.5], [0.25, 0.25]]
MANY = np.random.default_rng(0).normal(size=(40, 2))


class Call(NamedTuple):
    function: object
    arguments: dict

    def name(self):
        return getattr(self.function, "__qualname__", str(self.function))


def _calls():
    """Return a call that works of each public function; all of its arguments are varied."""
    problem = Problem(X, Y)
    points = {"x": X, "y": Y, "a": W, "b": W}
    two = {"p": [0.5, 0.5], "q": [0.25, 0.75]}
    normal = {"m1": [0.0, 0.0], "C1": np.eye(2), "m2": [1.0, 0.0], "C2": np.eye(2)}
    calls = [
        Call(otdist.wasserstein_distance, points),
        Call(otdist.wasserstein_distance, {"x": U, "y": V, "a": W, "b": W}),
        Call(otdist.wasserstein_distance, {"x": U, "y": V, "period": 10.0}),
        Call(otdist.wasserstein_distance, {"x": [U, U], "y": [V, V], "axis": 1}),
        Call(otdist.emd, {"a": W, "b": W, "cost": 1 - np.eye(3)}),
        Call(otdist.align, {"x": U, "y": V, "a": W, "b": W}),
        Call(otdist.pairwise, {"measures": [X, Y]}),
        Call(otdist.pairwise, {"measures": [X], "other": [Y]}),
        Call(otdist.pairwise, {"measures": [W, W], "support": U}),
        Call(otdist.pairwise, {"measures": [W, W], "cost": 1 - np.eye(3)}),
        Call(otdist.pairwise, {"measures": [W, W], "distance": "js"}),
        Call(otdist.sinkhorn_divergence, {**points, "epsilon": 1.0}),
        Call(otdist.sinkhorn_divergence_gradients, {**points, "epsilon": 1.0}),
        Call(otdist.sliced_wasserstein_distance, {**points, "rng": 0}),
        Call(sliced.max_sliced_wasserstein_distance, {**points, "rng": 0, "n_starts": 2}),
        Call(sliced.sliced_wasserstein_estimate, {**points, "rng": 0}),
        Call(otdist.kr_dual, {**points, "critic": "mcshane"}),
        Call(otdist.w1_interval, {"x": MANY, "y": MANY + 1, "diameter": 20.0, "rng": 0}),
        Call(otdist.c_transform, {"x": X, "y": Y, "g": U}),
        Call(otdist.lipschitz_lower, {"function": lambda z: z[:, 0], "points": MANY, "rng": 0}),
        Call(otdist.compare, points),
        Call(comparison.separations, {**points, "offsets": [0.0, 1.0]}),
        Call(otdist.certify, {"problem": problem, "plan": np.eye(3) / 3, "f": U, "g": V}),
        Call(solve, {"problem": problem}),
        Call(solve, {"problem": problem, "method": "sinkhorn", "epsilon": 1.0}),
        Call(Problem, points),
        Call(Problem.from_cost, {"cost": 1 - np.eye(3), "a": W, "b": W}),
        Call(Problem.partial, {**points, "mass": 0.5}),
        Call(Problem.on_grid, {"A": IMAGE, "B": OTHER}),
        Call(Problem.on_circle, {"x": U, "y": V, "a": W, "b": W, "period": 10.0}),
        Call(Problem.on_graph, {"graph": GRAPH, "a": W, "b": W}),
        Call(Problem.on_tree, {"parents": [-1, 0, 0], "lengths": [0.0, 1, 2], "a": W, "b": W}),
        Call(otdist.bures_wasserstein_distance, normal),
        Call(samples.knn_divergence, {"x": MANY, "y": MANY + 1}),
        Call(samples.classifier_divergence, {"x": MANY, "y": MANY + 1, "rng": 0}),
        Call(samples.divergence_lower, {"x": MANY, "y": MANY + 1, "rng": 0}),
        Call(datasets.parallel_lines, {"distance": 1.0}),
    ]
    more = {"renyi_divergence": {"alpha": 0.5}, "wasserstein_distance": {"p": 2}}
    calls += [
        Call(getattr(gaussian, name), {**normal, **more.get(name, {})}) for name in gaussian.__all__
    ]
    for name in ("kl", "js", "chi2", "renyi", "f"):
        function = getattr(otdist, f"{name}_divergence")
        more = {"renyi": {"alpha": 2.0}, "f": {"f": lambda t: (t - 1) ** 2}}.get(name, {})
        calls.append(Call(function, {**two, **more}))
    for name in ("js_distance", "hellinger_distance", "total_variation"):
        calls.append(Call(getattr(otdist, name), two))
    return calls


BAD = {
    "None": None,
    "text": "abc",
    "empty text": "",
    "bytes": b"abc",
    "True": True,
    "object": object(),
    "dict": {"a": 1.0},
    "set": {1.0, 2.0},
    "empty list": [],
    "empty array": np.empty((0, 2)),
    "ragged": [[1.0, 2.0], [3.0]],
    "list of None": [None, None, None],
    "list of text": ["a", "b", "c"],
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "-1": -1,
    "0": 0,
    "0.5": 0.5,
    "huge integer": 10**400,
    "-huge integer": -(10**400),
    "large integer": 2**63,
    "1e308": 1e308,
    "5e-324": 5e-324,
    "complex": 1j,
    "complex array": np.array([1j, 2, 3]),
    "array of flags": np.array([True, False, True]),
    "nan array": np.array([[math.nan, 1.0], [1.0, 2.0], [0.0, 1.0]]),
    "4-d array": np.zeros((2, 2, 2, 2)),
    "0-d array": np.array(1.0),
    "1-element array": np.array([1.0]),
    "dates": np.array(["2024-01-01", "NaT"], "datetime64[D]"),
    "durations": np.array([1, 2, 3], "timedelta64[s]"),
    "date": datetime.date(2024, 1, 1),
    "decimal": Decimal("NaN"),
    "fraction": Fraction(1, 3),
    "masked": np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
    "sparse": sp.eye_array(3),
    "distribution": scipy.stats.norm(),
    "function": lambda *_: "text",
    "generator": "made anew",
    "slice": slice(3),
    "nested": [[[[1.0]]]],
    "structured": np.zeros(3, [("x", float), ("y", float)]),
    "object array": np.array([1, "a", None], dtype=object),
}


def _value_of(name):
    return (k for k in range(3)) if name == "generator" else BAD[name]


def _parameters(call):
    names = inspect.signature(call.function).parameters
    return [name for name in names if name not in ("self", "options", "out")]


CALL = re.compile(r"[\w.]+\([^()]*\)")
ARGUMENT = re.compile(r"\b([a-z_]\w*)=(?!=)")


def unknown_arguments(message, function):
    """Return the arguments that a message names and that the function called does not have.

    Those of another function, written as a call, are looked up there.
    """
    unknown = []
    for call in CALL.findall(message):
        name, _, rest = call.partition("(")
        other = getattr(otdist, name, None) or getattr(Problem, name.rpartition(".")[2], None)
        if other is not None:
            unknown += _missing(rest, other)
    return unknown + _missing(CALL.sub("", message), function)


def _missing(text, function):
    known = inspect.signature(function).parameters
    if "options" in known:  # those of the distances between two measures
        known = {**known, **inspect.signature(otdist.wasserstein_distance).parameters}
    return [name for name in ARGUMENT.findall(text) if name not in known]


CASES = [
    pytest.param(call, name, id=f"{call.name()}-{k}-{name}")
    for k, call in enumerate(_calls())
    for name in _parameters(call)
]


@pytest.mark.parametrize("call, parameter", CASES)
def test_no_error_comes_from_inside(call, parameter):
    for value in BAD:
        arguments = {**call.arguments, parameter: _value_of(value)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", otdist.InputWarning)
            try:
                call.function(**arguments)
            except (InputError, NotCertifiedError) as error:
                unknown = unknown_arguments(str(error), call.function)
                if unknown:
                    pytest.fail(f"{parameter}={value}: {unknown} in {error}")
            except Exception as error:  # noqa: BLE001 (that is what is looked for)
                pytest.fail(f"{parameter}={value}: {type(error).__name__}: {error}")


def test_an_argument_that_does_not_exist_is_found():
    message = "pass normalise=True, or write emd(a, b, c=cost)"
    assert unknown_arguments(message, otdist.emd) == ["c", "normalise"]


def test_there_are_many_bad_calls():
    assert len(CASES) * len(BAD) >= 2000


def test_the_calls_themselves_work():
    for call in _calls():
        call.function(**call.arguments)
