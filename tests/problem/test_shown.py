"""What results show of themselves: one short line as text, a small table in notebooks."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

import otdist as od
from otdist.comparison.table import Comparison
from otdist.datasets import ring_of_modes
from otdist.runtime.show import brief, table

RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(400, 2)), RNG.normal(size=(300, 2)) + 1
IMAGES = RNG.random((2, 12, 12))


def comparison():
    return od.compare(np.eye(3), np.eye(3)[:2])


def exact():
    return od.solve(od.Problem(X, Y))


def entropic():
    return od.solve(od.Problem(X, Y), method="sinkhorn", epsilon=0.5)


def on_grid():
    return od.solve(od.Problem.on_grid(*IMAGES, normalize=True), method="sinkhorn")


SHOWN = {
    "result": exact,
    "certificate": lambda: exact().certificate,
    "problem": lambda: exact().problem,
    "geometry": lambda: exact().problem.geometry,
    "arcs": lambda: exact().coupling,
    "flow": lambda: (
        od.solve(od.Problem.on_grid(*IMAGES, metric="cityblock", normalize=True)).coupling
    ),
    "gradients": lambda: exact().gradients(),
    "entropic plan": lambda: entropic().plan,
    "plan of images": lambda: on_grid().plan,
    "comparison": lambda: comparison(),
    "critic": lambda: od.kr_dual(X, Y, rng=1),
    "interval": lambda: od.w1_interval(X, Y, diameter=20.0, rng=1),
    "pair": lambda: ring_of_modes(8),
}
IN_NOTEBOOKS = (
    "result", "certificate", "comparison", "interval", "critic", "entropic plan", "plan of images"
)  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_everything_is_one_short_line(name):
    text = repr(SHOWN[name]())
    assert "\n" not in text
    assert len(text) < 300
    assert "object at 0x" not in text


class Cells(HTMLParser):
    """Reads a table, and fails where a tag is left open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells.append(data)


@pytest.mark.parametrize("name", IN_NOTEBOOKS)
def test_a_notebook_has_a_small_table(name):
    text = SHOWN[name]()._repr_html_()
    assert 3 < len(Cells(text).cells) < 80
    assert len(text) < 5000


def test_a_table_shows_the_numbers():
    result = exact()
    cells = Cells(result._repr_html_()).cells
    assert f"{result.value:.12g}" in cells
    assert f"[{result.lower:.12g}, {result.upper:.12g}]" in cells


def test_text_in_tables_is_escaped():
    assert Cells(table("a < b", [("<b>", "&")])).cells == ["a < b", "<b>", "&"]


def test_brief_shows_arrays_by_their_shape():
    text = brief(exact().gradients())
    assert text.startswith("Gradients(value=1.40191")
    assert "a=array (400,), b=array (300,), x=array (400, 2)" in text


def test_a_comparison_is_a_mapping():
    compared = comparison()
    assert isinstance(compared, Comparison)
    assert list(compared) == [row.name for row in compared.rows]
    assert dict(compared)["W_1"] is compared["W1"] is compared["W_1"]
    assert len(compared) == len(compared.rows) == len(compared.values())
    assert "W1" in compared
    assert "cosine" not in compared
    json.dumps(compared.to_dict())
    with pytest.raises(KeyError, match="'cosine'; there are"):
        compared["cosine"]


def test_a_comparison_is_a_frame():
    pytest.importorskip("pandas")
    compared = comparison()
    frame = compared.to_frame()
    assert list(frame.index) == list(compared)
    assert frame.loc["W_1", "value"] == compared["W_1"].value
    assert list(frame.columns) == ["value", "lower", "upper", "meaning"]


def test_lazy_plans_are_arrays():
    plan = entropic().plan
    np.testing.assert_array_equal(np.asarray(plan), plan.toarray())
    assert np.asarray(plan, dtype=np.float32).dtype == np.float32


def test_arcs_are_no_array():
    with pytest.raises(TypeError, match=r"result\.plan\.toarray"):
        np.asarray(exact().coupling)
