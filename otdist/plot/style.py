"""Colours and layout of all figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE = "#2166ac", "#d6604d", "#4d9221", "#762a83"
GREY, PALE = "#555555", "#e6e6e6"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; raise ImportError with the remedy if matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("figures need matplotlib: pip install 'otdist[plot]'") from None
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def tidy(axes: Axes) -> None:
    """Remove the upper and right frame and draw a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE, lw=0.7)
    axes.set_axisbelow(True)
