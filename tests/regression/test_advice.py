"""Messages advised options that the function called does not have, or that refuse the problem."""

from __future__ import annotations

import inspect
import re
from itertools import chain

import numpy as np
import pytest
from scipy.sparse import csr_array

import otdist
from otdist import InputError, Problem, comparison, emd, sliced, solve, wasserstein_distance
from otdist.cli.main import main
from otdist.runtime import blocks

LINE = np.array([[0.0], [1.0]])
UNEQUAL = {"a": [1.0, 1.0], "b": [1.0, 0.0]}
IMAGES = {"A": [[1.0, 1.0]], "B": [[1.0, 0.0]]}
#: An argument for each parameter that some function requires.
REQUIRED = {
    "x": [0.0, 2.0],
    "y": [0.0, 2.0],
    **{name: [0.5, 0.5] for name in "ab"},
    **{name: [[0.5, 0.5]] for name in "AB"},
    "cost": np.ones((2, 2)),
    "g": [0.0, 0.0],
    "graph": csr_array(np.array([[0.0, 1], [1, 0]])),
    "parents": [-1, 0],
    "lengths": [0.0, 1.0],
    "epsilon": 0.1,
    "measures": [[0.0, 1.0], [0.5, 1.0]],
}
PUBLIC = {
    getattr(each, "__qualname__", ""): each
    for each in chain(
        (
            getattr(module, name)
            for module in (otdist, comparison, sliced)
            for name in module.__all__
        ),
        (getattr(Problem, name) for name in ("from_cost", "on_circle", "on_graph", "on_tree")),
        (Problem.on_grid, Problem.partial),
    )
    if inspect.isroutine(each) or each is Problem
}


def parameters(name):
    return inspect.signature(PUBLIC[name]).parameters


def having(*names):
    return [each for each in PUBLIC if set(names) <= set(parameters(each))]


def required(name):
    return {
        each: REQUIRED[each]
        for each, parameter in parameters(name).items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    }


def refusal(name, **given):
    """Return the message of the `InputError` that a public function raises."""
    with pytest.raises(InputError) as caught:
        PUBLIC[name](**{**required(name), **given})
    return str(caught.value)


def advised(message):
    return set(re.findall(r"\b(\w+)=", message))


# Mass may be left in a partial problem; a transform takes no weights.
@pytest.mark.parametrize("name", sorted({*having("a", "b")} - {"Problem.partial"}))
def test_unequal_masses(name):
    message = refusal(name, **UNEQUAL)
    assert "a sums to 2 and b to 1" in message
    assert "divide each side's weights by their sum" in message
    assert ("normalize=True" in message) == ("normalize" in parameters(name))


def test_unequal_masses_of_images_and_of_many_measures():
    measures = [(LINE, [1.0, 1.0]), (LINE, [1.0, 0.0])]
    for message in (refusal("Problem.on_grid", **IMAGES), refusal("pairwise", measures=measures)):
        assert "pass normalize=True, or divide each side's weights by their sum" in message


def test_the_functions_inspected_are_all():
    """The tests above and below would pass if inspection found no function."""
    assert len(PUBLIC) > 30
    assert {"emd", "kr_dual", "sinkhorn_divergence", "align", "separations"} < {*having("a", "b")}
    assert {"compare", "sliced_wasserstein_distance", "Problem.partial"} < {*having("p", "y")}


@pytest.mark.parametrize("name", sorted({*having("p")} - {*having("q")}))
def test_an_order_below_one(name):
    price = {"price": 1.0} if name == "Problem.partial" else {}
    message = refusal(name, p=0.5, **price)
    # pairwise passes other options on to the distance.
    known = parameters("wasserstein_distance" if name == "pairwise" else name)
    assert advised(message) <= set(known), message
    if name != "Problem.from_cost":
        assert "pass the matrix distance**p to Problem.from_cost" in message
    if name in ("Problem", "wasserstein_distance"):
        assert "pass concave=True" in message


@pytest.mark.parametrize(
    "y", [[0.0, 1.0], "uniform", [[0.0, 1.0]] * 2], ids=["two", "uniform", "many"]
)
def test_an_order_below_one_on_a_circle(y):
    axis = -1 if np.ndim(y) == 2 else None
    with pytest.raises(InputError, match=r"p must be >= 1, got 0\.5") as caught:
        wasserstein_distance([0.0, 1.0], y, p=0.5, period=2.0, axis=axis)
    assert not advised(str(caught.value))


def test_the_advice_on_an_order_below_one_is_accepted():
    assert wasserstein_distance([0.0], [4.0], p=0.5, concave=True) == 2.0
    assert solve(Problem.from_cost([[4.0**0.5]])).distance == emd([1.0], [1.0], [[2.0]]) == 2.0


CLOUD = np.eye(40, 30), 2 * np.eye(40, 30)


def farthest(x, y):
    return float(np.abs(x - y).max())


@pytest.mark.parametrize(
    "call",
    [
        lambda: solve(Problem(*CLOUD), method="sinkhorn"),
        lambda: solve(Problem(*CLOUD, metric=farthest), method="sinkhorn"),
        lambda: solve(Problem.partial(*CLOUD, price=1.0)),
        lambda: solve(Problem(*CLOUD, p=np.inf)),
        lambda: otdist.sinkhorn_divergence(*CLOUD, epsilon=0.1),
    ],
    ids=["sinkhorn", "function", "partial", "bottleneck", "divergence"],
)
def test_memory(call, monkeypatch):
    monkeypatch.setattr(blocks, "available_memory", lambda: 1e3)
    with pytest.raises(InputError, match=r"GB and 1e-06 GB of memory are available") as caught:
        call()
    assert "use fewer atoms, or a machine with more memory" in str(caught.value)
    assert not advised(str(caught.value))


def test_memory_of_a_plan(monkeypatch):
    plan = solve(Problem(*CLOUD), method="sinkhorn").plan
    monkeypatch.setattr(blocks, "available_memory", lambda: 1e3)
    with pytest.raises(
        InputError, match=r"a matrix of 40 by 40 atoms .* use fewer atoms"
    ) as caught:
        plan.toarray()
    assert not advised(str(caught.value))


@pytest.mark.parametrize("name", having("epsilon", "x"))
def test_an_epsilon_below_rounding(name):
    message = refusal(name, epsilon=1e-14)
    assert "method" not in message
    advice = re.search(r"pass at least (\S+)$", message)
    assert 2e-13 <= float(advice[1]) < 2.1e-13


@pytest.mark.parametrize("wrong", [1e-20, 1e20])
def test_the_epsilon_advised_is_accepted(wrong):
    """Limits were printed to three digits, and half of them rounded to the wrong side."""
    for far in (1.234, 1.236):
        with pytest.raises(InputError) as caught:
            otdist.sinkhorn_divergence([0.0], [far], epsilon=wrong)
        advice = float(str(caught.value).split()[-1])
        assert otdist.sinkhorn_divergence([0.0], [far], epsilon=advice) == pytest.approx(far)


@pytest.fixture
def shell(tmp_path, capsys):
    """Run a command on two files of points in the plane; return what it prints as an error."""

    def run(*arguments):
        files = [tmp_path / "a.csv", tmp_path / "b.csv"]
        for shift, file in enumerate(files):
            np.savetxt(file, np.eye(2 + shift, 2) + shift, delimiter=",")
        assert main(["compare", *map(str, files), *arguments]) == 2
        return capsys.readouterr().err

    return run


def test_the_command_line_names_methods_as_it_takes_them(shell):
    message = shell("--method", "line")
    assert message.startswith("otdist: --method line needs points on the line")
    wanted = "use --method network_simplex, --method highs or --method sinkhorn\n"
    assert message.endswith(f"; {wanted}")


@pytest.mark.parametrize("options", [("--p", "0.5"), ("--epsilon", "1e-15")], ids=str)
def test_the_command_line_has_the_options_that_it_advises(shell, options):
    message = shell(*options)
    assert not advised(message)
    assert "exact method" not in message


@pytest.mark.parametrize(
    "problem", [Problem([0.0, 1.0], [2.0]), Problem.on_circle([0.0], [0.5])], ids=str
)
@pytest.mark.parametrize("option", ["max_iter", "time_limit"])
def test_a_limit_that_the_method_chosen_does_not_need(problem, option):
    with pytest.raises(InputError) as caught:
        solve(problem, **{option: 60})
    message = str(caught.value)
    assert "which method='auto' chose: a direct method, which needs no limit; " in message
    assert f"for {problem!r} leave it out, or use method='network_simplex'" in message


def test_an_epsilon_for_the_method_chosen():
    """It is not a limit: the message must not say that none is needed."""
    with pytest.raises(InputError, match=r"which method='auto' chose; .* leave it out") as caught:
        solve(Problem([0.0, 1.0], [2.0]), epsilon=0.1)
    assert "limit" not in str(caught.value)


@pytest.mark.parametrize("max_iter", [2**62, 2**63 - 1, 2**63, 10**30])
@pytest.mark.parametrize(
    "problem",
    [
        Problem([[0.0, 0], [0, 1]], [[1.0, 0], [1, 1]]),
        Problem.on_grid(np.eye(3), np.eye(3)[::-1], metric="cityblock", normalize=True),
    ],
    ids=["points", "grid"],
)
def test_a_limit_beyond_int64_is_no_limit(problem, max_iter):
    assert solve(problem, max_iter=max_iter).value == solve(problem).value
