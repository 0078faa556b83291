"""Compiled loops of plans."""
