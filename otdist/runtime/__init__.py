"""Row blocks, threads, memory, progress and the cache of compiled kernels."""
