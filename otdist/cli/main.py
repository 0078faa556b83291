"""The command line: ``otdist demo``, ``compare``, ``pairwise`` and ``verify``."""

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

from otdist._version import __version__
from otdist.cli import pairwise as _cli_pairwise
from otdist.errors import InputError, InputWarning, NotCertifiedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otdist.cli.read import Measure
    from otdist.comparison.separation import Row
    from otdist.comparison.table import Comparison

_FAILED = 2
_INTERRUPTED = 130

# How the remedies of the Python messages are written on the command line.
_TRANSLATIONS = (
    (r"pass normalize=True", "add --normalize"),
    (r"normalize=True", "--normalize"),
    (r"\b(metric|method)='(\w+)'", r"--\1 \2"),
    (r"\b(p|epsilon)=([\w.+-]*\w)", r"--\1 \2"),
    (r"(--metric \w+), (--p)", r"\1 \2"),
    (r", or pass a function of two points", ""),
    (r"pool an image over blocks, sample points", "--pool K for images"),
    (r"pass the matrix distance", "in Python, pass the matrix distance"),
    (
        r" for histograms on common bins write .*",
        " for N masses on N bins add --grid 1xN",
    ),
)
_SIDES = re.compile(r"\b[xy]\b|\b[ab](\[| sums| must| is zero)")

_DEMO_TEXT = """\
P_0 is {n} points on the line (0, Z), P_θ the same points on the line (θ, Z).
For θ ≠ 0 they share no point: KL is infinite, JS is log 2 = {js:.6f} and TV is 1,
at every distance, so none of them says that θ = 0.1 is better than θ = 1.
W1 = |θ| does, and its slope leads to θ = 0, where all of them are 0.
Each W1 is proved: [lower, upper] is checked by code that the solver does not use."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; default: those of the process.

    Returns
    -------
    int
        0 if all went well, 1 if something is not proved or does not agree, 2
        for bad input, 130 after Ctrl-C.
    """
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed what there is to say
        return int(stop.code or 0)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without θ or ≤ shows a question mark instead of failing.
        sys.stdout.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", InputWarning)
            warnings.showwarning = _show_warning
            code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`otdist demo | head`); keep Python's exit quiet too.
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

    demo = commands.add_parser("demo", help="what W1 sees that JS, KL and TV do not")
    demo.set_defaults(run=_demo)
    demo.add_argument(
        "--out", default="otdist-demo.png", metavar="FILE", help="default: %(default)s"
    )
    demo.add_argument("--points", type=int, default=100, metavar="N", help="default: %(default)s")
    demo.add_argument("--no-plot", action="store_true", help="write no picture")

    verify = commands.add_parser("verify", help="compare with POT on random problems")
    verify.set_defaults(run=_verify)
    verify.add_argument("--problems", type=int, default=200, help="default: %(default)s")
    verify.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    _add_compare(commands)
    _cli_pairwise.add_parser(commands)
    return parser


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="every distance between two measures, as a table",
        description="Compare two measures. A and B are .npy, .npz, text (.csv, .txt)"
        " of points, one per line, or greyscale images.",
    )
    compare.set_defaults(run=_compare)
    add = compare.add_argument
    add("first", metavar="A", help="file of the first measure, P")
    add("second", metavar="B", nargs="?", help="of the second, Q; none with --signed")
    add("--p", type=float, default=1.0, help="order, 1 to inf (default: 1)")
    add(
        "--metric",
        default="euclidean",
        help="euclidean, cityblock, chebyshev or sqeuclidean (default: euclidean)",
    )
    add("--epsilon", type=float, help="entropic weight of the Sinkhorn row")
    add("--method", default="auto", help="of the exact rows (default: auto)")
    add("--normalize", action="store_true", help="divide masses by their sums")
    add("--weights", metavar="COLUMN", help="weight column, its name or number from 1")
    add("--grid", metavar="RxC", help="the numbers are masses of R x C pixels, by rows")
    add("--pool", metavar="K", type=int, help="sum blocks of K x K pixels first")
    add("--signed", action="store_true", help="A holds P minus Q; there is no B")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--plot", metavar="FILE", help="write a picture (needs matplotlib)")
    add(
        "--separation",
        metavar="FILE",
        help="write a picture of W1, JS, KL and the critic's slope while Q moves away",
    )
    add("--noise", type=float, metavar="H", help="add the bound of W1 by box noise")
    add(
        "--diameter",
        type=float,
        metavar="D",
        help="of both laws, known: add an interval for W1 of the laws",
    )
    add("--confidence", type=float, default=0.95, help="of it (default: 0.95)")
    add("--seed", type=int, help="of how points are held out for it")


def _demo(arguments: argparse.Namespace) -> int:
    from otdist.cli.demo import sweep

    plotting = not arguments.no_plot and _installed("matplotlib")
    if plotting:
        _require_writable(arguments.out)
    rows = sweep(arguments.points)
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
        _demo_figure(rows).savefig(arguments.out)
        print(f"Picture: {arguments.out}")
    elif not arguments.no_plot:
        print("No picture: it needs matplotlib: pip install 'otdist[plot]'")
    return 0


def _demo_figure(rows: list[Row]) -> Any:
    from otdist.plot.comparison import plot_demo

    columns = {
        "W1": [row.w1 for row in rows],
        "JS": [row.js for row in rows],
        "KL": [row.kl for row in rows],
        "TV": [row.tv for row in rows],
    }
    return plot_demo([row.theta for row in rows], columns)


def _compare(arguments: argparse.Namespace) -> int:
    from otdist.comparison.table import compare
    from otdist.pipeline import outcome_for

    for path in (arguments.plot, arguments.separation):
        if path is not None:
            _require_writable(path)
    first, second = _measures(arguments)
    names = _names(arguments)
    try:
        table = compare(
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
        print(json.dumps({"A": names[0], "B": names[1], **table.to_dict()}, indent=2))
    else:
        _print_table(table, names)
    if arguments.plot is not None:
        _comparison_figure(table, first, second, names).savefig(arguments.plot)
        print(f"otdist: picture: {arguments.plot}", file=sys.stderr)
    if arguments.separation is not None:
        _separation_figure(table, first, second).savefig(arguments.separation)
        print(f"otdist: picture: {arguments.separation}", file=sys.stderr)
    if not table.exact.success:
        outcome = outcome_for(table.exact, frozenset({"method"}))
        print(f"otdist: {_translated(outcome)}", file=sys.stderr)
        return 1
    return 0


def _measures(arguments: argparse.Namespace) -> tuple[Measure, Measure]:
    first, second = _files(arguments)
    if arguments.pool is None:
        return first, second
    from otdist.cli.pool import pool

    names = _names(arguments)
    return pool(first, arguments.pool, names[0]), pool(second, arguments.pool, names[1])


def _files(arguments: argparse.Namespace) -> tuple[Measure, Measure]:
    from otdist.cli.read import read_measure, read_signed

    options = {"weights": arguments.weights, "grid": arguments.grid}
    if arguments.signed:
        if arguments.second is not None:
            raise InputError(
                "with --signed the file A holds both measures; leave B"
                f" ({arguments.second}) or --signed out"
            )
        return read_signed(arguments.first, **options)
    if arguments.second is None:
        raise InputError(
            "B is missing; give a second file, or --signed if A holds one measure minus the other"
        )
    return (
        read_measure(arguments.first, **options),
        read_measure(arguments.second, **options),
    )


def _names(arguments: argparse.Namespace) -> tuple[str, str]:
    if arguments.signed:
        return f"{arguments.first} (positive)", f"{arguments.first} (negative)"
    return arguments.first, arguments.second


def _print_table(table: Comparison, names: tuple[str, str]) -> None:
    problem = table.exact.problem
    for side, name, masses in zip("PQ", names, (problem.a, problem.b), strict=True):
        print(f"{side}: {name}, {len(masses)} atoms, mass {math.fsum(masses):.9g}")
    print(
        f"metric {problem.metric}, p = {problem.p:g}; exact rows by"
        f" {table.exact.method}: {table.exact.status}\n"
    )
    print(table)


def _separation_figure(table: Comparison, first: Measure, second: Measure) -> Any:
    from otdist.plot.comparison import plot_separation, separations

    # The masses that were compared: those of the files may have other sums.
    a, b = table.exact.problem.a, table.exact.problem.b
    return plot_separation(separations(first.points, second.points, a, b))


def _comparison_figure(
    table: Comparison, first: Measure, second: Measure, names: tuple[str, str]
) -> Any:
    from otdist.plot.comparison import plot_comparison

    return plot_comparison(
        table,
        first.points,
        second.points,
        shape=first.shape if first.shape == second.shape else None,
        names=[Path(name).name for name in names],
    )


def _verify(arguments: argparse.Namespace) -> int:
    from otdist.cli.verify import TOLERANCE, verify

    if not _installed("ot"):
        return _fail("verify compares with POT, which is not here: pip install POT")
    report = verify(arguments.problems, arguments.seed)
    print(f"{'family':<26} {'problems':>8} {'certified':>9} {'worst difference':>16}")
    for family in report.families:
        print(f"{family.name:<26} {family.n_problems:8d}", end="")
        print(f" {family.n_certified:9d} {family.worst:16.1e}")
    print(f"{'all':<26} {report.n_problems:8d}", end="")
    print(f" {report.n_certified:9d} {report.worst:16.1e}")
    verdict = "agree" if report.passed else "DO NOT AGREE, or not all is certified"
    print(
        f"\notdist {__version__} and {report.peer} (seed {report.seed}): {verdict};"
        f" the limit is {TOLERANCE:g}, relative"
    )
    return 0 if report.passed else 1


def _require_writable(path: str) -> None:
    """Find out before the work whether the picture can be written after it."""
    from otdist.plot.comparison import require_format

    try:
        require_format(path)
    except ImportError as error:
        raise InputError(str(error)) from None
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
    """Write the options of a Python message as those of the command line."""
    for pattern, replacement in _TRANSLATIONS:
        sentence = re.sub(pattern, replacement, sentence)
    return sentence
