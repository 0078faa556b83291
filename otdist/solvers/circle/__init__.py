"""Exact transport on a circle, by the best place to cut it."""
