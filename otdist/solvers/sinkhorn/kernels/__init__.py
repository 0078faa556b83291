"""Compiled loops of entropic transport."""
