"""Colours and layout of all figures."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.errors import InputError, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Four colours of Okabe and Ito, which readers who are blind to a colour can tell apart.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
GREY, PALE = "#555555", "#e6e6e6"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; raise ImportError with the remedy if matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("figures need matplotlib: pip install 'otdist[plot]'") from None

    _show_in_notebooks(Figure)
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def _show_in_notebooks(figure_class: type[Figure]) -> None:
    """Let IPython show figures, as it does only once pyplot was imported."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return
    formatters = shell.display_formatter.formatters.values()
    if not any(figure_class in formatter.type_printers for formatter in formatters):
        tools: Any = importlib.import_module("IPython.core.pylabtools")
        tools.select_figure_formats(shell, {"png"})


def given_axes(ax: Any, count: int) -> list[Any]:
    """Return the axes that a caller passes as `ax`, if they are as many as needed."""
    axes = [ax] if count == 1 else list(np.ravel(ax))
    if len(axes) != count or not all(hasattr(each, "add_artist") for each in axes):
        wanted = "axes of matplotlib" if count == 1 else f"{count} axes of matplotlib"
        raise InputError(f"ax must be {wanted}, got {short(ax)}")
    return axes


def tidy(axes: Axes) -> None:
    """Remove the upper and right frame and draw a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE, lw=0.7)
    axes.set_axisbelow(True)


def finish(axes: Axes, title: str) -> None:
    """Add a title and a legend."""
    axes.set_title(title, fontsize=11)
    axes.legend(frameon=False, fontsize=9)
    tidy(axes)


def short_name(name: str) -> str:
    """Return the end of a long name, such as that of a file."""
    return name if len(name) <= 30 else "…" + name[-29:]
