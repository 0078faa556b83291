"""The command line: ``otdist demo``, ``compare``, ``pairwise``, ``verify`` and ``warmup``."""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import math
import os
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist._version import __version__
from otdist.errors import FailedPairsWarning, InputError, InputWarning, NotCertifiedError

# Each command imports its own modules, so that the program starts fast.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from otdist.batch.pairs import Failure
    from otdist.cli.read import Measure
    from otdist.comparison import Comparison
    from otdist.typing import FloatArray

_FAILED = 2
_INTERRUPTED = 130

# Rewrites the remedies of Python messages for the command line.
_TRANSLATIONS = (
    (r" for Problem\([^)]*\)", ""),
    (r"pass normalize=True", "add --normalize"),
    (r"normalize=True", "--normalize"),
    (r"\b(metric|method)='(\w+)'", r"--\1 \2"),
    (r"\b(p|epsilon)=([\w.+-]*\w)", r"--\1 \2"),
    (r"(--metric \w+), (--p)", r"\1 \2"),
    (r", or pass a function of two points", ""),
    (r"pass the matrix distance", "in Python, pass the matrix distance"),
    (r" for histograms on common bins write .*", " for N weights on N bins add --grid 1xN"),
)
# Messages about one of the measures, to which the names of the files are added.
_SIDES = re.compile(r"\b[xy]\b|\b[ab](\[| sums| must| is zero)")

_MOST_FAILURES = 5  # printed; the output file has all
_INDEX = re.compile(r"measures\[(\d+)\](\[[01]\])?")

_DEMO_TEXT = """\
P_0 is {n} points on the line (0, Z), P_θ the same points on the line (θ, Z).
For θ ≠ 0 they share no point: KL is infinite, JS is log 2 = {js:.6f} and TV is 1
at every distance, so none of them shows that θ = 0.1 is better than θ = 1.
W1 = |θ| shows it, and its slope leads to θ = 0, where all of them are 0.
Each W1 is proved: [lower, upper] is checked by code that the solver does not use."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; by default those of the process.

    Returns
    -------
    int
        0 for success, 1 if a value is not proved or does not agree, 2 for invalid input,
        130 after Ctrl-C.
    """
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed its message
        return int(stop.code or 0)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show θ or ≤ gets a question mark instead of an error.
        sys.stdout.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", InputWarning)
            warnings.showwarning = _show_warning
            code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe (`otdist demo | head`): exit without a message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (InputError, NotCertifiedError) as error:
        return _fail(_translated(str(error)))
    except OSError as error:
        return _fail(f"cannot write or read {error.filename}: {error.strerror}")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="otdist",
        description="Optimal-transport distances, each with a certificate.",
    )
    parser.add_argument("--version", action="version", version=f"otdist {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="parallel lines: W1 beside JS, KL and TV")
    demo.set_defaults(run=_demo)
    demo.add_argument(
        "--out", default="otdist-demo.png", metavar="FILE", help="default: %(default)s"
    )
    demo.add_argument("--points", type=int, default=100, metavar="N", help="default: %(default)s")
    demo.add_argument("--no-plot", action="store_true", help="write no figure")

    check = commands.add_parser("verify", help="compare with POT on random problems")
    check.set_defaults(run=_verify)
    check.add_argument("--problems", type=int, default=200, help="default: %(default)s")
    check.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    warmup = commands.add_parser("warmup", help="compile all kernels, for containers and CI")
    warmup.set_defaults(run=_warmup)
    warmup.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="processes; default: %(default)s"
    )
    _add_compare(commands)
    _add_pairwise(commands)
    return parser


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser(
        "compare",
        help="all distances of two measures, as a table",
        description="Compare two measures. A and B are .npy, .npz, text (.csv, .txt)"
        " of points, one per line, or greyscale images.",
    )
    parser.set_defaults(run=_compare)
    add = parser.add_argument
    add("first", metavar="A", help="file of the first measure, P")
    add("second", metavar="B", nargs="?", help="file of the second, Q; none with --signed")
    _add_shared(add)
    add("--epsilon", type=float, help="entropic weight of the Sinkhorn row")
    add("--method", default="auto", help="method of the exact rows (default: auto)")
    add("--pool", metavar="K", type=int, help="sum blocks of K x K pixels first")
    add("--signed", action="store_true", help="A holds P minus Q; there is no B")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--plot", metavar="FILE", help="write a figure (needs matplotlib)")
    add(
        "--separation",
        metavar="FILE",
        help="write a figure of W1, JS, KL and the critic's slope while Q moves away",
    )
    add("--noise", type=float, metavar="H", help="add the upper bound of W1 from box noise")
    add(
        "--diameter",
        type=float,
        metavar="D",
        help="known diameter of both supports: add an interval for W1 of the distributions",
    )
    add("--confidence", type=float, default=0.95, help="of this interval (default: 0.95)")
    add("--seed", type=int, help="seed for the split into training and held-out points")


def _add_pairwise(commands: Any) -> None:
    parser = commands.add_parser(
        "pairwise",
        help="the matrix of distances between many measures",
        description="Compute all distances between measures, one per file, and write"
        " an .npz with the arrays matrix, names, metric, p, failed and reasons.",
    )
    parser.set_defaults(run=_pairwise)
    add = parser.add_argument
    add("files", metavar="FILE", nargs="+", help="measures, as for otdist compare")
    add("-o", "--output", required=True, metavar="FILE.npz", help="output file")
    _add_shared(add)
    add("--jobs", type=int, default=1, metavar="N", help="threads, -1 for all (needs joblib)")
    add(
        "--resume",
        metavar="FILE.npy",
        help="keep the growing matrix in this file; a stopped run continues from it",
    )
    add("--quiet", action="store_true", help="show no progress bar")


def _add_shared(add: Any) -> None:
    """Add the options that compare and pairwise share."""
    add("--p", type=float, default=1.0, help="order, 1 to inf (default: 1)")
    add(
        "--metric",
        default="euclidean",
        help="euclidean, cityblock, chebyshev or sqeuclidean (default: euclidean)",
    )
    add("--normalize", action="store_true", help="divide weights by their sums")
    add("--weights", metavar="COLUMN", help="weight column, its name or number from 1")
    add("--grid", metavar="RxC", help="the numbers are weights of R x C pixels, by rows")


def _demo(arguments: argparse.Namespace) -> int:
    from otdist.comparison import separation
    from otdist.plot import plot_demo

    plotting = not arguments.no_plot and _installed("matplotlib")
    if plotting:
        _require_writable(arguments.out)
    rows = separation.demo_separations(arguments.points)
    print(f"{'θ':>5} {'W1':>9}  {'certified bracket':<26} {'gap':>8}", end="")
    print(f" {'JS':>8} {'KL(0|θ)':>8} {'KL(θ|0)':>8} {'TV':>4}")
    for row in rows:
        bracket = f"[{row.lower:.10f}, {row.upper:.10f}]"
        gap = row.upper - row.lower
        print(f"{row.theta:5.2f} {row.w1:9.6f}  {bracket:<26} {gap:8.1e}", end="")
        print(f" {row.js:8.6f} {row.kl:8.3g} {row.kl_reversed:8.3g} {row.tv:4.2g}")
    js = max(row.js for row in rows)
    print("\n" + _DEMO_TEXT.format(n=arguments.points, js=js))
    if plotting:
        plot_demo(rows).savefig(arguments.out)
        print(f"Figure: {arguments.out}")
    elif not arguments.no_plot:
        print("No figure: it needs matplotlib: pip install 'otdist[plot]'")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from otdist.comparison import table
    from otdist.pipeline import outcome_for

    for path in filter(None, (arguments.plot, arguments.separation)):
        _require_writable(path)
    first, second = _measures(arguments)
    names = _names(arguments)
    try:
        compared = table.compare(
            first.points,
            second.points,
            first.weights,
            second.weights,
            p=arguments.p,
            metric=arguments.metric,
            epsilon=arguments.epsilon,
            method=arguments.method,
            normalize=arguments.normalize,
            noise=arguments.noise,
            diameter=arguments.diameter,
            confidence=arguments.confidence,
            rng=arguments.seed,
        )
    except InputError as error:
        text = str(error)
        if _SIDES.search(text):
            text += f" (x, a: {names[0]}; y, b: {names[1]})"
        raise InputError(text) from None
    if arguments.json:
        print(json.dumps({"A": names[0], "B": names[1], **compared.to_dict()}, indent=2))
    else:
        _print_table(compared, names)
    _write_figures(arguments, compared, (first, second), names)
    if not compared.exact.success:
        outcome = outcome_for(compared.exact, frozenset({"method"}))
        print(f"otdist: {_translated(outcome)}", file=sys.stderr)
        return 1
    return 0


def _write_figures(
    arguments: argparse.Namespace,
    compared: Comparison,
    measures: tuple[Measure, Measure],
    names: tuple[str, str],
) -> None:
    from otdist import plot
    from otdist.comparison import separations

    first, second = measures
    figures = {}
    if arguments.plot is not None:
        figures[arguments.plot] = plot.plot_comparison(
            compared,
            first.points,
            second.points,
            shape=first.shape if first.shape == second.shape else None,
            names=[Path(name).name for name in names],
        )
    if arguments.separation is not None:
        # The weights of the problem, which are normalised if the files are not.
        problem = compared.exact.problem
        rows = separations(first.points, second.points, problem.a, problem.b)
        figures[arguments.separation] = plot.plot_separation(rows)
    for path, figure in figures.items():
        figure.savefig(path)
        print(f"otdist: figure: {path}", file=sys.stderr)


def _measures(arguments: argparse.Namespace) -> tuple[Measure, Measure]:
    first, second = _files(arguments)
    if arguments.pool is None:
        return first, second
    from otdist.cli.read import pooled

    names = _names(arguments)
    return pooled(first, arguments.pool, names[0]), pooled(second, arguments.pool, names[1])


def _files(arguments: argparse.Namespace) -> tuple[Measure, Measure]:
    from otdist.cli.read import read_measure, read_signed

    options = {"weights": arguments.weights, "grid": arguments.grid}
    if arguments.signed:
        if arguments.second is not None:
            raise InputError(
                "with --signed the file A holds both measures; omit B"
                f" ({arguments.second}) or --signed"
            )
        return read_signed(arguments.first, **options)
    if arguments.second is None:
        raise InputError(
            "B is missing; pass a second file, or --signed if A holds one measure minus the other"
        )
    return (
        read_measure(arguments.first, **options),
        read_measure(arguments.second, **options),
    )


def _names(arguments: argparse.Namespace) -> tuple[str, str]:
    if arguments.signed:
        return f"{arguments.first} (positive)", f"{arguments.first} (negative)"
    return arguments.first, arguments.second


def _print_table(compared: Comparison, names: tuple[str, str]) -> None:
    exact, problem = compared.exact, compared.exact.problem
    for side, name, weights in zip("PQ", names, (problem.a, problem.b), strict=True):
        print(f"{side}: {name}, {len(weights)} atoms, mass {math.fsum(weights):.9g}")
    print(f"metric {problem.metric}, p = {problem.p:g}; exact rows by", end=" ")
    print(f"{exact.method}: {exact.status}\n\n{compared}")


def _pairwise(arguments: argparse.Namespace) -> int:
    from otdist.distances.pairwise import pairwise

    files = arguments.files
    if Path(arguments.output).suffix != ".npz":
        raise InputError(
            f"cannot write {arguments.output}: the name of the output must end in .npz"
        )
    _require_folder(arguments.output)
    if len(files) < 2:
        raise InputError(f"one file, {files[0]}, has no pairs; pass two or more")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            matrix = pairwise(
                **_many_measures(files, arguments),
                metric=arguments.metric,
                p=arguments.p,
                normalize=arguments.normalize,
                n_jobs=arguments.jobs,
                progress=not arguments.quiet and _installed("tqdm"),
                out=arguments.resume,
            )
    except InputError as error:
        named = _INDEX.sub(lambda match: files[int(match[1])], str(error))
        raise InputError(named.replace("out=", "--resume ")) from None
    failures = _failures(caught)
    np.savez(
        arguments.output,
        matrix=matrix,
        names=np.array(files),
        metric=arguments.metric,
        p=arguments.p,
        failed=np.array([[i, j] for i, j, _ in failures], dtype=int).reshape(-1, 2),
        reasons=np.array([reason for *_, reason in failures], dtype=str),
    )
    _print_matrix(matrix, arguments)
    for i, j, reason in failures[:_MOST_FAILURES]:
        print(f"otdist: no answer: {files[i]}, {files[j]}: {reason}", file=sys.stderr)
    if len(failures) > _MOST_FAILURES:
        print(f"otdist: and {len(failures) - _MOST_FAILURES} more", file=sys.stderr)
    return 1 if failures else 0


def _failures(caught: list[warnings.WarningMessage]) -> list[Failure]:
    """Return the pairs without an answer, and show all other warnings."""
    failures: list[Failure] = []
    for warning in caught:
        if isinstance(warning.message, FailedPairsWarning):
            failures = warning.message.failures
        else:
            warnings.showwarning(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return failures


def _many_measures(files: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Read all files: as histograms on one grid if all have the same shape."""
    from otdist.cli.read import read_measure

    options = {"weights": arguments.weights, "grid": arguments.grid}
    measures = [read_measure(name, **options) for name in files]
    first = measures[0]
    if first.shape is not None and all(measure.shape == first.shape for measure in measures):
        rows = np.array([measure.weights for measure in measures])
        return {"measures": rows, "support": first.points}
    pairs = [
        measure.points if measure.weights is None else (measure.points, measure.weights)
        for measure in measures
    ]
    return {"measures": pairs}


def _print_matrix(matrix: FloatArray, arguments: argparse.Namespace) -> None:
    values = matrix[np.triu_indices(len(matrix), 1)]
    values = values[np.isfinite(values)]
    span = f", from {values.min():.9g} to {values.max():.9g}" if len(values) else ""
    print(
        f"{len(matrix)} measures, {len(values)} distances (metric {arguments.metric},"
        f" p = {arguments.p:g}){span}: {arguments.output}"
    )


def _verify(arguments: argparse.Namespace) -> int:
    from otdist.cli import verify

    if not _installed("ot"):
        return _fail("verify compares with POT, which is not installed: pip install POT")
    report = verify.verify(arguments.problems, arguments.seed)
    print(f"{'family':<26} {'problems':>8} {'certified':>9} {'worst difference':>16}")
    for row in (*report.families, report.total):
        print(f"{row.name:<26} {row.n_problems:8d} {row.n_certified:9d} {row.worst:16.1e}")
    verdict = "agree" if report.passed else "DO NOT AGREE, or not all is certified"
    print(
        f"\notdist {__version__} and {report.peer} (seed {report.seed}): {verdict};"
        f" the limit is {verify.TOLERANCE:g}, relative"
    )
    return 0 if report.passed else 1


def _warmup(arguments: argparse.Namespace) -> int:
    from otdist.cli.warm_up import warmup

    try:
        print(f"kernels are in {warmup(n_jobs=arguments.jobs)}")
    except RuntimeError as error:
        return _fail(str(error))
    return 0


def _require_writable(path: str) -> None:
    """Raise before the computation if the figure could not be written after it."""
    from otdist.plot.style import new_figure

    try:
        known = new_figure(1, 1).canvas.get_supported_filetypes()
    except ImportError as error:
        raise InputError(str(error)) from None
    extension = Path(path).suffix.lower().lstrip(".")
    if extension not in known:
        raise InputError(
            f"{path} has the extension {extension!r}, which is no format of figures;"
            f" known are {', '.join(sorted(known))}"
        )
    _require_folder(path)


def _require_folder(path: str) -> None:
    if not Path(path).absolute().parent.is_dir():
        raise InputError(f"cannot write {path}: its folder does not exist")


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"otdist: warning: {_translated(str(message))}", file=sys.stderr)


def _fail(sentence: str) -> int:
    print(f"otdist: {sentence}", file=sys.stderr)
    return _FAILED


def _translated(sentence: str) -> str:
    """Rewrite the remedies of a Python message as options of the command line."""
    for pattern, replacement in _TRANSLATIONS:
        sentence = re.sub(pattern, replacement, sentence)
    return sentence
