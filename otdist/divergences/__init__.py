"""Divergences of histograms on a common support."""

from otdist.divergences.align import Aligned

__all__ = ["Aligned"]
