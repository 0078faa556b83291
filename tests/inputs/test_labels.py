"""Tables and series are matched by the names of their rows and columns."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import JIT_OFF

import otdist
from otdist import InputError, InputWarning, Problem, solve, wasserstein_distance

pd = pytest.importorskip("pandas")

P = pd.Series([0.5, 0.3, 0.2], index=list("abc"))
Q = pd.Series([0.6, 0.3, 0.1], index=list("cab"))
IN_ORDER = Q.loc[P.index].to_numpy()
X = pd.DataFrame({"height": [1.0, 2.0, 3.0], "weight": [5.0, 6.0, 9.0]})
Y = pd.DataFrame({"weight": [5.0, 6.0, 10.0], "height": [1.0, 2.0, 3.0]})
DIVERGENCES = ["kl_divergence", "js_divergence", "js_distance", "total_variation"]
DIVERGENCES += ["hellinger_distance", "chi2_divergence"]


@pytest.mark.parametrize("name", DIVERGENCES)
def test_histograms_are_matched_by_their_bins(name):
    function = getattr(otdist, name)
    wanted = pytest.approx(function(P.to_numpy(), IN_ORDER), rel=1e-14)
    assert function(P, Q) == wanted
    assert function(P.to_numpy(), Q.to_numpy()) != wanted
    with pytest.raises(InputError, match=r"q has no row named 'a', which p has"):
        function(P, Q.rename({"a": "z"}))
    by_place = pytest.approx(function(P.to_numpy(), Q.to_numpy()), rel=1e-14)
    assert function(P, Q.to_numpy()) == by_place


def test_value_counts_of_two_columns():
    first = pd.Series(["x", "y", "y", "z", "y"]).value_counts(normalize=True)
    second = pd.Series(["z", "z", "z", "x", "y"]).value_counts(normalize=True)
    wanted = otdist.js_distance([0.2, 0.6, 0.2], [0.2, 0.2, 0.6])
    assert otdist.js_distance(first, second) == pytest.approx(wanted, rel=1e-14)
    assert wanted > 0.2
    assert otdist.js_distance(first.to_numpy(), second.to_numpy()) == 0


def test_rows_of_histograms_are_matched_along_both_axes():
    rows = pd.DataFrame([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], ["one", "two"], list("abc"))
    turned = rows.loc[["two", "one"], list("cab")]
    assert (otdist.js_distance(rows, turned, axis=1) == 0).all()


@pytest.mark.parametrize(
    "distance",
    [
        otdist.wasserstein_distance,
        lambda x, y: solve(Problem(x, y)).value,
        lambda x, y: otdist.sinkhorn_divergence(x, y, epsilon=0.1),
        lambda x, y: otdist.sliced_wasserstein_distance(x, y, rng=0),
        lambda x, y: otdist.kr_dual(x, y, critic="mcshane").value,
        lambda x, y: otdist.compare(x, y)["W_1"].value,
        lambda x, y: otdist.align(x, y).overlap_q,
        lambda x, y: otdist.pairwise([x, y])[0, 1],
    ],
)
def test_points_are_matched_by_their_columns(distance):
    by_name = Y[list(X.columns)]
    assert distance(X, Y) == distance(X.to_numpy(), by_name.to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # no atom is shared by position
        assert distance(X, Y) != distance(X.to_numpy(), Y.to_numpy())
    other = Y.rename(columns={"weight": "mass"})
    with pytest.raises(InputError, match=r"has no column named 'weight'"):
        distance(X, other)


def test_polars_has_columns_too():
    pl = pytest.importorskip("polars")
    x, y = pl.DataFrame(X.to_dict("list")), pl.DataFrame(Y.to_dict("list"))
    assert otdist.wasserstein_distance(x, y) == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="no column named 'weight'"):
        otdist.wasserstein_distance(x, y.rename({"weight": "mass"}))


def test_weights_are_matched_with_their_points():
    x = pd.Series([1.0, 2.0, 9.0], index=list("abc"))
    a = pd.Series([0.1, 0.2, 0.7], index=list("cba"))
    wanted = 0.7 * 1 + 0.2 * 2 + 0.1 * 9
    zeros = [0.0, 0.0]
    assert otdist.wasserstein_distance(x, zeros, a) == pytest.approx(wanted)
    assert otdist.wasserstein_distance(zeros, x, None, a) == pytest.approx(wanted)
    assert solve(Problem(x, zeros, a)).value == pytest.approx(wanted)
    matrix = otdist.pairwise([(x, a), (np.zeros(2), np.full(2, 0.5))])
    assert matrix[0, 1] == pytest.approx(wanted)
    with pytest.raises(InputError, match="a has no row named 'a', which x has"):
        otdist.wasserstein_distance(x, zeros, a.reset_index(drop=True))
    # Weights without names are in the order of the points.
    assert otdist.wasserstein_distance(x, zeros, a.to_numpy()) == pytest.approx(6.8)


def test_costs_are_matched_with_the_bins():
    wanted = otdist.emd(P.to_numpy(), IN_ORDER, 1 - np.eye(3))
    assert otdist.emd(P, Q.loc[list("abc")], 1 - np.eye(3)) == wanted
    labelled = pd.DataFrame(1.0, index=list("cba"), columns=list("bca"))
    for label in "abc":
        labelled.loc[label, label] = 0.0
    assert otdist.emd(P, Q, labelled) == pytest.approx(wanted)
    assert solve(Problem.from_cost(labelled, P, Q)).value == pytest.approx(wanted)
    by_place = otdist.emd(P.to_numpy(), Q.to_numpy(), labelled.to_numpy())
    assert by_place != pytest.approx(wanted)
    with pytest.raises(InputError, match="cost has no column named 'a'"):
        otdist.emd(P, Q, labelled.rename(columns={"a": "z"}))


def test_axes_with_names_are_turned():
    xr = pytest.importorskip("xarray")
    x = xr.DataArray(np.arange(6.0).reshape(3, 2), dims=("n", "d"))
    y = xr.DataArray(np.arange(6.0).reshape(3, 2).T + 1, dims=("d", "n"))
    assert otdist.wasserstein_distance(x, y) == pytest.approx(2**0.5)
    with pytest.raises(InputError, match=r"the axes of y are named \('d', 'm'\)"):
        otdist.wasserstein_distance(x, y.rename(n="m"))


@pytest.mark.parametrize("labels", [list("aab"), list("abcd")])
def test_names_that_do_not_match_one_to_one_are_refused(labels):
    p = pd.Series(np.full(3, 1 / 3), index=list("abc"))
    q = pd.Series(np.full(len(labels), 1 / len(labels)), index=labels)
    with pytest.raises(InputError, match="q has"):
        otdist.js_distance(p, q)


def test_indices_that_are_equal_cost_nothing_to_compare():
    n = 10**4 if JIT_OFF else 10**6
    x = pd.Series(np.arange(n, dtype=float))
    assert otdist.wasserstein_distance(x, x + 1, pd.Series(np.full(n, 1 / n))) == pytest.approx(1)


def test_value_counts_given_as_points_are_told_apart_from_a_column():
    pd = pytest.importorskip("pandas")
    x, y = pd.Series([1, 1, 2, 5]).value_counts(), pd.Series([2, 2, 3, 3, 1]).value_counts()
    with pytest.warns(InputWarning, match=r"pass [xy]\.index as points"):
        wasserstein_distance(x, y)
    right = wasserstein_distance([1, 1, 2, 5], [2, 2, 3, 3, 1])
    found = wasserstein_distance(x.index, y.index, x, y, normalize=True)
    assert found == pytest.approx(right, rel=1e-12)
    frame = pd.DataFrame({"count": [3, 8, 9]})
    assert wasserstein_distance(frame["count"], [3, 8, 9]) == 0  # no warning
