"""Solvers: each takes a problem and returns a candidate, which others certify."""
