"""Measure otdist beside its peers, and write the page that says so.

    python -m benchmarks.report [--most-n 2500] [--only KIND ...]
    python -m benchmarks.report --redraw

Each number is the time of the peer divided by that of otdist: medians of interleaved calls in one
process, on one thread, as in `benchmarks.everyday`. The numbers go to ``docs/_static/
benchmarks.json``, with the machine and the versions; the figure and ``docs/benchmarks.md`` are
made from that file, and from it alone with ``--redraw``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import easy_sinkhorn, everyday, peers
from otdist import js_distance, kl_divergence

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = ROOT / "docs/_static/benchmarks.json"
FIGURE = ROOT / "docs/_static/benchmarks.svg"
PAGE = ROOT / "docs/benchmarks.md"
LIBRARIES = ("numpy", "scipy", "numba", "POT", "fastjsd", "lapcpp", "laprust")

#: Ratios of one kind of calls at one size, by the name of the case.
Ratios = dict[str, float]
Measure = Callable[[int], Ratios]


def _of_cases(cases: Callable[[int], Any]) -> Measure:
    """Return a function that measures the cases of one size."""
    return lambda n: {name: everyday.ratio(ours, theirs) for name, ours, theirs in cases(n)}


def _sinkhorn(n: int) -> Ratios:
    """Measure entropic problems beside the faster of POT's two functions."""
    found, bench = {}, easy_sinkhorn.EasySinkhorn()
    for d in easy_sinkhorn.DIMENSIONS:
        for part in easy_sinkhorn.PARTS:
            bench.setup(n, d, part)
            found[f"d = {d}, ε = {part:g} × mean cost"] = bench.track_ratio_to_pot(n, d, part)
    return found


def _divergences(n: int) -> Iterator[everyday.Case]:
    """Yield divergences of histograms of n bins, beside SciPy."""
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import entropy

    p, q = np.random.default_rng([9, n]).dirichlet(np.ones(n), 2)
    yield "KL", lambda: kl_divergence(p, q), lambda: entropy(p, q)
    yield "JS", lambda: js_distance(p, q), lambda: jensenshannon(p, q)


class Kind(NamedTuple):
    """A kind of calls: what it is, what it is compared with, the sizes, and how."""

    title: str
    beside: str
    sizes: tuple[int, ...]
    measure: Measure


_ON_LINE = "`scipy.stats.wasserstein_distance`; POT's `wasserstein_1d` and `emd2_1d`"
_OF_POINTS = "POT's `dist` and `emd2`; SciPy's `cdist` and `linear_sum_assignment`"
_TITLES = {
    "line": ("Numbers on the line", _ON_LINE),
    "circle": ("Numbers on a circle", "POT's `wasserstein_circle`"),
    "histograms": ("Histograms on a line of bins", _ON_LINE),
    "clouds": ("Points", _OF_POINTS),
    "matrices": ("Cost matrices", "POT's `emd2`"),
    "squares": ("Assignments", "lapcpp and laprust, which prove nothing"),
    "stacks": ("200 cost matrices in one call", "a loop over POT's `emd2`; lapcpp's batch"),
    "many": ("All pairs of many measures", "a loop over POT's `emd2`"),
}
KINDS = {
    name: Kind(*titles, everyday.CASES[name][1], _of_cases(everyday.CASES[name][0]))
    for name, titles in _TITLES.items()
}
KINDS["sinkhorn"] = Kind(
    "Entropic distances, to a marginal error of 1e-5",
    "the faster of POT's `sinkhorn` and `sinkhorn_log`",
    easy_sinkhorn.SIZES,
    _sinkhorn,
)
KINDS["divergences"] = Kind(
    "Divergences", "SciPy's `entropy` and `jensenshannon`", everyday.SHORT, _of_cases(_divergences)
)


def _machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    versions = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def _processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def measure(kinds: list[str], most_n: int) -> dict[str, Any]:
    """Measure the kinds named, at sizes up to `most_n`, and keep others that are on file.

    What is measured is on file as soon as a kind is done.
    """
    known = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {"ratios": {}}
    ratios: dict[str, dict[str, Ratios]] = known["ratios"]
    peers.warm_up()
    for kind in kinds:
        ratios[kind] = {}
        for n in KINDS[kind].sizes:
            if n <= most_n:
                ratios[kind][str(n)] = KINDS[kind].measure(n)
                print(kind, n, min(ratios[kind][str(n)].values(), default=None), flush=True)
        known = {**_machine(), "ratios": {k: ratios[k] for k in KINDS if ratios.get(k)}}
        NUMBERS.write_text(json.dumps(known, indent=1) + "\n")
    return known


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    """Return a ratio; those below 1, where the peer is faster, are bold."""
    if value is None:
        return ""
    if value < 1:
        return f"**{value:.2f}**"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _table(sizes: dict[str, Ratios]) -> list[str]:
    """Return a table with a row for each case and a column for each size."""
    names = list(dict.fromkeys(name for cases in sizes.values() for name in cases))
    lines = [_row(["", *(f"n = {int(n):,}" for n in sizes)]), _row(["---", *["---:"] * len(sizes)])]
    for name in names:
        lines.append(_row([name, *(_number(cases.get(name)) for cases in sizes.values())]))
    for title, summary in (("*worst*", min), ("*geometric mean*", statistics.geometric_mean)):
        of_all = [_number(summary(cases.values())) for cases in sizes.values()]
        lines.append(_row([title, *of_all]))
    return lines


def _lost(ratios: dict[str, dict[str, Ratios]]) -> list[str]:
    """Return a line for each case in which the peer is faster."""
    found = [
        (value, f"- {KINDS[kind].title}, n = {int(n):,}, {name}: {value:.2f}")
        for kind, sizes in ratios.items()
        for n, cases in sizes.items()
        for name, value in cases.items()
        if value < 1
    ]
    return [text for _, text in sorted(found)]


_INTRODUCTION = """\
# Benchmarks

Every number on this page is the time of another library divided by the time of otdist, for the
same problem: 2 means that otdist takes half as long, and **bold** numbers below 1 that the other
library is faster. The time of otdist includes its certificate; the others have none.

Calls take turns in one process, on one thread; a number is the ratio of two medians of seven.
Peers run to the optimum (`numItermax=10**9` for POT). The families were chosen before the results
were seen, and all of them are in the tables. The machine has {cores} cores that others use too:
expect a tenth of noise.

{processor}. {versions}. Measured on {date} at commit {commit} by

```sh
pip install -e . --group bench
python -m benchmarks.report
```

```{{figure}} _static/benchmarks.svg
:alt: Ratio of times against the size, for each kind of calls.

Time of the peer / time of otdist against the size n: geometric mean, and the range from the worst
to the best case. Above the black line otdist is faster.
```

## Where another library is faster

{lost}
"""

_MORE = """\
## Other measurements

`benchmarks/` has [asv](https://asv.readthedocs.io) classes for time, peak memory and the certified
gap: 10⁵ points, images as points, growth with n, first calls, memory beyond the input.
`benchmarks/README.md` in the repository tells how to run and to read them.

```sh
asv run --python=same --quick
python -m benchmarks.table --what points
python -m benchmarks.against HEAD~1       # this checkout beside another commit
```
"""


def write_page(numbers: dict[str, Any]) -> None:
    """Write the page from the numbers."""
    versions = ", ".join(f"{name} {version}" for name, version in numbers["versions"].items())
    lost = "\n".join(_lost(numbers["ratios"])) or "In none of the cases measured."
    lines = [_INTRODUCTION.format(**{**numbers, "versions": versions}, lost=lost)]
    for kind, sizes in numbers["ratios"].items():
        title, beside = KINDS[kind].title, KINDS[kind].beside
        lines += [f"## {title}", "", f"Beside {beside}.", "", *_table(sizes), ""]
    PAGE.write_text("\n".join([*lines, _MORE]))


def draw(numbers: dict[str, Any]) -> None:
    """Draw the range and the mean of all kinds against the size."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    from otdist.plot.style import BLUE, tidy

    kinds = {kind: sizes for kind, sizes in numbers["ratios"].items() if len(sizes) > 1}
    figure = Figure(figsize=(9, 2.4 * -(-len(kinds) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(kinds) // 3), 3, squeeze=False).ravel()
    for axes, (kind, sizes) in zip(panels, kinds.items(), strict=False):
        n = [int(size) for size in sizes]
        values = [list(cases.values()) for cases in sizes.values()]
        axes.fill_between(
            n, [min(v) for v in values], [max(v) for v in values], alpha=0.25, color=BLUE
        )
        axes.plot(n, [statistics.geometric_mean(v) for v in values], "o-", ms=3, color=BLUE)
        axes.axhline(1, color="black", lw=0.8)
        axes.set(xscale="log", yscale="log", xlabel="n", ylabel="peer / otdist")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(KINDS[kind].title, fontsize=9)
        tidy(axes)
    for axes in panels[len(kinds) :]:
        axes.set_visible(False)
    figure.savefig(FIGURE, metadata={"Date": None})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description="Measure, and write docs/benchmarks.md."
    )
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--most-n", type=int, default=2500, help="largest size (default 2500)")
    parser.add_argument("--redraw", action="store_true", help="from the numbers on file")
    options = parser.parse_args(arguments)
    if options.redraw:
        numbers = json.loads(NUMBERS.read_text())
    else:
        numbers = measure(options.only, options.most_n)
    write_page(numbers)
    draw(numbers)


if __name__ == "__main__":
    main(sys.argv[1:])
