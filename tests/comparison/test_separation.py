"""Distances while one measure moves, and the figures of them."""

import numpy as np
import pytest

from otdist import InputError, InputWarning, compare, datasets, w1_interval, wasserstein_distance
from otdist.comparison import separations
from otdist.plot import plot_separation

LOG_2 = np.log(2.0)


def test_parallel_lines():
    z = np.linspace(0, 1, 9)
    x, y = np.column_stack([0 * z, z]), np.column_stack([0 * z + 0.5, z])
    offsets = np.array([-1.0, -0.75, -0.5, -0.25, 0.0, 1.0])
    rows = separations(x, y, offsets=offsets)
    for t, row in zip(offsets, rows, strict=True):
        assert row.theta == t
        assert row.w1 == abs(0.5 + t)
        assert row.lower <= row.w1 <= row.upper
        meets = t == -0.5
        assert (row.js, row.tv) == ((0.0, 0.0) if meets else (LOG_2, 1.0))
        assert (row.kl, row.kl_reversed) == ((0, 0) if meets else (np.inf, np.inf))
        if not meets:
            assert row.slope == pytest.approx(1.0, abs=1e-12)


def test_weights_and_the_direction_are_those_of_the_measures():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 2)), rng.normal([3.0, 4.0], size=(5, 2))
    a, b = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(5))
    apart = b @ y - a @ x
    along = apart / np.linalg.norm(apart)
    rows = separations(x, y, a, b, offsets=[0.0, 2.0])
    assert rows[0].w1 == pytest.approx(wasserstein_distance(x, y, a, b))
    assert rows[1].w1 == pytest.approx(wasserstein_distance(x, y + 2 * along, a, b))
    default = separations(x, y, a, b)
    assert len(default) == 21
    assert default[10].theta == pytest.approx(0, abs=1e-12)
    assert default[-1].theta == pytest.approx(2 * np.linalg.norm(apart))


def test_equal_measures_move_along_the_first_axis():
    x = [[0.0, 1.0], [2.0, 3.0]]
    assert [row.w1 for row in separations(x, x, offsets=[0.0, 0.25])] == [0.0, 0.25]
    assert separations([[1.0]], [[1.0]])[0].theta == -2.0


@pytest.mark.parametrize("offsets", [[], [np.nan], [[1.0]]])
def test_offsets_are_checked(offsets):
    with pytest.raises(InputError, match="offsets"):
        separations([[0.0]], [[1.0]], offsets=offsets)


def test_the_figure_shows_the_computed_values():
    pytest.importorskip("matplotlib")
    rows = separations([[0.0, 0.0]], [[1.0, 0.0]], offsets=[-1.0, 0.0, 1.0])
    values, slopes = plot_separation(rows).axes
    shown = {line.get_label(): line.get_ydata() for line in values.lines}
    assert list(shown["W₁ (distance)"]) == [0.0, 1.0, 2.0]
    assert shown["JS (nats)"] == pytest.approx([0, LOG_2, LOG_2])
    assert np.isnan(shown["KL (nats)"][1:]).all()
    lines = {line.get_label(): line.get_ydata() for line in slopes.lines}
    assert list(lines["W₁ (distance)"]) == [1.0, 1.0]
    assert list(lines["slope of the critic"]) == [row.slope for row in rows]


def test_noise_bounds_w1_in_the_table():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 2)), rng.normal(size=(5, 2)) + 1
    table = compare(x, y, noise=0.5)
    row = table["noise"]
    assert table["W_1"].value <= row.value == row.upper
    assert "noise" in table.to_dict()["rows"]
    with pytest.raises(KeyError):
        compare(x, y)["noise"]
    doubled = compare(x, y, np.full(7, 2 / 7), np.full(5, 2 / 5), noise=0.5)
    assert doubled["noise"].value == pytest.approx(row.value)
    for bad in (0, -1, np.nan, np.inf, "a"):
        with pytest.raises(InputError, match="noise must be a positive length"):
            compare(x, y, noise=bad)
    with pytest.raises(InputError, match="noise needs metric='euclidean', got 'cityblock'"):
        compare(x, y, noise=0.5, metric="cityblock")


def test_the_table_has_an_interval_for_the_distributions():
    x, y = datasets.parallel_lines(0.5).sample(60, rng=0)
    table = compare(x, y, diameter=1.2, confidence=0.9, rng=1)
    row = table["interval"]
    wanted = w1_interval(x, y, diameter=1.2, confidence=0.9, rng=1)
    assert (row.lower, row.upper) == (wanted.lower, wanted.upper)
    assert row.value == wanted.plug_in == table["W_1"].value
    assert row.lower < 0.5 < row.upper
    assert f"{wanted.critic.value:.6g}" in row.meaning
    assert str(row.meaning) in " ".join(str(table).split())
    with pytest.warns(InputWarning, match="samples that share no atom"):
        table = compare(np.linspace(0, 1, 30), np.linspace(0.5, 1.5, 20), diameter=1.5)
    on_line = table["interval"]
    assert on_line.lower < 0.5 < on_line.upper
    assert on_line.meaning.endswith("if points are independent and the diameter is known")
    with pytest.raises(InputError, match="leave a and b out"):
        compare(x, y, np.full(60, 1 / 60), diameter=1.2)
    with pytest.raises(InputError, match="apart"):
        compare(x, y, diameter=0.1)
