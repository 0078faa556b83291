"""Divergences of histograms on a common support."""
