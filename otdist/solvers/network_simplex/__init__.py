"""The exact engine: the network simplex on few arcs, from good potentials.

`search` drives the network simplex on a set of arcs, and reads the plan from its tree. For large
problems `column_generation` takes potentials from coarser problems, and finds candidate arcs,
or violated ones, among all arcs.
"""
