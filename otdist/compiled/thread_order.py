"""Spanning trees whose nodes are listed in preorder, linked by a thread."""

from typing import Any

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = njit(**_INNER)


@inner
def replace_last(tree: Any, node: Any, old: Any, new: Any) -> None:
    """Tell the node and its ancestors that their subtrees end elsewhere."""
    while tree.last[node] == old:
        tree.last[node] = new
        if node == 0:
            return
        node = tree.parent[node]
