"""Certificates: brackets of the optimum, recomputed from the problem alone."""
