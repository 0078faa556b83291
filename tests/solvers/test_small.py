"""Small matrices: groups of atoms, potentials of coarser problems, one compiled call."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import knobs
import numba as nb
import numpy as np
import pytest
from checks import assert_proved
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from otdist import Problem, solve
from otdist.compiled import costs
from otdist.solvers.network_simplex import column_generation as columns
from otdist.solvers.network_simplex import search, solver
from otdist.solvers.network_simplex.kernels import small_problem as small


def read_only(array):
    """Return the array as a problem holds it: kernels are compiled for those once."""
    array.flags.writeable = False
    return array


# ---------------------------------------------------------------------------- groups


@nb.njit
def group_of(n, depth, part):
    """Call what only kernels can call."""
    return costs.group_of(n, depth, part)


def groups_of(n, depth):
    """Return where the groups begin and end, by halving 0 … n."""
    groups = [(0, n)]
    for _ in range(depth):
        groups = [
            half
            for start, stop in groups
            for half in (
                (start, (start + stop) // 2),
                ((start + stop) // 2, stop),
            )
        ]
    return groups


@st.composite
def clouds(draw):
    """Points (d, n), on a coarse grid or anywhere; some or all may be equal."""
    d, n = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["grid", "anywhere", "one place", "far"]))
    points = rng.integers(-2, 3, (d, n)).astype(float)
    if kind == "anywhere":
        points = rng.normal(size=(d, n))
    elif kind == "one place":
        points[:] = points[:, :1]
    elif kind == "far":
        points[:, 0] = 1e6
    return points


def ordered(points, depth):
    order = np.arange(points.shape[1])
    costs.kd_order(points, depth, order)
    return order


@given(st.integers(0, 70), st.integers(0, 6))
def test_groups_are_halves_of_halves(n, depth):
    groups = groups_of(n, depth)
    assert [group_of(n, depth, part) for part in range(1 << depth)] == groups
    assert groups[0][0] == 0
    assert groups[-1][1] == n
    assert all(one[1] == two[0] for one, two in pairwise(groups))
    sizes = [stop - start for start, stop in groups]
    assert max(sizes) - min(sizes) <= 1


@given(clouds(), st.integers(0, 6))
def test_halves_are_apart_along_the_widest_coordinate(points, depth):
    n = points.shape[1]
    order = ordered(points, depth)
    assert sorted(order) == list(range(n))
    for level in range(depth):
        for start, stop in groups_of(n, level):
            if stop - start < 2:
                continue
            extent = np.ptp(points[:, order[start:stop]], axis=1)
            along = points[extent.argmax(), order]
            middle = (start + stop) // 2
            assert along[start:middle].max() <= along[middle:stop].min()


@given(clouds(), st.integers(0, 4))
def test_spread_is_the_part_of_the_variance_within_groups(points, depth):
    n = points.shape[1]
    order = np.random.default_rng(0).permutation(n)
    got = costs.spread(points, order, depth)
    whole = n * points.var(axis=1).sum()
    within = sum(
        (stop - start) * points[:, order[start:stop]].var(axis=1).sum()
        for start, stop in groups_of(n, depth)
        if stop > start
    )
    assert got == pytest.approx(within / whole if whole > 0 else 0.0, rel=1e-9, abs=1e-9)
    if depth == 0 and whole > 0:
        assert got == pytest.approx(1.0)


def test_groups_in_order_spread_less_than_groups_by_chance():
    points = np.random.default_rng(60).random((2, 64))
    by_chance = costs.spread(points, np.arange(64), 4)
    assert by_chance > 0.5
    assert costs.spread(points, ordered(points, 4), 4) < 0.1
    assert costs.spread(points, ordered(points, 6), 6) == 0.0


@given(clouds(), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_the_central_point_is_the_nearest_to_the_centre_of_mass(points, depth, seed):
    d, n = points.shape
    depth = min(depth, int(np.log2(n)))
    mass = read_only(10.0 ** np.random.default_rng(seed).uniform(-3, 3, n))
    order = ordered(points, depth)
    chosen, total = np.empty(1 << depth, np.int64), np.empty(1 << depth)
    costs.central(points, mass, order, depth, np.empty(d + 1), chosen, total)
    for part, (start, stop) in enumerate(groups_of(n, depth)):
        inside = order[start:stop]
        assert chosen[part] in inside
        assert total[part] == pytest.approx(mass[inside].sum(), rel=1e-14)
        centre = np.average(points[:, inside], axis=1, weights=mass[inside])
        off = ((points[:, inside].T - centre) ** 2).sum(axis=1)
        nearest = ((points[:, chosen[part]] - centre) ** 2).sum()
        assert nearest <= off.min() + 1e-9 * (1 + off.max())


# --------------------------------------------------------------------- coarse starts


def matrix_of(family, n, m, seed):
    """Return costs of points, whose rows form groups, or random ones."""
    rng = np.random.default_rng(seed)
    if family == "random":
        return rng.random((n, m))
    height = 0.1 if family == "ribbon" else 1.0
    x, y = rng.normal(size=(n, 1, 2)), rng.normal((1.0, 0.0), size=(m, 2))
    return np.linalg.norm((x - y) * [1.0, height], axis=2)


def coarse_start(cost, a, b):
    """Return whether atoms form groups, and the potentials g."""
    n, m = cost.shape
    width = n + m + 1 + search.BLOCK_ROWS
    room = small.Room(
        np.empty((9, width), np.uint32),
        np.empty((3, n + m + 2), np.int64),
        np.empty((2, width)),
        np.empty((2, n + m + 1)),
    )
    g = np.zeros(m)
    arrays = [read_only(array) for array in (cost, a, b)]
    return search.coarse_start(*arrays, a.sum(), float(cost.max()), g, room), g


def bound_of(cost, a, b, g):
    """Return what g proves, with its c-transform f."""
    return a @ (cost - g).min(axis=1) + b @ g


def left_by(problem, monkeypatch, budget=search.BUDGET):
    """Return what coarse problems leave of the gap that g = 0 has."""
    cost, a, b = problem.geometry.dense(), problem.a, problem.b
    optimum = solve(problem).lower
    monkeypatch.setattr(knobs.SEARCH_BUDGET, budget)
    has_groups, g = coarse_start(cost, a, b)
    assert has_groups
    assert np.isfinite(g).all()
    bound = bound_of(cost, a, b, g)
    assert bound <= optimum * (1 + 1e-9)
    return (optimum - bound) / (optimum - bound_of(cost, a, b, np.zeros(len(b))))


#: Two levels of groups from 256 atoms on, one below; sides need not be equal.
SHAPES = [(128, 140), (256, 256)] + ([] if JIT_OFF else [(1100, 300), (700, 600)])


@pytest.mark.parametrize("n, m", SHAPES)
def test_coarse_problems_prove_most_of_the_value(n, m, monkeypatch):
    cost = matrix_of("plane", n, m, 61)
    rng = np.random.default_rng(62)
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    problem = Problem.from_cost(cost, a, b, normalize=True)
    # Measured: 0.01 to 0.05.
    assert left_by(problem, monkeypatch) < 0.1


@pytest.mark.parametrize("seed", [61, 62, 63])
def test_coarse_problems_have_the_masses_of_their_groups(seed, monkeypatch):
    cost = matrix_of("plane", 256, 256, seed)
    a, b = cost[:, 0] ** -2 + 1e-3, cost[0] ** 4 + 1e-3
    problem = Problem.from_cost(cost, a, b, normalize=True)
    # Measured: 0.01 to 0.04; with equal masses on either side 0.1 to 0.4.
    assert left_by(problem, monkeypatch) < 0.07


@pytest.mark.parametrize("seed", [61, 62])
def test_potentials_carry_over_from_level_to_level(seed, monkeypatch):
    """A small budget ends the coarsest problem, and stops the next one soon."""
    problem = Problem.from_cost(matrix_of("plane", 256, 256, seed))
    # Measured: 0.1; from nothing 0.7.
    assert left_by(problem, monkeypatch, budget=4000) < 0.3


@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_potentials_carry_over_by_the_c_transform(k, q, seed):
    rng = np.random.default_rng(seed)
    cost, f, g = read_only(rng.random((12, 50))), rng.normal(size=k), np.empty(q)
    rows, chosen = rng.permutation(12)[:k], rng.permutation(50)[:q]
    costs.carry_over(cost, rows, f, chosen, g)
    assert (g == (cost[np.ix_(rows, chosen)] - f[:, None]).min(axis=0)).all()


def test_random_costs_form_no_groups_and_get_no_potentials():
    for seed in range(5):
        cost = matrix_of("random", 60, 70, seed)
        has_groups, g = coarse_start(cost, np.full(60, 1 / 60), np.full(70, 1 / 70))
        assert not has_groups
        # The search goes on from here.
        assert (g == 0).all()


@pytest.mark.parametrize("k", [-900, -1, 1, 900])
def test_potentials_of_costs_times_powers_of_two(k):
    n = 130 if JIT_OFF else 300
    cost, mass = matrix_of("plane", n, n, 63), np.full(n, 1.0 / n)
    has_groups, plain = coarse_start(cost, mass, mass)
    assert has_groups
    has_groups, scaled = coarse_start(np.ldexp(cost, k), mass, mass)
    assert has_groups
    assert (scaled == np.ldexp(plain, k)).all()


def test_coarse_problems_may_stop_before_their_optimum(monkeypatch):
    monkeypatch.setattr(knobs.SEARCH_BUDGET, 1)
    cost, mass = matrix_of("ribbon", 60, 60, 64), np.full(60, 1 / 60)
    has_groups, g = coarse_start(cost, mass, mass)
    assert has_groups
    assert np.isfinite(g).all()
    assert bound_of(cost, mass, mass, g) <= solve(Problem.from_cost(cost)).value


# ------------------------------------------------------------------ from size to size


def routes(problem, monkeypatch):
    """Solve, and return the parts that had a hand in it as well."""
    seen = []

    def recording(name, function):
        def recorded(*args, **kwargs):
            found = function(*args, **kwargs)
            seen.append(name if found is not None and found is not False else "none")
            return found

        return recorded

    with monkeypatch.context() as patch:
        patch.setattr("otdist.solvers.network_simplex.solver.solve_square", lambda *_: None)
        for module, name in (
            (small, "coarse_start"),
            (search, "solve_at_once"),
            (columns, "search_candidates"),
        ):
            patch.setattr(module, name, recording(name, getattr(module, name)))
        return solve(problem, method="network_simplex"), seen


def sides():
    """Return the largest sides of square matrices that are small, and medium."""
    return int(solver._SMALL**0.5), int(solver._MEDIUM**0.5)


@pytest.fixture
def sizes(monkeypatch):
    """Return the fewest atoms that get a coarse start, and those sides."""
    if JIT_OFF:
        monkeypatch.setattr(knobs.SEARCH_FEWEST, 16)
        monkeypatch.setattr(knobs.SIMPLEX_SMALL, 24**2)
        monkeypatch.setattr(knobs.SIMPLEX_MEDIUM, 32**2 + 7)
        monkeypatch.setattr(knobs.SIMPLEX_NARROW, 8)
    return (search._FEWEST, *sides())


AT_ONCE = ["solve_at_once"]
COARSE = ["coarse_start", "solve_at_once"]
NO_GROUPS = ["none", "solve_at_once"]
GIVEN_UP = ["none", "none", "search_candidates"]
LARGE = ["coarse_start", "search_candidates"]
NONE_LARGE = ["none", "search_candidates"]


@pytest.mark.parametrize(
    "which, step, of_ribbon, of_random",
    [
        (0, -1, AT_ONCE, AT_ONCE),
        (0, 0, COARSE, NO_GROUPS),
        (0, 1, COARSE, NO_GROUPS),
        (1, 0, COARSE, NO_GROUPS),
        (1, 1, COARSE, GIVEN_UP),
        (2, 0, COARSE, GIVEN_UP),
        (2, 1, LARGE, NONE_LARGE),
    ],
)
def test_just_below_and_above_every_size(which, step, of_ribbon, of_random, sizes, monkeypatch):
    n = sizes[which] + step
    for family, expected in (("ribbon", of_ribbon), ("random", of_random)):
        cost = matrix_of(family, n, n, 65 + n)
        result, seen = routes(Problem.from_cost(cost), monkeypatch)
        assert seen == expected, family
        assert_proved(result)
        truth = cost[linear_sum_assignment(cost)].mean()
        assert result.value == pytest.approx(truth, rel=1e-12), family


@pytest.mark.parametrize("n, m", [(8, 9), (20, 24)])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e300])
def test_costs_that_are_all_equal(n, m, value, monkeypatch):
    """There is no variance to compare, and 8 atoms have fewer groups than columns."""
    monkeypatch.setattr(knobs.SEARCH_FEWEST, 8)
    result = solve(Problem.from_cost(np.full((n, m), value)))
    assert_proved(result)
    assert result.value == pytest.approx(value, rel=1e-12)


# -------------------------------------------------------------------- bounds of arrays


TOO_SHORT = """
import numpy as np
from otdist.compiled import costs
from otdist.solvers.network_simplex.kernels import small_problem as small
points, mass = np.random.default_rng(0).random((3, 8)), np.ones(8)
def total_of(room):
    total = np.empty(room)
    chosen, centre = np.empty(2, np.int64), np.empty(3)
    costs.central(points, mass, np.arange(8), 1, centre, chosen, total)
total_of(2)
try:
    total_of(1)
except IndexError:
    print("refused")
"""


@pytest.mark.skipif(JIT_OFF, reason="plain Python checks always")
def test_bounds_checks_are_there_to_be_switched_on(tmp_path):
    """Kernels that count no references still raise."""
    environment = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    output = subprocess.run(
        [sys.executable, "-c", TOO_SHORT],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    ).stdout
    assert output == "refused\n"
