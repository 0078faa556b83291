"""Compiled loops, driven by the solvers.

Rules, each of them a test: a kernel file imports nothing but ``math``,
``numpy``, ``numba`` and ``llvmlite``; its flags are written out on every
kernel, because a cached kernel does not notice a change in another file; it
validates nothing, because only validated arrays reach it; loops that may be
long run in chunks and return, so that Ctrl-C, limits and progress live in
Python.
"""
