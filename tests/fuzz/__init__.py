"""Random problems whose optimum is known exactly: ``python -m tests.fuzz --help``.

Whatever the library returns for them is compared with the optimum in rational arithmetic.
`families` draws weights, costs and points, `truth` has the exact optimum, `judge` asks the
library and compares, `paths` joins the three for each way through the library, and `shrink`
makes a case that fails as small as it can be.
"""
