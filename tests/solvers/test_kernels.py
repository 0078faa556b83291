"""The compiled network simplex: its types, its tree, its manners."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import knobs
import numba as nb
import numpy as np
import pytest
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st

from otdist import Problem, certify, solve
from otdist.certificate.checkers import _COMPILED_LINE
from otdist.certificate.kernels import brackets, line_and_circle, points
from otdist.certificate.kernels import grid as certificate_grid
from otdist.compiled import costs, simd
from otdist.plans.integer_masses import quantise
from otdist.plans.kernels import entropic as plans
from otdist.solvers.network_simplex import search
from otdist.solvers.network_simplex.kernels import matrix as matrices
from otdist.solvers.network_simplex.kernels import simplex as kernel
from otdist.solvers.network_simplex.kernels import small_problem as small
from otdist.solvers.sinkhorn.kernels import grid as grids
from otdist.solvers.sinkhorn.kernels import newton as balance
from otdist.solvers.sinkhorn.kernels import sweep as sinkhorn


def trees_of(problem, monkeypatch, **options):
    """Solve, and return the tree after every call of the kernel, and the last one."""
    seen = []

    def recording(run):
        def recorded(arcs, tree, *rest):
            code = run(arcs, tree, *rest)
            seen.append(kernel.Tree(*(part.copy() for part in tree)))
            return code

        return recorded

    with monkeypatch.context() as patch:
        patch.setattr("otdist.solvers.network_simplex.solver.solve_square", lambda *_: None)
        patch.setattr(search, "solve_at_once", lambda *_, **__: None)
        patch.setattr(kernel, "run", recording(kernel.run))
        patch.setattr(kernel, "run_on_lists", recording(kernel.run_on_lists))
        result = solve(problem, method="network_simplex", **options)
    n, m = problem.shape
    # Trees of coarser problems are left out.
    return result, [tree for tree in seen if len(tree.parent) == n + m + 1]


def assert_strongly_feasible(tree, n, masses):
    """Check parents, thread, sizes, flows; every arc that leads down has flow."""
    size = len(tree.parent)
    assert sorted(tree.atom) == list(range(size))
    assert list(tree.atom[tree.node]) == list(range(size))
    assert tree.parent[0] == 0
    assert tree.atom[0] == size - 1
    children = [[] for _ in range(size)]
    for node in range(1, size):
        parent, atom = tree.parent[node], tree.atom[node]
        assert (tree.atom[parent] < n) != (atom < n) or parent == 0
        children[parent].append(node)
        assert tree.flow[node] >= 0
        if atom >= n:
            assert tree.flow[node] > 0, "a sink hangs on an empty arc"
    order, node = [0], tree.thread[0]
    while node != 0 and len(order) < size:
        assert tree.back[node] == order[-1]
        order.append(node)
        node = tree.thread[node]
    assert node == 0, "the thread does not come back to the root"
    assert sorted(order) == list(range(size)), "the thread misses nodes"
    assert tree.back[0] == order[-1]
    place = {node: k for k, node in enumerate(order)}
    for node in range(size):
        below = order[place[node] : place[node] + int(tree.size[node])]
        assert tree.size[node] == 1 + sum(int(tree.size[k]) for k in children[node])
        assert tree.last[node] == below[-1]
        assert {k for k in below[1:] if tree.parent[k] == node} == set(children[node])
    for node in range(1, size):
        # What passes the arc above, and those below, is what the node has or wants.
        through = sum(int(tree.flow[child]) for child in children[node])
        assert int(tree.flow[node]) + through == masses[tree.atom[node]]


def arcs_of(tree, n):
    """Yield source, sink and node of the tree's arcs between atoms."""
    for node in range(1, len(tree.parent)):
        if tree.parent[node] != 0:
            pair = sorted((int(tree.atom[node]), int(tree.atom[tree.parent[node]])))
            yield pair[0], pair[1] - n, node


def assert_tight(tree, cost):
    n, _ = cost.shape
    for i, j, node in arcs_of(tree, n):
        assert tree.cost[node] == pytest.approx(cost[i, j], rel=1e-15)
        got = tree.potential[i] + tree.potential[n + j]
        size = abs(tree.potential[i]) + abs(tree.potential[n + j])
        assert abs(got - cost[i, j]) <= 4e-16 * size


def problems():
    rng = np.random.default_rng(50)
    size = 6 if JIT_OFF else 40
    yield "float", Problem.from_cost(rng.random((size, size + 3)))
    yield "ties", Problem.from_cost(rng.integers(0, 3, (size, size)))
    yield "equal", Problem.from_cost(np.ones((size, size)))
    counts = rng.multinomial(200, [1 / size] * size) + 1
    yield "counts", Problem.from_cost(rng.random((size, size)), counts, counts[::-1])
    grid = np.arange(size)
    yield "grid", Problem.from_cost(np.abs(np.subtract.outer(grid, grid)) ** 2)
    forbidden = np.where(rng.random((size, size)) < 0.5, np.inf, rng.random((size, size)))
    np.fill_diagonal(forbidden, 1.0)
    yield "forbidden", Problem.from_cost(forbidden)


PROBLEMS = dict(problems())


def assert_optimal_trees(problem, monkeypatch):
    result, seen = trees_of(problem, monkeypatch)
    n, _ = problem.shape
    masses = quantise(problem.a, problem.b)
    whole = np.concatenate([masses.a, masses.b])
    assert len(seen) >= 3
    for tree in seen[:: max(1, len(seen) // 20)]:
        assert_strongly_feasible(tree, n, whole)
    last, cost = seen[-1], problem.geometry.dense()
    assert_strongly_feasible(last, n, whole)
    assert_tight(last, cost)
    assert result.success
    f, g = result.potentials
    scale = np.abs(cost[np.isfinite(cost)]).max()
    assert (cost - f[:, None] - g).min() >= -1e-12 * scale


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_every_basis_is_a_strongly_feasible_tree(problem, monkeypatch):
    # A small budget: the tree is looked at after every few pivots.
    monkeypatch.setattr(knobs.SEARCH_BUDGET, 20 if JIT_OFF else 500)
    monkeypatch.setattr(knobs.COLUMNS_BUDGET, 20 if JIT_OFF else 500)
    assert_optimal_trees(problem, monkeypatch)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_so_is_every_basis_on_candidate_arcs(problem, monkeypatch):
    monkeypatch.setattr(knobs.SEARCH_BUDGET, 20 if JIT_OFF else 500)
    monkeypatch.setattr(knobs.COLUMNS_BUDGET, 20 if JIT_OFF else 500)
    monkeypatch.setattr(knobs.SIMPLEX_SMALL, 0)
    monkeypatch.setattr(knobs.SIMPLEX_NARROW, 0)
    assert_optimal_trees(problem, monkeypatch)


def test_renumbering_changes_nothing_but_numbers(monkeypatch):
    problem = PROBLEMS["counts"]
    _, seen = trees_of(problem, monkeypatch)
    n, _ = problem.shape
    tree = kernel.Tree(*(part.copy() for part in seen[len(seen) // 2]))
    before = {(i, j): (tree.flow[k], tree.cost[k]) for i, j, k in arcs_of(tree, n)}
    kernel.renumber(tree)
    masses = quantise(problem.a, problem.b)
    assert_strongly_feasible(tree, n, np.concatenate([masses.a, masses.b]))
    assert list(tree.thread) == [*range(1, len(tree.thread)), 0]
    after = {(i, j): (tree.flow[k], tree.cost[k]) for i, j, k in arcs_of(tree, n)}
    assert after == before


def hanging(order, parents):
    """Return a tree with nodes in this preorder, each below a place in the order."""
    size = len(order)
    old = np.array(order)
    tree = kernel.Tree(
        *np.zeros((5, size), np.uint32),
        np.arange(size) * 10,
        np.arange(size) * 0.5,
        *np.zeros((2, size), np.uint32),
        np.zeros(size),
    )
    below = np.ones(size, int)
    for k in range(size - 1, 0, -1):
        below[parents[k]] += below[k]
    tree.parent[old] = old[list(parents)]
    tree.thread[old], tree.back[old] = np.roll(old, -1), np.roll(old, 1)
    tree.size[old] = below
    tree.last[old] = old[np.arange(size) + below - 1]
    tree.atom[:] = np.roll(np.arange(size), 1)
    tree.node[tree.atom] = np.arange(size)
    return tree


def assert_renumbers(order, parents):
    tree = hanging(order, parents)
    before = kernel.Tree(*(part.copy() for part in tree))
    kernel.renumber(tree)
    size, old = len(order), np.array(order)
    for part in ("flow", "cost", "atom", "size"):
        moved = getattr(before, part)[old]
        assert list(getattr(tree, part)) == list(moved), part
    assert list(tree.parent) == list(parents)
    assert list(tree.thread) == [*range(1, size), 0]
    assert list(tree.back) == [size - 1, *range(size - 1)]
    assert list(tree.last) == list(np.arange(size) + tree.size - 1)
    assert list(tree.atom[tree.node]) == list(range(size))


def test_renumbering_walks_every_cycle():
    chain = [0, 0, 1, 2, 3, 4, 5, 6, 7]
    # Two cycles of two, one of three, one node that stays.
    assert_renumbers([0, 2, 1, 4, 5, 3, 6, 8, 7], [0] * 9)
    assert_renumbers([0, 2, 1, 4, 5, 3, 6, 8, 7], chain)
    # One of all, forwards and backwards; one that jumps about.
    assert_renumbers([0, 2, 3, 4, 5, 6, 7, 8, 1], chain)
    assert_renumbers([0, 8, 1, 2, 3, 4, 5, 6, 7], chain)
    assert_renumbers([0, 5, 7, 1, 8, 2, 4, 3, 6], chain)
    assert_renumbers(range(9), chain)
    assert_renumbers([0], [0])


@given(st.data())
def test_renumbering_has_an_obvious_twin(data):
    size = data.draw(st.integers(1, 30))
    order = [0, *data.draw(st.permutations(range(1, size)))]
    parents = [0]
    for k in range(1, size):
        # Below the node before, or any of those above it: so preorder wants it.
        above = [k - 1]
        while above[-1] != 0:
            above.append(parents[above[-1]])
        parents.append(data.draw(st.sampled_from(above)))
    assert_renumbers(order, parents)


def test_the_invariant_check_fails_on_broken_trees(monkeypatch):
    problem = Problem.from_cost(np.random.default_rng(51).random((4, 4)))
    _, seen = trees_of(problem, monkeypatch)
    tree = seen[-1]
    masses = quantise(problem.a, problem.b)
    whole = np.concatenate([masses.a, masses.b])
    assert_strongly_feasible(tree, 4, whole)
    sink = next(node for node in range(1, 9) if tree.atom[node] >= 4)
    for part, index, value in (
        ("flow", sink, 0),
        ("size", 1, 9),
        ("thread", 2, 2),
        ("last", 3, 0),
        ("parent", 1, 1),
        ("atom", 3, tree.atom[2]),
        ("node", 3, tree.node[2]),
    ):
        broken = kernel.Tree(*(array.copy() for array in tree))
        assert getattr(broken, part)[index] != value, part
        getattr(broken, part)[index] = value
        with pytest.raises(AssertionError):
            assert_strongly_feasible(broken, 4, whole)


@pytest.fixture(scope="module")
def compiled():
    """Return the vector instructions compiled, also where kernels are not."""
    least, is_less = simd._simd_least_difference, simd._simd_smaller

    def least_difference(u, v):
        return least(u, v)

    def smallest(u, v):
        found = np.inf
        for k in range(u.size):
            found = is_less(u[k] - v[k], found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nb.config, "DISABLE_JIT", 0)
        return nb.njit(least_difference), nb.njit(smallest)


LENGTHS = st.sampled_from([1, 2, 15, 16, 17, 31, 32, 33, 100, 257])


@given(LENGTHS, st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_least_difference_and_its_place(compiled, m, begin, seed):
    rng = np.random.default_rng(seed)
    # Vectors may begin at any number, wherever the array lies in memory.
    u, v = rng.integers(0, 4, (2, begin + m)).astype(float)[:, begin:]
    u[rng.random(m) < 0.3] = np.inf
    u[rng.integers(m)] = 1.0
    expected = (u - v).min(), np.argmin(u - v)
    assert simd._plain_least_difference(u, v) == expected
    assert compiled[0](u, v) == expected


def test_least_difference_looks_at_every_place(compiled):
    for m in (*range(1, 36), 64, 79):
        # Smaller differences before and behind must not be seen.
        u, v = np.repeat([[-9.0], [9.0]], m + 32, axis=1)[:, 16 : m + 16]
        v[:] = 0.0
        for k in range(m):
            u[:] = 1.0
            u[k] = -1.0
            assert compiled[0](u, v) == (-1.0, k)
            # Of equal ones the first.
            for other in (k - 1, (k + 16) % m, (7 * k) % m):
                u[other] = -1.0
                assert compiled[0](u, v) == (-1.0, min(k, other % m))
                u[other], u[k] = 1.0, -1.0


@given(LENGTHS, st.integers(0, 2**32 - 1))
def test_smaller_in_a_loop_finds_the_least(compiled, m, seed):
    u, v = np.random.default_rng(seed).integers(-3, 4, (2, m)).astype(float)
    u[u == 3] = np.inf
    assert compiled[1](u, v) == (u - v).min()
    assert simd._plain_smaller(1.0, 2.0) == simd._plain_smaller(2.0, 1.0) == 1.0
    assert simd._plain_smaller(np.inf, 1.0) == simd._plain_smaller(1.0, np.inf) == 1.0


def test_least_difference_where_all_is_forbidden(compiled):
    for m in (1, 20):
        u, v = np.full(m, np.inf), np.zeros(m)
        assert compiled[0](u, v) == (np.inf, 0)
        assert simd._plain_least_difference(u, v) == (np.inf, 0)


def kernels_of(*modules):
    from numba.core.dispatcher import Dispatcher

    return [
        (name, value)
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Dispatcher)
    ]


@pytest.mark.skipif(JIT_OFF, reason="there is nothing compiled to look at")
def test_one_signature_per_kernel():
    """Writable and read-only inputs must not compile everything twice."""
    rng = np.random.default_rng(52)
    cost = rng.random((6, 6))
    read_only = cost.copy()
    read_only.flags.writeable = False
    for matrix in (cost, read_only, cost.astype(np.float32), np.asfortranarray(cost)):
        result = solve(Problem.from_cost(matrix))
        solve(Problem.from_cost(matrix, [0, 1, 2, 1, 1, 1], [3, 0, 2, 1, 0, 0]))
        solve(Problem.from_cost(matrix), warm_start=result)
    solve(Problem(cost[:, :2], cost[:, 2:4]), method="network_simplex")
    solve(Problem(cost[0], cost[1] + 3, p=2), method="network_simplex")
    many, matrix = rng.random((600, 3)), rng.random((600, 500))
    for metric in ("euclidean", "cityblock"):
        problem = Problem(many, many[::-1] + 1, metric=metric, p=2)
        solve(problem, warm_start=solve(problem))
    solve(Problem(many[:, 0], many[:, 1]), method="network_simplex")
    solve(Problem.from_cost(matrix))
    solve(Problem.from_cost(matrix[:200, :200]))
    solve(Problem.from_cost(np.asfortranarray(matrix)), n_jobs=2)
    line = rng.normal(size=_COMPILED_LINE)
    solve(Problem(line, line[::-1] + 1, p=2))
    solve(Problem(line, line[::-1] + 1, p=1))
    # Potentials of others: read-only, or every second place of an array.
    problem, pair = Problem.from_cost(cost), np.zeros((2, 12))
    pair.flags.writeable = False
    certify(problem, np.eye(6) / 6, pair[0, ::2], pair[1, :6])
    # Those that Python calls; the others may get indices of 32 and of 64 bits, and
    # show their signatures only where they were not loaded from the cache.
    modules = (
        kernel,
        small,
        points,
        costs,
        matrices,
        balance,
        plans,
        grids,
        certificate_grid,
    )
    found = [
        (name, function)
        for name, function in kernels_of(*modules)
        if name[0] != "_" and "no_cpython_wrapper" not in function.targetoptions
    ]
    solve(Problem(many, many + 1), method="sinkhorn")
    solve(Problem.from_cost(matrix), method="sinkhorn")
    # In single and in double precision.
    assert len(sinkhorn.sweep.nopython_signatures) <= 2
    assert len(found) >= 10
    for name, function in found:
        assert len(function.nopython_signatures) <= 1, (name, function.nopython_signatures)
    assert len(small.solve_small.nopython_signatures) == 1
    assert len(small.coarse_start.nopython_signatures) == 1
    assert len(kernel.run_on_lists.nopython_signatures) == 1
    assert len(brackets.dense_bounds.nopython_signatures) == 1
    assert len(brackets.matrix_sums.nopython_signatures) <= 1
    assert len(line_and_circle.sorted_minimum.nopython_signatures) == 1


SAME_RESULT = """
import numpy as np
from otdist import Problem, solve
rng = np.random.default_rng(53)
for problem in (
    Problem.from_cost(rng.random((5, 6))),
    Problem.from_cost(rng.integers(0, 3, (6, 6)), [1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]),
    Problem(rng.random(5), 1 + rng.random(7), p=2),
):
    for method in ("auto", "network_simplex"):
        result = solve(problem, method=method)
        print(result.value.hex(), result.lower.hex(), result.n_iter)
        print(result.plan.toarray().tolist())
"""


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    ).stdout


def test_the_same_result_without_compilation():
    compiled = run_python(SAME_RESULT, NUMBA_DISABLE_JIT="0")
    plain = run_python(SAME_RESULT, NUMBA_DISABLE_JIT="1")
    assert len(compiled.splitlines()) == 12
    assert compiled == plain


INTERRUPTED = """
import os, signal
import numpy as np
from otdist import Problem, solve
# A shell that runs tests in the background has them ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
# Compile first: the compiler does not always survive an interrupt.
for n in (5, 600):
    solve(Problem.from_cost(rng.random((n, n))))
few = Problem.from_cost(rng.random((150, 150)))
solve(few, method="{method}", epsilon={epsilon})
problem = Problem.from_cost({cost})
print("ready", flush=True)
try:
    for _ in range(100):
        solve(problem, method="{method}", epsilon={epsilon})
except KeyboardInterrupt:
    os._exit(7)
os._exit(1)
"""


@pytest.mark.skipif(JIT_OFF, reason="plain Python stops anywhere")
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
@pytest.mark.parametrize(
    "method, cost, epsilon, delays",
    [
        ("network_simplex", "rng.random((3000, 3000))", None, (0.3, 0.7, 1.2)),
        ("network_simplex", "rng.integers(0, 4, (3000, 3000))", None, (0.5,)),
        ("sinkhorn", "rng.random((2000, 2000))", 0.001, (0.5,)),
        ("highs", "rng.random((300, 300))", None, (0.5,)),
    ],
    ids=["float", "ties", "sinkhorn", "highs"],
)
def test_ctrl_c_stops_a_long_solve(method, cost, epsilon, delays, record_property):
    code = INTERRUPTED.format(method=method, cost=cost, epsilon=epsilon)
    for delay in delays:
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout.readline() == "ready\n"
                time.sleep(delay)
                sent = time.perf_counter()
                process.send_signal(signal.SIGINT)
                process.wait(timeout=20)
                waited = time.perf_counter() - sent
            finally:
                process.kill()
        record_property(f"seconds_after_{delay}", waited)
        assert process.returncode == 7
        # Measured: 0.05 to 0.2 s; the margin is for a busy machine.
        assert waited < 1.0
