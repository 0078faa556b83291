"""Print otdist beside POT, family by family: ``python -m benchmarks.table``.

Both solve the same matrices to the optimum, in turn, in one process, on one thread;
otdist's time includes validation and certificate. Times are medians of 5 runs (3
above n = 2000), or single runs with ``--quick``.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from benchmarks import peers
from benchmarks.instances import FAMILIES, Instance, make

_HEADER = (
    f"{'family':22} {'n':>5} {'m':>5} {'d':>3} {'weights':8} {'p':>3} {'threads':>7}"
    f" {'POT s':>9} {'otdist s':>9} {'ratio':>6} {'gap':>8}"
)


def _row(family: str, instance: Instance, compared: peers.Comparison) -> str:
    n, m = instance.shape
    d = "-" if instance.d is None else str(instance.d)
    p = "-" if instance.p is None else f"{instance.p:g}"
    return (
        f"{family:22} {n:5} {m:5} {d:>3} {instance.weights:8} {p:>3}"
        f" {peers.threads():>7} {compared.pot:9.4f} {compared.otdist:9.4f}"
        f" {compared.ratio:6.2f} {compared.gap:8.1e}"
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table", description="Time otdist beside POT."
    )
    parser.add_argument("--quick", action="store_true", help="n = 250, one run each")
    parser.add_argument("--n", type=int, nargs="+", help="default 1000 2000 4000")
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=FAMILIES)
    options = parser.parse_args(arguments)
    sizes = options.n or ([250] if options.quick else [1000, 2000, 4000])
    peers.warm_up()
    _say(_HEADER)
    for n in sizes:
        ratios = {}
        for family in options.family:
            try:
                instance = make(family, n)
                repeats = 1 if options.quick else peers.rounds(n)
                compared = peers.compare(instance, repeats)
            except NotImplementedError as reason:
                _say(f"{family:22} {n:5} skipped: {reason}")
                continue
            _say(_row(family, instance, compared))
            ratios[family] = compared.ratio
        if ratios:
            worst = min(ratios, key=ratios.__getitem__)
            mean = statistics.geometric_mean(ratios.values())
            _say(
                f"n = {n}: geometric mean of POT / otdist {mean:.2f},"
                f" worst {ratios[worst]:.2f} ({worst})"
            )


if __name__ == "__main__":
    main()
