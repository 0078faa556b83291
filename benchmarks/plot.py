"""Draw time against n, log-log: ``python -m benchmarks.plot --out FILE``.

Gaussian clouds in the plane, uniform weights, p = 1; medians in one process, on one
thread. A matrix is given, not made. The figures are kept beside the picture as JSON,
from which ``--redraw`` makes it again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import peers
from benchmarks.instances import make, make_points, sizes

FAMILY = "gaussian_2"
SIZES = sizes(1000, 2000, 4000, 8000, 10**4, 2 * 10**4, 5 * 10**4, 10**5)
# How to solve what, and up to which n: beyond, the matrix or the wait is too long.
_CURVES = {
    "POT emd2": (peers.pot_emd2, make, 10**4),
    "POT emd2_lazy": (peers.pot_emd2_lazy, make_points, 10**4),
    "otdist, matrix": (peers.exact, make, 10**4),
    "otdist, points": (peers.exact, make_points, 10**5),
}


def measure(ns: list[int]) -> dict:
    """Return [n, seconds] of every curve."""
    peers.load_pot()
    peers.warm_up()
    curves: dict[str, list[tuple[int, float]]] = {name: [] for name in _CURVES}
    for n in ns:
        within = {name: curve for name, curve in _CURVES.items() if n <= curve[2]}
        made = {maker: maker(FAMILY, n) for _, maker, _ in within.values()}
        calls = [
            lambda solve=solve, instance=made[maker]: solve(instance)
            for solve, maker, _ in within.values()
        ]
        seconds = peers.medians(calls, peers.rounds(n))
        for name, median in zip(within, seconds, strict=True):
            curves[name].append((n, median))
    return {"family": FAMILY, "threads": peers.threads(), "seconds": curves}


def draw(figures: dict, out: Path) -> None:
    # Here, since only a picture needs matplotlib.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, points in figures["seconds"].items():
        style = "o-" if name.startswith("otdist") else "s--"
        axes.loglog(*zip(*points, strict=True), style, markersize=4, label=name)
    axes.set_xlabel("points on either side, n = m")
    axes.set_ylabel("seconds to the optimum")
    axes.grid(which="both", linewidth=0.3)
    axes.legend()
    # Neither date nor random identifiers: the same figures make the same file.
    with rc_context({"svg.hashsalt": "otdist"}):
        metadata = {"Date": None} if out.suffix == ".svg" else None
        figure.savefig(out, dpi=150, metadata=metadata)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.plot", description="Draw time against n."
    )
    parser.add_argument("--out", type=Path, required=True, help=".svg or .png")
    parser.add_argument(
        "--n",
        type=int,
        nargs="+",
        default=SIZES,
        help="default: 1000 to OTDIST_BENCH_MAX_N",
    )
    parser.add_argument("--redraw", action="store_true", help="from the figures kept beside FILE")
    options = parser.parse_args(arguments)
    kept = options.out.with_suffix(".json")
    if not options.redraw:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(measure(options.n), indent=1) + "\n", "utf-8")
    draw(json.loads(kept.read_text("utf-8")), options.out)


if __name__ == "__main__":
    main()
