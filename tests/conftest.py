"""Set-up shared by all tests; it runs before otdist is imported.

HYPOTHESIS_PROFILE=ci repeats the same examples on every run and takes more of
them. NUMBA_DISABLE_JIT=1 runs the kernels as plain Python: tests then look at
JIT_OFF and take smaller problems.
"""

import os

import knobs
import pytest
from hypothesis import HealthCheck, settings

JIT_OFF = os.environ.get("NUMBA_DISABLE_JIT") == "1"


# A kernel's first call compiles it, so no single example has a deadline.
_SHARED = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("dev", max_examples=10 if JIT_OFF else 30, **_SHARED)
settings.register_profile("ci", max_examples=20 if JIT_OFF else 60, derandomize=True, **_SHARED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture(params=["all arcs", "coarse", "columns"])
def engine(request, monkeypatch):
    """Price all arcs, from coarse starts or not, or run the engine for large problems."""

    if request.param != "columns":
        monkeypatch.setattr(knobs.SIMPLEX_SMALL, 2**62)
        if request.param == "coarse":
            monkeypatch.setattr(knobs.SEARCH_FEWEST, 8)
    else:
        monkeypatch.setattr(knobs.SIMPLEX_SMALL, 0)
        monkeypatch.setattr(knobs.SIMPLEX_MEDIUM, 0)
        monkeypatch.setattr(knobs.SIMPLEX_NARROW, 0)
        monkeypatch.setattr(knobs.COARSEST, 8)
        monkeypatch.setattr(knobs.COLUMNS_ROW_WIDTH, 2)
        monkeypatch.setattr(knobs.COLUMNS_COLUMN_WIDTH, 1)
    return request.param
