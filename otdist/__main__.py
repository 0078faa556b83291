"""Run the command line with ``python -m otdist``."""

import sys

from otdist.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
