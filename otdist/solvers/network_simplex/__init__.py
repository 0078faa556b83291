"""The exact engine: the network simplex on few arcs, from good potentials.

`search` drives the network simplex on a set of arcs; `basis` allocates its tree and reads the
plan from it. For large problems `column_generation` takes potentials from coarser problems,
and candidate arcs, or violated ones among all arcs, from `candidate_lists`.
"""
