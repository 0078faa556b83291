"""Exact W_inf: the smallest radius within which all mass can be moved."""
