"""The program: see ``python -m tests.fuzz --help``."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial, reduce
from multiprocessing import get_context

from .paths import PATHS
from .run import Report, run


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Compare answers to random problems with optima in rational arithmetic."
        " Stops at the first wrong one, prints it as a program, and exits with 1.",
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to run")
    parser.add_argument("--seed", type=int, default=0, help="of the random problems")
    parser.add_argument("--path", choices=PATHS, help="only this one; all in turn by default")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    paths = [options.path] if options.path else list(PATHS)
    work = partial(run, options.seed, paths, minutes=options.minutes)
    if options.jobs == 1:
        report = work()
    else:
        with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
            reports = pool.map(work_of, [(work, job) for job in range(options.jobs)])
            report = reduce(Report.plus, reports)
    sys.stdout.write(f"{report.table()}\n")
    if report.failure:
        sys.stdout.write(f"\n{report.failure}\n")
    return 1 if report.failure else 0


def work_of(task: tuple[partial[Report], int]) -> Report:
    """Run one of several processes."""
    work, job = task
    return work(job=job)


if __name__ == "__main__":
    sys.exit(main())
