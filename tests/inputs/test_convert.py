"""What people hold is read as the numbers it is, or refused with a remedy that works."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats

import otdist
from otdist import InputError, InputWarning, Problem, compare, solve, wasserstein_distance

DAYS = np.array(["2024-01-01", "2024-01-03"], "datetime64[D]")


@pytest.mark.parametrize(
    "x",
    [
        [Decimal("0.5"), Decimal(2)],
        [Fraction(1, 2), 2],
        np.array([0.5, 2], object),
        np.ma.array([0.5, 2.0], mask=[False, False]),
        np.array([0.5, 2.0], ">f8"),
        np.array([0.5, 2.0], np.float16),
        range(2),
    ],
    ids=repr,
)
def test_numbers_of_any_kind(x):
    wanted = wasserstein_distance(np.array(list(map(float, x))), [5.0, 9.0])
    assert wasserstein_distance(x, [5.0, 9.0]) == wanted


@pytest.mark.parametrize("unit", ["D", "s", "ms", "us", "ns"])
def test_dates_are_in_seconds(unit):
    x, y = DAYS.astype(f"datetime64[{unit}]"), (DAYS + 1).astype(f"datetime64[{unit}]")
    with pytest.warns(InputWarning, match="distances are in seconds"):
        assert wasserstein_distance(x, y) == 86400
    with pytest.warns(InputWarning, match="distances are in seconds"):
        assert solve(Problem(x, y)).value == 86400
    with pytest.warns(InputWarning, match="distances are in seconds"):
        assert otdist.sliced_wasserstein_distance(x, y) == pytest.approx(86400)


def test_nanoseconds_are_kept():
    x = np.array([1704067200123456789], "datetime64[ns]")
    with pytest.warns(InputWarning, match="seconds"):
        assert wasserstein_distance(x, x + np.timedelta64(3, "ns")) == 3e-9


def test_dates_of_python_and_durations():
    x, y = [datetime.date(2024, 1, 1)], [datetime.date(2024, 1, 3)]
    with pytest.warns(InputWarning, match="seconds"):
        assert wasserstein_distance(x, y) == 2 * 86400
    with pytest.warns(InputWarning, match="read in seconds"):
        value = wasserstein_distance(np.array([1, 2], "m8[ms]"), np.array([3, 4], "m8[ms]"))
    assert value == pytest.approx(0.002)
    with pytest.warns(InputWarning, match="read in seconds"):
        assert wasserstein_distance([datetime.timedelta(seconds=2)], [0.0]) == 2


@pytest.mark.parametrize("kind", ["dates", "durations", "python"])
def test_a_period_beside_times_is_a_time(kind):
    """24 would be 24 seconds, of which all full hours are multiples."""
    hours = np.array([23, 1]).astype("timedelta64[h]")
    x, y = hours[:1], hours[1:]
    if kind == "dates":
        x, y = x + np.datetime64("2026-01-05"), y + np.datetime64("2026-03-08")
    elif kind == "python":
        x, y = ([datetime.timedelta(hours=hour)] for hour in (23, 1))
    for day in (np.timedelta64(1, "D"), datetime.timedelta(days=1)):
        with pytest.warns(InputWarning, match="seconds"):
            assert wasserstein_distance(x, y, period=day) == 7200
        with pytest.warns(InputWarning, match="seconds"):
            assert compare(x, y, period=day)["W1"].value == 7200
    for call in (wasserstein_distance, compare):
        with pytest.raises(InputError, match=r"pass period as np.timedelta64\(1, 'D'\), got 24"):
            call(x, y, period=24)
        with pytest.raises(InputError, match="the points are numbers: pass period as a number"):
            call([23.0], [1.0], period=np.timedelta64(1, "D"))


def test_dates_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="x holds dates and y does not"):
        wasserstein_distance(DAYS, [1.0, 2.0])
    with pytest.raises(InputError, match=r"x\[1\] is NaT"):
        wasserstein_distance(np.array(["2024-01-01", "NaT"], "M8[s]"), DAYS)
    message = r"\(p - origin\) / np.timedelta64\(1, 's'\)"
    with pytest.raises(InputError, match=message):
        otdist.js_distance(DAYS, DAYS)
    seconds = (DAYS - DAYS.min()) / np.timedelta64(1, "s")  # what it says
    assert seconds.tolist() == [0.0, 172800.0]


OTHERS = [
    (None, "x is None"),
    ({"a": 1.0}, "np.array(list(x.values()))"),
    ({1.0, 2.0}, "pass sorted(x)"),
    ((k for k in range(3)), "pass list(x)"),
    ("text", "got the text 'text'"),
    (["1", "2"], "np.array(..., dtype=float)"),
    ([None, 1.0], "dtype object with None at [0]"),
    (np.array([1j, 2]), "np.column_stack([x.real, x.imag])"),
    (sp.eye_array(3), "pass x.toarray()"),
    (scipy.stats.norm(), "x.rvs(size=1000)"),
    ([10**400], "divide all numbers by a constant"),
    ([True, False], "x.astype(float)"),
    (np.zeros(2, [("u", float)]), "its fields as columns"),
    (object(), "dtype object"),
]


@pytest.mark.parametrize("x, remedy", OTHERS, ids=[remedy for _, remedy in OTHERS])
def test_the_remedy_is_for_what_was_given(x, remedy):
    with pytest.raises(InputError, match=re.escape(remedy)):
        wasserstein_distance(x, [0.0, 1.0])


def test_tensors():
    torch = pytest.importorskip("torch")
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(InputError, match="has losses that keep them"):
        wasserstein_distance(x, [0.0, 1.0])
    assert wasserstein_distance(x.detach(), [0.0, 1.0]) == 1
    assert wasserstein_distance(x.detach().bfloat16(), [0.0, 1.0]) == 1


# ---------------------------------------------------------- what looks like something else


@pytest.mark.parametrize(
    "x, y",
    [
        ([6, 1, 1, 1, 1], [1, 6, 1, 1, 1]),
        ([50, 50, 0, 0], [0, 0, 50, 50]),
        ([33.3, 33.3, 33.3], [20, 30, 50]),
        ([0.25, 0.75], [0.75, 0.25]),
    ],
)
def test_histograms_given_as_points_are_warned_of(x, y):
    for _ in range(2):  # the first call of a process takes another way
        with pytest.warns(InputWarning, match=r"wasserstein_distance\(bins, bins, x, y\) or emd"):
            wasserstein_distance(x, y)
    with pytest.warns(InputWarning, match="look like histograms"):
        Problem(x, y)
    with pytest.warns(InputWarning, match="look like histograms"):
        otdist.pairwise([x, y])
    with pytest.warns(InputWarning, match="look like histograms"):
        wasserstein_distance([x, x], [y, y], axis=1)


@pytest.mark.parametrize(
    "x, y",
    [
        ([0, 1, 3], [5, 6, 8]),
        ([23, 45, 31], [25, 30, 60]),
        ([3, 1, 2], [3, 1, 2]),  # equal: 0 either way
        ([1, 2, 3], [0, 2, 4]),  # sorted: samples
        ([-1, 1], [0, 0]),
        ([1, 2], [2, 1, 0]),
        ([1e9, 1e9 + 3, 1e9 + 1], [1e9 + 2, 1e9, 1e9 + 3]),  # times
    ],
)
def test_samples_are_not_warned_of(x, y):
    wasserstein_distance(x, y)
    Problem(x, y)


def test_rows_of_counts_in_pairwise_are_warned_of():
    with pytest.warns(InputWarning, match="pass support=bins, or cost="):
        otdist.pairwise(np.diag([5, 5, 5]))


def test_images_given_as_points_are_warned_of():
    image = np.zeros((20, 20), np.uint8)
    image[5:8, 5:9] = 200
    rolled = np.roll(image, 3, axis=0)
    for x, y in ((image, rolled), (image / 255.0, rolled / 255.0)):
        for call in (wasserstein_distance, Problem):
            with pytest.warns(InputWarning, match=r"solve\(Problem.on_grid\(x, y, normalize=True"):
                call(x, y)
    assert solve(Problem.on_grid(image, rolled, normalize=True)).value == pytest.approx(3)
    with pytest.warns(InputWarning, match="grey images of 20 x 20 pixels"):
        otdist.pairwise([image, rolled])


def test_colours_are_no_axis_of_space():
    image = np.ones((20, 24, 3))
    with pytest.raises(InputError, match=re.escape("A.mean(axis=2)")):
        Problem.on_grid(image, image)
    assert Problem.on_grid(image, image, spacing=(1, 1, 1)).shape == (1440, 1440)
    assert Problem.on_grid(image.mean(axis=2), image.mean(axis=2)).shape == (480, 480)


def test_two_tuples_are_ambiguous():
    measure = ((0.0, 0.0), (1.0, 1.0))
    with pytest.raises(InputError, match=r"for two points pass a list, list\(measures\[0\]\)"):
        otdist.pairwise([measure, measure])
    assert (otdist.pairwise([list(measure), list(measure)]) == 0).all()


# -------------------------------------------------------------------- arguments of calls


@pytest.mark.parametrize(
    "value", [-1.0, np.nan, np.inf, "far", np.array([1.0]), None, 1j], ids=repr
)
def test_a_function_must_return_a_distance(value):
    def metric(u, v):
        return value if (u[0], v[0]) == (1.0, 5.0) else 1.0

    message = r"metric gave .* for x\[1\] and y\[2\]; it must return a number >= 0"
    for call in (wasserstein_distance, Problem):
        with pytest.raises(InputError, match=message):
            call([0.0, 1.0], [3.0, 4.0, 5.0], metric=metric)


FLAGS = [
    lambda flag: wasserstein_distance([0, 1], [1, 2], normalize=flag),
    lambda flag: wasserstein_distance([0, 1], [1, 2], progress=flag),
    lambda flag: otdist.emd([1], [1], [[0]], normalize=flag),
    lambda flag: otdist.pairwise([[1, 2], [3, 5]], condensed=flag),
    lambda flag: otdist.js_distance([0.5, 0.5], [0.5, 0.5], normalize=flag),
    lambda flag: otdist.w1_interval([0.0, 1], [1.0, 2], independent=flag, diameter=3),
    lambda flag: otdist.align([0, 1], [1, 2], [1, 1], [1, 1], normalize=flag),
    lambda flag: solve(Problem([0, 1], [1, 2]), progress=flag),
]


@pytest.mark.parametrize("call", FLAGS)
@pytest.mark.parametrize("flag", ["no", 1, None, np.array([True])], ids=repr)
def test_flags_are_true_or_false(call, flag):
    with pytest.raises(InputError, match="must be True or False, got"):
        call(flag)


NORMALIZED = [
    lambda a, b, **options: otdist.emd(a, b, [[0, 1], [1, 0]], **options),
    lambda a, b, **options: otdist.emd([a], [b], [[0, 1], [1, 0]], **options)[0],
    lambda a, b, **options: otdist.sinkhorn_divergence(
        [0, 1], [2, 3], a, b, epsilon=0.1, **options
    ),
    lambda a, b, **options: otdist.kr_dual([0, 1], [2, 3], a, b, critic="mcshane", **options).value,
    lambda a, b, **options: otdist.pairwise([a, b], distance="js", **options)[0, 1],
]


@pytest.mark.parametrize("call", NORMALIZED)
def test_weights_can_be_normalised_everywhere(call):
    with pytest.raises(InputError, match="normalize=True"):
        call([1, 1], [1, 3])
    wanted = call([0.5, 0.5], [0.25, 0.75])
    assert call([1, 1], [1, 3], normalize=True) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("reach", [None, 1.0])
def test_gradients_go_through_the_sums(reach):
    def value(e):
        return otdist.sinkhorn_divergence(
            [0.0, 1, 5], [2, 3.0], [1 + e, 1, 2], [1, 3], epsilon=0.5, reach=reach, tol=1e-11,
            normalize=True,
        )  # fmt: skip

    slopes = otdist.sinkhorn_divergence_gradients(
        [0.0, 1, 5], [2, 3.0], [1, 1, 2], [1, 3], epsilon=0.5, reach=reach, tol=1e-11,
        normalize=True,
    ).a  # fmt: skip
    assert (value(1e-4) - value(-1e-4)) / 2e-4 == pytest.approx(slopes[0], abs=1e-6)


HINTS = [
    (lambda: solve([0, 1], [1, 2]), r"write solve\(Problem\(x, y, a, b\)"),
    (lambda: solve(Problem([0], [1]), reg=0.1), "epsilon= is meant"),
    (lambda: otdist.emd([1], [1], M=[[0]]), "cost= is meant"),
    (lambda: wasserstein_distance([0], [1], None, None, 2), "by name, such as p="),
    (lambda: wasserstein_distance([0], [1], metrc="euclidean"), "metric= is meant"),
]


@pytest.mark.parametrize("call, hint", HINTS)
def test_calls_as_in_other_libraries_are_answered(call, hint):
    with pytest.raises(TypeError, match=hint):
        call()


def test_an_order_in_the_place_of_weights():
    with pytest.raises(InputError, match="such as p, are passed by name"):
        wasserstein_distance([0.0, 1.0], [1.0, 2.0], 2)


def test_errors_of_functions_that_are_passed_are_not_changed():
    def metric(u, v):
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        wasserstein_distance([0.0], [1.0], metric=metric)


@pytest.mark.parametrize("name", ["barycenter", "emd2", "sinkhorn", "jensenshannon"])
def test_names_of_other_libraries_are_answered(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; "):
        getattr(otdist, name)


# --------------------------------------------------------------- costs, graphs, covariances


def test_stored_entries_of_a_sparse_cost_are_the_allowed_arcs():
    cost = sp.csr_array(np.array([[1.0, 0.0], [5.0, 2.0]]))
    dense = np.array([[1.0, np.inf], [5.0, 2.0]])
    for kind in (sp.csr_array, sp.coo_array, sp.csc_matrix):
        assert otdist.emd([0.5, 0.5], [0.75, 0.25], kind(cost)) == 2.25
        assert solve(Problem.from_cost(kind(cost), [0.5, 0.5], [0.75, 0.25])).value == 2.25
    assert otdist.emd([0.5, 0.5], [0.75, 0.25], dense) == 2.25


def test_graphs_of_networkx():
    nx = pytest.importorskip("networkx")
    graph = nx.path_graph(list("abcd"))
    nx.set_edge_attributes(graph, 2.0, "km")
    problem = Problem.on_graph(graph, [1, 0, 0, 0], [0, 0, 0, 1])
    assert solve(problem).value == 3
    assert solve(Problem.on_graph(graph, {"a": 1}, {"d": 1}, weight="km")).value == 6
    with pytest.raises(InputError, match="a has a weight for 'z', which is no node"):
        Problem.on_graph(graph, {"z": 1}, {"d": 1})
    with pytest.raises(InputError, match="edges lead both ways"):
        Problem.on_graph(nx.DiGraph([(0, 1)]), [1, 0], [0, 1])


@pytest.mark.parametrize("n, d", [(20, 64), (50, 300)])
def test_covariances_of_float32_samples_are_covariances(n, d):
    rng = np.random.default_rng(n)
    x, y = (rng.normal(size=(n, d)).astype(np.float32) for _ in range(2))
    first, second = (np.cov(each, rowvar=False, dtype=np.float32) for each in (x, y))
    product = (x.T @ x) / np.float32(n)  # not quite symmetric for some BLAS
    assert np.linalg.eigvalsh(first.astype(float))[0] < 0
    exact = [np.cov(each.astype(float), rowvar=False) for each in (x, y)]
    zero, one = np.zeros(d), np.ones(d)
    wanted = otdist.bures_wasserstein_distance(zero, exact[0], one, exact[1])
    found = otdist.bures_wasserstein_distance(zero, first, one, second)
    assert found == pytest.approx(wanted, rel=1e-4)
    gaussian = otdist.gaussian.wasserstein_distance(zero, first, one, second, p=2)
    assert gaussian == pytest.approx(wanted, rel=1e-4)
    product[0, 1] *= 1 + 2e-7
    otdist.bures_wasserstein_distance(zero, product, one, second)
    with pytest.raises(InputError, match="no negative eigenvalue"):
        otdist.bures_wasserstein_distance(zero, first.astype(float) - 1e-5 * np.eye(d), one, second)


def test_samples_get_estimates_in_the_table():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=300), rng.normal(size=300) + 1
    with pytest.warns(InputWarning, match="samples that share no atom"):
        table = otdist.compare(x, y)
    assert table["KL(P|Q)"].value == np.inf
    assert table["KL(P|Q) est."].value == pytest.approx(0.5, abs=0.3)
    assert "estimated" in str(table)
    apart = otdist.compare(x, y + 20)  # no common space: no warning
    assert "KL(P|Q) est." not in [row.name for row in apart.rows]
