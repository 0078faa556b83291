"""The public names of otdist, read from its sources: PyTorch need not be installed."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "otdist"

#: Methods and properties that pages of classes show.
MEMBERS = {
    "otdist.Certificate": ["gap", "relative_gap", "proves"],
    "otdist.Problem": [
        *("from_cost", "on_grid", "on_circle", "on_graph", "on_tree", "partial", "shape"),
    ],
    "otdist.Result": ["plan", "unmatched", "gradients"],
    "otdist.Status": [
        *("OPTIMAL", "AS_EXACT_AS_INPUT", "CONVERGED", "MAX_ITER", "TIME_LIMIT", "NOT_PROVED"),
        "is_success",
    ],
    "otdist.comparison.Comparison": ["to_dict", "to_frame"],
    "otdist.critics.Critic": ["gradient"],
    "otdist.datasets.Pair": ["sample"],
    "otdist.divergences.Aligned": ["overlap_p", "overlap_q", "n_common"],
    "otdist.plans.Flow": ["amounts", "matrix", "arcs"],
    "otdist.torch.NetworkCritic": ["lipschitz", "is_certified", "normalized_value", "gradient"],
}


def assigned(path, name):
    """Return the literal that a module assigns to a name."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"{path} does not assign {name}")


MODULES = assigned(PACKAGE / "__init__.py", "_SUBMODULES")
NAMES = {
    **{f"otdist.{name}": name for name in assigned(PACKAGE / "__init__.py", "__all__")},
    **{
        f"otdist.{module}.{name}": name
        for module in MODULES
        for name in assigned(PACKAGE / module / "__init__.py", "__all__")
    },
}
#: Classes by their own name, if only one has it: types of parameters that become links.
CLASSES = {
    name: full
    for full, name in NAMES.items()
    if name[0].isupper() and list(NAMES.values()).count(name) == 1
}
