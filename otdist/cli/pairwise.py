"""The command ``otdist pairwise``: the matrix of distances between many files."""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.errors import FailedPairsWarning, InputError
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.batch.pairs import Failure

# Failures that are printed; all are in the file.
_TOLD = 5
_INDEX = re.compile(r"measures\[(\d+)\](\[[01]\])?")


def add_parser(commands: Any) -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        "pairwise",
        help="the matrix of distances between many measures",
        description="Compute all distances between measures, one in each file, and write"
        " an .npz with the arrays matrix, names, metric, p, failed and reasons.",
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("files", metavar="FILE", nargs="+", help="measures, as for otdist compare")
    add("-o", "--output", required=True, metavar="FILE.npz", help="what to write")
    add("--p", type=float, default=1.0, help="order, 1 to inf (default: 1)")
    add(
        "--metric",
        default="euclidean",
        help="euclidean, cityblock, chebyshev or sqeuclidean (default: euclidean)",
    )
    add("--normalize", action="store_true", help="divide masses by their sums")
    add("--weights", metavar="COLUMN", help="weight column, its name or number from 1")
    add("--grid", metavar="RxC", help="the numbers are masses of R x C pixels, by rows")
    add("--jobs", type=int, default=1, metavar="N", help="threads, -1 for all (needs joblib)")
    add(
        "--resume",
        metavar="FILE.npy",
        help="keep the matrix here while it grows; a stopped run goes on",
    )
    add("--quiet", action="store_true", help="show no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Compute the matrix and write it; 1 if some pairs have no answer."""
    from otdist.distances.pairwise import pairwise

    files = arguments.files
    _require_output(arguments.output)
    if len(files) < 2:
        raise InputError(f"one file, {files[0]}, has no pairs; give two or more")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            matrix = pairwise(
                **_measures(files, arguments),
                metric=arguments.metric,
                p=arguments.p,
                normalize=arguments.normalize,
                n_jobs=arguments.jobs,
                progress=not arguments.quiet and importlib.util.find_spec("tqdm") is not None,
                out=arguments.resume,
            )
    except InputError as error:
        raise InputError(_named(str(error), files)) from None
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
    _report(matrix, files, failures, arguments)
    return 1 if failures else 0


def _failures(caught: list[warnings.WarningMessage]) -> list[Failure]:
    """Return the pairs without an answer; show all other warnings."""
    failures: list[Failure] = []
    for warning in caught:
        if isinstance(warning.message, FailedPairsWarning):
            failures = warning.message.failures
        else:
            warnings.showwarning(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return failures


def _measures(files: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Read all files: histograms on one grid if they are all of its shape."""
    from otdist.cli.read import read_measure

    options = {"weights": arguments.weights, "grid": arguments.grid}
    measures = [read_measure(name, **options) for name in files]
    first = measures[0]
    if first.shape is not None and all(measure.shape == first.shape for measure in measures):
        rows = np.array([measure.weights for measure in measures])
        return {"measures": rows, "support": first.points}
    return {
        "measures": [
            measure.points if measure.weights is None else (measure.points, measure.weights)
            for measure in measures
        ]
    }


def _require_output(path: str) -> None:
    """Find out before the work whether the matrix can be written after it."""
    if Path(path).suffix != ".npz":
        raise InputError(f"cannot write {path}: the name of the output must end in .npz")
    if not Path(path).absolute().parent.is_dir():
        raise InputError(f"cannot write {path}: its folder does not exist")


def _named(sentence: str, files: list[str]) -> str:
    """Write the files instead of the indices of a Python message."""

    def name(match: re.Match[str]) -> str:
        return files[int(match[1])]

    return _INDEX.sub(name, sentence).replace("out=", "--resume ")


def _report(
    matrix: FloatArray,
    files: list[str],
    failures: list[Failure],
    arguments: argparse.Namespace,
) -> None:
    """Say what is in the matrix, and which pairs are not."""
    values = matrix[np.triu_indices(len(matrix), 1)]
    values = values[np.isfinite(values)]
    span = f", from {values.min():.9g} to {values.max():.9g}" if len(values) else ""
    print(
        f"{len(files)} measures, {len(values)} distances (metric {arguments.metric},"
        f" p = {arguments.p:g}){span}: {arguments.output}"
    )
    for i, j, reason in failures[:_TOLD]:
        print(f"otdist: no answer: {files[i]}, {files[j]}: {reason}", file=sys.stderr)
    if len(failures) > _TOLD:
        print(f"otdist: and {len(failures) - _TOLD} more", file=sys.stderr)
