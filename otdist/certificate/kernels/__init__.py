"""Compiled loops of certificates, which share nothing with those of solvers."""
