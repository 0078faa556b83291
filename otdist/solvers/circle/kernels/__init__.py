"""Compiled loops of transport on a circle."""
