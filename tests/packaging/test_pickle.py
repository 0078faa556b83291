"""All that users get, exceptions too, passes through a process pool unchanged."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import multiprocessing
import pickle
import pkgutil
import re
from concurrent.futures import ProcessPoolExecutor
from enum import Enum

import numpy as np
import pytest
import scipy.sparse

import otdist as od
from otdist import Gradients
from otdist.critics import Interval

POINTS = [[0.0, 0.0], [1.0, 0.5]], [[2.0, 1.0], [0.5, 3.0]]
MANY = np.random.default_rng(0).normal(size=(2, 40, 2))
PUBLIC_MODULES = [od, od.datasets, od.gaussian, od.plot, od.samples, od.sliced]


def all_classes():
    """Return every class that is defined in the package, where it can be imported."""
    found = set()
    for module in pkgutil.walk_packages(od.__path__, "otdist.", onerror=lambda name: None):
        if module.name.startswith("otdist.torch") or module.name.endswith("__main__"):
            continue
        values = vars(importlib.import_module(module.name)).values()
        found |= {each for each in values if inspect.isclass(each)}
    return {each for each in found if each.__module__.startswith("otdist.")}


def solved():
    return od.solve(od.Problem(*POINTS, p=2))


#: An example of every class of object that public functions return.
EXAMPLES = {
    "Aligned": lambda: od.align([0.0, 1.0], [1.0, 2.0]),
    "Certificate": lambda: solved().certificate,
    "Comparison": lambda: od.compare(*POINTS),
    "Critic": lambda: od.kr_dual(*POINTS, critic="mcshane"),
    "Estimate": lambda: od.samples.knn_divergence(*MANY),
    "Gradients": lambda: solved().gradients(),
    "Interval": lambda: od.w1_interval(*MANY, diameter=20.0),
    "LowerBound": lambda: od.samples.divergence_lower(*MANY),
    "Problem": lambda: od.Problem(*POINTS, [0.25, 0.75], [0.5, 0.5]),
    "Result": solved,
    "Slice": lambda: od.sliced.max_sliced_wasserstein_distance(*POINTS),
    "Status": lambda: od.Status.OPTIMAL,
    "Row": lambda: od.compare(*POINTS).rows[0],
    "entropic": lambda: od.solve(od.Problem(*POINTS), method="sinkhorn", epsilon=0.5),
    "grid": lambda: od.solve(od.Problem.on_grid(np.eye(3), np.eye(3)[::-1])),
    "line": lambda: od.solve(od.Problem([0.0, 1.0], [2.0, 5.0])),
    "cost": lambda: od.solve(od.Problem.from_cost([[0.0, 1.0], [2.0, 0.0]])),
}

#: Made of functions that remember their parameters, as `datasets` builds them.
NOT_DATA = {"Pair"}


def public_classes():
    """Return the names of public classes, and of those in what public functions return."""
    mine = {each.__name__: each for each in all_classes()}
    names = set()
    for module in PUBLIC_MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value):
                names.add(value.__name__)
            else:
                names |= set(re.findall(r"\w+", str(inspect.signature(value).return_annotation)))
    return {n for n in names & mine.keys() if not issubclass(mine[n], BaseException)}


def contents(value):
    """Turn an object into numbers, strings and containers that compare by value."""
    if isinstance(value, np.ndarray):
        return "array", value.dtype.str, value.shape, [contents(each) for each in value.ravel()]
    if isinstance(value, float | np.floating):
        return repr(float(value))
    if isinstance(value, str | int | bytes | None | Enum | np.generic):
        return value
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__qualname__
    if isinstance(value, functools.partial):
        return contents((value.func, value.args, value.keywords))
    if scipy.sparse.issparse(value):
        return contents(value.toarray())
    if isinstance(value, dict):
        return {key: contents(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [contents(each) for each in value]
    return type(value).__name__, contents(state_of(value))


def state_of(value):
    names = {
        name
        for each in type(value).__mro__
        for name in np.atleast_1d(getattr(each, "__slots__", ())).tolist()
    }
    names = (names | vars(value).keys()) if hasattr(value, "__dict__") else names
    found = {name: getattr(value, name) for name in sorted(names) if hasattr(value, name)}
    is_empty = getattr(value, "__dataclass_fields__", None) == {}
    assert found or is_empty, f"nothing to compare in {value!r}"
    return found


def test_every_public_class_has_an_example():
    assert public_classes() - EXAMPLES.keys() == NOT_DATA
    assert {"Result", "Comparison", "Critic", "Estimate", "Pair"} <= public_classes()
    assert {Interval, Gradients} <= all_classes()


@pytest.mark.parametrize("name", EXAMPLES)
def test_results_survive_pickle(name):
    value = EXAMPLES[name]()
    for again in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert type(again) is type(value)
        assert contents(again) == contents(value)


def test_the_comparison_sees_a_difference():
    a, b = solved(), od.solve(od.Problem(*POINTS, p=3))
    assert contents(a) != contents(b)
    assert contents(a.certificate) != contents(b.certificate)
    assert contents(np.zeros(2)) != contents(np.zeros(2, int))
    assert contents([0.0]) != contents([-0.0])


# ------------------------------------------------------------------------ exceptions

EXCEPTIONS = sorted((c for c in all_classes() if issubclass(c, BaseException)), key=str)


def example(kind):
    """Make an exception of a class, with an argument for each parameter it has."""
    known = {"message": "what was reached", "result": solved(), "failures": [(0, 1, "NaN")]}
    if not inspect.isfunction(kind.__init__):
        return kind("what was reached")
    _, *names = inspect.signature(kind.__init__).parameters
    return kind(**{name: known[name] for name in names})


def test_exceptions_are_found():
    assert {od.InputError, od.NotCertifiedError, od.InputWarning} <= set(EXCEPTIONS)


@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_exceptions_survive_pickle(kind):
    error = example(kind)
    error.add_note("in measure 3")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert str(again) == str(error) == "what was reached"
        assert again.args == error.args
        assert contents(vars(again)) == contents(vars(error))


def fail(_):
    raise od.NotCertifiedError("not proved", None)


def test_a_process_pool_passes_the_error_on():
    """It hung: the error could not be made again where the pool reads its results."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        error = pool.submit(fail, 0).exception(timeout=60)
    assert isinstance(error, od.NotCertifiedError)
    assert error.result is None
