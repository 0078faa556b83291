"""Pictures of measures, plans and distances; needs matplotlib.

Figures are made without pyplot: no window, no global state. Save one with
``figure.savefig("name.png")``, or show it as the last line of a notebook cell.
"""

from otdist.plot.comparison import (
    plot_comparison,
    plot_demo,
    plot_separation,
    require_format,
    separations,
)

__all__ = [
    "plot_comparison",
    "plot_demo",
    "plot_separation",
    "require_format",
    "separations",
]
