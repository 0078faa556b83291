"""Run every benchmark once at its smallest size, so that none of them rots."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import os
import pkgutil
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
    pytest.skip("benchmarks are of compiled code", allow_module_level=True)
pytest.importorskip("ot", reason="the benchmarks time POT beside otdist")

import benchmarks
from benchmarks import peers, table
from benchmarks.instances import FAMILIES, make, sizes

MODULES = [
    importlib.import_module(f"benchmarks.{module.name}")
    for module in pkgutil.iter_modules(benchmarks.__path__)
]
CLASSES = [
    each
    for module in MODULES
    for name, each in inspect.getmembers(module, inspect.isclass)
    if each.__module__ == module.__name__
    and not name.startswith("_")
    and any(method.startswith(("time_", "track_", "peakmem_")) for method in dir(each))
]


@pytest.fixture
def smallest(monkeypatch):
    for each in CLASSES:
        if hasattr(each, "params"):
            params = tuple(values[:1] for values in each.params)
            monkeypatch.setattr(each, "params", params)
        if hasattr(each, "repeats"):
            monkeypatch.setattr(each, "repeats", 1)


def test_every_module_is_covered():
    assert {each.__module__ for each in CLASSES} >= {
        f"benchmarks.{name}"
        for name in (
            "certificate",
            "divergences",
            "entropic",
            "exact",
            "line",
            "small",
            "startup",
        )
    }


@pytest.mark.usefixtures("smallest")
@pytest.mark.parametrize(
    "each", CLASSES, ids=lambda each: f"{each.__module__}.{each.__name__}"
)
def test_runs_at_its_smallest_size(each):
    benchmark = each()
    params = getattr(each, "params", ())
    assert len(params) == len(getattr(each, "param_names", ()))
    arguments = [values[0] for values in params]
    if hasattr(benchmark, "setup_cache"):
        arguments.insert(0, benchmark.setup_cache())
    for name, method in inspect.getmembers(benchmark, inspect.ismethod):
        if not name.startswith(("time_", "track_", "peakmem_")):
            continue
        if hasattr(benchmark, "setup"):
            benchmark.setup(*arguments)
        value = method(*arguments)
        if name.startswith("track_"):
            assert math.isfinite(value), name
        if name == "track_gap" and each.__module__ != "benchmarks.entropic":
            assert 0 <= value <= 1e-9


@pytest.mark.parametrize("family", FAMILIES)
def test_family_is_a_problem_that_otdist_proves(family):
    instance = make(family, 36)
    n, m = instance.shape
    assert instance.cost.shape == (n, m)
    assert instance.a.min() >= 0
    assert instance.b.min() >= 0
    again = make(family, 36)
    np.testing.assert_array_equal(instance.cost, again.cost)
    np.testing.assert_array_equal(instance.a, again.a)
    result = peers.exact(instance)
    assert result.success
    assert result.value == pytest.approx(peers.pot_emd2(instance)[0], rel=1e-9)


def test_pot_that_stopped_early_is_not_timed(monkeypatch):
    instance = make("gaussian_2", 100)
    emd2 = peers.load_pot().emd2

    def impatient(*arguments, **options):
        with pytest.warns(UserWarning, match="numItermax"):
            return emd2(*arguments, **{**options, "numItermax": 10})

    monkeypatch.setattr(peers.load_pot(), "emd2", impatient)
    with pytest.raises(RuntimeError, match="code 3"):
        peers.pot_emd2(instance)


def test_medians_take_calls_in_turn():
    seen = []
    calls = [lambda: seen.append("a"), lambda: seen.append("b")]
    assert len(peers.medians(calls, repeats=2)) == 2
    assert "".join(seen) == "abba"


def test_table_prints_rows_and_the_worst_family(capsys):
    table.main(["--quick", "--n", "36", "--family", "gaussian_2", "integer_costs"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("gaussian_2 ")
    assert "worst" in lines[-1]


def test_larger_sizes_run_when_asked_for(monkeypatch):
    monkeypatch.delenv("OTDIST_BENCH_MAX_N", raising=False)
    assert sizes(250, 1000, 4000) == (250, 1000)
    monkeypatch.setenv("OTDIST_BENCH_MAX_N", "4000")
    assert sizes(250, 1000, 4000) == (250, 1000, 4000)


def test_asv_settings_name_this_folder():
    settings = json.loads((ROOT / "asv.conf.json").read_text(encoding="utf-8"))
    assert settings["benchmark_dir"] == Path(benchmarks.__path__[0]).name
    assert settings["results_dir"].startswith(".asv/")
