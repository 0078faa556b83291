"""The rules of the design as tests: who may import whom, and how kernels are made."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import otdist

PACKAGE = Path(otdist.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
KERNELS = sorted((PACKAGE / "_kernels").glob("*.py"))
MAX_LINES = 500
MAX_FUNCTION = 60

#: Who may import which modules of otdist. A folder stands for all of its files;
#: `_errors`, `_typing` and `_version` are open to everybody but kernels.
FREE = {"_errors", "_typing", "_version"}
GEOMETRY = {"_geometry"}
MAY_IMPORT = {
    "_errors": {"_result"},  # for the type checker only
    "_typing": set(),
    "_version": set(),
    # The kernel files that others may use. Numba's cache of those misses changes in
    # them: see CONTRIBUTING.md. The checker's kernel shares nothing with any.
    "_kernels": {
        "_kernels.certificate_minima",  # of checkers by checkers only, see below
        "_kernels.simd",
        "_kernels.levels",
        "_kernels.costs",
        "_kernels.tree",
        "_kernels.flow_tree",
        "_kernels.clusters",
        "_kernels.nearest",
        "_kernels.network_simplex",
        "_kernels.small",
        "_kernels.exponential",
        "_kernels.sinkhorn",
    },
    "_geometry": GEOMETRY,
    "_validate": set(),
    "_masses": {"_plan"},
    # A plan computes its entries by kernels; no certificate relies on how.
    "_plan": {
        "_exact.matrix",
        "_kernels.costs",
        "_kernels.decompose",
        "_kernels.plans",
    }
    | GEOMETRY,
    "_ground": {"_validate"} | GEOMETRY,
    # What is left outside is data, in other terms: no algorithm.
    "_partial": {"_plan", "_problem", "_transform"} | GEOMETRY,
    "_graphs": {"_validate"} | GEOMETRY,
    "_structures": {"_validate", "_graphs", "_ground", "_partial"} | GEOMETRY,
    "_problem": {"_validate", "_ground", "_structures"} | GEOMETRY,
    "_result": {"_plan", "_partial", "_problem", "_gradients"} | GEOMETRY,
    "_gradients": {"_plan", "_partial", "_result"} | GEOMETRY,
    # The checker takes data from others, no algorithm; its kernel is its own.
    "_certify": {
        "_problem",
        "_result",
        "_validate",
        "_plan",
        "_transform",
        "_marginals",
        "_bottleneck",
        "_partial",
        "_lower_bound",
        "_upper_bound",
        "_rounding",
    }
    | GEOMETRY
    | {"_kernels.certificate"},
    "_rounding": set(),
    "_progress": set(),
    "_upper_bound": {"_marginals", "_plan", "_problem", "_rounding", "_steepness"}
    | GEOMETRY,
    "_lower_bound": {
        "_net_bound",
        "_problem",
        "_steepness",
        "_transform",
        "_upper_bound",
    }
    | GEOMETRY,
    "_net_bound": {"_problem", "_transform"} | GEOMETRY,
    "_steepness": {"_problem", "_plan"} | GEOMETRY,
    "_bottleneck": {"_problem", "_result", "_plan", "_transform"} | GEOMETRY,
    "_certify_pairs": GEOMETRY | {"_rounding", "_kernels.certificate_pairs"},
    "_transform": GEOMETRY
    | {
        "_kernels.certificate",
        "_kernels.certificate_grid",
        "_kernels.certificate_minima",
    },
    "_marginals": GEOMETRY
    | {"_plan", "_transform", "_kernels.certificate", "_kernels.certificate_grid"},
    "_exact": {
        "_masses",
        "_problem",
        "_plan",
        "_kernels.network_simplex",
        "_kernels.pairs",
        "_kernels.small",
        "_kernels.tree",
        "_kernels.costs",
        "_kernels.nearest",
        "_kernels.tiles",
        "_kernels.pricing",
        "_kernels.lists",
        "_kernels.products",
        "_kernels.clusters",
        "_kernels.bottleneck",
        "_kernels.transforms",
        "_exact",
    }
    | GEOMETRY,
    "_flow": {
        "_problem",
        "_plan",
        "_flow",
        "_kernels.flow_push",
        "_kernels.flow_simplex",
        "_kernels.flow_tree",
    }
    | GEOMETRY,
    # The entropic engine reads costs and groups atoms as the exact one does.
    "_entropic": {
        "_problem",
        "_plan",
        "_exact.matrix",
        "_exact.start",
        "_kernels.costs",
        "_kernels.exponential",
        "_kernels.sinkhorn",
        "_kernels.balance",
        "_kernels.grids",
        "_entropic",
        "_result",
        "_solvers",  # for the type checker only
    }
    | GEOMETRY,
    "_solvers": {
        "_kernels.circle",
        "_problem",
        "_result",
        "_masses",
        "_plan",
        "_solvers",
        "_exact",
        "_entropic",
        "_flow",
    }
    | GEOMETRY,
    "_solve": {
        "_solvers",
        "_certify",
        "_progress",
        "_problem",
        "_partial",
        "_result",
        "_plan",
        "_validate",
    }
    | GEOMETRY,
    # Many measures: packed where they are checked, solved and certified by blocks.
    "_measures": {"_validate", "_ground", "_certify_pairs"} | GEOMETRY,
    "_blocks": set(),
    "_solve_pairs": {"_blocks", "_exact.pairs", "_certify_pairs", "_problem", "_solve"}
    | GEOMETRY,
    # The divergences solve through `_solve`, or relax the masses by themselves.
    "_debiased": {
        "_solve",
        "_entropic.unbalanced",
        "_gradients",
        "_plan",
        "_problem",
        "_result",
        "_validate",
    },
    "_double_double": set(),
    "_histograms": {"_double_double"},
    "_lanes": {"_double_double", "_histograms", "_kernels.divergences"},
    "_divergences": {"_histograms", "_double_double", "_lanes"},
    "_f_divergences": {"_divergences", "_histograms", "_double_double", "_lanes"},
    "_line_bounds": {"_rounding", "_kernels.certificate_line"},
    # Solves and certifies many pairs at once; what it refuses goes to `_solve`.
    "_along": {
        "_ground",
        "_kernels.circle",
        "_kernels.line",
        "_line_bounds",
        "_problem",
        "_solve",
        "_validate",
    }
    | GEOMETRY,
    "_to_uniform": {"_result", "_validate"} | GEOMETRY,
    "_align": {"_validate"},
    "_rays": set(),
    "_critics": {"_critics", "_problem", "_solve"} | GEOMETRY,
    "_spectral": set(),
}
#: From here on up everything below may be used; they are the friendly layer.
FRIENDLY = {
    "__init__",
    "__main__",
    "_bures",
    "_canvas",
    "_checkpoint",
    "_cli_pairwise",
    "_compare",
    "_demo",
    "_directions",
    "_distances",
    "_duality",
    "_interval",
    "_lipschitz",
    "_pairwise",
    "_plot_separation",
    "_pool",
    "_read",
    "_separation",
    "_smoothing",
    "_verify",
    "datasets",
    "gaussian",
    "plot",
    "samples",
    "sliced",
    "torch",
}
#: Private parts that even the friendly layer leaves alone.
INTERNAL = {"_kernels", "_solvers", "_masses", "_exact", "_entropic", "_flow"}

KERNEL_IMPORTS = {"math", "numpy", "numba", "llvmlite", "typing"}
#: Without counts of references: a view of an array costs 20 ns with them, in kernels
#: whose inner loops take no longer. Kernels therefore make no arrays.
KERNEL_FLAGS = {
    "cache": "True",
    "error_model": "'numpy'",
    "nogil": "True",
    "_nrt": "False",
}
#: Flags that some need; without wrappers a kernel is for other kernels only, and
#: takes half the time to compile.
MORE_FLAGS = {"fastmath", "inline", "no_cpython_wrapper", "no_cfunc_wrapper"}

PUBLIC = {
    "Certificate",
    "InfeasibleError",
    "InputError",
    "InputWarning",
    "NotCertifiedError",
    "Problem",
    "Result",
    "Status",
    "align",
    "bures_wasserstein_distance",
    "c_transform",
    "certify",
    "chi2_divergence",
    "compare",
    "emd",
    "f_divergence",
    "hellinger_distance",
    "js_distance",
    "js_divergence",
    "kl_divergence",
    "kr_dual",
    "lipschitz_lower",
    "pairwise",
    "renyi_divergence",
    "sinkhorn_divergence",
    "sliced_wasserstein_distance",
    "solve",
    "total_variation",
    "w1_interval",
    "wasserstein_distance",
}


def name_of(path):
    """Return ``_geometry.line`` for otdist/_geometry/line.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and parts[:-1] else parts)


def imports_of(source):
    """Yield (module, name) for every import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                yield node.module, alias.name


def inner_imports(source):
    """Return the modules of otdist that are imported, as ``_geometry.line``."""
    found = set()
    for module, name in imports_of(source):
        if module == "otdist" and name is not None:
            found.add(name)
        elif module == "otdist":
            found.add("__init__")
        elif module.startswith("otdist."):
            inner = module.removeprefix("otdist.")
            is_file = (PACKAGE / inner.replace(".", "/") / f"{name}.py").exists()
            found.add(f"{inner}.{name}" if is_file else inner)
    return found


def violations(name, source):
    """Return the imports of otdist that a module must not have."""
    folder = name.split(".")[0]
    if folder in FRIENDLY:
        return sorted(m for m in inner_imports(source) if m.split(".")[0] in INTERNAL)
    allowed = MAY_IMPORT[folder] | (set() if folder == "_kernels" else FREE)
    bad = {
        module
        for module in inner_imports(source)
        if module not in allowed and module.split(".")[0] not in allowed
    }
    if folder == "_solvers":
        # A solver may read the package's own __init__, never another solver.
        bad |= {m for m in inner_imports(source) if m.startswith("_solvers.")}
    return sorted(bad)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_import_direction(path):
    name = name_of(path)
    known = set(MAY_IMPORT) | FRIENDLY
    assert name.split(".")[0] in known, f"add {name} to the table of imports"
    assert violations(name, path.read_text()) == []


@pytest.mark.parametrize(
    "name, source, found",
    [
        ("_certify", "from otdist._solvers import load", ["_solvers"]),
        ("_certify", "def f():\n    import otdist._solve", ["_solve"]),
        (
            "_certify",
            "from otdist._kernels import network_simplex",
            ["_kernels.network_simplex"],
        ),
        ("_certify", "from otdist._masses import quantise", ["_masses"]),
        ("_certify", "from otdist import _solve", ["_solve"]),
        ("_solvers.line", "from otdist._certify import certify", ["_certify"]),
        ("_solvers.line", "from otdist._solvers.highs import run", ["_solvers.highs"]),
        ("_solvers.line", "from otdist._solvers import highs", ["_solvers.highs"]),
        ("_solvers.line", "from otdist import solve", ["solve"]),
        ("_solvers.line", "from otdist._validate import as_cost", ["_validate"]),
        (
            "_solvers.line",
            "from otdist._kernels.certificate import line_minimum",
            ["_kernels.certificate"],
        ),
        ("_kernels.line", "from otdist._errors import InputError", ["_errors"]),
        (
            "_kernels.tree",
            "from otdist._kernels.pricing import violations",
            ["_kernels.pricing"],
        ),
        ("_geometry.line", "from otdist._problem import Problem", ["_problem"]),
        ("_problem", "from otdist._solve import solve", ["_solve"]),
        ("_distances", "from otdist._solvers.line import run", ["_solvers.line"]),
        ("_masses", "import otdist", ["__init__"]),
        ("_exact.tree", "from otdist._solvers import Options", ["_solvers"]),
        (
            "_marginals",
            "from otdist._kernels.grids import log_sums_at",
            ["_kernels.grids"],
        ),
        (
            "_entropic.grid",
            "from otdist._marginals import grid_sums",
            ["_marginals"],
        ),
        ("_solve", "from otdist._exact import columns", ["_exact.columns"]),
        ("_steepness", "from otdist._flow.lattice import detour", ["_flow.lattice"]),
        ("_certify", "from otdist._problem import Problem", []),
        ("_solvers.line", "from otdist._solvers import Options", []),
        ("_certify", "from otdist._kernels.certificate import dense_bounds", []),
    ],
)
def test_the_import_check_finds_planted_violations(name, source, found):
    assert violations(name, source) == found


def test_the_checker_takes_only_a_data_type_from_the_plans():
    taken = {
        name
        for checker in ("_certify", "_upper_bound", "_lower_bound", "_steepness")
        for module, name in imports_of((PACKAGE / f"{checker}.py").read_text())
        if module == "otdist._plan"
    }
    assert taken <= {"Arcs", "Flow", "GridPlan"}


def test_only_the_problem_and_the_entry_points_validate():
    """Below Problem nobody checks anything: as_* is called at the top only."""
    entry_points = {
        "_align",
        "_along",
        "_bures",
        "_certify",
        "_compare",
        "_debiased",
        "_divergences",
        "_duality",
        "_graphs",
        "_ground",
        "_interval",
        "_lipschitz",
        "_measures",
        "_problem",
        "_separation",
        "_solve",
        "_structures",
        "_to_uniform",
        "gaussian",
        "samples",
        "sliced",
        "datasets",
        "torch._critics",
    }
    users = {
        name_of(path)
        for path in FILES
        if "_validate" in {m.split(".")[0] for m in inner_imports(path.read_text())}
    }
    assert users <= entry_points


# --------------------------------------------------------------------------- kernels


def kernel_faults(source):
    """Return what a kernel file does that it must not."""
    faults = []
    for module, _ in imports_of(source):
        is_known = module.split(".")[0] in KERNEL_IMPORTS
        if (
            not is_known
            and module.removeprefix("otdist.") not in MAY_IMPORT["_kernels"]
        ):
            faults.append(f"imports {module}")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            text = ast.unparse(decorator)
            if "jit" not in text and "vectorize" not in text:
                continue
            if not isinstance(decorator, ast.Call) or text.split("(")[0] != "njit":
                faults.append(f"{node.name}: @{text}")
                continue
            flags = {word.arg: ast.unparse(word.value) for word in decorator.keywords}
            for flag, value in KERNEL_FLAGS.items():
                if flags.get(flag) != value:
                    faults.append(f"{node.name}: {flag} is not {value}")
            for flag in flags.keys() - KERNEL_FLAGS.keys() - MORE_FLAGS:
                faults.append(f"{node.name}: {flag}")
            if decorator.args:
                faults.append(f"{node.name}: signature")
            if flags.get("fastmath") == "True":
                faults.append(f"{node.name}: fastmath without a list")
    return faults


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.stem)
def test_kernels_keep_the_rules(path):
    assert kernel_faults(path.read_text()) == []


GOOD = (
    "@njit(cache=True, error_model='numpy', nogil=True, _nrt=False)\n"
    "def f(x):\n    return x\n"
)


@pytest.mark.parametrize(
    "source, fault",
    [
        ("import scipy\n", "imports scipy"),
        ("from otdist._kernels.pricing import violations\n", "imports otdist._kernels"),
        ("from otdist import _errors\n", "imports otdist"),
        (GOOD.replace("cache=True, ", ""), "f: cache is not True"),
        (GOOD.replace("cache=True", "cache=FLAG"), "f: cache is not True"),
        (GOOD.replace("'numpy'", "'python'"), "f: error_model is not 'numpy'"),
        (GOOD.replace("nogil=True", "parallel=True"), "f: nogil is not True"),
        (GOOD.replace(", _nrt=False", ""), "f: _nrt is not False"),
        (GOOD.replace("nogil=True", "nogil=True, parallel=True"), "f: parallel"),
        (GOOD.replace("nogil=True", "nogil=True, fastmath=True"), "fastmath without"),
        (GOOD.replace("@njit(", "@njit('f8(f8)', "), "f: signature"),
        ("@njit\ndef f(x):\n    return x\n", "f: @njit"),
        ("@numba.jit(cache=True)\ndef f(x):\n    return x\n", "f: @numba.jit"),
        ("@guvectorize([], '()')\ndef f(x):\n    return x\n", "f: @guvectorize"),
    ],
)
def test_the_kernel_check_finds_planted_faults(source, fault):
    assert any(fault in found for found in kernel_faults(source)), source
    assert kernel_faults(GOOD) == []


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.stem)
def test_kernels_of_checkers_and_of_solvers_share_nothing(path):
    used = {module for module, _ in imports_of(path.read_text())}
    ours = {module for module in used if module.startswith("otdist.")}
    of_checkers = {module for module in ours if "certificate" in module}
    assert of_checkers == (ours if path.stem.startswith("certificate") else set())


def test_every_kernel_file_is_checked():
    names = {path.stem for path in KERNELS}
    assert names >= {
        "tree",
        "flow_tree",
        "flow_push",
        "flow_simplex",
        "decompose",
        "network_simplex",
        "pairs",
        "small",
        "simd",
        "costs",
        "nearest",
        "tiles",
        "pricing",
        "lists",
        "clusters",
        "certificate",
        "bottleneck",
        "certificate_grid",
        "transforms",
        "certificate_pairs",
        "divergences",
        "grids",
    }


# ------------------------------------------------------------------------ size, names


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short(path):
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_LINES
    if path.parent.name == "_kernels":
        return
    assert long_functions(source) == []


def long_functions(source):
    """Return functions of more than MAX_FUNCTION lines, docstrings not counted."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            length = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                length -= first.end_lineno - first.lineno + 1
            if length > MAX_FUNCTION:
                found.append(node.name)
    return found


def test_the_length_check_finds_a_long_function():
    body = "    x = 1\n"
    assert long_functions("def f():\n" + body * MAX_FUNCTION) == ["f"]
    assert long_functions("def f():\n" + body * (MAX_FUNCTION - 1)) == []
    docstring = '    """Say.\n' + "\n" * MAX_FUNCTION + '    """\n'
    assert long_functions("def f():\n" + docstring + body) == []


def test_no_file_is_a_drawer():
    names = {path.stem.strip("_") for path in FILES}
    assert names.isdisjoint({"utils", "util", "common", "helpers", "base", "misc"})


def test_nothing_prints():
    for path in FILES:
        if path.stem in ("__main__", "_cli_pairwise"):
            continue
        calls = [
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        assert "print" not in calls, path.name


def test_public_names_are_frozen():
    assert set(otdist.__all__) == PUBLIC
    assert len(otdist.__all__) == len(set(otdist.__all__)) <= 30
    assert list(otdist.__all__) == sorted(otdist.__all__)
    for name in PUBLIC:
        value = getattr(otdist, name)
        assert value.__doc__, f"{name} has no docstring"
    assert isinstance(otdist.__version__, str)


def test_every_folder_is_shipped():
    root = PACKAGE.parent / "pyproject.toml"
    if not root.exists():
        pytest.skip("otdist is installed without its sources")
    shipped = tomllib.loads(root.read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(PACKAGE.parent) for path in FILES}
    assert sorted(".".join(folder.parts) for folder in folders) == sorted(shipped)


def test_py_typed_is_there():
    assert (PACKAGE / "py.typed").exists()


# ---------------------------------------------------------------------------- imports

LOADED = """
import sys
{statement}
heavy = {{"numba", "llvmlite", "scipy", "matplotlib", "torch", "tqdm", "PIL", "ot"}}
print(sorted(heavy & set(sys.modules)))
"""


def loaded_by(statement):
    code = LOADED.format(statement=statement)
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return output.stdout.strip()


def test_importing_otdist_loads_nothing_heavy():
    assert loaded_by("import otdist") == "[]"
    assert loaded_by("import otdist, scipy") == "['scipy']"


def test_divergences_and_lines_load_nothing_heavy():
    line = "import otdist; otdist.wasserstein_distance([0, 1], [2, 3])"
    assert loaded_by(line) == "[]"
    assert loaded_by("import otdist; otdist.js_distance([0.5, 0.5], [1, 0])") == "[]"
