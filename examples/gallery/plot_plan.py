"""
A plan in the plane
===================

Which point goes where? The answer depends on the order p. W1 has the least mean
distance, W2 the least mean squared distance, and W∞ the least longest distance. This
example solves all three for the same two clouds and draws the plans.
"""

# %%
# ``solve`` returns a ``Result``. Its ``plan`` is a sparse matrix: entry (i, j) is the
# mass that moves from point i to point j. ``lower`` and ``upper`` are a certified
# bracket of the optimal cost.

import matplotlib.pyplot as plt
import numpy as np

from otdist import Problem, solve
from otdist.plot import plot_plan

rng = np.random.default_rng(4)
x = rng.random((70, 2)) * [2, 1]
y = rng.random((70, 2)) * [2, 1] + [1, 0]

orders = {"W₁": 1, "W₂": 2, "W∞": np.inf}
results = {name: solve(Problem(x, y, p=p)) for name, p in orders.items()}
for name, result in results.items():
    plan = result.plan
    length = np.linalg.norm(x[plan.row] - y[plan.col], axis=1)
    root = np.sqrt(plan.data @ length**2)
    print(f"{name}: {result.status}, distance {result.distance:.4f}")
    mean, longest, n_short = plan.data @ length, length.max(), (length < 0.5).sum()
    print(
        f"  moved: mean {mean:.4f}, root mean square {root:.4f}, longest {longest:.4f},"
    )
    print(f"  {n_short} of {len(length)} arcs are shorter than 0.5")

# %%
# Each plan is the best by its own measure. The two clouds overlap in the middle. For W₁
# only the sum of the distances counts: mass of the middle moves little, and other mass
# moves far. For W₂ a long way is dear, so that most points move by about the same
# distance. W∞ limits the longest move, and any arc within that limit will do. In the W₁
# plan no two arcs cross: with their ends swapped, two crossing arcs would be shorter
# together.

fig, axes = plt.subplots(3, 1, figsize=(7, 9), layout="constrained")
for ax, (name, result) in zip(axes, results.items(), strict=True):
    plot_plan(result.plan, x, y, ax=ax)
    ax.set_title(f"{name} = {result.distance:.4f}")
plt.show()

# %%
# The proof
# ---------
#
# The bracket comes from a checker that shares no code with the solver.

for name, result in results.items():
    print(f"{name}: [{result.lower!r}, {result.upper!r}]")

# %%
# See :doc:`/guide/exact` and :doc:`/guide/certificates`.
