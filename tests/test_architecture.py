"""The rules of the design as tests: who may import whom, and how kernels are made."""

from __future__ import annotations

import ast
import functools
import importlib
import subprocess
import sys
from pathlib import Path

import conftest
import knobs
import pytest

import otdist

PACKAGE = Path(otdist.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
KERNELS = [
    path
    for path in FILES
    if {"compiled", "kernels"} & {path.stem, *path.relative_to(PACKAGE).parts}
]
MAX_LINES = 700
LONGEST_CHAIN = 15
MAX_FUNCTION = 60

#: A folder may import from its own storey and from those below. The two wings of the
#: fourth, and the solvers among themselves, do not know each other.
STOREYS = (
    {"errors", "typing", "_version", "inputs", "runtime", "compiled"},
    {"geometry", "divergences", "gaussian"},
    {"plans", "problem"},
    {"solvers", "certificate"},
    {"pipeline", "batch"},
    {"__init__", "__main__", "cli", "comparison", "critics", "datasets", "distances"}
    | {"plot", "samples", "sliced", "torch"},
)
STOREY_OF = {name: k for k, names in enumerate(STOREYS) for name in names}
#: Found in every family of solvers, so that none needs another.
OF_ALL_SOLVERS = {"registry", "coarsen"}

KERNEL_IMPORTS = {"math", "numpy", "numba", "llvmlite", "typing"}
#: Holds the `njit` of all kernels, which decides where compiled kernels are kept.
KERNEL_CACHE = "runtime.kernel_cache"
#: Without counts of references: a view of an array costs 20 ns with them, in kernels
#: whose inner loops take no longer. Kernels therefore make no arrays.
KERNEL_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
#: Flags that some need; without wrappers a kernel is for other kernels only, and
#: takes half the time to compile. Inlined by LLVM, a function keeps its own `fastmath`.
MORE_FLAGS = {"fastmath", "forceinline", "inline", "no_cpython_wrapper", "no_cfunc_wrapper"}

PUBLIC = {
    "Certificate",
    "FailedPairsWarning",
    "Gradients",
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
    "sinkhorn_divergence_gradients",
    "sliced_wasserstein_distance",
    "solve",
    "total_variation",
    "w1_interval",
    "warmup",
    "wasserstein_distance",
}
#: Modules that are public too, imported when they are first used.
PUBLIC_MODULES = {"comparison", "critics", "datasets", "divergences", "gaussian"}
PUBLIC_MODULES |= {"plans", "plot", "samples", "sliced", "torch"}


def name_of(path):
    """Return ``geometry.line`` for otdist/geometry/line.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and parts[:-1] else parts)


def imports_of(source):
    """Yield (module, name) for every import but those for the type checker only."""
    nodes = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        nodes.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                yield node.module, alias.name


def inner_imports(source):
    """Return the modules of otdist that are imported, as ``geometry.line``."""
    found = set()
    for module, name in imports_of(source):
        if module.split(".")[0] != "otdist":
            continue
        inner = module.removeprefix("otdist").removeprefix(".")
        full = f"{inner}.{name}".strip(".")
        known = full in NAMES or (not inner and name is not None)
        found.add(full if known else inner or "__init__")
    return found


NAMES = {name_of(path) for path in FILES}


def violations(name, source):
    """Return the imports of otdist that a module must not have."""
    folder, *rest = name.split(".")
    bad = set()
    for module in inner_imports(source):
        other, *inner = module.split(".")
        if STOREY_OF.get(other, len(STOREYS)) > STOREY_OF[folder]:
            bad.add(module)
        if {folder, other} == {"solvers", "certificate"}:
            bad.add(module)
        if folder == other == "solvers" and inner[0] not in OF_ALL_SOLVERS | {rest[0]}:
            bad.add(module)
    return sorted(bad)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_import_direction(path):
    name = name_of(path)
    assert name.split(".")[0] in STOREY_OF, f"give {name} a storey"
    assert violations(name, path.read_text()) == []


@pytest.mark.parametrize(
    "name, source, found",
    [
        (
            "certificate.certify",
            "from otdist.solvers import registry",
            ["solvers.registry"],
        ),
        ("certificate.certify", "def f():\n    import otdist.pipeline", ["pipeline"]),
        (
            "solvers.line",
            "from otdist.certificate.kernels import grid",
            ["certificate.kernels.grid"],
        ),
        ("solvers.line", "from otdist.solvers.highs import run", ["solvers.highs"]),
        ("solvers.line", "from otdist.solvers import highs", ["solvers.highs"]),
        ("solvers.flow.start", "from otdist.solvers import line", ["solvers.line"]),
        ("solvers.line", "from otdist import solve", ["solve"]),
        (
            "geometry.line",
            "from otdist.problem.problem import Problem",
            ["problem.problem"],
        ),
        ("plans.plans", "import otdist", ["__init__"]),
        ("pipeline", "from otdist.cli import main", ["cli.main"]),
        ("certificate.certify", "from otdist.problem.problem import Problem", []),
        ("solvers.line", "from otdist.solvers.registry import Options", []),
        ("solvers.flow.start", "from otdist.solvers.flow import network", []),
    ],
)
def test_the_import_check_finds_planted_violations(name, source, found):
    assert violations(name, source) == found


def longest_chain(imports):
    """Return the longest chain of modules of which each imports the next."""
    chains = {}

    def chain_from(name):
        if name not in chains:
            chains[name] = [name]  # met again only in a cycle
            after = (chain_from(m) for m in sorted(imports[name]) if m != name)
            chains[name] = [name, *max(after, key=len, default=[])]
        return chains[name]

    return max((chain_from(name) for name in sorted(imports)), key=len)


def test_chains_of_imports_are_short():
    imports = {name_of(path): inner_imports(path.read_text()) & NAMES for path in FILES}
    chain = longest_chain(imports)
    assert len(chain) <= LONGEST_CHAIN, " > ".join(chain)
    planted = {"a": {"b", "c"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert longest_chain(planted) == ["a", "b", "c", "d"]


def test_folders_are_small():
    root = [path for path in FILES if path.parent == PACKAGE]
    assert len(root) <= 6
    for folder in {path.parent for path in FILES}:
        assert len(list(folder.glob("*.py"))) <= 16, folder


def test_only_the_problem_and_the_entry_points_validate():
    """Solvers, certificates and plans take what `Problem` has checked."""
    for path in FILES:
        below = name_of(path).split(".")[0] in {"solvers", "plans", "compiled"}
        users = {m.split(".")[0] for m in inner_imports(path.read_text())}
        assert not (below and "inputs" in users), path


# ------------------------------------------------------------------------- geometries

#: The only files outside of geometry/ that may ask for the class of a geometry: the
#: registry of solvers, and the table of the certificate's checkers.
MAY_ASK = {"solvers.registry", "certificate.checkers"}


@functools.cache
def geometries():
    """Return the names of all geometries, the base among them."""
    known, found = {"Geometry"}, set()
    while found != known:
        found = set(known)
        for path in (PACKAGE / "geometry").glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and known & names_in(ast.Tuple(node.bases)):
                    known.add(node.name)
    return known


def questions_of_class(source):
    """Return the lines that ask whether something is of the class of a geometry."""
    asked = {"isinstance", "issubclass"}
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in asked:
            if names_in(node.args[1]) & geometries():
                lines.append(node.lineno)
        elif isinstance(node, ast.Compare) and "type(" in ast.unparse(node):
            lines += [node.lineno] if names_in(node) & geometries() else []
    return lines


def test_nobody_asks_a_geometry_for_its_class():
    askers = {
        name_of(path)
        for path in FILES
        if path.parent.name != "geometry" and questions_of_class(path.read_text())
    }
    assert askers <= MAY_ASK


def test_the_check_of_classes_finds_planted_questions():
    assert {"Geometry", "Dense", "Points", "Pixels", "Line", "Circle"} < geometries()
    assert {"Grid", "Graph", "Extended"} < geometries()
    for planted in (
        "isinstance(problem.geometry, Line)",
        "isinstance(geometry, Dense | Graph)",
        "isinstance(x, (int, Pixels))",
        "issubclass(type(geometry), points.Points)",
        "type(geometry) is Grid",
        "type(geometry) in (Circle, Extended)",
    ):
        assert questions_of_class(planted) == [1], planted
    for harmless in ("isinstance(x, np.ndarray)", "geometry.facts.is_line", "type(x) is int"):
        assert questions_of_class(harmless) == [], harmless


# --------------------------------------------------------------------------- kernels


def kernel_faults(source):
    """Return what a kernel file does that it must not."""
    faults = [
        f"imports {module}"
        for module, _ in imports_of(source)
        if module.split(".")[0] not in KERNEL_IMPORTS
        and module != f"otdist.{KERNEL_CACHE}"
        and not {"compiled", "kernels"} & set(module.split("."))
    ]
    if ("numba", "njit") in imports_of(source):
        faults.append("njit of numba")
    tree, aliases = ast.parse(source), {"njit": lambda *words, **flags: (words, flags)}
    for node in tree.body:
        if isinstance(node, ast.Assign) and {"njit", "nogil", "_FLAGS"} & names_in(node):
            exec(ast.unparse(node), aliases)  # noqa: S102
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", ()):
            text = ast.unparse(decorator)
            if isinstance(aliases.get(text), tuple):
                faults += flag_faults(text, *aliases[text])
            elif "jit" in text or "vectorize" in text:
                faults.append(f"@{text}")
    return faults


def names_in(node):
    words = {word.id for word in ast.walk(node) if isinstance(word, ast.Name)}
    words |= {word.attr for word in ast.walk(node) if isinstance(word, ast.Attribute)}
    return words | {word.value for word in ast.walk(node) if isinstance(word, ast.Constant)}


def flag_faults(name, words, flags):
    """Return what is wrong with the flags of an alias of njit."""
    faults = [f"{name}: signature"] if words else []
    for flag, value in KERNEL_FLAGS.items():
        if flags.get(flag) != value:
            faults.append(f"{name}: {flag} is not {value!r}")
    faults += [f"{name}: {flag}" for flag in flags.keys() - KERNEL_FLAGS.keys() - MORE_FLAGS]
    if flags.get("fastmath") is True:
        faults.append(f"{name}: fastmath without a list")
    return faults


@pytest.mark.parametrize("path", KERNELS, ids=name_of)
def test_kernels_keep_the_rules(path):
    assert kernel_faults(path.read_text()) == []


GOOD = (
    "kernel = njit(cache=True, error_model='numpy', nogil=True, _nrt=False)\n"
    "@kernel\ndef f(x):\n    return x\n"
)


@pytest.mark.parametrize(
    "source, fault",
    [
        ("import scipy\n", "imports scipy"),
        ("from numba import njit\n", "njit of numba"),
        ("from otdist.geometry import line\n", "imports otdist.geometry"),
        ("from otdist import errors\n", "imports otdist"),
        (GOOD.replace("cache=True, ", ""), "kernel: cache is not True"),
        (GOOD.replace("cache=True", "cache=False"), "kernel: cache is not True"),
        (GOOD.replace("'numpy'", "'python'"), "kernel: error_model is not 'numpy'"),
        (GOOD.replace("nogil=True", "parallel=True"), "kernel: nogil is not True"),
        (GOOD.replace(", _nrt=False", ""), "kernel: _nrt is not False"),
        (GOOD.replace("nogil=True", "nogil=True, parallel=True"), "kernel: parallel"),
        (GOOD.replace("nogil=True", "nogil=True, fastmath=True"), "fastmath without"),
        (GOOD.replace("njit(", "njit('f8(f8)', "), "kernel: signature"),
        (GOOD.replace("@kernel", "@njit(cache=True)"), "@njit(cache=True)"),
        ("@njit\ndef f(x):\n    return x\n", "@njit"),
        ("@numba.jit(cache=True)\ndef f(x):\n    return x\n", "@numba.jit"),
        ("@guvectorize([], '()')\ndef f(x):\n    return x\n", "@guvectorize"),
    ],
)
def test_the_kernel_check_finds_planted_faults(source, fault):
    assert any(fault in found for found in kernel_faults(source)), source
    assert kernel_faults(GOOD) == []


def test_kernels_of_certificates_share_nothing():
    for path in KERNELS:
        if name_of(path).split(".")[0] == "certificate":
            used = inner_imports(path.read_text()) - {KERNEL_CACHE}
            assert all(module.startswith("certificate.") for module in used), path


def test_only_kernel_files_import_numba():
    users = {
        path
        for path in FILES
        if any(module.startswith("numba") for module, _ in imports_of(path.read_text()))
    }
    cache = PACKAGE.joinpath(*KERNEL_CACHE.split(".")).with_suffix(".py")
    assert cache in users
    assert users <= {*KERNELS, cache}


# ------------------------------------------------------------------------ size, names


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short(path):
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_LINES
    if path in KERNELS:
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
        if path.parent.name == "cli":
            continue
        calls = [
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        assert "print" not in calls, path.name


def test_public_names_are_frozen():
    assert set(otdist.__all__) == PUBLIC
    assert len(otdist.__all__) == len(set(otdist.__all__)) <= 34
    assert list(otdist.__all__) == sorted(otdist.__all__)
    for name in PUBLIC:
        value = getattr(otdist, name)
        assert value.__doc__, f"{name} has no docstring"
    assert isinstance(otdist.__version__, str)


def test_public_modules_are_frozen():
    assert set(dir(otdist)) == PUBLIC | PUBLIC_MODULES
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = otdist.nothing


#: What a module shows before and after it is used, in a Python without the optional packages.
LAZY = """
import sys
sys.modules.update(dict.fromkeys(["torch", "matplotlib"]))
import otdist as od
print([name for name in {names!r} if "otdist." + name in sys.modules])
for name in {names!r}:
    try:
        assert getattr(od, name).__doc__
    except AttributeError as error:
        print(name, error)
import pydoc
assert "wasserstein_distance" in pydoc.plain(pydoc.render_doc(od))
"""


def test_public_modules_are_imported_when_used():
    code = LAZY.format(names=sorted(PUBLIC_MODULES))
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert output == [
        "['critics', 'divergences', 'plans', 'sliced']",
        'torch otdist.torch needs PyTorch: pip install "otdist[torch]"',
    ]


def test_every_folder_is_a_package():
    for path in FILES:
        assert (path.parent / "__init__.py").exists(), path


def test_py_typed_is_there():
    assert (PACKAGE / "py.typed").exists()


# -------------------------------------------------------------- fast tests, thresholds

TESTS = Path(__file__).parent


def test_fast_tests_are_those_of_some_files():
    for name in conftest.FAST:
        assert (TESTS.parent / name).exists(), name
    sources = [path.read_text() for name in conftest.FAST for path in files_in(TESTS.parent / name)]
    for name in conftest.NOT_FAST:
        assert any(f"def {name}(" in source for source in sources), name
    assert conftest.is_fast("tests/regression/test_costs.py", "test_any")
    assert not conftest.is_fast("tests/regression_of_old.py", "test_any")


def files_in(path):
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def patched_thresholds(source):
    """Return the lines that patch a constant of the package without naming a knob."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("patch.setattr"):
            if "config" in ast.unparse(node.args[0]):
                continue  # of numba
            words = [each.value for each in node.args[:-1] if isinstance(each, ast.Constant)]
            if words and words[-1].split(".")[-1].strip("_").isupper():
                found.append(node.lineno)
    return found


def test_thresholds_are_named_in_one_place():
    # These patch tables and settings, which are not thresholds.
    elsewhere = {"test_benchmarks.py", "test_kernel_cache.py", "test_new_solver.py"}
    elsewhere |= {"test_solvers.py", "test_warm_up.py"}
    for path in TESTS.rglob("*.py"):
        if path.name not in elsewhere:
            lines = patched_thresholds(path.read_text())
            assert lines == [], f"name a knob: {path}, lines {lines}"
    for target in (value for name, value in vars(knobs).items() if name.isupper()):
        module, name = target.rsplit(".", 1)
        assert hasattr(importlib.import_module(module), name), target


def test_the_check_of_thresholds_finds_planted_ones():
    planted = [
        'monkeypatch.setattr(search, "_FEWEST", 8)',
        'patch.setattr("otdist.solvers.network_simplex.search.BUDGET", 1)',
        "monkeypatch.setattr(knobs.SEARCH_BUDGET, 1)",
        'monkeypatch.setattr(search, "solve_at_once", None)',
    ]
    assert patched_thresholds("\n".join(planted)) == [1, 2]


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
    assert "numba" in loaded_by(f"{line}; otdist.wasserstein_distance([0, 1], [2, 3])")
    assert loaded_by("import otdist; otdist.js_distance([0.5, 0.5], [1, 0])") == "[]"
