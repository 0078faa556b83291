"""The gallery: its subjects, and what each example must have. The build of the docs runs them."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest
from test_prose import faults_of_module

import otdist

GALLERY = Path(__file__).parents[2] / "examples" / "gallery"
#: The example of each subject.
SUBJECTS = {
    "parallel lines": "plot_parallel_lines.py",
    "two Gaussians": "plot_two_gaussians.py",
    "a plan in the plane": "plot_plan.py",
    "what epsilon does": "plot_epsilon.py",
    "colours of one photograph carried to another": "plot_colour_transfer.py",
    "an image morphed along its plan": "plot_morph.py",
    "k nearest neighbours and dendrogram of digits": "plot_digits.py",
    "circle of hours": "plot_circle_of_hours.py",
    "persistence diagrams by one extra atom": "plot_persistence.py",
    "sliced directions": "plot_sliced.py",
    "a critic's field": "plot_critic_field.py",
    "clip against penalty against certified": "plot_wgan_critics.py",
    "intervals shrinking with n": "plot_interval.py",
    "drift of a feature": "plot_drift.py",
    "permutation test with SciPy": "plot_permutation_test.py",
    "partial matching": "plot_partial.py",
    "transport on a street network": "plot_street_network.py",
    "a hundred thousand points": "plot_hundred_thousand.py",
    "a plan of POT's certified": "plot_certify_pot.py",
    "histograms against points": "plot_histograms_or_points.py",
}
EXAMPLES = sorted(GALLERY.glob("plot_*.py"))
TITLE = re.compile(r"(?P<title>\S.*)\n(?P<line>=+)\n\n(?P<text>\S.*)", re.DOTALL)


def faults(source):
    """Return what an example lacks."""
    tree = ast.parse(source)
    found = TITLE.fullmatch((ast.get_docstring(tree) or "").strip())
    if found is None:
        yield "no title with a text below it"
    elif len(found["title"]) != len(found["line"]):
        yield "the line below the title is not as long as the title"
    elif not 2 <= len(re.findall(r"[.?!](?=\s|$)", found["text"])) <= 5:
        yield "the text below the title is not two or three sentences"
    if "\n# %%\n" not in source:
        yield "no cells"
    cells = re.split(r"^# %%\n", source, flags=re.MULTILINE)
    if not any("plt.show()" in cell for cell in cells):
        yield "no figure"
    used = {name for name in imported(tree) if is_public(*name)}
    if not used:
        yield "no public function"
    if private := {name for name in imported(tree) if not is_public(*name)}:
        yield f"not public: {private}"
    yield from faults_of_module(source)


def imported(tree):
    """Yield (module, name) of all that is imported from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "otdist":
            yield from ((node.module, each.name) for each in node.names)


def is_public(module, name):
    """Whether a name is one of the package's, or of a public submodule."""
    if module == "otdist":
        return name in dir(otdist)
    submodule = module.removeprefix("otdist.")
    if submodule == "torch":
        return name == "train_critic"  # without PyTorch too
    return submodule in dir(otdist) and name in importlib.import_module(module).__all__


def test_each_subject_has_its_example():
    assert len(SUBJECTS) >= 20
    assert {path.name for path in EXAMPLES} == set(SUBJECTS.values())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_have_title_text_cells_figure_and_public_names(path):
    assert list(faults(path.read_text(encoding="utf-8"))) == []


def test_links_to_other_examples_exist():
    linked = {
        name
        for path in EXAMPLES
        for name in re.findall(r"sphx_glr_gallery_(\w+\.py)", path.read_text(encoding="utf-8"))
    }
    assert linked <= set(SUBJECTS.values())


GOOD = '''"""
Title
=====

A question? An answer.
"""

# %%
# Text.

import matplotlib.pyplot as plt

from otdist import emd

plt.show()
'''


@pytest.mark.parametrize(
    "old, new, fault",
    [
        ("=====", "====", "line below"),
        ("Title\n=====\n\n", "", "no title"),
        ("A question? An answer.", "A question", "sentences"),
        ("# %%\n", "", "no cells"),
        ("plt.show()", "plt.close()", "no figure"),
        ("from otdist import emd", "import numpy", "no public function"),
        ("from otdist import emd", "from otdist.inputs.validate import as_points", "not public"),
        ("# Text.", "# A picture.", "'picture'"),
    ],
)
def test_the_check_finds_planted_faults(old, new, fault):
    assert list(faults(GOOD)) == []
    assert any(fault in each for each in faults(GOOD.replace(old, new)))
