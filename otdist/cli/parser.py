"""Commands and options of the command line."""

from __future__ import annotations

import argparse
from typing import Any

from otdist._version import __version__

_FILES = (
    "Files are text (.csv, .txt, .tsv, .dat) with a point on each line, .npy, .npz, .parquet or"
    " greyscale images, each also with .gz. A - is standard input, with --format."
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; the name of the command is its attribute `command`."""
    parser = argparse.ArgumentParser(
        prog="otdist",
        description="Optimal-transport distances, each with a certificate.",
    )
    parser.add_argument("--version", action="version", version=f"otdist {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    add = commands.add_parser("demo", help="parallel lines: W1 beside JS, KL and TV").add_argument
    add("--out", default="otdist-demo.png", metavar="FILE", help="default: %(default)s")
    add("--points", type=int, default=100, metavar="N", help="default: %(default)s")
    add(
        "--thetas",
        type=float,
        nargs="+",
        metavar="THETA",
        help="signed distances of the lines; default: 21 from -1 to 1",
    )
    add("--no-plot", action="store_true", help="write no figure")
    _add_running(add)

    add = commands.add_parser("verify", help="compare with POT on random problems").add_argument
    add("--problems", type=int, default=200, help="default: %(default)s")
    add("--seed", type=int, default=0, help="default: %(default)s")
    _add_running(add)

    warmup = commands.add_parser("warmup", help="compile all kernels, for containers and CI")
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
        description=f"Compare two measures, A and B. {_FILES}",
    )
    add = parser.add_argument
    add("first", metavar="A", help="file of the first measure, P")
    add("second", metavar="B", nargs="?", help="file of the second, Q; none with --signed")
    _add_distance(add)
    _add_reading(parser.add_argument_group("reading files").add_argument)
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
    _add_running(add)


def _add_pairwise(commands: Any) -> None:
    parser = commands.add_parser(
        "pairwise",
        help="the matrix of distances between many measures",
        description="Compute all distances between measures, one per file, and write"
        " an .npz with the arrays matrix, names, metric, p, failed and reasons, or the matrix"
        f" as .csv. {_FILES}",
    )
    add = parser.add_argument
    add("files", metavar="FILE", nargs="+", help="measures, as for otdist compare")
    add("-o", "--output", required=True, metavar="FILE", help="output file, .npz or .csv")
    _add_distance(add)
    _add_reading(parser.add_argument_group("reading files").add_argument)
    add("--jobs", type=int, default=1, metavar="N", help="threads, -1 for all (needs joblib)")
    add(
        "--resume",
        metavar="FILE.npy",
        help="keep the growing matrix in this file; a stopped run continues from it",
    )
    _add_running(add)


def _add_distance(add: Any) -> None:
    """Add the options of the distance, which compare and pairwise share."""
    add("--p", type=float, default=1.0, help="order, 1 to inf (default: 1)")
    add(
        "--metric",
        default="euclidean",
        help="euclidean, cityblock, chebyshev or sqeuclidean (default: euclidean)",
    )
    add("--period", type=float, metavar="T", help="positions are on a circle of length T")
    add("--normalize", action="store_true", help="divide weights by their sums")


def _add_reading(add: Any) -> None:
    """Add the options of files, which compare and pairwise share."""
    add(
        "--columns",
        metavar="LIST",
        help="coordinates, names or numbers from 1: height,weight or 2,3 (default: all columns)",
    )
    add("--weights", metavar="COLUMN", help="weight column, its name or number from 1")
    add("--grid", metavar="RxC", help="the numbers are weights of R x C pixels, by rows")
    add("--delimiter", metavar="CHAR", help="between columns of text: a character, tab or blank")
    add("--decimal", default=".", metavar="CHAR", help="decimal mark, . or , (default: .)")
    add(
        "--header",
        default="auto",
        metavar="WHEN",
        help="whether the first line of text has names: auto, yes or no (default: auto)",
    )
    add("--format", help="of standard input, and of files without a known extension: csv, npy, …")
    add(
        "--max-bytes",
        type=_size,
        default=2**28,
        metavar="N",
        help="largest file, unpacked (default: %(default)s)",
    )


def _add_running(add: Any) -> None:
    add("--quiet", action="store_true", help="print no warnings, notes or progress")
    add("--time-limit", type=float, metavar="S", help="stop after S seconds, with exit code 124")


def _size(text: str) -> int:
    """Read a positive number of bytes, such as 1000000 or 2e9."""
    size = float(text)
    if not 1 <= size < 2**62:
        raise ValueError(text)
    return int(size)
