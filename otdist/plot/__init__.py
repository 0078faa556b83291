"""Figures of measures, plans and distances; needs matplotlib.

Figures are made without pyplot: no window opens. Save one with ``figure.savefig("name.png")``,
or show it as the last line of a notebook cell. To draw into a figure of your own, pass its axes
as ``ax``.
"""

from otdist.plot.comparison import plot_comparison
from otdist.plot.critic import plot_critic
from otdist.plot.plan import plot_plan
from otdist.plot.separation import plot_demo, plot_separation

__all__ = ["plot_comparison", "plot_critic", "plot_demo", "plot_plan", "plot_separation"]
