"""Transport on trees, against sums over subtrees, other methods and the line."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from checks import assert_narrow, assert_proved
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st

from otdist import InputError, Problem, solve

LARGE = 100 if JIT_OFF else 20_000


def random_tree(rng, n, *, deep=False):
    """Return parents and lengths of nodes in no order."""
    parent = np.arange(-1, n - 1)
    if not deep:
        parent[1:] = (rng.random(n - 1) * np.arange(1, n)).astype(int)
    order = rng.permutation(n)
    named = np.empty(n, int)
    named[order] = np.where(parent >= 0, order[parent], -1)
    return named, rng.random(n)


def masses(rng, n):
    a, b = rng.random((2, n)) * (rng.random((2, n)) < 0.7)
    a[0] += 1
    b[-1] += 1
    return a / math.fsum(a), b / math.fsum(b)


def by_subtrees(parents, lengths, a, b):
    """Return sum of length * |mass below in excess|, node by node up to the root."""
    below = a - b
    excess = np.zeros(len(parents))
    for node in range(len(parents)):
        above = node
        while above >= 0:
            excess[above] += below[node]
            above = parents[above]
    used = parents >= 0
    return math.fsum(lengths[used] * np.abs(excess[used]))


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 30])
def test_value_is_the_sum_over_edges(n, deep):
    rng = np.random.default_rng(n)
    parents, lengths = random_tree(rng, n, deep=deep)
    a, b = masses(rng, n)
    problem = Problem.on_tree(parents, lengths, a, b)
    result = solve(problem)
    assert result.method == "tree"
    assert_proved(result)
    truth = by_subtrees(parents, lengths, a, b)
    assert result.value == pytest.approx(truth, rel=1e-13, abs=1e-16)
    other = solve(problem, method="flow")
    assert_proved(other)
    assert other.value == pytest.approx(truth, rel=1e-13, abs=1e-16)


def test_star_of_the_issue():
    star = Problem.on_tree([-1, 0, 0, 0], [0, 1, 2, 3], [0, 1, 0, 0], [0, 0, 0.5, 0.5])
    result = solve(star)
    assert result.value == 3.5
    assert_narrow(result, 3.5)
    assert_proved(result)


def test_path_is_the_line():
    rng = np.random.default_rng(0)
    lengths = rng.random(40)
    a, b = masses(rng, 40)
    x = np.cumsum(np.r_[0, lengths[1:]])
    tree = solve(Problem.on_tree(np.arange(-1, 39), lengths, a, b))
    assert tree.value == pytest.approx(solve(Problem(x, x, a, b)).value, rel=1e-12)


def test_graph_without_a_cycle_is_a_tree():
    rng = np.random.default_rng(1)
    parents, lengths = random_tree(rng, 12)
    problem = Problem.on_tree(parents, lengths, *masses(rng, 12))
    graph = Problem.on_graph(problem.geometry.lengths, problem.a, problem.b)
    result = solve(graph)
    assert result.method == "tree"
    assert result.value == solve(problem).value


@pytest.mark.parametrize("deep", [False, True])
def test_large_trees(deep):
    rng = np.random.default_rng(2)
    parents, lengths = random_tree(rng, LARGE, deep=deep)
    a, b = masses(rng, LARGE)
    result = solve(Problem.on_tree(parents, lengths, a, b))
    assert result.success
    # Potentials of a deep tree are a hundred times the value: so is their rounding.
    assert result.gap <= (4e-11 if deep else 2e-11) * result.value
    if not deep:
        truth = by_subtrees(parents, lengths, a, b)
        assert result.value == pytest.approx(truth, rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(-200, 200))
def test_root_order_and_unit_do_not_matter(seed, k):
    rng = np.random.default_rng(seed)
    parents, lengths = random_tree(rng, 9)
    a, b = masses(rng, 9)
    value = solve(Problem.on_tree(parents, lengths, a, b)).value
    scaled = solve(Problem.on_tree(parents, lengths * 2.0**k, a, b)).value
    assert scaled == value * 2.0**k
    # Turn around the path from node 0 to the root.
    turned, steps, node = parents.copy(), lengths.copy(), 0
    path = [0]
    while parents[node] >= 0:
        node = parents[node]
        path.append(node)
    for child, above in itertools.pairwise(path):
        turned[above], steps[above] = child, lengths[child]
    turned[0] = -1
    other = solve(Problem.on_tree(turned, steps, a, b))
    assert_proved(other)
    assert other.value == pytest.approx(value, rel=1e-12, abs=1e-16)


@pytest.mark.parametrize(
    "parents, lengths, message",
    [
        ([-1, 2, 1], np.ones(3), "cycle, [12] -> [12] -> [12]; a tree has none"),
        ([-1, 1], np.ones(2), "cycle, 1 -> 1"),
        ([1, 2, 3, 0], np.ones(4), "cycle, (0 -> 1|1 -> 2|2 -> 3|3 -> 0)"),
        ([-1, 0, 3, 4, 2, 2], np.ones(6), "cycle, [234] -> [234] -> [234] -> [234];"),
        ([1, *range(2, 20), 0], np.ones(20), "-> … -> "),
        ([-1, -1, 0], np.ones(3), r"parents\[0\] and parents\[1\] are both -1"),
        ([-1, 3, 0], np.ones(3), r"parents\[1\] is 3; it must be a node, 0 to 2"),
        ([-2, 0], np.ones(2), r"parents\[0\] is -2"),
        ([-1, 0.5], np.ones(2), "one integer for each node"),
        ([[-1, 0]], np.ones(2), r"got shape \(1, 2\)"),
        ([], [], "one integer for each node"),
        ([-1, 0], np.ones(3), r"lengths must have shape \(2,\)"),
        ([-1, 0], [0, -1.0], r"lengths\[1\] is -1.0; lengths must be finite"),
        ([-1, 0], [np.nan, 1.0], r"lengths\[0\] is nan.*also that of the root"),
        ([-1, 0], [0, np.inf], r"lengths\[1\] is inf"),
    ],
)
def test_tree_that_is_none(parents, lengths, message):
    with pytest.raises(InputError, match=message):
        Problem.on_tree(np.array(parents), lengths)


def test_length_of_the_root_counts_for_nothing():
    first, second = (
        solve(Problem.on_tree([-1, 0], [root, 1.0], [1, 0], [0, 1])) for root in (0, 9)
    )
    assert first.value == second.value == 1


def test_masses_of_the_wrong_length():
    with pytest.raises(InputError, match=r"b must have shape \(2,\)"):
        Problem.on_tree([-1, 0], [0, 1], [1, 0], [1, 0, 0])
