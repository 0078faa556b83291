"""The exact engine: good potentials first, few arcs in the tree, all arcs priced.

`start` finds potentials on a coarser problem, `lists` the candidate arcs and the
violated ones among all, `tree` drives the network simplex, and `columns` puts the
three together: column generation.
"""
