"""Benchmarks of otdist, for asv; see the README beside this file.

Every figure is for one thread, of otdist and of the peers alike. Thread pools read
these variables when their library is loaded, so they are set before NumPy is.
"""

import os
import sys

if "numpy" not in sys.modules:
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    ):
        os.environ[name] = "1"
