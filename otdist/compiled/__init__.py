"""Compiled loops that several families of solvers share.

Rules for every kernel file, here and beside the algorithms, each of them a test:

* It imports only ``math``, ``numpy``, ``numba``, ``llvmlite``, ``typing`` and other kernel
  files.
* Flags are named once at the top of the file (``kernel``, ``inner``, ``inlined``, …). A cached
  kernel notices when an alias in its own file changes, but not one imported from another file.
* ``inner`` kernels have no wrapper for Python: only kernels call them, and they compile in half
  the time.
* Kernels make no arrays (``_nrt=False``): counting references to every view would take longer
  than many of the loops.
* Kernels validate nothing, because only validated arrays reach them.
* Loops that may be long run in chunks and return, so that Ctrl-C, limits and progress stay in
  Python.
"""

# Before numba, so that Ctrl-C does not leave it half imported.
import otdist.runtime.kernel_cache  # noqa: F401
