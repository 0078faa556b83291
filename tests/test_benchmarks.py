"""Run every benchmark once at its smallest size, so that none of them rots."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import os
import pkgutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
LINUX = sys.platform == "linux"

if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
    pytest.skip("benchmarks are of compiled code", allow_module_level=True)
pytest.importorskip("ot", reason="the benchmarks time POT beside otdist")

import benchmarks
import otdist
from benchmarks import against, entropic, fresh, peers, plot, table, torch_critics
from benchmarks.entropic_peers import (
    PEERS,
    Answer,
    Peer,
    certified_gap,
    make_task,
    marginal_error,
    reach,
)
from benchmarks.instances import (
    FAMILIES,
    IMAGES,
    LARGE,
    PICTURES,
    POINTS,
    SMALL,
    SQUARED_PICTURES,
    VOLUMES,
    make,
    make_images,
    make_points,
    sizes,
)

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
    monkeypatch.setattr(entropic, "GAP", 0.1)
    monkeypatch.setattr(entropic, "TOL", 1e-4)
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
            "bottleneck",
            "certificate",
            "circle",
            "coverage",
            "critics",
            "divergences",
            "entropic",
            "exact",
            "graphs",
            "grids",
            "images",
            "line",
            "memory",
            "pairs",
            "points",
            "sliced",
            "small",
            "startup",
            "unequal",
        )
    }


@pytest.mark.usefixtures("smallest")
@pytest.mark.parametrize("each", CLASSES, ids=lambda each: f"{each.__module__}.{each.__name__}")
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
            is_known = LINUX or ("peak" not in name and "beyond" not in name)
            assert math.isfinite(value) or not is_known, name
        is_entropic = each.__module__ in ("benchmarks.entropic", "benchmarks.grids")
        if name == "track_gap" and not is_entropic:
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


@pytest.mark.parametrize("family", sorted({*SMALL, *POINTS, *LARGE, *IMAGES}))
def test_points_and_their_matrix_are_one_problem(family):
    clouds = make_points(family, 36)
    value = peers.exact(clouds).value
    assert value == pytest.approx(peers.exact(make(family, 36)).value, rel=1e-9)
    peer = peers.pot_dist_emd2 if family in IMAGES else peers.pot_emd2_lazy
    assert value == pytest.approx(peer(clouds)[0], rel=1e-9)


@pytest.mark.parametrize("family", PICTURES + SQUARED_PICTURES + VOLUMES)
def test_images_are_problems_that_otdist_proves(family):
    try:
        images = make_images(family, 64)
    except NotImplementedError as reason:
        pytest.skip(str(reason))
    again = make_images(family, 64)
    assert (images.first == again.first).all()
    result = peers.exact(images)
    assert result.success
    assert result.value == pytest.approx(peers.pot_emd2(images)[0], rel=1e-9)


def test_family_without_points():
    with pytest.raises(NotImplementedError, match="random_costs has no points"):
        make_points("random_costs", 36)


def test_solve_in_a_fresh_process_says_what_it_took():
    measured = fresh.measure("points", "gaussian_2", 1000, n_jobs=2)
    assert measured.seconds > 0
    assert 0 <= measured.gap <= 1e-9
    if LINUX:
        assert 0 < measured.before <= measured.peak


def test_failure_in_a_fresh_process_is_an_error():
    with pytest.raises(RuntimeError, match="has no points"):
        fresh.measure("points", "random_costs", 36)


def test_pot_that_stopped_early_is_not_timed(monkeypatch):
    instance = make("gaussian_2", 100)
    emd2 = peers.load_pot().emd2

    def impatient(*arguments, **options):
        with pytest.warns(UserWarning, match="numItermax"):
            return emd2(*arguments, **{**options, "numItermax": 10})

    monkeypatch.setattr(peers.load_pot(), "emd2", impatient)
    with pytest.raises(RuntimeError, match="code 3"):
        peers.pot_emd2(instance)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["gaussian_2_p2", "rectangular"])
@pytest.mark.parametrize("name", PEERS)
def test_entropic_peer_solves_the_same_problem(name, family):
    task, peer = make_task(family, 36), PEERS[name]
    epsilon = 0.2 * task.mean_cost
    try:
        made = peer.prepare(task)(epsilon, peer.settings[4])
    except NotImplementedError as reason:
        pytest.skip(str(reason))
    answer = peer.read(task, epsilon, made)
    near = 1e-2 if name == "geomloss" else 1e-5
    assert marginal_error(task, answer) <= near
    ours = entropic.at_epsilon(task.instance.problem(), epsilon, tol=1e-10)
    # Rounding has moved otdist's plan by no more than its marginal error.
    np.testing.assert_allclose(answer.plan, ours.plan.toarray(), atol=near)
    gap = certified_gap(task, answer)
    assert gap == pytest.approx(ours.relative_gap, rel=0.2, abs=near)


def test_marginal_error_is_a_sum_over_rows_and_columns():
    task = make_task("gaussian_2", 10)
    plan = np.outer(task.instance.a, task.instance.b)
    plan[2, 3] += 0.25
    assert marginal_error(task, Answer(plan, plan[0], 1)) == pytest.approx(0.5)


def _scripted(act):
    """Return a peer that does what it is told instead of calling a library."""
    return Peer(
        (1e-1, 1e-3, 1e-5),
        lambda task: lambda epsilon, setting: act(epsilon, setting),
        lambda task, epsilon, made: Answer(None, None, made),
    )


def _reach(act, measure=lambda task, answer: 0.0, **options):
    task = make_task("gaussian_2", 10)
    return reach(_scripted(act), task, [1.0, 0.5], measure=measure, **options)


def test_reach_takes_the_loosest_setting_that_measures_well():
    tried = _reach(
        lambda epsilon, setting: round(-math.log10(setting)),
        measure=lambda task, answer: 10.0 ** (-2 * answer.n_iter),
        target=1e-6,
    )
    assert (tried.epsilon, tried.setting, tried.n_iter) == (1.0, 1e-3, 3)
    assert 0 <= tried.seconds < 1


def test_reach_ends_calls_that_take_too_long_or_fall():
    def act(epsilon, setting):
        if epsilon == 1.0:
            time.sleep(60)
        if setting < 1e-2:
            os._exit(3)
        return 7

    start = time.perf_counter()
    tried = _reach(act, measure=lambda task, answer: 0.5, target=0.1, cap=0.3)
    assert time.perf_counter() - start < 30
    assert math.isnan(tried.seconds)
    assert (tried.measured, tried.epsilon, tried.n_iter) == (0.5, 0.5, 7)


def test_peer_that_did_not_get_there_is_not_compared():
    peer = _scripted(lambda epsilon, setting: time.sleep(60))
    task = make_task("gaussian_2", 10)
    with pytest.raises(NotImplementedError, match="not reached in"):
        entropic.compare_at_epsilon(task, 1, peer, part=0.1, cap=0.1)


def test_seconds_of_an_iteration_leave_set_up_out():
    def call(k):
        time.sleep(0.1 + 0.01 * k)
        return k

    assert entropic.seconds_per_iteration(call) == pytest.approx(0.01, rel=0.5)
    assert math.isnan(entropic.seconds_per_iteration(lambda k: 3))


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


@pytest.mark.parametrize(
    "what, family, n_lines",
    [
        ("small", "gaussian_2", 5),
        ("small", "gaussian_2_weights", 3),
        ("points", "gaussian_16", 3),
        ("images", "images_784", 3),
        ("large", "uniform_2", 2),
    ],
)
def test_table_of_each_kind(what, family, n_lines, capsys):
    table.main(["--what", what, "--quick", "--n", "36", "--family", family])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == n_lines
    assert float(lines[1].split()[-1]) <= 1e-9


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", ["entropic", "entropic_fine", "entropic_gap", "gap"])
def test_table_of_entropic_transport(what, capsys, monkeypatch):
    monkeypatch.setattr(entropic, "TOL", 1e-3)
    if not what.endswith("gap"):
        shown = table._TABLES[what]._replace(peers={"pot_log": PEERS["pot_log"]})
        monkeypatch.setitem(table._TABLES, what, shown)
    table.main(["--what", what, "--quick", "--n", "64", "--family", "gaussian_2"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert 0 <= float(lines[1].split()[-1]) < 1


def test_table_knows_its_families(capsys):
    with pytest.raises(SystemExit):
        table.main(["--what", "points", "--family", "random_costs"])
    assert "no such family: random_costs" in capsys.readouterr().err


def test_plot_is_drawn_again_from_its_figures(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    out = tmp_path / "new" / "time.svg"
    plot.main(["--out", str(out), "--n", "16", "36"])
    kept = json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert [n for n, _ in kept["seconds"]["otdist, points"]] == [16, 36]
    first = out.read_bytes()
    monkeypatch.setattr(plot, "measure", None)
    plot.main(["--out", str(out), "--redraw"])
    assert out.read_bytes() == first


def test_larger_sizes_run_when_asked_for(monkeypatch):
    monkeypatch.delenv("OTDIST_BENCH_MAX_N", raising=False)
    assert sizes(250, 1000, 4000) == (250, 1000)
    monkeypatch.setenv("OTDIST_BENCH_MAX_N", "4000")
    assert sizes(250, 1000, 4000) == (250, 1000, 4000)


def test_asv_finds_them_all():
    # It reads module attributes called timeout, rounds and the like as settings.
    discovery = pytest.importorskip("asv_runner.discovery")
    found = discovery.disc_benchmarks(benchmarks.__path__[0])
    classes = {".".join(each.name.split(".")[:2]) for each in found}
    wanted = {f"{each.__module__}.{each.__name__}" for each in CLASSES}
    assert {f"benchmarks.{name}" for name in classes} == wanted


def test_asv_settings_name_this_folder():
    settings = json.loads((ROOT / "asv.conf.json").read_text(encoding="utf-8"))
    assert settings["benchmark_dir"] == Path(benchmarks.__path__[0]).name
    assert settings["results_dir"].startswith(".asv/")


@pytest.mark.parametrize("kind", torch_critics.KINDS)
def test_networks_on_a_ray_pair(kind, monkeypatch):
    pytest.importorskip("torch", reason="networks need PyTorch")
    monkeypatch.setattr(torch_critics, "N_EXACT", 50)
    found = torch_critics.on_rays(2, 4, kind, steps=2)
    assert math.isfinite(found.value)
    assert found.error > 0
    assert abs(found.cosine) <= 1
    assert found.lipschitz > 0


@pytest.mark.parametrize("suite", against.SUITES)
def test_every_suite_against_another_commit_begins(suite):
    name, call = next(against.SUITES[suite](otdist, np))
    assert name
    call()


def test_a_slower_checkout_shows_in_the_ratio(capsys):
    against.show("planted", [[0.001, 0.003], [0.002, 0.006], [0.001, 0.002]])
    assert capsys.readouterr().out.split() == ["planted", "1.000", "ms", "3.000", "ms", "3.00"]
