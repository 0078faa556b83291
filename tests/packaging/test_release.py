"""What a release needs: one version, links that work on PyPI, a recipe with our dependencies."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from statistics import geometric_mean

import pytest

import otdist

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RECIPE = ROOT / "conda/recipe.yaml"


@pytest.mark.parametrize(
    "file, pattern",
    [
        ("CITATION.cff", r"^version: (.*)$"),
        ("CHANGELOG.md", r"^## (\d[^ ]*) \(\d{4}-\d\d-\d\d\)$"),
        ("conda/recipe.yaml", r'^  version: "(.*)"$'),
    ],
)
def test_the_version_is_that_of_the_package(file, pattern):
    assert re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)[1] == otdist.__version__


def test_citation_and_changelog_have_one_date():
    cited = re.search(
        r'^date-released: "(.*)"$', (ROOT / "CITATION.cff").read_text(), re.MULTILINE
    )[1]
    assert f"## {otdist.__version__} ({cited})" in (ROOT / "CHANGELOG.md").read_text()


def test_links_of_the_readme_work_on_pypi():
    links = re.findall(r"\]\(([^)]*)\)", (ROOT / "README.md").read_text())
    assert len(links) > 10
    assert all(link.startswith("https://") for link in links)


def test_links_into_the_repository_lead_to_files():
    source = PROJECT["urls"]["Source"]
    raw = source.replace("github.com", "raw.githubusercontent.com")
    text = "\n".join((ROOT / name).read_text() for name in ("README.md", "pyproject.toml"))
    paths = re.findall(rf"{source}/blob/main/([^)\"]*)|{raw}/main/([^)\"]*)", text)
    assert len(paths) > 5
    for path in paths:
        assert (ROOT / "".join(path)).is_file(), path


def test_badges_are_true():
    text = (ROOT / "README.md").read_text()
    assert PROJECT["requires-python"] == ">=3.11"
    assert "python-%E2%89%A5%203.11-" in text
    assert PROJECT["license"] == "BSD-3-Clause"
    assert "license-BSD--3--Clause-" in text
    assert text.count("img.shields.io") == 2


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_recipe_has_the_dependencies_of_the_package():
    text = RECIPE.read_text()
    for wanted in PROJECT["dependencies"]:
        assert f"    - {wanted.replace('>=', ' >=')}\n" in text
    name, target = next(iter(PROJECT["scripts"].items()))
    assert f"- {name} = {target}" in text


@pytest.mark.parametrize("name", ["barycenter", "gromov_wasserstein", "da", "neural"])
def test_what_is_not_here_is_answered_with_the_page_that_says_who_has_it(name):
    page = f"{PROJECT['urls']['Documentation']}not-here.html"
    with pytest.raises(AttributeError, match=re.escape(page)):
        getattr(otdist, name)


def test_the_figures_of_the_readme_are_those_on_the_benchmarks_page():
    numbers = json.loads((ROOT / "docs/_static/benchmarks.json").read_text())
    clouds = numbers["ratios"]["clouds"]
    sizes = sorted(map(int, clouds))
    of_pot = [v for cases in clouds.values() for name, v in cases.items() if "SciPy" not in name]
    of_scipy = [v for name, v in clouds["10"].items() if "SciPy" in name]
    text = " ".join((ROOT / "README.md").read_text().split())
    assert (
        f"POT takes {geometric_mean(of_pot):.1f} times as long for points"
        f" (n = {sizes[0]} to {sizes[-1]}, geometric mean; worst case {min(of_pot):.1f})"
    ) in text
    assert f"SciPy's assignment of ten points takes {geometric_mean(of_scipy):.2f} times" in text
    page = (ROOT / "docs/benchmarks.md").read_text()
    assert numbers["commit"] in page
    assert numbers["versions"]["POT"] in page
