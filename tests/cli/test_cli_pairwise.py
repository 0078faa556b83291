"""``otdist pairwise``: its output and its error messages."""

from pathlib import Path

import knobs
import numpy as np
import pytest

from otdist import pairwise
from otdist.cli.main import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in an empty folder; return exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def runner(*words):
        code = main(["pairwise", *map(str, words)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return runner


@pytest.fixture
def clouds(run):
    rng = np.random.default_rng(0)
    clouds = [rng.normal(size=(n, 2)) for n in (3, 5, 4)]
    names = [f"{name}.npy" for name in "abc"]
    for name, cloud in zip(names, clouds, strict=True):
        np.save(name, cloud)
    return names, clouds


def test_the_file_holds_the_matrix(run, clouds):
    names, points = clouds
    code, out, err = run(*names, "-o", "m.npz", "--p", 2, "--metric", "cityblock")
    assert code == 0
    assert "3 measures, 3 distances (metric cityblock, p = 2)" in out
    assert "3/3" in err
    assert "pairs/s" in err
    with np.load("m.npz") as found:
        expected = pairwise(points, metric="cityblock", p=2)
        assert (found["matrix"] == expected).all()
        assert found["names"].tolist() == names
        assert found["metric"] == "cityblock"
        assert found["p"] == 2
        assert found["failed"].shape == (0, 2)
        assert len(found["reasons"]) == 0
    assert f"from {expected[expected > 0].min():.9g} to {expected.max():.9g}" in out
    again = run(*names, "-o", "n.npz", "--quiet", "--jobs", 2)
    assert again[2] == ""


def test_images_are_histograms_on_their_pixels(run, monkeypatch):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 9, size=(3, 2, 4)) + 1.0
    for name, image in zip("abc", images, strict=True):
        np.savetxt(f"{name}.csv", image, delimiter=",")
    names = ["a.csv", "b.csv", "c.csv"]
    assert run(*names, "-o", "m.npz", "--grid", "2x4", "--normalize")[0] == 0
    pixels = np.indices((2, 4)).reshape(2, -1).T
    expected = pairwise(images.reshape(3, -1), support=pixels, normalize=True)
    assert (np.load("m.npz")["matrix"] == expected).all()
    code, _, err = run(*names, "-o", "m.npz", "--grid", "2x4")
    assert code == 2
    assert "the masses differ: b.csv sums to" in err
    assert "--normalize" in err


def test_a_stopped_run_goes_on(run, clouds):
    names, points = clouds
    assert run(*names, "-o", "m.npz", "--resume", "m.npy")[0] == 0
    assert (np.load("m.npy") == pairwise(points)).all()
    code, _, err = run(*names, "-o", "m.npz", "--resume", "m.npy", "--p", 2)
    assert code == 2
    assert "--resume 'm.npy' holds the result of another call" in err


def test_errors_name_the_file(run, clouds):
    names, _ = clouds
    np.save("d.npy", np.zeros((2, 3)))
    for words, parts in (
        ([*names, "d.npy", "-o", "m.npz"], ["d.npy has points of 3", "a.npy of 2"]),
        ([*names, "e.npy", "-o", "m.npz"], ["e.npy"]),
        ([*names, "-o", "m.npy"], ["m.npy", ".npz", ".csv"]),
        ([*names, "-o", "nowhere/m.npz"], ["folder"]),
        ([*names, "-o", "m.npz", "--metric", "far"], ["far", "unknown"]),
        ([names[0], "-o", "m.npz"], ["a.npy", "two or more"]),
    ):
        code, out, err = run(*words)
        assert code == 2
        assert out == ""
        assert err.startswith("otdist: ")
        assert err.count("\n") == 1
        for part in parts:
            assert part in err
    assert run(*names)[0] == 2


def test_pairs_without_an_answer_are_told_and_written(run, clouds, monkeypatch):
    from otdist.batch import solve as _solve_pairs

    def stuck(*_):
        raise RuntimeError("stuck")

    honest = _solve_pairs.bracket
    monkeypatch.setattr(
        _solve_pairs, "bracket", lambda *claims: honest(*claims)._replace(is_coupling=False)
    )
    monkeypatch.setattr(_solve_pairs, "_solved", stuck)
    monkeypatch.setattr(knobs.CLI_TOLD, 2)
    names, _ = clouds
    code, out, err = run(*names, "-o", "m.npz", "--quiet")
    assert code == 1
    assert "0 distances" in out
    assert "no answer: a.npy, b.npy: RuntimeError: stuck" in err
    assert "and 1 more" in err
    with np.load("m.npz") as found:
        assert found["failed"].tolist() == [[0, 1], [0, 2], [1, 2]]
        assert found["reasons"][2] == "RuntimeError: stuck"
        assert np.isnan(found["matrix"][0, 1])


def test_the_matrix_as_a_table(run, clouds):
    pd = pytest.importorskip("pandas")
    names, points = clouds
    assert run(*names, "-o", "m.csv", "--quiet")[0] == 0
    table = pd.read_csv("m.csv", index_col=0)
    assert list(table.columns) == list(table.index) == names
    assert (table.to_numpy() == pairwise(points)).all()


def test_positions_on_a_circle(run):
    for name, text in (("a", "10\n350\n"), ("b", "350\n10\n"), ("c", "170\n190\n")):
        Path(f"{name}.csv").write_text(text)
    code, out, _ = run("a.csv", "b.csv", "c.csv", "-o", "m.npz", "--period", 360)
    assert code == 0
    assert "metric arc, period 360, p = 1" in out
    np.testing.assert_allclose(
        np.load("m.npz")["matrix"], [[0, 0, 160], [0, 0, 160], [160, 160, 0]]
    )


def test_columns_are_matched_by_name(run):
    Path("a.csv").write_text("age,income\n30,1\n")
    Path("b.csv").write_text("income,age\n2,40\n")
    assert run("a.csv", "b.csv", "-o", "m.npz", "--metric", "cityblock")[0] == 0
    assert np.load("m.npz")["matrix"][0, 1] == 11
