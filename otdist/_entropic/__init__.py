"""The entropic engine: annealing, passes over all pairs, Newton steps on a part.

``passes`` goes over all pairs, ``balance`` solves on the entries that matter, ``anneal``
lowers epsilon and decides what to do next, ``coarse`` finds where to start, and
``rounding`` makes a coupling of what was found.
"""
