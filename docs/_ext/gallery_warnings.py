"""An example of the gallery that warns is an example that fails."""

import warnings

_filters = []


def are_errors(gallery_conf, fname, when):
    """Raise warnings while an example runs; sphinx-gallery calls this before and after it."""
    if when == "before":
        _filters.append(warnings.filters[:])
        warnings.simplefilter("error")
    elif _filters:
        warnings.filters[:] = _filters.pop()
