"""Set-up shared by all tests; it runs before otdist is imported.

HYPOTHESIS_PROFILE=ci repeats the same examples on every run and takes more of
them. NUMBA_DISABLE_JIT=1 runs the kernels as plain Python: tests then look at
JIT_OFF and take smaller problems.
"""

import os
from pathlib import Path

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

ROOT = Path(__file__).parents[1]
#: What a contributor runs first, ``pytest -m fast``, in less than a minute once kernels are
#: compiled: rules of the design, the checks themselves, problems and their messages, bugs of
#: old, and exact solvers on small problems. Files, or folders.
FAST = (
    "README.md",
    "tests/batch/test_line.py",
    "tests/certificate",
    "tests/cli/test_read.py",
    "tests/packaging/test_pickle.py",
    "tests/packaging/test_text.py",
    "tests/problem/test_problem.py",
    "tests/regression",
    "tests/runtime",
    "tests/solvers/test_masses.py",
    "tests/solvers/test_solvers.py",
    "tests/solvers/test_tree.py",
    "tests/test_architecture.py",
    "tests/test_checks.py",
)
#: Tests in those files that take seconds.
NOT_FAST = (
    "test_a_process_pool_passes_the_error_on",
    "test_plans_and_potentials_of_pot_are_accepted",
)


def is_fast(path, name):
    """Return whether a test, in a file named from the root, belongs to the fast ones."""
    in_file = any(path == each or path.startswith(f"{each}/") for each in FAST)
    return in_file and name not in NOT_FAST


def pytest_configure(config):
    """Let ``pytest -m fast`` look into no other file: importing all of them takes long."""
    if config.option.markexpr == "fast" and config.args_source is config.ArgsSource.TESTPATHS:
        config.args = [str(ROOT / name) for name in FAST]


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(ROOT):
            path = item.path.relative_to(ROOT).as_posix()
            if is_fast(path, getattr(item, "originalname", item.name)):
                item.add_marker("fast")


@pytest.fixture
def as_claimed(monkeypatch):
    """Judge solvers by what they claim: no exact arithmetic puts it right."""
    monkeypatch.setattr(knobs.REFINED, lambda *_: None)


@pytest.fixture(params=["all arcs", "coarse", "columns"])
def engine(request, monkeypatch):
    """Price all arcs, from coarse starts or not, or run the engine for large problems."""
    monkeypatch.setattr("otdist.solvers.network_simplex.solver.solve_square", lambda *_: None)
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
