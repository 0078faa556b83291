"""
A plan of POT's, certified
==========================

How good is a plan that another library returns? ``certify`` takes the plan, and
potentials if there are any, and returns a bracket of the optimal cost. It does not
matter how the plan was made.
"""

# %%
# Two clouds of 200 points, and their matrix of squared distances. ``ot.emd`` solves the
# problem, and its log has the potentials. (POT is the package ``POT``, imported as
# ``ot``.)

import matplotlib.pyplot as plt
import numpy as np
import ot

from otdist import Problem, certify

plt.style.use("seaborn-v0_8-colorblind")

rng = np.random.default_rng(0)
n = 200
x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) * [1.5, 0.6] + [1.0, 0.5]
a = b = np.full(n, 1 / n)
cost = ot.dist(x, y)
problem = Problem.from_cost(cost, a, b)

plan, log = ot.emd(a, b, cost, log=True)
certificate = certify(problem, plan, log["u"], log["v"])
print("ot.emd:", certificate.verdict)
optimum = certificate.value

# %%
# Entropic plans
# --------------
#
# ``ot.sinkhorn`` stops when its marginals are nearly right. Its potentials are ``reg *
# log(u)``. The bracket tells how far the cost of the plan may be from the optimum.

parts = np.array([1, 0.3, 0.1])
lower, upper = np.empty((2, len(parts)))
for k, part in enumerate(parts):
    reg = part * cost.mean()
    plan, log = ot.sinkhorn(a, b, cost, reg, stopThr=1e-11, numItermax=10_000, log=True)
    found = certify(problem, plan, reg * np.log(log["u"]), reg * np.log(log["v"]))
    lower[k], upper[k] = found.lower, found.upper
    print(f"reg = {100 * part:4.3g} % of the mean cost: {found.verdict}")

# %%
# A plan that is no coupling
# --------------------------
#
# After five iterations the marginals are off. ``certify`` says so; its upper end is the
# cost of the plan with its marginals put right.

reg = parts[-1] * cost.mean()
plan, log = ot.sinkhorn(a, b, cost, reg, numItermax=5, warn=False, log=True)
early = certify(problem, plan, reg * np.log(log["u"]), reg * np.log(log["v"]))
print("after five iterations:", early.verdict)
print(f"sum of plan * cost as returned: {np.sum(plan * cost):.6f}")
print(f"optimum:                        {optimum:.6f}")

names = ["ot.emd"] + [f"ot.sinkhorn, {100 * part:.3g} %" for part in parts]
names.append("the last, after 5 iterations")
low = np.array([certificate.lower, *lower, early.lower])
high = np.array([certificate.upper, *upper, early.upper])
position = np.arange(len(names))
fig, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
ax.hlines(
    position, low, high, color="C0", lw=6, label="certified bracket of the optimum"
)
ax.plot(high, position, "|", color="C0", ms=16, mew=2)
ax.plot(low, position, "|", color="C0", ms=16, mew=2)
ax.axvline(optimum, color="black", ls="--", lw=1, label="optimum")
ax.set_yticks(position, names)
ax.invert_yaxis()
ax.set_xlabel("cost × mass (distance²)")
fig.legend(frameon=False, loc="outside upper center", ncols=2)
plt.show()

# %%
# See :doc:`/guide/certify-a-plan` and :doc:`/coming-from/pot`. Source of
# ``ot.sinkhorn``: M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal
# transport", NeurIPS 2013.
