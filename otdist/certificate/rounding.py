"""What certificates put down to rounding: the same for one problem and for many."""

from __future__ import annotations

# A plan is a coupling if its marginals are off by no more than this of the mass:
# sums of float64 are not exact. Beyond, it is repaired before it counts.
_COUPLING = 1e-13
# The same for each atom: masses are rounded to 2**-61 of the total by the solvers.
_ATOM = 2.0**-60
#: Rounding may hide no more of a gap than this part of the largest cost of all mass.
LARGEST_ROUNDING = 1e-12


def coupling_tolerance(n_atoms: int) -> float:
    """Return how far marginals of a coupling may be off, as a part of the mass."""
    return max(_COUPLING, _ATOM * n_atoms)
