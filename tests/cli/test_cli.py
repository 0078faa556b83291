"""The command line: its output, its error messages and its exit codes."""

import dataclasses
import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import JIT_OFF

import otdist
from otdist import InputWarning
from otdist.cli import verify as _verify
from otdist.cli.main import main
from otdist.comparison import separation as _separation
from otdist.comparison import table as _compare
from otdist.plot import plot_comparison

# Published optima, from LEMON's network simplex (three decimals).
PUBLISHED = {
    (1, "cityblock"): 340.544,
    (1, "euclidean"): 287.419,
    (1, "chebyshev"): 251.378,
    (2, "cityblock"): 358.103,
    (2, "euclidean"): 303.886,
    (2, "chebyshev"): 267.563,
}


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run main in an empty folder; return the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def runner(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return runner


@pytest.fixture
def clouds(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.normal(size=(20, 2)))
    np.save(tmp_path / "b.npy", rng.normal(size=(30, 2)) + 3)
    return tmp_path / "a.npy", tmp_path / "b.npy"


def fails(outcome, *words):
    """Exit code 2, nothing on stdout, one line on stderr with all the words."""
    code, out, err = outcome
    assert code == 2
    assert out == ""
    assert err.startswith("otdist: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


# --- the program ------------------------------------------------------------------


def test_version_as_a_process():
    command = [sys.executable, "-m", "otdist", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"otdist {otdist.__version__}\n"
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["demo", "compare", "verify"])
def test_help(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert out.startswith(f"usage: otdist {command}")


@pytest.mark.parametrize("words", [[], ["nothing"], ["compare"], ["compare", "a", "b", "--p", "x"]])
def test_usage_errors(run, words):
    code, out, err = run(*words)
    assert code == 2
    assert out == ""
    assert "usage: otdist" in err


def test_ctrl_c_is_quiet(run, monkeypatch):
    def interrupted(n):
        raise KeyboardInterrupt

    monkeypatch.setattr(_separation, "demo_separations", interrupted)
    assert run("demo", "--no-plot") == (130, "", "")


def test_a_reader_that_goes_away():
    command = [sys.executable, "-m", "otdist", "demo", "--no-plot", "--points", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


# --- demo -------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 37, 100])
def test_demo_values(n):
    rows = _separation.demo_separations(n)
    assert [row.theta for row in rows] == [k / 10 for k in range(-10, 11)]
    for row in rows:
        assert row.lower <= row.upper
        assert row.upper - row.lower <= 1e-12
        assert row.w1 == pytest.approx(abs(row.theta), abs=1e-12)
        same = row.theta == 0
        assert row.js == (0 if same else math.log(2))
        assert row.kl == row.kl_reversed == (0 if same else math.inf)
        assert row.tv == (0 if same else 1)


def test_demo_prints_a_row_for_each_theta_and_writes_a_figure(run, tmp_path):
    code, out, err = run("demo", "--points", 10)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    rows = [line for line in rows if line and line[0].lstrip("-")[:2] in ("0.", "1.")]
    assert len(rows) == 21
    for line in rows:
        theta, w1, js, tv = (float(line[k]) for k in (0, 1, -4, -1))
        assert w1 == abs(theta)
        assert js == (round(math.log(2), 6) if theta else 0)
        assert line[-3:-1] == (["inf", "inf"] if theta else ["0", "0"])
        assert tv == (theta != 0)
    assert "10 points" in out
    figure = tmp_path / "otdist-demo.png"
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert f"Figure: {figure.name}" in out


def test_demo_without_figure(run, tmp_path):
    code, out, _ = run("demo", "--points", 2, "--no-plot")
    assert code == 0
    assert "igure" not in out
    assert list(tmp_path.iterdir()) == []


def test_demo_without_matplotlib(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = run("demo", "--points", 2)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].endswith("pip install 'otdist[plot]'")


def test_bad_demo(run):
    fails(run("demo", "--points", 0), "number of points", "got 0")
    fails(run("demo", "--out", "a.doc"), "a.doc", "'doc'", "png")
    fails(run("demo", "--out", "none/a.png"), "none/a.png", "folder")


# --- compare ----------------------------------------------------------------------


def test_compare_prints_the_table(run, clouds):
    code, out, err = run("compare", *clouds)
    assert (code, err) == (0, "")
    table = otdist.compare(*(np.load(path) for path in clouds))
    assert out.endswith(str(table) + "\n")
    assert f"P: {clouds[0]}, 20 atoms, mass 1\n" in out


def test_compare_prints_json(run, clouds):
    code, out, err = run("compare", *clouds, "--json", "--p", 2, "--epsilon", 0.5)
    assert (code, err) == (0, "")
    data = json.loads(out)
    x, y = (np.load(path) for path in clouds)
    table = otdist.compare(x, y, p=2, epsilon=0.5)
    assert data["n"] == 20
    assert data["rows"]["W_2"]["value"] == table["W_2"].value
    assert data["rows"]["Sinkhorn"]["value"] == table["Sinkhorn"].value
    assert data["rows"]["KL(P|Q)"]["value"] == "inf"
    assert data["A"] == str(clouds[0])


def test_compare_passes_metric_and_method_on(run, clouds):
    code, out, _ = run("compare", *clouds, "--json", "--metric", "chebyshev", "--method", "highs")
    data = json.loads(out)
    x, y = (np.load(path) for path in clouds)
    exact = otdist.wasserstein_distance(x, y, metric="chebyshev")
    assert code == 0
    assert data["method"] == "highs"
    assert data["rows"]["W_1"]["value"] == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 2)])
def test_largest_distance(run, tmp_path, shape):
    x, y = np.zeros((2, *shape))
    x.reshape(2, -1)[:, 0], y.reshape(2, -1)[:, 0] = [0.0, 1.0], [3.0, 1.5]
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "b.npy", y)
    code, out, _ = run("compare", "a.npy", "b.npy", "--p", "inf", "--json")
    assert code == 0
    assert json.loads(out)["rows"]["W_inf"]["value"] == 2.0


def test_masses_are_not_normalised_unless_asked(run, tmp_path):
    Path("a.csv").write_text("x,weight\n0,1\n1,3\n")
    Path("b.csv").write_text("x,weight\n0,2\n1,3\n")
    message = ("a sums to 4", "b to 5", "add --normalize", "a.csv", "b.csv")
    files = ("compare", "a.csv", "b.csv", "--weights", "weight")
    fails(run(*files), *message)
    code, out, _ = run(*files, "--normalize", "--json")
    assert code == 0
    value = json.loads(out)["rows"]["W_1"]["value"]
    assert value == pytest.approx(abs(3 / 4 - 3 / 5), rel=1e-12)


def test_signed_file_and_its_two_halves_agree(run):
    rng = np.random.default_rng(1)
    a = rng.random(12)
    b = rng.permutation(a)
    for name, masses in (("a", a), ("b", b), ("ab", np.concatenate([a, -b]))):
        np.savetxt(f"{name}.txt", masses, fmt="%.17g")
    _, two, _ = run("compare", "a.txt", "b.txt", "--grid", "3x4", "--json")
    _, one, _ = run("compare", "ab.txt", "--signed", "--grid", "3x4", "--json")
    assert json.loads(one)["rows"] == json.loads(two)["rows"]
    assert json.loads(one)["rows"]["TV"]["value"] < 1


def test_warnings_are_one_line(run):
    for name, text in (("a", "0.5\n0.5\n"), ("b", "0.25\n0.75\n")):
        Path(f"{name}.txt").write_text(text)
    code, _, err = run("compare", "a.txt", "b.txt")
    assert code == 0
    assert err.startswith("otdist: warning: x and y look like histograms")
    assert "--grid 1xN" in err
    assert err.count("\n") == 1
    with pytest.warns(InputWarning):
        warnings.warn("main leaves the filters alone", InputWarning, stacklevel=1)


def test_bad_compare(run, clouds):
    a, b = clouds
    np.save("c.npy", np.ones((3, 5)))
    fails(run("compare", "none.csv", b), "cannot read none.csv: No such file")
    fails(run("compare", a), "B is missing", "--signed")
    fails(run("compare", a, b, "--signed"), "omit B", str(b))
    fails(run("compare", a, "c.npy"), "2 and 5", str(a), "c.npy")
    fails(run("compare", a, b, "--p", "0.5"), "p must be >= 1, got 0.5")
    outcome = run("compare", a, b, "--p", "inf", "--method", "sinkhorn")
    fails(outcome, "--method sinkhorn needs a finite p", "use --method bottleneck")
    fails(run("compare", a, b, "--metric", "x"), "'euclidean', 'cityblock'")
    fails(run("compare", a, b, "--method", "x"), "'network_simplex'")
    fails(run("compare", a, b, "--method", "line"), "use --method network_simplex")
    fails(run("compare", a, b, "--epsilon", "0"), "epsilon must be a positive")
    fails(run("compare", a, b, "--plot", "a.doc"), "'doc'", "png")
    fails(run("compare", a, b, "--plot", "none/a.png"), "folder does not exist")
    fails(
        run("compare", a, b, "--metric", "sqeuclidean", "--p", "2"),
        "write --metric euclidean --p 2 for W_2",
    )
    np.save("d.npy", [[np.nan, 0.0]])
    fails(run("compare", "d.npy", b), "x[0, 0] is nan", "d.npy")


def test_files_that_cannot_be_written(run, clouds):
    Path("a.png").mkdir()
    code, _, err = run("compare", *clouds, "--plot", "a.png")
    assert code == 2
    assert err == "otdist: cannot write or read a.png: Is a directory\n"


def test_a_result_without_proof_is_exit_code_1(run, clouds, monkeypatch):
    def stopped(problem, *, method="auto", **options):
        return otdist.solve(problem, method=method, **(options | {"max_iter": 1}))

    monkeypatch.setattr(_compare, "solve", stopped)
    code, out, err = run("compare", *clouds)
    assert code == 1
    assert "W_1" in out
    assert err.startswith("otdist: stopped at iteration 1; ")
    assert "max_iter" not in err


def test_a_value_without_proof_is_exit_code_2(run, clouds, monkeypatch):
    def unproved(*arguments, **options):
        result = otdist.solve(otdist.Problem([0.0], [1.0]))
        raise otdist.NotCertifiedError("no proof: try method='highs'", result)

    monkeypatch.setattr(_compare, "compare", unproved)
    fails(run("compare", *clouds), "no proof: try --method highs")


# --- figures ----------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 5])
def test_figure_of_clouds(run, d):
    rng = np.random.default_rng(2)
    np.save("a.npy", rng.normal(size=(8, d)))
    np.save("b.npy", rng.normal(size=(9, d)))
    code, out, err = run("compare", "a.npy", "b.npy", "--plot", "a.png")
    assert code == 0
    assert err == "otdist: figure: a.png\n"
    assert "W_1" in out
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


def test_figure_shows_where_the_mass_goes():
    x, y = np.array([[0.0, 0], [0, 1]]), np.array([[1.0, 0], [1, 1]])
    table = otdist.compare(x, y)
    # The plan of an entropic method has entries everywhere; the arcs are the same.
    for shown in (table, dataclasses.replace(table, exact=table.entropic)):
        axes = plot_comparison(shown, x, y).axes[0]
        segments = axes.collections[0].get_segments()
        np.testing.assert_array_equal(segments, np.stack([x, y], axis=1))


def test_figure_of_other_points_is_refused():
    table = otdist.compare([0.0, 1.0], [2.0, 3.0])
    with pytest.raises(otdist.InputError, match=r"2 and 2 points .* got 3 and 2"):
        plot_comparison(table, [0.0, 1.0, 2.0], [2.0, 3.0])


def test_figure_of_images(run):
    Image = pytest.importorskip("PIL.Image")
    for name, seed in (("a", 3), ("b", 4)):
        noise = np.random.default_rng(seed).permutation(36).reshape(6, 6)
        Image.fromarray(noise.astype(np.uint8)).save(f"{name}.png")
    code, _, _ = run("compare", "a.png", "b.png", "--plot", "c.svg")
    assert code == 0
    assert "<svg" in Path("c.svg").read_text()
    code, _, _ = run("compare", "a.png", "a.png", "--plot", "same.png", "--p", 2)
    assert code == 0


def test_figure_without_matplotlib(run, clouds, monkeypatch):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    fails(run("compare", *clouds, "--plot", "a.png"), "pip install 'otdist[plot]'")


# --- verify -----------------------------------------------------------------------


def test_verify(run):
    pytest.importorskip("ot")
    n_problems = 18 if JIT_OFF else 200
    code, out, err = run("verify", "--problems", n_problems, "--seed", 1)
    assert (code, err) == (0, "")
    assert "agree" in out
    total = next(line for line in out.splitlines() if line.startswith("all "))
    assert total.split()[1:3] == [str(n_problems)] * 2
    assert float(total.split()[3]) <= 1e-9


def test_verify_sees_a_wrong_value(run, monkeypatch):
    pytest.importorskip("ot")
    right = _verify._peer_value
    monkeypatch.setattr(_verify, "_peer_value", lambda *case: right(*case) * (1 + 1e-8))
    code, out, _ = run("verify", "--problems", 3)
    assert code == 1
    assert "DO NOT AGREE" in out


def test_verify_sees_a_missing_proof(run, monkeypatch):
    pytest.importorskip("ot")

    def entropic(problem):
        return otdist.solve(problem, method="sinkhorn", max_iter=1)

    monkeypatch.setattr(_verify, "solve", entropic)
    report = _verify.verify(2)
    assert report.total.n_certified < report.total.n_problems
    assert not report.passed


def test_bad_verify(run, monkeypatch):
    pytest.importorskip("ot")
    fails(run("verify", "--problems", 0), "number of problems", "got 0")
    fails(run("verify", "--seed", -1), "seed", "got -1")
    monkeypatch.setitem(sys.modules, "ot", None)
    fails(run("verify"), "pip install POT")


# --- DOTmark ----------------------------------------------------------------------


@pytest.fixture
def dotmark():
    folder = os.environ.get("OTDIST_DOTMARK")
    if not folder:
        pytest.skip("OTDIST_DOTMARK does not name a folder with the DOTmark files")
    if JIT_OFF:
        pytest.skip("these are large problems for plain Python")
    return Path(folder)


@pytest.mark.parametrize(("pair", "metric"), PUBLISHED)
def test_published_costs(run, dotmark, pair, metric):
    path = dotmark / f"whitenoise_32_pair{pair}.txt"
    # A large epsilon keeps the row that is not looked at short.
    words = ("--signed", "--grid", "32x32", "--metric", metric, "--epsilon", "20")
    code, out, err = run("compare", path, *words, "--json")
    assert (code, err) == (0, "")
    row = json.loads(out)["rows"]["cost"]
    assert round(row["value"], 3) == PUBLISHED[pair, metric]
    assert round(row["lower"], 3) == PUBLISHED[pair, metric]


def test_images_stored_as_colours(dotmark):
    from otdist.cli.read import read_measure

    measure = read_measure(dotmark / "Shapes-512-1.png")
    assert measure.shape == (512, 512)
    assert measure.weights.max() == 255


def test_pooling_keeps_mass_and_unit(run):
    image = np.arange(1.0, 17.0).reshape(4, 4)
    np.savetxt("a.txt", image)
    np.savetxt("b.txt", image[::-1])
    code, out, _ = run("compare", "a.txt", "b.txt", "--grid", "4x4", "--pool", "2", "--json")
    assert code == 0
    # The lower half is heavier by 32 (masses 14, 22, 46, 54); blocks are 2 pixels apart.
    assert json.loads(out)["rows"]["cost"]["value"] == pytest.approx(128, rel=1e-14)


def test_pooling_needs_a_grid_that_divides_into_blocks(run, clouds):
    np.savetxt("a.txt", np.ones((4, 6)))
    grid = ("compare", "a.txt", "a.txt", "--grid", "4x6", "--pool")
    fails(run(*grid, "4"), "4 x 6 pixels, which cannot be divided into blocks of 4 x 4")
    fails(run(*grid, "0"), "cannot be divided into blocks of 0 x 0")
    fails(run("compare", *clouds, "--pool", "2"), "holds points, not pixels")


def test_compare_writes_a_figure_of_separations(run, clouds, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "away.png"
    code, printed, err = run("compare", *clouds, "--separation", out, "--noise", 0.5)
    assert (code, err) == (0, f"otdist: figure: {out}\n")
    assert out.stat().st_size > 1000
    assert "upper bound 2 E|e| + C TV of W_1 with noise" in printed
    fails(run("compare", *clouds, "--noise", -1), "noise must be a positive length")
