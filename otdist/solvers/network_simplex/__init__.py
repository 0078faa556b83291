"""The exact engine: good potentials first, few arcs in the tree, all arcs priced.

`search` drives the network simplex on a set of arcs, whose basis `tree` builds and
reads out. For large problems `start` makes coarser ones, `lists` finds the candidate
arcs and the violated ones among all, and `columns` puts them together.
"""
