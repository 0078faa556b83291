"""Run paths in turn for some time, and count what came of the problems."""

from __future__ import annotations

import math
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from .judge import Case, Violation
from .paths import PATHS
from .shrink import program, shrink

#: Columns of the table: statuses of results; bare numbers and brackets of `certify`; errors and
#: results that are not proved; weights that leave open whether a coupling exists.
COLUMNS = ("optimal", "as_exact_as_input", "converged", "number", "bracket")
COLUMNS += ("refused", "InputError", "infeasible", "undecided")
# Seconds of a path, before the next one has its turn.
_TURN = 0.5


class Report(NamedTuple):
    """Counts by path and outcome, seconds by path, and a program if something is wrong."""

    seed: int
    counts: dict[str, Counter[str]]
    seconds: Counter[str]
    failure: str = ""

    def plus(self, other: Report) -> Report:
        """Return both together."""
        counts = {path: self.counts[path] + other.counts[path] for path in self.counts}
        seconds = self.seconds + other.seconds
        return Report(self.seed, counts, seconds, self.failure or other.failure)

    @property
    def number(self) -> int:
        """The number of problems."""
        return sum(sum(counts.values()) for counts in self.counts.values())

    def table(self) -> str:
        """Return the counts as a table in Markdown, with the seed."""
        used = [name for name in COLUMNS if any(c[name] for c in self.counts.values())]
        names = ["path", "problems", "per second", *(name.replace("_", " ") for name in used)]
        lines = [f"| {' | '.join(names)} |", f"|---|{'--:|' * (len(names) - 1)}"]
        rows = {**self.counts, "all": sum(self.counts.values(), Counter[str]())}
        seconds = {**self.seconds, "all": sum(self.seconds.values())}
        for path, counts in rows.items():
            total = sum(counts.values())
            rate = total / seconds[path] if seconds.get(path) else 0.0
            cells = [path, f"{total:,}", f"{rate:.0f}", *(f"{counts[name]:,}" for name in used)]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join([*lines, "", f"Seed {self.seed}, {seconds['all']:.0f} s of one core."])


def run(
    seed: int,
    paths: Iterable[str] = PATHS,
    *,
    minutes: float = math.inf,
    cases: float = math.inf,
    job: int = 0,
    patience: float = 30,
) -> Report:
    """Check cases until the time is over, each path has had so many, or one is wrong.

    A seed and a job give the same sequence of cases on each path. `patience` is the time, in
    seconds, to make a case small.
    """
    names = list(paths)
    numbers = {name: list(PATHS).index(name) for name in names}
    streams = {name: np.random.default_rng([seed, job, numbers[name]]) for name in names}
    report, drawn = Report(seed, {name: Counter() for name in names}, Counter()), Counter[str]()
    end = time.monotonic() + 60 * minutes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while time.monotonic() < end and min(drawn[name] for name in names) < cases:
            for name in names:
                start, stop = time.process_time(), min(time.monotonic() + _TURN, end)
                while time.monotonic() < stop and drawn[name] < cases:
                    case = PATHS[name].draw(streams[name])
                    drawn[name] += 1
                    try:
                        report.counts[name].update(PATHS[name].check(case))
                    except Violation as violation:
                        return report._replace(failure=_minimal(name, case, violation, patience))
                report.seconds[name] += time.process_time() - start
    return report


def run_jobs(jobs: int, seed: int, paths: Iterable[str], minutes: float) -> Report:
    """Run processes until the first that finds something wrong; add up what is reported."""
    tasks = [(job, seed, list(paths), minutes) for job in range(jobs)]
    if jobs == 1:
        return _run_job(tasks[0])
    total = Report(seed, {name: Counter() for name in paths}, Counter())
    with get_context("spawn").Pool(jobs) as pool:  # leaving it ends the others
        for report in pool.imap_unordered(_run_job, tasks):
            total = total.plus(report)
            if total.failure:
                break
    return total


def _run_job(task: tuple[int, int, list[str], float]) -> Report:
    job, seed, paths, minutes = task
    return run(seed, paths, minutes=minutes, job=job)


def _minimal(name: str, case: Case, violation: Violation, seconds: float) -> str:
    """Return a program for the smallest case found that breaks the rule."""
    small, found = shrink(case, violation, PATHS[name].check, seconds)
    return f"# Path {name}; {case.family}.\n{program(small, found)}"
