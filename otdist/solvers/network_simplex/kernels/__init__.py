"""Compiled loops of the network simplex method."""
