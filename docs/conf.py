"""Sphinx configuration; built with warnings as errors."""

from otdist import __version__

project = "otdist"
author = "The otdist developers"
copyright = "2026, the otdist developers"
release = version = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinxcontrib.bibtex",
]
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
myst_enable_extensions = ["dollarmath"]
autosummary_generate = True
# The docs extra has no PyTorch; only docstrings are read.
autodoc_mock_imports = ["torch"]
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_typehints = "none"
html_theme = "alabaster"
exclude_patterns = ["_build"]
