"""Finishes a claim in exact arithmetic, where floats leave its proof a gap.

`solver` takes the claim of a solver. `tree` makes its plan optimal, in whole numbers (`whole`),
and `potentials` finds potentials for it that are small, so that float64 sums them well.
"""
