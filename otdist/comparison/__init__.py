"""All distances of two measures in one table, or while one of the measures moves away."""

from otdist.comparison.separation import Separation, separations
from otdist.comparison.table import Comparison

__all__ = ["Comparison", "Separation", "separations"]
