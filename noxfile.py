#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2024.10.9"]
# ///
"""The checks of CONTRIBUTING.md, each in an environment of its own: ``nox -s fast``.

`.ci/run` calls the same sessions in its own environment (``nox --no-venv``).
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|virtualenv"

PROJECT = nox.project.load_toml("pyproject.toml")
ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
PYTEST = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
#: Tests that reach every kernel: array bounds are checked in these.
OF_KERNELS = """
    tests/solvers/test_kernels.py tests/solvers/test_small.py tests/solvers/test_tiles.py
    tests/solvers/test_solvers.py tests/solvers/test_graph.py tests/solvers/test_tree.py
    tests/solvers/test_grid_flow.py tests/solvers/test_grid_exact.py
    tests/solvers/test_bottleneck.py tests/solvers/sinkhorn tests/divergences/test_lanes.py
    tests/batch tests/certificate/test_certify.py tests/solvers/test_assignment.py
    tests/distances/test_wasserstein.py
"""
#: Folders that a build of the site writes beside its sources.
GENERATED_DOCS = ("docs/gallery", "docs/api/generated", "docs/api/backreferences")
SPELLED = ("otdist", "tests", "docs", "benchmarks", "examples", "noxfile.py")


def install(session: nox.Session, *what: str, group: str | None = None) -> None:
    """Install what a session needs, unless it runs in an environment that has it."""
    if session.venv_backend == "none":
        return
    wanted = nox.project.dependency_groups(PROJECT, group) if group else ()
    session.install(*what, *(each for each in wanted if not each.startswith("otdist")))


@nox.session
def fast(session: nox.Session) -> None:
    """Run the fast tests: a minute, once the kernels are compiled."""
    install(session, "-e", ".[test]")
    session.run(*PYTEST, "-m", "fast", *session.posargs, env=ONE_THREAD)


@nox.session(default=False)
def tests(session: nox.Session) -> None:
    """Run all tests and the examples of docstrings and README, compiled."""
    install(session, "-e", ".[test]")
    session.run(*PYTEST, "--durations=8", *session.posargs, env=ONE_THREAD)


@nox.session(default=False)
def plain(session: nox.Session) -> None:
    """Run all tests without compilation, and measure the coverage of branches."""
    install(session, "-e", ".[test]")
    env = {**ONE_THREAD, "NUMBA_DISABLE_JIT": "1", "COVERAGE_FILE": f"{session.create_tmp()}/plain"}
    session.run("python", "-m", "coverage", "run", *PYTEST[1:], "tests", env=env)
    session.run("python", "-m", "coverage", "report", "--fail-under=97", env=env)


@nox.session(default=False)
def bounds(session: nox.Session) -> None:
    """Run the tests of kernels with checks of array bounds."""
    install(session, "-e", ".[test]")
    cache = f"{session.create_tmp()}/cache"  # numba's does not tell such kernels from others
    env = {**ONE_THREAD, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": cache}
    session.run(*PYTEST, *OF_KERNELS.split(), env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, spelling and types."""
    install(session, "-e", ".", group="lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell", *SPELLED, *map(str, Path().glob("*.md")))
    session.run("mypy")
    session.run("repo-review", ".")


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the site, warnings as errors, run the examples on its pages, and test it."""
    install(session, "-e", ".[test,plot]", group="docs")
    folder = session.create_tmp()
    site = str(Path(os.environ.get("OTDIST_SITE", f"{folder}/html")).resolve())
    for generated in GENERATED_DOCS:
        shutil.rmtree(generated, ignore_errors=True)
    flags = ("-q", "-W", "--keep-going", "-d", f"{folder}/doctrees")
    session.run("sphinx-build", "-E", *flags, "docs", site, env=ONE_THREAD)
    skipped = ("conf.py", "_ext", "gallery")
    session.run(*PYTEST, "docs", *(f"--ignore=docs/{name}" for name in skipped), env=ONE_THREAD)
    session.run(*PYTEST, "tests/docs", env={**ONE_THREAD, "OTDIST_SITE": site})


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Run a few benchmarks once, compare with POT, and look for clouds that take too long."""
    install(session, "-e", ".[parallel]", group="bench")
    session.run("asv", "machine", "--yes", "--config", "asv.conf.json", silent=True)
    flags = ["--python=same", "--quick", "--show-stderr", "--dry-run", "--launch-method=forkserver"]
    session.run("asv", "run", *flags, "--bench", "small|startup|certificate.Dense")
    session.run("otdist", "verify", "--problems", "200", env=ONE_THREAD)
    session.run("python", "-m", "benchmarks.degenerate", env=ONE_THREAD)


@nox.session(default=False)
def sdist(session: nox.Session) -> None:
    """Build both distributions, check their text, and run the fast tests of the source's."""
    folder = Path(session.create_tmp(), "sdist")
    shutil.rmtree(folder, ignore_errors=True)
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    session.run("python", "-m", "venv", str(folder), external=True)
    session.run(python, "-m", "pip", "install", "build", "twine", external=True)
    session.run(python, "-m", "build", "-o", str(folder), external=True)
    built = map(str, folder.glob("otdist-*"))
    session.run(python, "-m", "twine", "check", "--strict", *built, external=True)
    (archive,) = folder.glob("otdist-*.tar.gz")
    shutil.unpack_archive(archive, folder, filter="data")
    with session.chdir(folder / archive.name.removesuffix(".tar.gz")):
        session.run(python, "-m", "pip", "install", ".[test]", external=True)
        env = {**ONE_THREAD, "NUMBA_DISABLE_JIT": "1"}  # what is built counts, not its kernels
        session.run(python, *PYTEST[1:], "-m", "fast", env=env, external=True)


@nox.session(python=["3.11", "3.12", "3.13"], default=False)
def wheel(session: nox.Session) -> None:
    """Build a wheel, and run it alone, with no test extra, in a clean environment."""
    folder = Path(session.create_tmp(), "wheel")
    shutil.rmtree(folder, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--wheel", "-o", str(folder))
    (built,) = folder.glob("otdist-*.whl")
    session.install("--force-reinstall", f"{built}[plot]")
    with session.chdir(folder):  # where no checkout hides the wheel
        session.run("otdist", "demo", "--out", "demo.png", env=ONE_THREAD)
        session.run("python", "-c", "import otdist; otdist.wasserstein_distance([0.0], [1.0])")


@nox.session(default=False)
def peers(session: nox.Session) -> None:
    """Run the pages for users of other libraries against these libraries."""
    install(session, "-e", ".[test,torch]", group="peers")
    session.run(*PYTEST, "-W", "ignore", "docs/coming-from", env=ONE_THREAD)


@nox.session(python="3.11", default=False)
def lowest(session: nox.Session) -> None:
    """Run the fast tests with the lowest versions of all dependencies."""
    wanted = [*PROJECT["project"]["dependencies"]]
    for extra in ("plot", "image", "progress", "parallel", "parquet", "completion", "test"):
        wanted += PROJECT["project"]["optional-dependencies"][extra]
    lowest = [re.sub(r">=([\d.]+)", r"==\1.*", each) for each in wanted if "otdist" not in each]
    install(session, "-e", ".", *lowest)
    session.run(*PYTEST, "-m", "fast", *session.posargs, env=ONE_THREAD)


if __name__ == "__main__":
    nox.main()
