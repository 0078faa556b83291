"""The command line: ``otdist demo``, ``compare``, ``pairwise``, ``verify`` and ``warmup``."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
import os
import re
import sys
import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist._version import __version__
from otdist.cli.parser import make_parser
from otdist.cli.progress import TimeLimitReached, elapsed, time_limit
from otdist.errors import FailedPairsWarning, InputError, InputWarning, NotCertifiedError

# Each command imports its own modules, so that the program starts fast.
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from otdist.batch.pairs import Failure
    from otdist.cli.read import Measure
    from otdist.comparison import Comparison
    from otdist.typing import FloatArray, NDArray

_FAILED = 2
_TIMED_OUT = 124  # as the command timeout
_INTERRUPTED = 130

# Rewrites the remedies of Python messages for the command line.
_TRANSLATIONS = (
    (r" for Problem\([^)]*\)", ""),
    (r"pass normalize=True", "add --normalize"),
    (r"normalize=True", "--normalize"),
    (r"\b(metric|method)='(\w+)'", r"--\1 \2"),
    (r"\b(p|epsilon|diameter|noise|period)=([\w.+-]*\w)", r"--\1 \2"),
    (r"\b(diameter|noise|period)=", r"--\1"),
    (r"(--metric \w+), (--p)", r"\1 \2"),
    (r", or pass a function of two points", ""),
    (r"for points on the line pass concave=True; elsewhere ", ""),
    (r"leave a and b out", "omit --weights"),
    (r"\bn_jobs must", "--jobs must"),
    (r"\brng must be a numpy Generator, a seed, or None", "--seed must be an integer >= 0"),
    (r"a problem made by Problem.on_circle, without price or mass", "--period"),
    (r"distance cannot be called like this: ", ""),
    (r"pass the matrix distance", "in Python, pass the matrix distance"),
    (r" for histograms on common bins write .*", " for N weights on N bins add --grid 1xN"),
    (r" for images write .*", " for images add --grid RxC, and --normalize"),
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
        124 at the time limit, 130 after Ctrl-C.
    """
    parser = make_parser()
    if "_ARGCOMPLETE" in os.environ and _installed("argcomplete"):
        import argcomplete

        argcomplete.autocomplete(parser)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has printed its message
        return int(stop.code or 0)
    quiet = getattr(arguments, "quiet", False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show θ or ≤ gets a question mark instead of an error.
        sys.stdout.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings(), time_limit(getattr(arguments, "time_limit", None)):
            warnings.simplefilter("ignore" if quiet else "always", InputWarning)
            warnings.showwarning = _hide_warning if quiet else _show_warning
            code = _COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe (`otdist demo | head`): exit without a message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except TimeLimitReached:
        return _fail(f"stopped after {arguments.time_limit:g} s, see --time-limit", _TIMED_OUT)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (InputError, NotCertifiedError) as error:
        return _fail(_translated(str(error)))
    except OSError as error:
        return _fail(f"cannot write or read {error.filename or 'a file'}: {error.strerror}")
    except MemoryError:
        return _fail("there is not enough memory; pass fewer points or pool pixels")
    return code


def _demo(arguments: argparse.Namespace) -> int:
    from otdist.comparison import separation
    from otdist.plot import plot_demo

    plotting = not arguments.no_plot and _installed("matplotlib")
    if plotting:
        _require_writable(arguments.out)
    with elapsed("demo", shown=not arguments.quiet):
        if arguments.thetas is None:
            rows = separation.demo_separations(arguments.points)
        else:
            rows = separation.demo_separations(arguments.points, thetas=sorted(arguments.thetas))
    print(f"{'θ':>5} {'W1':>9}  {'certified bracket':<26} {'gap':>8}", end="")
    print(f" {'JS':>8} {'KL(0|θ)':>8} {'KL(θ|0)':>8} {'TV':>4}")
    for row in rows:
        bracket = f"[{row.lower:.10f}, {row.upper:.10f}]"
        gap = row.upper - row.lower
        print(f"{row.theta:5.2f} {row.w1:9.6f}  {bracket:<26} {gap:8.1e}", end="")
        print(f" {row.js:8.6f} {row.kl:8.3g} {row.kl_reversed:8.3g} {row.tv:4.2g}")
    print("\n" + _DEMO_TEXT.format(n=arguments.points, js=math.log(2)))
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
        if arguments.period is not None:
            raise InputError(f"figures are of points in space; omit {path}, or --period")
    names = _names(arguments)
    with elapsed("reading", shown=not arguments.quiet):
        first, second = _measures(arguments)
    _tell_of_normalize(arguments, [first, second])
    try:
        with elapsed("computing", shown=not arguments.quiet):
            compared = table.compare(
                _points(first, arguments),
                _points(second, arguments),
                first.weights,
                second.weights,
                p=arguments.p,
                metric=arguments.metric,
                period=arguments.period,
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
        columns = {
            side: {"coordinates": measure.coordinates, "weights": measure.weighting}
            for side, measure in (("A", first), ("B", second))
        }
        shown = {"A": names[0], "B": names[1], "columns": columns, **compared.to_dict()}
        print(json.dumps(shown, indent=2))
    else:
        _print_table(compared, (first, second), names)
    _write_figures(arguments, compared, (first, second), names)
    if not compared.exact.success:
        outcome = outcome_for(compared.exact, frozenset({"method"}))
        _tell(_translated(outcome))
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
        if not arguments.quiet:
            _tell(f"figure: {path}")


def _measures(arguments: argparse.Namespace) -> tuple[Measure, Measure]:
    first, second = _files(arguments)
    if arguments.pool is None:
        return first, second
    from otdist.cli.read import pooled

    names = _names(arguments)
    return pooled(first, arguments.pool, names[0]), pooled(second, arguments.pool, names[1])


def _files(arguments: argparse.Namespace) -> Sequence[Measure]:
    from otdist.cli.read import matched, read_measure, read_signed

    options = _options(arguments)
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
    files = arguments.first, arguments.second
    _require_one_stdin(files)
    return matched([read_measure(name, **options) for name in files], files)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of files, and where notes about them go."""
    names = ["columns", "weights", "grid", "delimiter", "decimal", "header", "format", "max_bytes"]
    options: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    if not arguments.quiet:
        options["note"] = _note
    return options


def _require_one_stdin(files: Sequence[str]) -> None:
    if files.count("-") > 1:
        raise InputError("standard input, -, holds one measure; pass it once")


def _tell_of_normalize(arguments: argparse.Namespace, measures: Sequence[Measure]) -> None:
    if arguments.quiet or not arguments.normalize:
        return
    if all(measure.weights is None for measure in measures):
        _note("--normalize changes nothing: no file has weights; name their column: --weights")


def _names(arguments: argparse.Namespace) -> tuple[str, str]:
    if arguments.signed:
        return f"{arguments.first} (positive)", f"{arguments.first} (negative)"
    first, second = (
        "standard input" if each == "-" else each for each in (arguments.first, arguments.second)
    )
    return first, second


def _print_table(compared: Comparison, measures: Sequence[Measure], names: tuple[str, str]) -> None:
    exact, problem = compared.exact, compared.exact.problem
    weights = problem.a, problem.b
    for side, name, measure, weight in zip("PQ", names, measures, weights, strict=True):
        print(f"{side}: {_printable(name)}, {len(weight)} atoms, mass {math.fsum(weight):.9g}")
        print(_folded(f"   {measure}"))
    mass = math.fsum(weights[0])
    if not math.isclose(mass, 1, rel_tol=1e-6):
        note = f"note: values are for a mass of {mass:.9g}; with --normalize they are for 1"
        print(_folded(note))
    solved = f"exact rows by {exact.method}: {exact.status}"
    print(_folded(f"metric {problem.metric}, p = {problem.p:g}; {solved}"))
    print(f"\n{compared}")


def _folded(text: str) -> str:
    return textwrap.fill(_printable(text), 80, subsequent_indent="   ", break_on_hyphens=False)


def _pairwise(arguments: argparse.Namespace) -> int:
    from otdist.distances.pairwise import pairwise

    files = arguments.files
    if Path(arguments.output).suffix not in (".npz", ".csv"):
        raise InputError(
            f"cannot write {arguments.output}: the name of the output must end in .npz or .csv"
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
                **({} if arguments.period is None else {"period": arguments.period}),
            )
    except InputError as error:
        named = _INDEX.sub(lambda match: files[int(match[1])], str(error))
        raise InputError(named.replace("out=", "--resume ")) from None
    failures = _failures(caught)
    if Path(arguments.output).suffix == ".csv":
        _write_csv(arguments.output, files, matrix)
    else:
        np.savez(
            arguments.output,
            matrix=matrix,
            names=np.array(files),
            metric=arguments.metric if arguments.period is None else "arc",
            p=arguments.p,
            failed=np.array([[i, j] for i, j, _ in failures], dtype=int).reshape(-1, 2),
            reasons=np.array([reason for *_, reason in failures], dtype=str),
        )
    _print_matrix(matrix, arguments)
    for i, j, reason in failures[:_MOST_FAILURES]:
        _tell(f"no answer: {files[i]}, {files[j]}: {reason}")
    if len(failures) > _MOST_FAILURES:
        _tell(f"and {len(failures) - _MOST_FAILURES} more")
    return 1 if failures else 0


def _write_csv(path: str, files: list[str], matrix: FloatArray) -> None:
    """Write a matrix with the names of the files above and beside it."""
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["", *files])
        writer.writerows([name, *row] for name, row in zip(files, matrix.tolist(), strict=True))


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
    from otdist.cli.read import matched, read_measure

    _require_one_stdin(files)
    options = _options(arguments)
    measures = matched([read_measure(name, **options) for name in files], files)
    _tell_of_normalize(arguments, measures)
    first = measures[0]
    if first.shape is not None and all(measure.shape == first.shape for measure in measures):
        rows = np.array([measure.weights for measure in measures])
        return {"measures": rows, "support": _points(first, arguments)}
    points = [_points(measure, arguments) for measure in measures]
    pairs = [
        each if measure.weights is None else (each, measure.weights)
        for each, measure in zip(points, measures, strict=True)
    ]
    return {"measures": pairs}


def _points(measure: Measure, arguments: argparse.Namespace) -> NDArray[Any]:
    """Return points (n, d), or positions (n,) on a circle."""
    if arguments.period is None:
        return measure.points
    if measure.points.shape[1] != 1:
        raise InputError(
            f"--period is for one column of positions, got {measure.points.shape[1]} columns;"
            " choose one with --columns"
        )
    return measure.points[:, 0]


def _print_matrix(matrix: FloatArray, arguments: argparse.Namespace) -> None:
    values = matrix[np.triu_indices(len(matrix), 1)]
    values = values[np.isfinite(values)]
    span = f", from {values.min():.9g} to {values.max():.9g}" if len(values) else ""
    period = arguments.period
    metric = arguments.metric if period is None else f"arc, period {period:g}"
    print(
        f"{len(matrix)} measures, {len(values)} distances (metric {metric},"
        f" p = {arguments.p:g}){span}: {arguments.output}"
    )


def _verify(arguments: argparse.Namespace) -> int:
    from otdist.cli import verify

    if not _installed("ot"):
        return _fail("verify compares with POT, which is not installed: pip install POT")
    with elapsed("comparing", shown=not arguments.quiet):
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
    _tell(f"warning: {_translated(str(message))}")


def _hide_warning(*_: Any, **__: Any) -> None:
    pass


def _note(sentence: str) -> None:
    _tell(f"note: {sentence}")


def _fail(sentence: str, code: int = _FAILED) -> int:
    _tell(sentence)
    return code


def _tell(sentence: str) -> None:
    """Print a sentence on one line; names of files and columns may hold any character."""
    print(f"otdist: {_printable(sentence)}", file=sys.stderr)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _translated(sentence: str) -> str:
    """Rewrite the remedies of a Python message as options of the command line."""
    for pattern, replacement in _TRANSLATIONS:
        sentence = re.sub(pattern, replacement, sentence)
    return sentence


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": _demo,
    "compare": _compare,
    "pairwise": _pairwise,
    "verify": _verify,
    "warmup": _warmup,
}
