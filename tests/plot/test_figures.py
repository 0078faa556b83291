"""Figures: what they draw, where they draw it, and what readers can tell apart."""

import itertools

import numpy as np
import pytest

from otdist import InputError, Problem, compare, kr_dual, solve
from otdist.comparison import separations
from otdist.comparison.separation import demo_separations

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from otdist import plot
from otdist.plot import style

RNG = np.random.default_rng(1)
CLOUDS = {d: (RNG.normal(size=(8, d)), RNG.normal(size=(6, d)) + 1) for d in (1, 2, 3, 5)}

# Severity 1 in Machado, Oliveira and Fernandes (2009), for linear RGB.
BLIND = {
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


def drawn(figure):
    figure.canvas.draw()
    return figure


def lab(colour, seen):
    """Return a colour in CIE Lab, as seen through a matrix."""
    value = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(np.array(seen) @ linear, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colours, seen):
    return min(
        np.linalg.norm(lab(a, seen) - lab(b, seen)) for a, b in itertools.combinations(colours, 2)
    )


@pytest.mark.parametrize("kind", BLIND)
def test_colours_are_told_apart_by_readers_who_are_blind_to_one(kind):
    assert nearest([style.BLUE, style.ORANGE, style.GREEN, style.PURPLE], BLIND[kind]) > 15


def test_the_measure_of_colours_finds_a_red_and_a_green_too_near():
    assert nearest(["#d6604d", "#4d9221"], BLIND["no green"]) < 10


@pytest.mark.parametrize("d", CLOUDS)
def test_a_plan_alone_is_drawn(d):
    x, y = CLOUDS[d]
    result = solve(Problem(x, y))
    figure = drawn(plot.plot_plan(result.plan, x, y, names=("old", "new")))
    (axes,) = figure.axes
    assert (axes.name == "3d") == (d == 3)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["old", "new"]
    arcs = axes.collections[0]
    # Each arc that moves mass is drawn, and no other.
    assert len(arcs.get_paths() if d != 3 else arcs._segments3d) == result.plan.nnz


def test_plans_of_all_kinds_are_drawn_alike():
    x, y = CLOUDS[2]
    exact = solve(Problem(x, y)).plan
    for plan in (exact.toarray(), exact.tocsr(), solve(Problem(x, y), method="sinkhorn").plan):
        (axes,) = drawn(plot.plot_plan(plan, x, y)).axes
        sizes = [each.get_sizes() for each in axes.collections[1::2]]
        np.testing.assert_allclose(sizes[0], 60 * (1 / 8) / (1 / 6))
        np.testing.assert_allclose(sizes[1], 60)


def test_a_plan_of_other_points_is_refused():
    x, y = CLOUDS[2]
    plan = solve(Problem(x, y)).plan
    with pytest.raises(InputError, match=r"plan must be a matrix \(6, 8\)"):
        plot.plot_plan(plan, y, x)
    with pytest.raises(InputError, match=r"plan must be a matrix .*, got 3"):
        plot.plot_plan(3, x, y)


@pytest.mark.parametrize("d", [1, 2])
def test_a_critic_is_drawn(d):
    x, y = CLOUDS[d]
    critic = kr_dual(x, y, critic="mcshane")
    axes = drawn(plot.plot_critic(critic, x, y)).axes
    if d == 1:
        graph = axes[0].lines[0].get_xydata()
        np.testing.assert_array_equal(graph[:, 1], critic(graph[:, 0]))
    else:
        levels, values = axes[0].collections[0].levels, critic(np.concatenate([x, y]))
        assert levels[0] <= values.min() <= values.max() <= levels[-1]
        assert axes[1].get_ylabel() == "value of the critic (distance)"


def test_a_critic_in_space_is_refused():
    x, y = CLOUDS[3]
    with pytest.raises(InputError, match="one or two coordinates, got 3"):
        plot.plot_critic(kr_dual(x, y, critic="mcshane"), x, y)


def _figures():
    x, y = CLOUDS[2]
    image = np.arange(1.0, 13).reshape(3, 4)
    grid = np.argwhere(np.ones((3, 4))).astype(float)
    weights = [each / each.sum() for each in (image.ravel(), image[::-1].ravel())]
    table, images = compare(x, y), compare(grid, grid, *weights)
    return {
        "plan": (1, lambda **k: plot.plot_plan(table.exact.plan, x, y, **k)),
        "critic": (1, lambda **k: plot.plot_critic(kr_dual(x, y, critic="mcshane"), x, y, **k)),
        "demo": (2, lambda **k: plot.plot_demo(demo_separations(2, 5), **k)),
        "separation": (2, lambda **k: plot.plot_separation(separations(x, y), **k)),
        "comparison": (3, lambda **k: plot.plot_comparison(table, x, y, **k)),
        "images": (5, lambda **k: plot.plot_comparison(images, grid, grid, shape=(3, 4), **k)),
    }  # fmt: skip


FIGURES = _figures()


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_into_axes_that_are_given(name):
    count, draw = FIGURES[name]
    own = Figure(figsize=(4 * count, 4))
    axes = own.subplots(1, count)
    assert draw(ax=axes) is own
    drawn(own)
    assert all(each.has_data() for each in np.ravel(axes))
    panels = drawn(draw()).axes
    assert len(panels) == len(own.axes)
    assert [each.get_title() for each in panels] == [each.get_title() for each in own.axes]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("ax", ["axes", [], [None] * 7, 3])
def test_what_is_no_axes_is_refused(name, ax):
    count, draw = FIGURES[name]
    with pytest.raises(InputError, match=f"ax must be {'' if count == 1 else count}"):
        draw(ax=ax)


def test_points_in_space_need_axes_in_space():
    x, y = CLOUDS[3]
    plan = solve(Problem(x, y)).plan
    with pytest.raises(InputError, match='projection="3d"'):
        plot.plot_plan(plan, x, y, ax=Figure().subplots())
    own = Figure().add_subplot(projection="3d")
    assert plot.plot_plan(plan, x, y, ax=own) is own.figure


def test_plans_are_drawn_into_axes_that_share_their_limits():
    x, y = CLOUDS[2]
    plan = solve(Problem(x, y)).plan
    own = Figure()
    for axes in own.subplots(1, 2, sharex=True, sharey=True):
        plot.plot_plan(plan, x, y, ax=axes)
    drawn(own)
