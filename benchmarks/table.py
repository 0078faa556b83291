"""Print otdist beside its peers, case by case: ``python -m benchmarks.table``.

Both solve the same problem to the optimum, in turn, in one process, on one thread;
otdist's time includes validation and certificate; the entropic ones, each in its
cheapest setting, to the same measured marginal error, at 1 % of the mean cost or
(fine) a tenth of that, and to a proved gap, by Sinkhorn's iteration or by what is
fastest (see entropic.py). Times are medians of 5 runs (3 above n = 2000, more for small
matrices), or single runs with ``--quick``. Large clouds have no peer: each is solved
once, on two threads, in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from benchmarks import entropic, exact, fresh, peers, points, small
from benchmarks.entropic_peers import PEERS, Task, make_task
from benchmarks.instances import (
    FAMILIES,
    IMAGES,
    LARGE,
    POINTS,
    SMALL,
    Clouds,
    Instance,
    make,
    make_points,
)


class _Table(NamedTuple):
    """What is solved, and beside whom."""

    sizes: Sequence[int]
    families: Sequence[str]
    make: Callable[[str, int], Any]
    peers: dict[str, Callable[[Any], object]]
    ours: Callable[[Any], object] = peers.exact
    rounds: Callable[[int], int] = peers.rounds
    compare: Callable[..., peers.Comparison] = peers.compare


_TABLES = {
    "matrices": _Table(exact.SIZES, FAMILIES, make, {"emd2": peers.pot_emd2}),
    "small": _Table(
        small.SIZES,
        SMALL,
        make,
        {"emd2": peers.pot_emd2, "assignment": peers.assignment},
        peers.otdist_emd,
        small.timings,
    ),
    "points": _Table(points.SIZES, POINTS, make_points, {"emd2_lazy": peers.pot_emd2_lazy}),
    "images": _Table(points.IMAGE_SIZES, IMAGES, make_points, {"dist+emd2": peers.pot_dist_emd2}),
    "large": _Table(points.LARGE_SIZES, LARGE, make_points, {}),
    "entropic": _Table(
        entropic.SIZES,
        entropic.FAMILIES,
        make_task,
        PEERS,
        entropic.at_epsilon,
        compare=partial(entropic.compare_at_epsilon, part=0.01),
    ),
    "entropic_fine": _Table(
        entropic.SIZES,
        entropic.FAMILIES,
        make_task,
        PEERS,
        entropic.at_epsilon,
        compare=partial(entropic.compare_at_epsilon, part=0.001),
    ),
    "entropic_gap": _Table(
        entropic.GAP_SIZES,
        entropic.GAP_FAMILIES,
        make_points,
        {"dist+emd2": peers.pot_dist_emd2},
        lambda clouds: entropic.to_gap(clouds.problem()),
    ),
    "gap": _Table(
        entropic.GAP_SIZES,
        entropic.GAP_FAMILIES,
        make_points,
        {"dist+emd2": peers.pot_dist_emd2},
        lambda clouds: entropic.to_gap(clouds.problem(), "auto"),
    ),
}
_HEADER = f"{'family':22} {'n':>6} {'m':>6} {'d':>3} {'weights':8} {'p':>3} {'threads':>7}"
_COMPARED = f" {'peer':10} {'peer s':>9} {'otdist s':>9} {'ratio':>6} {'gap':>8}"
_ALONE = f" {'otdist s':>9} {'peak MB':>8} {'gap':>8}"


def _labels(family: str, instance: Instance | Clouds | Task, threads: str) -> str:
    n, m = instance.shape
    d = "-" if instance.d is None else str(instance.d)
    p = "-" if instance.p is None else f"{instance.p:g}"
    return f"{family:22} {n:6} {m:6} {d:>3} {instance.weights:8} {p:>3} {threads:>7}"


def _compare(table: _Table, families: Sequence[str], n: int, quick: bool) -> None:
    """Print a line per case, then the mean and the worst beside each peer."""
    ratios: dict[str, dict[str, float]] = defaultdict(dict)
    for family in families:
        for name, peer in table.peers.items():
            try:
                instance = table.make(family, n)
                if name == "assignment" and instance.weights != "uniform":
                    continue
                repeats = 1 if quick else table.rounds(n)
                compared = table.compare(instance, repeats, peer, table.ours)
            except NotImplementedError as reason:
                _say(f"{family:22} {n:6} {name} skipped: {reason}")
                continue
            _say(
                _labels(family, instance, peers.threads())
                + f" {name:10} {compared.peer:9.3g} {compared.otdist:9.3g}"
                f" {compared.ratio:6.2f} {compared.gap:8.1e}"
            )
            ratios[name][family] = compared.ratio
    for name, by_family in ratios.items():
        worst = min(by_family, key=by_family.__getitem__)
        mean = statistics.geometric_mean(by_family.values())
        _say(
            f"n = {n}: geometric mean of {name} / otdist {mean:.2f},"
            f" worst {by_family[worst]:.2f} ({worst})"
        )


def _measure(table: _Table, families: Sequence[str], n: int) -> None:
    """Print a line per case that has no peer."""
    for family in families:
        measured = fresh.measure("points", family, n, n_jobs=points.LARGE_JOBS)
        _say(
            _labels(family, table.make(family, n), str(points.LARGE_JOBS))
            + f" {measured.seconds:9.3g} {measured.peak / 1e6:8.0f}"
            f" {measured.gap:8.1e}"
        )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table", description="Time otdist beside its peers."
    )
    parser.add_argument("--what", choices=_TABLES, default="matrices")
    parser.add_argument("--quick", action="store_true", help="the smallest size, one run each")
    parser.add_argument("--n", type=int, nargs="+", help="default: all up to OTDIST_BENCH_MAX_N")
    parser.add_argument("--family", nargs="+", help="default: all")
    options = parser.parse_args(arguments)
    table = _TABLES[options.what]
    families = options.family or table.families
    if unknown := set(families) - set(table.families):
        parser.error(f"no such family: {', '.join(unknown)}; known: {', '.join(table.families)}")
    sizes = options.n or (table.sizes[:1] if options.quick else table.sizes)
    _say(_HEADER + (_COMPARED if table.peers else _ALONE))
    if table.peers:
        peers.warm_up()
    for n in sizes:
        if table.peers:
            _compare(table, families, n, options.quick)
        else:
            _measure(table, families, n)


if __name__ == "__main__":
    main()
