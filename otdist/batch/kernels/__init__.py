"""Compiled loops over many small problems."""

# Before numba, so that Ctrl-C does not leave it half imported.
import otdist.runtime.kernel_cache  # noqa: F401
