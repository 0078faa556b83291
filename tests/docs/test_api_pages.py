"""Every public name is in the tables of the API, and has a page on the built site."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from site_pages import ROOT, built_site, pages_of

import otdist

PACKAGE = Path(otdist.__file__).parent
INDEX = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")


def public_names():
    """Return all public names, without importing modules that need an extra."""
    names = [f"otdist.{name}" for name in otdist.__all__]
    for module in otdist._SUBMODULES:
        tree = ast.parse((PACKAGE / module / "__init__.py").read_text(encoding="utf-8"))
        (listed,) = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ]
        names += [f"otdist.{module}.{name}" for name in listed]
    return names


def listed_names(page):
    """Return the names in the tables of a page."""
    tables = re.findall(r"^\.\. autosummary::\n(?: +:.*\n)*\n((?: {3}\S+\n)+)", page, re.MULTILINE)
    return [f"otdist.{name}" for table in tables for name in table.split()]


def test_every_public_name_is_in_a_table():
    listed = listed_names(INDEX)
    assert sorted(listed) == sorted(public_names())


def test_the_check_finds_a_missing_name():
    assert sorted(listed_names(INDEX.replace("   solve\n", ""))) != sorted(public_names())


def test_every_public_name_has_a_page():
    folder = built_site() / "api" / "generated"
    pages = {path.stem: page for path, page in pages_of(folder).items()}
    assert [name for name in public_names() if name not in pages.get(name, no_page).anchors] == []


def test_methods_of_classes_have_entries(monkeypatch):
    folder = built_site() / "api" / "generated"
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    from public_names import MEMBERS

    pages = pages_of(folder)
    for name, members in MEMBERS.items():
        page = pages[folder / f"{name}.html"]
        assert [each for each in members if f"{name}.{each}" not in page.anchors] == [], name


class no_page:  # noqa: N801
    anchors = frozenset()


@pytest.mark.parametrize(
    "text", ["emd", "od.emd", "otdist.emd(a, b, cost)", "emd(f(a), (b,))", "emd(a).x.y"]
)
def test_code_becomes_a_link(text, linker):
    assert linker(text) == "otdist.emd"


@pytest.mark.parametrize(
    "text, name",
    [
        ("Problem.on_grid", "otdist.Problem.on_grid"),
        ("Problem.partial(x, y)", "otdist.Problem.partial"),
        ("Result.lower", "otdist.Result"),
        ("plot.plot_demo", "otdist.plot.plot_demo"),
        ("plot_demo", "otdist.plot.plot_demo"),
        ("otdist.plot", "otdist.plot"),
        ("kl_divergence", "otdist.kl_divergence"),
        ("gaussian.kl_divergence", "otdist.gaussian.kl_divergence"),
        ("samples.Estimate", "otdist.samples.Estimate"),
        ("Estimate", None),
        ("on_grid", None),
        ("plot", None),
        ("emd(a)(b)", None),
        ("emd(a", None),
        ("emd + 1", None),
        ("result.lower", None),
    ],
)
def test_names_become_links_where_they_are_clear(text, name, linker):
    assert linker(text) == name


@pytest.fixture
def linker(monkeypatch):
    """Return the function that finds the entry of a piece of code, for some entries."""
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    from types import SimpleNamespace

    import api_links

    names = re.findall(
        r"\S+",
        """
        otdist.emd otdist.Problem otdist.Problem.on_grid otdist.Problem.partial otdist.Result
        otdist.plot.plot_demo otdist.kl_divergence otdist.gaussian.kl_divergence
        otdist.samples.Estimate otdist.sliced.Estimate
    """,
    )

    def entry(docname, objtype="function", aliased=False):
        return SimpleNamespace(docname=docname, objtype=objtype, aliased=aliased)

    objects = dict.fromkeys(names, entry("api/generated/x"))
    objects["otdist.plot"] = entry("api/index", "module")
    objects["otdist.plot.figures.plot_demo"] = entry("api/generated/x", aliased=True)
    objects["otdist.Problem.elsewhere"] = entry("guide/x")
    entries = api_links.entries_by_name(objects)
    return lambda text: api_links.entry_of(text, entries)
