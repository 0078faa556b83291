"""Bounds of spectral norms against extended precision and planted errors."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from otdist.torch import networks as _spectral
from otdist.torch.networks import spectral_norm_bound


def exact(matrix):
    """The largest singular value, to 50 digits."""
    with mpmath.workdps(50):
        rows = mpmath.matrix(matrix.tolist())
        gram = rows.T * rows
        return mpmath.sqrt(max(mpmath.eigsy(gram, eigvals_only=True)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (5, 5), (4, 7), (7, 4)])
@pytest.mark.parametrize("kind", ["normal", "orthonormal", "rank one", "graded"])
def test_bound_is_above_and_near(shape, kind):
    rng = np.random.default_rng([*shape, len(kind)])
    matrix = rng.normal(size=shape)
    if kind == "orthonormal":
        u, _, vt = np.linalg.svd(matrix, full_matrices=False)
        matrix = u @ vt
    elif kind == "rank one":
        matrix = np.outer(matrix[:, 0], matrix[0])
    elif kind == "graded":
        matrix *= 10.0 ** -np.arange(shape[1])
    bound, norm = spectral_norm_bound(matrix), exact(matrix)
    assert norm <= bound <= norm * (1 + 1e-12)


@given(arrays.arrays(float, st.tuples(*[st.integers(1, 4)] * 2), elements=st.floats(-1e3, 1e3)))
def test_bound_holds_for_all_entries(matrix):
    assert exact(matrix) <= spectral_norm_bound(matrix)


def test_units_are_exact_powers_and_limits_do_not_overflow():
    matrix = np.random.default_rng(0).normal(size=(3, 4))
    bound = spectral_norm_bound(matrix)
    for power in (-1000, -30, 500, 1000):
        scaled = spectral_norm_bound(np.ldexp(matrix, power))
        assert scaled == math.ldexp(bound, power)
    assert spectral_norm_bound(np.zeros((2, 3))) == 0
    for bad in (math.nan, math.inf):
        matrix[1, 2] = bad
        assert spectral_norm_bound(matrix) == math.inf


@pytest.mark.parametrize("wrong", ["values", "left", "right", "all", "long left", "long right"])
def test_a_decomposition_is_not_believed(monkeypatch, wrong):
    """Whatever is wrong with it, the bound holds."""
    matrix = np.random.default_rng(0).normal(size=(6, 4))
    norm = exact(matrix)
    right = np.linalg.svd

    def svd(a, full_matrices):
        u, s, vt = right(a, full_matrices=full_matrices)
        if wrong in ("values", "all"):
            s = 0.9 * s
        if wrong in ("left", "all"):
            u = 0.9 * u
        if wrong in ("right", "all"):
            vt = np.roll(vt, 1, axis=0)
        if wrong.startswith("long"):  # the product is right, its factors are not
            s = s / 1.1
            u, vt = (1.1 * u, vt) if wrong == "long left" else (u, 1.1 * vt)
        return u, s, vt

    monkeypatch.setattr(_spectral.np.linalg, "svd", svd)
    assert spectral_norm_bound(matrix) >= norm
