"""The command line: its output, its error messages and its exit codes."""

import dataclasses
import io
import json
import math
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import knobs
import numpy as np
import pytest
from conftest import JIT_OFF

import otdist
from otdist import InputWarning
from otdist.cli import verify as _verify
from otdist.cli.main import main
from otdist.cli.progress import elapsed
from otdist.cli.read import pooled, read_measure
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


def test_demo_of_other_thetas(run):
    code, out, err = run("demo", "--points", 2, "--thetas", -2, 0.5, "--out", "a.png")
    assert (code, err) == (0, "")
    rows = [line.split()[:2] for line in out.splitlines()[1:3]]
    assert rows == [["-2.00", "2.000000"], ["0.50", "0.500000"]]
    assert run("demo", "--points", 2, "--thetas", 0, "--out", "a.png")[0] == 0
    fails(run("demo", "--thetas", "nan", "--no-plot"), "offsets", "nan")


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


def write(**files):
    for name, text in files.items():
        Path(f"{name}.csv").write_text(text)


def value(out, row="W_1"):
    return json.loads(out)["rows"][row]["value"]


def test_a_column_named_weight_is_a_coordinate(run):
    write(men="height,weight\n1.7,60\n1.8,80\n", women="weight,height\n50,1.6\n61,1.7\n")
    code, out, err = run("compare", "men.csv", "women.csv", "--json")
    wanted = otdist.wasserstein_distance([[1.7, 60], [1.8, 80]], [[1.6, 50], [1.7, 61]])
    assert code == 0
    assert value(out) == pytest.approx(wanted, rel=1e-12)
    assert json.loads(out)["columns"]["B"] == {"coordinates": ["height", "weight"], "weights": None}
    assert err.count("--weights weight") == 2
    _, out, err = run("compare", "men.csv", "women.csv", "--weights", "weight", "--normalize")
    assert "n = 2, d = 1; coordinates: height; weights: weight\n" in out
    assert err == ""


def test_columns_in_another_order(run):
    write(a="age,income\n30,1\n31,2\n", b="income,age\n1,30\n2,31\n", c="age,wage\n30,1\n")
    code, out, _ = run("compare", "a.csv", "b.csv", "--json")
    assert (code, value(out)) == (0, 0)
    fails(run("compare", "a.csv", "c.csv"), "a.csv", "age, income", "age, wage", "--columns")
    _, out, _ = run("compare", "a.csv", "c.csv", "--columns", "1,2", "--json")
    assert value(out) == otdist.wasserstein_distance([[30, 1], [31, 2]], [[30, 1]])


def test_values_and_counts(run):
    write(a="value,count\n0,10\n1,30\n", b="value,count\n0,30\n1,10\n")
    code, out, _ = run("compare", "a.csv", "b.csv", "--weights", "count", "--json")
    assert (code, value(out, "cost")) == (0, 20)
    _, _, err = run("compare", "a.csv", "b.csv", "--normalize")
    assert err.count("--weights count") == 2
    assert "--normalize changes nothing" in err


@pytest.mark.parametrize("options", [(), ("--diameter", "1e6"), ("--noise", "1")])
def test_the_table_fits_80_columns(run, options):
    rng = np.random.default_rng(0)
    names = [f"a column with a long name, {k}" for k in range(2)]
    for name in "ab":
        text = "\n".join(f"{x!r},{y!r}" for x, y in (1e5 * rng.random((40, 2))).tolist())
        header = ",".join(f'"{each}"' for each in names)
        Path(f"{name}.csv").write_text(f"{header}\n{text}\n")
    code, out, _ = run("compare", "a.csv", "b.csv", *options)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "coordinates: a column with a long name, 0" in " ".join(out.split())


def test_standard_input(run):
    write(b="1,2\n3,4\n")
    command = [sys.executable, "-m", "otdist", "compare", "-", "b.csv", "--format", "csv", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(otdist.__file__).parents[1])}
    done = subprocess.run(
        command, input="2,2\n3,4\n", capture_output=True, text=True, check=True, env=environment
    )
    assert done.stderr == ""
    assert json.loads(done.stdout)["A"] == "standard input"
    assert value(done.stdout) == 0.5


def test_positions_on_a_circle(run):
    write(a="angle,size\n10,1\n350,1\n", b="angle,size\n370,2\n170,1\n")
    options = ("--period", 360, "--columns", "angle")
    code, out, err = run("compare", "a.csv", "b.csv", *options, "--json")
    assert (code, err) == (0, "")
    wanted = otdist.wasserstein_distance([10, 350], [370, 170], period=360)
    assert value(out) == pytest.approx(wanted, rel=1e-12) == 90
    assert value(out, "TV") == 0.5  # 10 and 370 are one place
    assert "KR dual" not in json.loads(out)["rows"]
    fails(run("compare", "a.csv", "b.csv", "--period", 360), "one column", "--columns")


def test_quiet(run, clouds):
    write(a="x,weight\n0,1\n1,2\n")
    words = ("compare", "a.csv", "a.csv", "--normalize", "--plot", "a.png")
    assert run(*words)[2].count("\n") == 4
    assert run(*words, "--quiet")[2] == ""
    write(h="0.5\n0.5\n", g="0.25\n0.75\n")
    assert run("compare", "h.csv", "g.csv", "--quiet")[2] == ""
    fails(run("compare", "h.csv", "none.csv", "--quiet"), "none.csv")


def test_the_time_limit(run, clouds, monkeypatch):
    monkeypatch.setattr(_compare, "compare", lambda *_, **__: time.sleep(60))
    start = time.monotonic()
    code, out, err = run("compare", *clouds, "--time-limit", 0.2)
    assert (code, out) == (124, "")
    assert err == "otdist: stopped after 0.2 s, see --time-limit\n"
    assert time.monotonic() - start < 10


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_long_steps_are_shown_on_a_terminal(monkeypatch):
    monkeypatch.setattr(knobs.CLI_DELAY, 0.05)
    monkeypatch.setattr(knobs.CLI_STEP, 0.02)
    for shown, stream in ((True, Terminal()), (True, io.StringIO()), (False, Terminal())):
        monkeypatch.setattr(sys, "stderr", stream)
        with elapsed("computing", shown=shown):
            time.sleep(0.3)
        told = stream.getvalue()
        if shown and stream.isatty():
            assert told.startswith("\rotdist: computing: 0 s")
            assert told.endswith("\r")
        else:
            assert told == ""
    monkeypatch.setattr(sys, "stderr", Terminal())
    with elapsed("computing", shown=True):
        pass
    assert sys.stderr.getvalue() == ""


def test_completion_in_a_shell(tmp_path):
    pytest.importorskip("argcomplete")
    line = "otdist compare --del"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "words"),
    }
    command = [sys.executable, "-m", "otdist"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (tmp_path / "words").read_text().strip() == "--delimiter"


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


def test_figure_of_pooled_images_has_one_system_of_coordinates(run):
    image = np.zeros((8, 16))
    image[0, 0] = 1
    np.savetxt("a.txt", image)
    np.savetxt("b.txt", image[::-1, ::-1])
    options = {"grid": "8x16"}
    first, second = (pooled(read_measure(f"{name}.txt", **options), 4, name) for name in "ab")
    table = otdist.compare(first.points, second.points, first.weights, second.weights)
    axes = plot_comparison(table, first.points, second.points, shape=first.shape).axes
    shown = [each for each in axes if each.images]
    assert len(shown) == 3
    for each in shown:
        assert tuple(each.images[0].get_extent()) == (-0.5, 15.5, 7.5, -0.5)
    (arrows,) = shown[2].collections
    np.testing.assert_allclose(arrows.get_offsets(), [[1.5, 1.5]])
    np.testing.assert_allclose([arrows.U, arrows.V], [[12], [4]])
    words = ("compare", "a.txt", "b.txt", "--grid", "8x16", "--pool", "4", "--plot", "c.png")
    assert run(*words)[0] == 0


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
