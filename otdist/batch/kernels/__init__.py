"""Compiled loops over many small problems."""
