"""What a notebook shows of results and figures, in a kernel that has imported nothing else."""

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")

SETUP = """
import otdist as od
from otdist.plot import plot_plan
x, y = [[0.0, 0], [0, 1]], [[1.0, 0], [1, 1]]
result = od.solve(od.Problem(x, y))
"""
CELLS = {
    "figure": ("plot_plan(result.plan, x, y)", "image/png"),
    "result": ("result", "text/html"),
    "comparison": ("od.compare(x, y)", "text/html"),
}


@pytest.fixture(scope="module")
def outputs():
    sources = [SETUP, *(source for source, _ in CELLS.values())]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return dict(zip(CELLS, (cell.outputs for cell in notebook.cells[1:]), strict=True))


@pytest.mark.parametrize("name", CELLS)
def test_a_fresh_kernel_shows(outputs, name):
    (shown,) = outputs[name]
    assert CELLS[name][1] in shown.data
