"""`warmup` compiles what calls need, and the list of its calls reaches all kernels."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import conftest
import numpy as np
import pytest

import otdist
from otdist.batch import single
from otdist.cli import warm_up
from otdist.cli.main import main

pytestmark = pytest.mark.skipif(conftest.JIT_OFF, reason="nothing is compiled")

#: Kernels that no call of `warmup` needs, or that no Python code calls.
NOT_CALLED = {
    "least_leaving_of_all": "only where no near column is left, a degenerate bottleneck",
    "_add_exponentials": "called by log_sums",
    "_log_sum": "called by log_sums_at",
    "_put_right": "called by read_keys",
    "_select": "called by kd_order",
    "_smallest_sums": "called by smallest_sums",
    "renumber": "called by run_on_lists",
}
COUNT = """
from numba.core import event
class Count(event.Listener):
    started = 0
    def on_start(self, event):
        Count.started += 1
    def on_end(self, event):
        pass
event.register("numba:compile", Count())
import numpy, otdist
from otdist.cli import warm_up
warm_up._divergences(otdist, numpy.random.default_rng(1))
print(Count.started)
"""
CALL_ALL = """
import sys
import numpy, otdist
from numba.core.dispatcher import Dispatcher
from otdist.cli import warm_up
for family in warm_up.FAMILIES:
    family(otdist, numpy.random.default_rng(0))
for name, module in list(sys.modules.items()):
    if name.startswith("otdist.") and {"kernels", "compiled"} & set(name.split(".")):
        for each in vars(module).values():
            if not isinstance(each, Dispatcher) or each.py_func.__module__ != name:
                continue
            flags = each.targetoptions
            if not (flags.get("no_cpython_wrapper") or flags.get("inline") == "always"):
                print(name, each.py_func.__name__, len(each.signatures))
"""


def run(program, **environment):
    """Run a program in a new process, with this copy of the package."""
    paths = {"PYTHONPATH": str(Path(otdist.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | paths | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_compiled_after_warmup(monkeypatch, tmp_path):
    monkeypatch.setattr(warm_up, "FAMILIES", (warm_up._divergences,))
    monkeypatch.setattr(warm_up, "folder_in_use", lambda: str(tmp_path))
    assert otdist.warmup(n_jobs=1) == tmp_path
    assert int(run(COUNT, NUMBA_CACHE_DIR=str(tmp_path))) == 0
    assert int(run(COUNT, NUMBA_CACHE_DIR=str(tmp_path / "empty"))) > 0


def test_all_kernels_are_reached():
    rows = [line.split() for line in run(CALL_ALL).splitlines()]
    idle = {f"{module}.{name}" for module, name, count in rows if count == "0"}
    assert {path.rsplit(".", 1)[1] for path in idle} <= set(NOT_CALLED)
    assert {name for _, name, _ in rows} >= set(NOT_CALLED)  # none of them is out of date


def test_the_command_says_where_kernels_are(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(warm_up, "FAMILIES", ())
    monkeypatch.setattr(warm_up, "folder_in_use", lambda: str(tmp_path))
    assert main(["warmup", "--jobs", "1"]) == 0
    assert str(tmp_path) in capsys.readouterr().out


def test_what_fails_is_an_error(monkeypatch, capsys):
    def broken(od, rng):
        pass

    monkeypatch.setattr(warm_up, "FAMILIES", (broken,))
    assert main(["warmup"]) == 2  # the other process has no function of this name
    assert "broken" in capsys.readouterr().err
    monkeypatch.setattr(warm_up, "folder_in_use", lambda: "")
    with pytest.raises(RuntimeError, match="NUMBA_CACHE_DIR"):
        otdist.warmup()


FIRST = (
    COUNT.split("import numpy")[0]
    + """
import numpy as np
import otdist
x, y = np.random.default_rng(0).random((2, 20, 2))
found = otdist.wasserstein_distance(x, y, p=2)
print(Count.started)
print(found, otdist.solve(otdist.Problem(x, y, p=2), method="highs").distance)
"""
)


def test_the_first_small_distance_waits_for_no_compiler(tmp_path):
    count, values = run(FIRST, NUMBA_CACHE_DIR=str(tmp_path)).splitlines()
    assert int(count) == 0
    found, right = map(float, values.split())
    assert found == pytest.approx(right, rel=1e-12)


def test_only_the_first_small_distance_is_found_without_compiled_code(monkeypatch):
    module = importlib.import_module("otdist.distances.wasserstein")
    methods = []

    def solving(problem, **options):
        methods.append(options["method"])
        return otdist.solve(problem, **options)

    monkeypatch.setattr(module, "solve", solving)
    monkeypatch.setattr(module, "_small_clouds", itertools.count())
    monkeypatch.setattr(single, "is_compiled", lambda: False)
    x, y = np.array([[[0.0, 0.0], [1.0, 0.0]], [[3.0, 4.0], [4.0, 4.0]]])
    for _ in range(2):
        assert otdist.wasserstein_distance(x, y) == 5.0
    assert methods == ["highs"]
    monkeypatch.setattr(module, "_small_clouds", itertools.count())
    otdist.wasserstein_distance(np.zeros((400, 2)), np.ones((400, 2)))  # too large
    monkeypatch.setattr(single, "is_compiled", lambda: True)
    assert otdist.wasserstein_distance(x, y) == 5.0
    assert methods == ["highs"]
