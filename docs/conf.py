"""Sphinx configuration; built with warnings as errors."""

import importlib
import inspect
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import otdist

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
from public_names import CLASSES, MEMBERS

PYPROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
URLS = PYPROJECT["project"]["urls"]
REPOSITORY = URLS["Source"]

project = "otdist"
author = "The otdist developers"
copyright = "2026, the otdist developers"
release = version = otdist.__version__

extensions = [
    # The gallery comes before autosummary, which may import otdist.torch without PyTorch.
    "sphinx_gallery.gen_gallery",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.linkcode",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "api_links",
    "landing_figure",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "**/GALLERY_HEADER.rst"]
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# One page a function or class; its methods are on the page of the class.
autosummary_generate = True
autosummary_context = {"shown": MEMBERS}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
# Where PyTorch is not installed, the docstrings of otdist.torch are still read.
autodoc_mock_imports = [] if find_spec("torch") else ["torch"]
#: Types of other libraries, as docstrings name them.
OTHERS = (
    "matplotlib.figure.Figure",
    "numpy.random.Generator",
    "scipy.sparse.coo_array",
    "scipy.sparse.csr_array",
    "torch.nn.Sequential",
    "torch.Tensor",
)
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {
    **{name: f":py:class:`{name}`" for name in OTHERS},
    "Generator": "numpy.random.Generator",
    "array_like": "`array_like <https://numpy.org/doc/stable/glossary.html#term-array_like>`__",
    "bool": ":py:class:`bool`",
    "callable": ":py:obj:`callable`",
    "iterable": "`iterable <https://docs.python.org/3/glossary.html#term-iterable>`__",
    "sequence": "`sequence <https://docs.python.org/3/glossary.html#term-sequence>`__",
    **CLASSES,
}

# The local inventories have the few names that are linked to most: they are read where
# those of the other projects cannot be reached.
intersphinx_timeout = 5
intersphinx_mapping = {
    name: (url, (None, f"_inventories/{name}.inv"))
    for name, url in {
        "matplotlib": "https://matplotlib.org/stable",
        "numpy": "https://numpy.org/doc/stable",
        "python": "https://docs.python.org/3",
        "scipy": "https://docs.scipy.org/doc/scipy",
        "sklearn": "https://scikit-learn.org/stable",
        "torch": "https://docs.pytorch.org/docs/stable",
    }.items()
}

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("otdist",),
    "within_subsection_order": "FileNameSortKey",
    "image_srcset": ["2x"],
    "ignore_repr_types": r"matplotlib\.",
    "reset_modules": ("matplotlib", "gallery_warnings.are_errors"),
    "reset_modules_order": "both",
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_baseurl = URLS["Documentation"]
html_title = f"otdist {release}"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = True
html_sidebars = {"**": ["sidebar-nav-bs"], "index": [], "benchmarks": [], "not-here": []}
html_context = {
    "default_mode": "auto",
    "github_user": REPOSITORY.split("/")[-2],
    "github_repo": REPOSITORY.split("/")[-1],
    "github_version": "main",
    "doc_path": "docs",
}
html_theme_options = {
    "logo": {
        "text": f"otdist {release}",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
        "alt_text": "otdist, home page",
    },
    "icon_links": [{"name": "GitHub", "url": REPOSITORY, "icon": "fa-brands fa-github"}],
    "use_edit_page_button": True,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_depth": 2,
    "secondary_sidebar_items": ["page-toc", "sg_download_links", "edit-this-page", "sourcelink"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def linkcode_resolve(domain, info):
    """Return the address of an object's source in the repository."""
    thing = importlib.import_module(info["module"])
    for name in info["fullname"].split("."):
        thing = getattr(thing, name, None)
    thing = inspect.unwrap(getattr(thing, "fget", None) or thing)
    try:
        lines, first = inspect.getsourcelines(thing)
        path = Path(inspect.getsourcefile(thing)).relative_to(Path(otdist.__file__).parents[1])
    except (OSError, TypeError, ValueError):
        return None
    tag = "main" if "dev" in release else f"v{release}"
    return f"{REPOSITORY}/blob/{tag}/{path.as_posix()}#L{first}-L{first + len(lines) - 1}"


def without_edit_links(app, pagename, templatename, context, doctree):
    """Generated pages have no file of their own that could be shown or edited."""
    if pagename.startswith(("api/generated/", "gallery/")):
        context["theme_use_edit_page_button"] = False
        context["show_source"] = False


def setup(app):
    app.connect("html-page-context", without_edit_links, priority=100)
