"""Several problems in one call: leading axes broadcast as in NumPy's generalised functions."""

from __future__ import annotations

import numpy as np
import pytest

from otdist import InputError, emd, wasserstein_distance
from otdist.errors import FailedPairsWarning

rng = np.random.default_rng(0)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_clouds_broadcast(d, n_jobs):
    x, y = rng.random((3, 1, 6, d)), rng.random((4, 5, d))
    a, b = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(5), 4)
    found = wasserstein_distance(x, y, a, b, p=2, n_jobs=n_jobs)
    assert found.shape == (3, 4)
    for i in range(3):
        for j in range(4):
            assert found[i, j] == wasserstein_distance(x[i, 0], y[j], a, b[j], p=2)


def test_weights_alone_may_have_leading_axes():
    x, y = rng.random((4, 2)), rng.random((3, 2))
    a = rng.random((5, 4))
    found = wasserstein_distance(x, y, a, normalize=True, metric="cityblock")
    each = [wasserstein_distance(x, y, row, normalize=True, metric="cityblock") for row in a]
    np.testing.assert_array_equal(found, each)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_matrices_broadcast(n_jobs):
    a, b = rng.dirichlet(np.ones(4), (2, 1)), rng.dirichlet(np.ones(5))
    cost = rng.random((3, 4, 5)) - 0.5
    found = emd(a, b, cost, n_jobs=n_jobs)
    assert found.shape == (2, 3)
    for i in range(2):
        for k in range(3):
            assert found[i, k] == emd(a[i, 0], b, cost[k])


def test_no_problems_are_an_empty_array():
    assert emd(np.ones((0, 2)), [1, 1], np.eye(2)).shape == (0,)
    assert wasserstein_distance(np.ones((3, 0, 2, 2)), np.ones((2, 2))).shape == (3, 0)


def test_a_problem_without_a_coupling_is_nan_and_reported():
    cost = rng.random((2, 3, 3))
    cost[1, 2] = np.inf
    with pytest.warns(FailedPairsWarning, match=r"1 of 2 pairs .*\(1\): InfeasibleError") as found:
        values = emd(np.ones(3), np.ones(3), cost)
    assert np.isnan(values).tolist() == [False, True]
    assert [where for where, _ in found[0].message.failures] == [1]


def test_bad_input_names_its_problem():
    cost = rng.random((2, 3, 3))
    cost[1, 2, 0] = np.nan
    with pytest.raises(InputError, match=r"problem \[1\]: cost\[2, 0\] is nan"):
        emd(np.ones(3), np.ones(3), cost)
    with pytest.raises(
        InputError, match=r"leading axes must broadcast, got \(2,\) of a, \(3,\) of b"
    ):
        emd(np.ones((2, 3)), np.ones((3, 3)), rng.random((3, 3)))
    with pytest.raises(InputError, match=r"problem \[0, 0\]: a must have shape \(2,\)"):
        wasserstein_distance(rng.random((1, 1, 2, 2)), rng.random((2, 2)), np.ones((1, 3)))
    with pytest.raises(InputError, match="n_jobs must be a positive integer"):
        emd([1], [1], [[1]], n_jobs=0)


def test_single_precision_weights_keep_their_tolerance():
    a = rng.dirichlet(np.ones(4), 3).astype(np.float32)
    b = rng.dirichlet(np.ones(5), 3).astype(np.float32)
    assert np.isfinite(emd(a, b, rng.random((4, 5)))).all()
