"""The program: see ``python -m tests.fuzz --help``."""

from __future__ import annotations

import argparse
import sys
from functools import partial
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
    report = work() if options.jobs == 1 else in_processes(work, options.jobs)
    sys.stdout.write(f"{report.table()}\n")
    if report.failure:
        sys.stdout.write(f"\n{report.failure}\n")
    return 1 if report.failure else 0


def in_processes(work: partial[Report], jobs: int) -> Report:
    """Run processes until the first that finds something wrong; add up what is reported."""
    total = None
    with get_context("spawn").Pool(jobs) as pool:  # leaving it ends the others
        for report in pool.imap_unordered(_run_job, [(work, job) for job in range(jobs)]):
            total = report if total is None else total.plus(report)
            if total.failure:
                break
    assert total is not None
    return total


def _run_job(task: tuple[partial[Report], int]) -> Report:
    work, job = task
    return work(job=job)


if __name__ == "__main__":
    sys.exit(main())
