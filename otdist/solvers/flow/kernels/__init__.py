"""Compiled loops of flows on edges."""
