"""What the gallery does around each example: warnings are errors, all figures are shown."""

import warnings
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst

_filters = []


def figures_without_pyplot(block, block_vars, gallery_conf):
    """Save the figures that a block leaves in its names, if pyplot does not know them.

    The functions of `otdist.plot` return such figures.
    """
    from matplotlib.figure import Figure

    saved = []
    for figure in block_vars["example_globals"].values():
        is_new = isinstance(figure, Figure) and not hasattr(figure, "in_gallery")
        if is_new and getattr(figure, "number", None) is None:
            figure.in_gallery = True
            path = Path(next(block_vars["image_path_iterator"]))
            sharper = path.with_stem(f"{path.stem}_2_00x")
            figure.savefig(path, dpi=100)
            figure.savefig(sharper, dpi=200)
            titles = [each for axes in figure.axes if (each := axes.get_title())]
            sizes = [{0: str(path), 2.0: str(sharper)}]
            source = gallery_conf["src_dir"]
            saved.append(figure_rst([str(path)], source, ", ".join(titles), sizes))
    return "".join(saved)


def warnings_are_errors(gallery_conf, fname, when):
    """An example that warns is an example that fails."""
    if when == "before":
        _filters.append(warnings.filters[:])
        warnings.simplefilter("error")
    elif _filters:
        warnings.filters[:] = _filters.pop()
