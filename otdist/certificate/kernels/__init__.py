"""Compiled loops of certificates.

They share no code with solvers: a mistake in a solver must not hide in its checker.
"""
