"""Spanning trees whose nodes are listed in preorder, linked by a thread.

For trees with the arrays `parent`, `thread` (next node in preorder), `back` (previous node),
`last` (last node of the subtree) and `size` (nodes of the subtree), whatever else they hold.
"""

from typing import Any

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = njit(**_INNER)


@inner
def thread_by_number(tree: Any) -> None:
    """Let the thread visit nodes by their numbers, for subtrees of known sizes."""
    n = tree.parent.size
    for k in range(n):
        tree.thread[k] = k + 1 if k + 1 < n else 0
        tree.back[k] = k - 1 if k > 0 else n - 1
        tree.last[k] = k + tree.size[k] - 1


@inner
def rehang(tree: Any, lower: Any, out: Any, upper: Any) -> None:
    """Cut the subtree of `out` and hang it by its node `lower` under `upper`.

    The path lower .. out is turned around. In the new preorder the subtree of `lower` comes
    first; then, for each node of the path, what it had before and behind the subtree just
    placed. Sizes of nodes outside of the subtree are left to the caller.
    """
    parent, thread, back = tree.parent, tree.thread, tree.back
    size, last = tree.size, tree.last
    moved, before_all, last_of_all = size[out], back[out], last[out]
    child, child_size = lower, size[lower]
    child_last, child_back = last[lower], back[lower]
    node = parent[lower]
    tail, behind = last[lower], thread[last[lower]]
    size[lower] = moved
    parent[lower] = upper
    while child != out:
        node_size, node_last, node_back = size[node], last[node], back[node]
        next_node = parent[node]
        thread[tail] = node
        back[node] = tail
        # What comes before the child's subtree ends where the child began.
        tail = child_back
        if node_last != child_last:
            thread[tail] = behind
            back[behind] = tail
            tail = node_last
            behind = thread[tail]
        size[node] = moved - child_size
        parent[node] = child
        child, child_size = node, node_size
        child_last, child_back = node_last, node_back
        node = next_node
    # Every node of the path now has all that follows it below itself.
    child = out
    while child != upper:
        last[child] = tail
        child = parent[child]
    thread[before_all] = behind
    back[behind] = before_all
    _replace_last(tree, node, last_of_all, before_all)
    following = thread[upper]
    thread[upper] = lower
    back[lower] = upper
    thread[tail] = following
    back[following] = tail
    _replace_last(tree, upper, upper, tail)


@inner
def _replace_last(tree: Any, node: Any, old: Any, new: Any) -> None:
    """Let the subtrees of a node and its ancestors that ended at `old` end at `new`."""
    while tree.last[node] == old:
        tree.last[node] = new
        if node == 0:
            return
        node = tree.parent[node]
