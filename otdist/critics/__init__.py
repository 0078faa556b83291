"""Functions that are 1-Lipschitz by construction, and how to fit them to samples.

`functions` has the families, each with a proof of its Lipschitz constant; `fit` the
fits that are closed or nearly so; `funnel` the descent for minima of funnels; `choose`
fits all of them on one part of the data and picks one on another.
"""
