"""Transport on graphs, against matrices of shortest paths and other solvers."""

from __future__ import annotations

import math
from fractions import Fraction

import knobs
import numpy as np
import oracles
import pytest
from checks import assert_brackets, assert_narrow, assert_proved, cost_of, shortest_paths
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array

from otdist import InfeasibleError, InputError, Problem, Status, certify, solve
from otdist.plans.plans import Arcs, Flow
from otdist.solvers.flow import simplex, start
from otdist.solvers.flow.kernels import push as flow_push
from otdist.solvers.flow.kernels import simplex as flow_simplex
from otdist.solvers.flow.network import network_of
from otdist.solvers.flow.start import nearly_optimal
from otdist.solvers.registry import Options

LARGE = 60 if JIT_OFF else 400


def graph_of(n, edges):
    """Return the matrix of edges (i, j, length), stored both ways."""
    i, j, length = (np.array(part) for part in zip(*edges, strict=True))
    ends = np.concatenate([i, j]), np.concatenate([j, i])
    return csr_array((np.tile(length.astype(float), 2), ends), shape=(n, n))


def random_graph(rng, n, more, *, whole=False, zeros=False):
    """Return a random tree and some more edges, each at most once."""
    parent = (rng.random(n - 1) * np.arange(1, n)).astype(int)
    pairs = {(int(p), k + 1) for k, p in enumerate(parent)}
    for _ in range(more):
        i, j = sorted(int(k) for k in rng.integers(0, n, 2))
        if i < j:
            pairs.add((i, j))
    length = rng.integers(0, 9, len(pairs)) if whole else rng.random(len(pairs))
    if zeros:
        length = length * (rng.random(len(pairs)) < 0.6)
    order = rng.permutation(n)
    named = [(order[i], order[j], w) for (i, j), w in zip(sorted(pairs), length, strict=True)]
    return graph_of(n, named)


def masses(rng, n, *, zeros=False, whole=False):
    a, b = rng.integers(1, 9, (2, n)).astype(float) if whole else rng.random((2, n))
    if zeros:
        a, b = a * (rng.random((2, n)) < 0.4)
        a[0] += 1
        b[-1] += 1
    if whole:
        short = b.sum() - a.sum()
        a[0] += max(short, 0)
        b[0] += max(-short, 0)
        return a, b
    return a / math.fsum(a), b / math.fsum(b)


def random_problem(seed, n=12, more=14, **options):
    rng = np.random.default_rng(seed)
    whole, zeros = options.get("whole", False), options.get("zeros", False)
    graph = random_graph(rng, n, more, whole=whole, zeros=options.get("flat", False))
    return Problem.on_graph(graph, *masses(rng, n, zeros=zeros, whole=whole))


def lowest_flow(problem):
    """Return the least cost of a flow with divergence a - b, from HiGHS."""
    matrix = problem.geometry.lengths.tocoo()
    k = np.arange(matrix.nnz)
    incidence = csr_array((np.ones(matrix.nnz), (matrix.row, k))) - csr_array(
        (np.ones(matrix.nnz), (matrix.col, k))
    )
    found = linprog(matrix.data, A_eq=incidence, b_eq=problem.a - problem.b)
    assert found.status == 0
    return found.fun


def assert_flow(result):
    """Check divergence, edges and cost of the flow itself."""
    problem, flow = result.problem, result.coupling
    assert isinstance(flow, Flow)
    assert (flow.units > 0).all()
    moved = flow.matrix()
    divergence = moved.sum(axis=1) - moved.sum(axis=0)
    off = np.abs(divergence - (problem.a - problem.b)).max()
    assert off <= 1e-14 * problem.mass
    lengths = problem.geometry.lengths
    stored = coo_array(lengths)
    edges = set(zip(stored.row.tolist(), stored.col.tolist(), strict=True))
    assert set(zip(flow.tails.tolist(), flow.heads.tolist(), strict=True)) <= edges
    paid = math.fsum(flow.amounts * lengths.toarray()[flow.tails, flow.heads])
    assert paid == pytest.approx(result.value, rel=1e-13, abs=1e-300)


# ----------------------------------------------------------------------------- values


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_values_are_proved(whole, zeros, flat):
    for seed in range(3 if JIT_OFF else 12):
        problem = random_problem(seed, whole=whole, zeros=zeros, flat=flat)
        result = solve(problem)
        assert result.method == "flow"
        assert_proved(result)
        assert_flow(result)
        assert result.value == pytest.approx(lowest_flow(problem), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_value_is_that_of_rational_arithmetic(seed):
    problem = random_problem(seed, n=6, more=6, whole=True, zeros=True)
    truth = oracles.exact(cost_of(problem), problem.a, problem.b)
    result = solve(problem)
    assert result.value == truth
    assert_brackets(result, truth)


@pytest.mark.parametrize("seed", range(3))
def test_value_is_that_of_networkx(seed):
    networkx = pytest.importorskip("networkx")
    problem = random_problem(seed, n=40, more=80, whole=True)
    both = networkx.DiGraph()
    for k, demand in enumerate((problem.b - problem.a).astype(int)):
        both.add_node(k, demand=int(demand))
    edges = problem.geometry.lengths.tocoo()
    for i, j, length in zip(edges.row, edges.col, edges.data, strict=True):
        both.add_edge(int(i), int(j), weight=int(length))
    cost, _ = networkx.network_simplex(both)
    assert solve(problem).value == cost


def test_larger_graph_is_proved():
    problem = random_problem(5, n=LARGE, more=3 * LARGE)
    result = solve(problem)
    assert_proved(result)
    assert_flow(result)
    other = solve(problem, method="network_simplex")
    assert other.value == pytest.approx(result.value, rel=1e-12)


@pytest.mark.parametrize("method", ["network_simplex", "highs"])
def test_other_exact_methods_take_graphs(method):
    problem = random_problem(1, zeros=True)
    result = solve(problem, method=method)
    assert_proved(result)
    assert result.value == pytest.approx(solve(problem).value, rel=1e-12)


def test_sinkhorn_takes_graphs():
    problem = random_problem(2)
    result = solve(problem, method="sinkhorn", epsilon=0.01)
    assert result.success
    assert result.lower <= solve(problem).value <= result.upper


def test_ring_is_the_circle():
    """On a ring a constant may go round: the best one is a weighted median."""
    rng = np.random.default_rng(0)
    n = 15
    length = rng.random(n)
    ring = graph_of(n, [(k, (k + 1) % n, length[k]) for k in range(n)])
    a, b = masses(rng, n)
    through = np.cumsum(a - b)
    truth = min(length @ np.abs(through - level) for level in through)
    assert solve(Problem.on_graph(ring, a, b)).value == pytest.approx(truth, rel=1e-13)


def test_complete_graph_is_total_variation():
    rng = np.random.default_rng(1)
    a, b = masses(rng, 8)
    graph = csr_array(np.ones((8, 8)))
    value = solve(Problem.on_graph(graph, a, b)).value
    assert value == pytest.approx(0.5 * np.abs(a - b).sum(), rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_nodes(n):
    graph = graph_of(n, [(k, k + 1, 2.0) for k in range(n - 1)]) if n > 1 else None
    graph = csr_array((1, 1)) if graph is None else graph
    a, b = np.eye(n)[0], np.eye(n)[-1]
    for method in ("auto", "flow"):
        result = solve(Problem.on_graph(graph, a, b), method=method)
        assert_proved(result)
        assert result.value == 2.0 * (n - 1)


def test_equal_measures_stay():
    problem = random_problem(3)
    result = solve(Problem.on_graph(problem.geometry.lengths, problem.a, problem.a))
    assert (result.value, result.gap) == (0, 0)
    assert len(result.coupling.tails) == 0
    np.testing.assert_array_equal(result.plan.toarray(), np.diag(problem.a))


def test_all_lengths_zero():
    graph = graph_of(4, [(0, 1, 0), (1, 2, 0), (2, 3, 0)])
    result = solve(Problem.on_graph(graph, [1, 0, 0, 0], [0, 0, 0, 1]))
    assert_proved(result)
    assert result.value == 0


def test_parts_that_nothing_joins():
    rng = np.random.default_rng(4)
    graphs = [random_graph(rng, n, 5).toarray() for n in (4, 6)]
    whole = np.zeros((11, 11))
    whole[:4, :4], whole[4:10, 4:10] = graphs
    (a, b), (c, d) = masses(rng, 4), masses(rng, 6)
    first, second = np.r_[a, 2 * c, 0], np.r_[b, 2 * d, 0]
    problem = Problem.on_graph(csr_array(whole), first, second)
    result = solve(problem)
    apart = [
        solve(Problem.on_graph(csr_array(graphs[0]), a, b)).value,
        2 * solve(Problem.on_graph(csr_array(graphs[1]), c, d)).value,
    ]
    assert result.status is Status.OPTIMAL
    assert result.value == pytest.approx(sum(apart), rel=1e-13)
    assert not result.plan.toarray()[:4, 4:].any()
    assert solve(problem, method="highs").value == pytest.approx(result.value, rel=1e-9)


# -------------------------------------------------------------------- same in disguise


@given(st.integers(0, 2**32 - 1), st.integers(-300, 300), st.integers(-60, 60))
def test_units_do_not_matter(seed, k, m):
    problem = random_problem(seed, n=8, more=8, zeros=True)
    lengths = problem.geometry.lengths * 2.0**k
    scaled = Problem.on_graph(lengths, problem.a * 2.0**m, problem.b * 2.0**m)
    result, other = solve(problem), solve(scaled)
    assert other.value == result.value * 2.0 ** (k + m)
    assert other.gap == result.gap * 2.0 ** (k + m)


@given(st.integers(0, 2**32 - 1))
def test_names_of_nodes_do_not_matter(seed):
    problem = random_problem(seed, n=9, more=9)
    order = np.random.default_rng(seed).permutation(9)
    graph = problem.geometry.lengths[order][:, order]
    result = solve(Problem.on_graph(graph, problem.a[order], problem.b[order]))
    assert_proved(result)
    assert result.value == pytest.approx(solve(problem).value, rel=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_nodes_on_edges_and_copies_of_nodes_do_not_matter(seed):
    """An edge split in two, a node split in two, and edges longer than paths."""
    problem = random_problem(seed, n=8, more=6, zeros=True)
    edges = problem.geometry.lengths.tocoo()
    once = edges.row < edges.col
    listed = list(zip(edges.row[once], edges.col[once], edges.data[once], strict=True))
    i, j, length = listed[0]
    listed[0] = (i, 8, length / 4)
    listed += [(8, j, 3 * length / 4), (0, 9, 0.0)]
    distance = cost_of(problem)
    present = {(i, j) for i, j, _ in listed}
    listed += [
        (i, j, 2 * distance[i, j])
        for i in range(8)
        for j in range(i + 1, 8)
        if (i, j) not in present
    ]
    a, b = np.r_[problem.a, 0, 0], np.r_[problem.b, 0, problem.b[0] / 2]
    b[0] /= 2
    result = solve(Problem.on_graph(graph_of(10, listed), a, b))
    assert_proved(result)
    assert result.value == pytest.approx(solve(problem).value, rel=1e-12, abs=1e-15)


@given(st.integers(0, 2**32 - 1))
def test_it_is_a_metric(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 8, 8)
    a, b = masses(rng, 8, zeros=True)
    c, _ = masses(rng, 8)

    def distance(p, q):
        return solve(Problem.on_graph(graph, p, q)).value

    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-13)
    assert distance(a, c) <= (distance(a, b) + distance(b, c)) * (1 + 1e-13)


# ------------------------------------------------------------------------- the method


def test_stopped_early_the_bracket_holds(monkeypatch):
    monkeypatch.setattr(knobs.FLOW_CHUNK, 1)
    problem = random_problem(6, n=80, more=200)
    truth = solve(problem).value
    for options in ({"max_iter": 3}, {"time_limit": 0}):
        result = solve(problem, **options)
        assert (result.status, result.success) == (next(iter(options)), False)
        assert result.lower <= truth <= result.upper
        assert result.upper < 3 * truth
        assert "raise" in result.message


def test_progress_is_reported():
    pytest.importorskip("tqdm")
    assert solve(random_problem(6), progress=True).success


def test_integer_masses_sum_up_to_nothing_in_every_part():
    rng = np.random.default_rng(6)
    for _ in range(20):
        apart = np.kron(np.eye(2), np.ones((7, 7)))
        (a, b), (c, d) = masses(rng, 7), masses(rng, 7)
        problem = Problem.on_graph(csr_array(apart), np.r_[a, c], np.r_[b, d])
        geometry = problem.geometry
        network, scale = network_of(problem, geometry.edges(), geometry.component)
        assert network.excess[:7].sum() == network.excess[7:].sum() == 0
        off = network.excess * scale.mass - (problem.a - problem.b)
        assert np.abs(off).max() <= 1e-15


def test_the_rounding_of_sums_is_spread_over_all_nodes():
    """Where 1e-14 moves, 1e-16 of the sums is a hundredth of it, and went to one node."""
    rng = np.random.default_rng(8)
    for parts in (1, 2):
        apart = np.kron(np.eye(parts), np.ones((6, 6)))
        a = rng.random(6 * parts)
        b = a * (1 + 1e-14 * rng.normal(size=len(a)))
        problem = Problem.on_graph(csr_array(apart), a, b)
        geometry = problem.geometry
        network, scale = network_of(problem, geometry.edges(), geometry.component)
        for nodes in np.arange(len(a)).reshape(parts, 6):
            first, second = ([Fraction(w) for w in side[nodes]] for side in (problem.a, problem.b))
            ratio = sum(first) / sum(second)
            assert ratio != 1
            wanted = [float(u - ratio * v) for u, v in zip(first, second, strict=True)]
            found = network.excess[nodes] * scale.mass
            assert np.abs(found - wanted).max() <= 1e-15 * np.abs(wanted).max()


@pytest.mark.parametrize("whole", [False, True])
def test_every_tree_on_the_way_is_one(whole):
    """After each pivot: a preorder, sizes, flows of the excess, strong feasibility."""
    problem = random_problem(7, n=25, more=60, whole=whole, zeros=whole)
    geometry = problem.geometry
    network, _ = network_of(problem, geometry.edges(), geometry.component)
    n_pivots, last = 0, math.inf
    edges = start.solve(network, Options(max_iter=0)).edge
    while True:
        options = Options(max_iter=n_pivots)
        tree = simplex.optimise(network, edges, options)
        cost = assert_tree(network, tree)
        assert cost <= last
        last = cost
        if tree.finished:
            break
        n_pivots += 1
    assert n_pivots > 5


def assert_tree(network, tree):
    """Check all that the kernels keep, and return the cost of the flow."""
    basis, n = tree.basis, network.n_nodes
    parent, size = basis.parent.astype(int), basis.size.astype(int)
    thread, order = basis.thread.astype(int), [0]
    while thread[order[-1]] != 0:
        order.append(int(thread[order[-1]]))
    assert sorted(order) == list(range(n))
    assert (thread[basis.back.astype(int)] == np.arange(n)).all()
    place = np.argsort(order)
    excess = np.empty(n, object)
    excess[tree.number] = [int(value) for value in network.excess]
    cost = 0
    for node in reversed(order[1:]):
        subtree = order[place[node] : place[node] + size[node]]
        assert place[parent[node]] < place[node]
        assert basis.last[node] == subtree[-1]
        flow = int(basis.flow[node]) * (1 if basis.up[node] else -1)
        assert flow == sum(excess[k] for k in subtree)
        assert basis.flow[node] > 0 or basis.up[node], "an edge without flow leads down"
        edge = tree.edge[node - 1]
        ends = {tree.number[network.tail[edge]], tree.number[network.head[edge]]}
        assert ends == {node, parent[node]}
        fall = int(basis.potential[node]) - int(basis.potential[parent[node]])
        assert fall == int(network.length[edge]) * (1 if basis.up[node] else -1)
        cost += abs(flow) * int(network.length[edge])
    return cost


def test_kernel_comes_back_when_its_budget_is_used():
    problem = random_problem(8, n=60, more=150)
    geometry = problem.geometry
    network, _ = network_of(problem, geometry.edges(), geometry.component)
    calls = []
    simplex.optimise(
        network,
        start.solve(network, Options(max_iter=0)).edge,
        Options(report=lambda n, gap: calls.append(n)),
    )
    assert calls
    assert flow_simplex.DONE != flow_simplex.MORE


# ------------------------------------------------------------- nearly optimal flows


def pushed(problem, step):
    """Return a network, and potentials, flow and excess after a phase of pushes."""
    network, _ = network_of(problem, problem.geometry.edges())
    arcs, queue = start._arcs_of(network), start._queue_of(network.n_nodes)
    potential = np.random.default_rng(0).integers(0, 2**55, network.n_nodes)
    before = potential.copy()
    flow_push.flatten(arcs, potential, queue)
    flow, excess = np.zeros(len(network.tail), np.int64), network.excess.copy()
    step = max(int(step * network.length.mean()), 1)
    flat = potential.copy()
    left = flow_push.push(arcs, potential, flow, excess, queue, step, 2**40)
    assert left > 0
    return network, before, flat, potential, flow, excess, step


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("step", [1.0, 0.01])
def test_pushes_end_in_a_flow_that_is_nearly_optimal(step, whole):
    problem = random_problem(15, n=20, more=40, zeros=whole, whole=whole, flat=whole)
    network, before, flat, potential, flow, excess, step = pushed(problem, step)
    assert not excess.any()
    divergence = np.zeros(20, np.int64)
    np.add.at(divergence, network.tail, flow)
    np.subtract.at(divergence, network.head, flow)
    assert (divergence == network.excess).all()
    fall = potential[network.tail] - potential[network.head]
    assert (np.abs(fall) <= network.length + step).all()
    used = flow != 0
    falls_along = (fall * np.sign(flow))[used]
    assert (falls_along >= network.length[used] - step).all()
    # Before that they were made 1-Lipschitz: the largest function that is below.
    tail, head = network.tail.astype(int), network.head.astype(int)
    matrix = coo_array(
        (np.tile(network.length, 2), (np.r_[tail, head], np.r_[head, tail])), (20, 20)
    )
    distance = shortest_paths(matrix.toarray(), matrix)
    assert (flat == (before[:, None] + distance).min(axis=0)).all()


def test_pushes_end_when_their_budget_is_used(monkeypatch):
    problem = random_problem(16, n=40, more=200)
    network, _ = network_of(problem, problem.geometry.edges())
    for effort in (0, 1, 400):
        monkeypatch.setattr(knobs.FLOW_EFFORT, effort)
        edges = nearly_optimal(network)
        tree = simplex.optimise(network, edges, Options())
        assert tree.finished
        assert_tree(network, tree)


def test_any_start_leads_to_the_optimum(monkeypatch):
    taken = []
    for seed in range(4):
        problem = random_problem(seed, n=40, more=60, zeros=seed % 2 == 1)
        value = solve(problem).value
        with monkeypatch.context() as patched:
            patched.setattr(knobs.FLOW_FEW, 0)
            patched.setattr(knobs.FLOW_SPREAD, 0.0)
            patched.setattr(
                start,
                "nearly_optimal",
                lambda network: taken.append(network) or nearly_optimal(network),
            )
            result = solve(problem)
        assert_proved(result)
        assert result.value == pytest.approx(value, rel=1e-13)
    assert len(taken) == 4


@pytest.mark.skipif(JIT_OFF, reason="thousands of nodes")
def test_random_graphs_begin_with_pushes(monkeypatch):
    taken = []
    monkeypatch.setattr(
        start,
        "nearly_optimal",
        lambda network: taken.append(network) or nearly_optimal(network),
    )
    result = solve(random_problem(17, n=3000, more=12_000))
    assert len(taken) == 1
    assert result.success
    # The bounds count the rounding of potentials, which are ten times the value.
    assert result.relative_gap <= 4e-12
    assert result.n_iter < 3000


# ---------------------------------------------------------------------------- the plan


@pytest.mark.parametrize("seed", range(4))
def test_plan_is_a_coupling_at_the_same_cost(seed):
    problem = random_problem(seed, n=30, more=40, zeros=seed % 2 == 0)
    result = solve(problem)
    assert_proved(result)
    again = certify(problem, result.plan, *result.potentials)
    assert again.upper == pytest.approx(result.value, rel=1e-12)
    assert again.proves(1e-9)
    common = np.minimum(problem.a, problem.b)
    assert (result.plan.toarray().diagonal() >= common * (1 - 1e-15)).all()


def test_flow_is_split_to_the_last_unit():
    rng = np.random.default_rng(5)
    for _ in range(20):
        n = 9
        pairs = np.argwhere(np.triu(rng.random((n, n)) < 0.5, 1))
        order = rng.permutation(n)
        tails, heads = order[pairs[:, 0]], order[pairs[:, 1]]
        units = rng.integers(1, 5, len(pairs))
        flow = Flow(tails, heads, units, 1.0, n)
        moved = flow.matrix().toarray()
        excess = moved.sum(axis=1) - moved.sum(axis=0)
        a, b = np.maximum(excess, 0) + 2, np.maximum(-excess, 0) + 2
        rows, columns, mass = flow.arcs(a, b)
        assert (mass > 0).all()
        assert (np.bincount(rows, mass, n) == a).all()
        assert (np.bincount(columns, mass, n) == b).all()


def test_circular_flow_has_no_plan():
    ends = np.array([0, 1, 2]), np.array([1, 2, 0])
    flow = Flow(*ends, np.array([1, 1, 1]), 1.0, 3)
    with pytest.raises(InputError, match="in a circle"):
        flow.arcs(np.ones(3), np.ones(3))


def test_gradients_in_the_masses():
    problem = random_problem(9, n=10, more=8)
    found = solve(problem).gradients()
    assert found.x is None
    assert found.y is None
    step = 1e-7
    a = problem.a.copy()
    a[2], a[5] = a[2] + step, a[5] - step
    moved = Problem.on_graph(problem.geometry.lengths, a, problem.b)
    change = (solve(moved).value - solve(problem).value) / step
    assert change == pytest.approx(found.a[2] - found.a[5], abs=1e-6)


# --------------------------------------------------------------------- the certificate


def test_anybodys_coupling_and_potentials():
    problem = random_problem(10, n=20, more=20)
    truth = solve(problem).value
    rng = np.random.default_rng(0)
    plan = np.outer(problem.a, problem.b)
    for f in (rng.standard_normal(20), np.zeros(20), 1e6 + cost_of(problem)[0]):
        for claim in (plan, csr_array(plan), 0.5 * plan):
            certificate = certify(problem, claim, f, -f)
            assert_brackets(certificate, truth)
    assert certificate.marginal_error == pytest.approx(1)


def test_steep_potentials_are_found_out():
    problem = random_problem(11, n=20, more=20)
    result = solve(problem)
    f = result.potentials[0]
    for factor in (1 + 1e-6, 2.0, -1.0):
        certificate = certify(problem, result.coupling, factor * f, -factor * f)
        assert_brackets(certificate, result.value)
        assert not certificate.proves(1e-9)
    bent = f.copy()
    bent[3] += 10
    certificate = certify(problem, result.coupling, bent, -f)
    assert_brackets(certificate, result.value)
    assert certificate.dual_violation == pytest.approx((bent[:, None] - f - cost_of(problem)).max())


def test_wrong_flows_are_found_out():
    problem = random_problem(12, n=20, more=20)
    result = solve(problem)
    flow, f = result.coupling, result.potentials[0]
    for k in range(3):
        units = flow.units.copy()
        units[k] //= 2
        less = Flow(flow.tails, flow.heads, units, flow.unit, flow.n_nodes)
        certificate = certify(problem, less, f)
        assert certificate.marginal_error == pytest.approx(
            2 * (flow.units[k] - units[k]) * flow.unit
        )
        assert_brackets(certificate, result.value)
    huge = np.full(len(flow.units), 2**62)
    over = Flow(flow.tails, flow.heads, huge, flow.unit, flow.n_nodes)
    with pytest.raises(InputError, match="more units at a node than 64 bits"):
        certify(problem, over, f)


def test_flow_over_what_is_no_edge_pays_the_distance():
    graph = graph_of(3, [(0, 1, 1.0), (1, 2, 2.0), (0, 2, 5.0)])
    problem = Problem.on_graph(graph, [1, 0, 0], [0, 0, 1])
    across = Flow(np.array([0]), np.array([2]), np.array([1]), 1.0, 3)
    assert certify(problem, across, [3, 2, 0]).value == 5
    graph = graph_of(3, [(0, 1, 1.0), (1, 2, 2.0)])
    problem = Problem.on_graph(graph, [1, 0, 0], [0, 0, 1])
    certificate = certify(problem, across, [3, 2, 0])
    assert certificate.value == 3
    assert_narrow(certificate, 3)


def test_potentials_that_differ_where_there_is_no_way_to_go():
    graph = graph_of(3, [(0, 1, 0.0), (1, 2, 1.0)])
    problem = Problem.on_graph(graph, [1, 0, 0], [0, 1, 0])
    certificate = certify(problem, solve(problem).coupling, [5.0, 0.0, 0.0])
    assert (certificate.lower, certificate.upper) == (0, 0)


@pytest.mark.parametrize("tails, units", [([-1], [1]), ([7], [1]), ([0], [-1])])
def test_flow_of_nonsense(tails, units):
    problem = Problem.on_graph(graph_of(3, [(0, 1, 1.0), (1, 2, 2.0)]))
    flow = Flow(np.array(tails), np.array([1]), np.array(units), 1.0, 3)
    with pytest.raises(InputError, match="plan is a Flow with negative amounts"):
        certify(problem, flow, np.zeros(3))


def test_flow_where_it_is_no_plan():
    flow = Flow(np.array([0]), np.array([1]), np.array([1]), 1.0, 2)
    with pytest.raises(InputError, match="on graphs and grids"):
        certify(Problem([[0.0, 0], [0, 1]], [[1.0, 0], [1, 1]]), flow, np.zeros(2))
    with pytest.raises(InputError, match="shape"):
        certify(Problem.from_cost(np.ones((3, 3))), flow, np.zeros(3))


def test_exact_sums_do_not_hide_a_flow_that_leaks():
    """A flow that loses one unit in 2**20 everywhere is seen."""
    problem = random_problem(13, n=30, more=30)
    result = solve(problem)
    flow = result.coupling
    leaking = Flow(flow.tails, flow.heads, flow.units - (flow.units >> 20), flow.unit, 30)
    certificate = certify(problem, leaking, result.potentials[0])
    assert certificate.marginal_error > 1e-8
    assert_brackets(certificate, result.value)


# ------------------------------------------------------------------------ the geometry


def test_geometry_is_that_of_the_matrix():
    rng = np.random.default_rng(3)
    problem = random_problem(14, n=14, more=10, flat=True)
    graph, cost = problem.geometry, cost_of(problem)
    assert graph.shape == (14, 14)
    np.testing.assert_allclose(graph.dense(), cost, rtol=1e-14)
    assert graph.largest >= cost.max()
    i, j = rng.integers(0, 14, (2, 40))
    np.testing.assert_allclose(graph.pairs(i, j), cost[i, j], rtol=1e-14)
    part = graph.restrict(np.array([3, 1, 3]), np.arange(5))
    assert part.shape == (3, 5)
    assert not part.is_whole
    np.testing.assert_allclose(part.rows(1, 3), cost[[1, 3], :5], rtol=1e-14)
    f = rng.standard_normal(14)
    g = graph.column_minimum(f)
    np.testing.assert_allclose(g, (cost - f[:, None]).min(axis=0), atol=1e-14)
    np.testing.assert_allclose(graph.row_minimum(f), g, atol=1e-14)
    few = part.column_minimum(np.array([0.5, -np.inf, 0.25]))
    np.testing.assert_allclose(few, cost[3, :5] - 0.5, atol=1e-14)
    assert (graph.column_minimum(np.full(14, -np.inf)) == np.inf).all()
    with pytest.raises(InputError, match="no coordinates"):
        graph.derivative(i, j)


@given(st.integers(0, 2**32 - 1))
def test_transforms_are_feasible_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    problem = random_problem(seed, n=8, more=8)
    graph = problem.geometry
    f = rng.standard_normal(8) * 10.0 ** rng.integers(-3, 6)
    g = graph.column_minimum(f)
    tails, heads, lengths = graph.edges()
    for i, j, length in zip(tails, heads, lengths, strict=True):
        assert abs(Fraction(g[i]) - Fraction(g[j])) <= Fraction(length)
    assert (np.array([Fraction(x) + Fraction(y) for x, y in zip(f, g, strict=True)]) <= 0).all()


@given(st.integers(0, 2**32 - 1))
def test_potentials_are_feasible_to_the_last_bit(seed):
    problem = random_problem(seed, n=8, more=8)
    f = [Fraction(value) for value in solve(problem).potentials[0]]
    for i, j, length in zip(*problem.geometry.edges(), strict=True):
        assert abs(f[i] - f[j]) <= Fraction(length)


def test_problem_says_what_it_is():
    problem = random_problem(0)
    assert repr(problem) == "Problem(12 by 12, graph, mass 1)"
    assert problem.is_metric
    assert (problem.metric, problem.p) == (None, 1)
    assert not problem.is_line


# ----------------------------------------------------------------------------- refusals

GOOD = graph_of(3, [(0, 1, 1.0), (1, 2, 2.0)])


def changed(i, j, value):
    matrix = GOOD.tolil()
    matrix[i, j] = matrix[j, i] = value
    return matrix.tocsr()


@pytest.mark.parametrize(
    "graph, message",
    [
        (np.ones((2, 2)), "scipy.sparse matrix of edge lengths, got ndarray"),
        (csr_array((2, 3)), r"as many columns as rows.*\(2, 3\)"),
        (csr_array((0, 0)), r"\(0, 0\)"),
        (changed(0, 2, -1.0), r"graph\[0, 2\] is -1.0; lengths of edges"),
        (changed(0, 2, np.nan), r"graph\[0, 2\] is nan"),
        (changed(0, 2, np.inf), r"graph\[0, 2\] is inf"),
        (GOOD.astype(complex), "real numbers"),
        (csr_array(np.triu(GOOD.toarray())), r"graph\[0, 1\] is 1.0.*\[1, 0\] is not"),
        (
            csr_array(np.array([[0, 1.0, 0], [2, 0, 1], [0, 1, 0]])),
            r"graph\[0, 1\] is 1.0 and graph\[1, 0\] is 2.0.*graph.maximum",
        ),
        (GOOD * 1e305, "distances reach"),
        (GOOD * 1e-305, "distances reach"),
    ],
)
def test_graph_that_is_none(graph, message):
    with pytest.raises(InputError, match=message):
        Problem.on_graph(graph)


@pytest.mark.parametrize(
    "a, b, message",
    [
        (np.ones(2), np.ones(3), r"a must have shape \(3,\), one weight for each node"),
        (np.ones(3), [1, -1, 3], r"b\[1\] is -1"),
        (np.ones(3), [1, np.nan, 3], r"b\[1\] is nan"),
        (np.ones(3), np.ones(3) * 2, "normalize=True"),
        (np.zeros(3), np.zeros(3), "zero everywhere"),
    ],
)
def test_masses_that_are_none(a, b, message):
    with pytest.raises(InputError, match=message):
        Problem.on_graph(GOOD, a, b)


def test_masses_that_no_path_joins():
    graph = graph_of(5, [(0, 1, 1.0), (2, 3, 1.0), (3, 4, 1.0)])
    with pytest.raises(InfeasibleError, match=r"node 0 is in a part of 2 of the 5.*0.75"):
        Problem.on_graph(graph, [0.5, 0.25, 0.25, 0, 0], [0.25, 0, 0, 0, 0.75])
    isolated = Problem.on_graph(graph, [1, 0, 0, 0, 0], [0, 1, 0, 0, 0])
    assert solve(isolated).value == 1


def test_edges_stored_as_zero_and_loops():
    """A stored 0 is an edge; a loop is of no use."""
    zero = coo_array(([0.0, 0.0, 7.0], ([0, 1, 1], [1, 0, 1])), shape=(2, 2))
    assert solve(Problem.on_graph(zero, [1, 0], [0, 1])).value == 0
    with pytest.raises(InfeasibleError):
        Problem.on_graph(csr_array((2, 2)), [1, 0], [0, 1])


def test_the_graph_is_not_changed():
    graph = GOOD.copy()
    problem = Problem.on_graph(graph)
    graph.data[:] = 0
    assert solve(problem, method="flow").success
    assert problem.geometry.largest == 6
    assert not problem.geometry.lengths.data.flags.writeable


@pytest.mark.parametrize("method", ["line", "coprime"])
def test_methods_that_do_not_fit(method):
    with pytest.raises(InputError, match=f"method='{method}'"):
        solve(random_problem(0), method=method)
    with pytest.raises(InputError, match="'tree' needs a connected graph without cycles"):
        solve(random_problem(0), method="tree")
    with pytest.raises(InputError, match="'flow' needs all mass moved on a graph, or on a grid"):
        solve(Problem([[0.0, 1.0]], [[1.0, 1.0]]), method="flow")


def test_arcs_of_other_results_are_left_alone():
    result = solve(random_problem(0), method="network_simplex")
    assert isinstance(result.coupling, Arcs)
