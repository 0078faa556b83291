"""Divergences and distances of one pair side by side."""
