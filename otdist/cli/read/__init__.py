"""Measures from files, for the command line: text, arrays, tables and images.

Weights are not normalised, and nothing is dropped silently. Pixels of weight 0 are kept, so
that atom ``k`` is always pixel ``k`` in row-major order; they change no distance.
"""

from otdist.cli.read.measure import Measure, matched, pooled, read_measure, read_signed

__all__ = ["Measure", "matched", "pooled", "read_measure", "read_signed"]
