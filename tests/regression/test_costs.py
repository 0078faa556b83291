"""Blocks and pairs of costs rounded unlike, which p multiplied: bounds crossed."""

from __future__ import annotations

import numpy as np
import pytest

from otdist import Problem


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("p", [1, 2, 3.5, 7])
def test_pairs_cost_what_blocks_say(metric, p):
    rng = np.random.default_rng(70)
    for d in (2, 3, 7, 30):
        geometry = Problem(
            rng.normal(size=(9, d)), rng.normal(size=(8, d)), metric=metric, p=p
        ).geometry
        rows, columns = np.divmod(np.arange(72), 8)
        pairs = geometry.pairs(rows, columns).reshape(9, 8)
        np.testing.assert_array_equal(pairs, geometry.rows(0, 9))
