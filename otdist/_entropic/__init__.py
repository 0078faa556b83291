"""Entropic transport on geometries that allow more than passes over all pairs."""
