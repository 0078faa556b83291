"""The program: see ``python -m tests.fuzz --help``."""

from __future__ import annotations

import argparse
import sys

from .paths import PATHS
from .run import run_jobs


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
    report = run_jobs(options.jobs, options.seed, paths, options.minutes)
    sys.stdout.write(f"{report.table()}\n")
    if report.failure:
        sys.stdout.write(f"\n{report.failure}\n")
    return 1 if report.failure else 0


if __name__ == "__main__":
    sys.exit(main())
