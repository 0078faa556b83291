"""Figures of measures, plans and distances; needs matplotlib.

Figures are made without pyplot: no window opens and no global state changes. Save one with
``figure.savefig("name.png")``, or show it as the last line of a notebook cell.
"""

from otdist.plot.comparison import plot_comparison
from otdist.plot.separation import plot_demo, plot_separation

__all__ = ["plot_comparison", "plot_demo", "plot_separation"]
