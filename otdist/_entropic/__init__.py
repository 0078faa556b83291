"""The entropic engine: annealing, passes over all pairs, Newton steps on a part.

``passes`` goes over all pairs, ``balance`` solves on the entries that matter, ``anneal``
lowers epsilon and decides what to do next, and ``coarse`` finds where to start. Two
images go through ``grid`` instead, which sums over one axis after the other.
"""
