"""
What epsilon does
=================

How much does an entropic plan cost, compared with the optimal one? Sinkhorn's algorithm
adds ``epsilon`` times the relative entropy of the plan to the cost. A large ``epsilon``
blurs the plan; the certified bracket says what that costs.
"""

# %%
# One bump and two bumps on the line, and the squared distance as cost. ``epsilon`` is
# in cost units, so it is given here as a part of the mean cost of the product plan.

import matplotlib.pyplot as plt
import numpy as np

from otdist import Problem, sinkhorn_divergence, solve

plt.style.use("seaborn-v0_8-colorblind")

z = np.linspace(0, 1, 100)
a = np.exp(-0.5 * ((z - 0.35) / 0.1) ** 2)
b = np.exp(-0.5 * ((z - 0.45) / 0.06) ** 2) + np.exp(-0.5 * ((z - 0.8) / 0.05) ** 2)
a, b = a / a.sum(), b / b.sum()
problem = Problem(z, z, a, b, p=2)
exact = solve(problem)
mean_cost = a @ (z[:, None] - z) ** 2 @ b
print(f"optimal cost {exact.value:.6f}, mean cost {mean_cost:.6f}")

# %%
# Plans
# -----
#
# With the mean cost itself the plan is nearly a product of the two densities. As
# ``epsilon`` falls it concentrates on the optimal plan.

parts = [1, 0.03, 0.003]
plans = {}
for part in parts:
    result = solve(problem, method="sinkhorn", epsilon=part * mean_cost)
    plans[f"ε = {100 * part:g} % of the mean cost"] = result.plan.toarray()
plans["exact"] = exact.plan.toarray()

fig, axes = plt.subplots(
    1, 4, figsize=(12, 3.4), sharex=True, sharey=True, layout="constrained"
)
for ax, (name, plan) in zip(axes, plans.items(), strict=True):
    shown = np.sqrt(plan / plan.max())  # the root makes small entries visible
    ax.imshow(shown, origin="lower", cmap="cividis", extent=(0, 1, 0, 1))
    ax.set_title(name, fontsize=10)
    ax.set_xlabel("position in Q")
axes[0].set_ylabel("position in P")
plt.show()

# %%
# Cost
# ----
#
# ``value`` is the cost of the entropic plan, an upper bound of the optimum. ``lower``
# is proved from its potentials. ``regularized_value`` includes the entropy. The
# Sinkhorn divergence subtracts the same quantity of each measure with itself, so that
# it is 0 for equal measures.

parts = np.geomspace(1e-3, 10, 13)
lower, value, regularized, divergence = np.empty((4, len(parts)))
for k, part in enumerate(parts):
    epsilon = part * mean_cost
    result = solve(problem, method="sinkhorn", epsilon=epsilon)
    lower[k], value[k], regularized[k] = (
        result.lower,
        result.value,
        result.regularized_value,
    )
    divergence[k] = sinkhorn_divergence(z, z, a, b, epsilon=epsilon, p=2)
    bracket = f"[{result.lower:.6f}, {result.upper:.6f}]"
    print(f"ε = {part:7.3f} of the mean cost: optimum in {bracket}")

# sphinx_gallery_thumbnail_number = 2
fig, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
ax.fill_between(parts, lower, value, color="#e6e6e6", label="certified bracket")
ax.plot(parts, value, "o-", color="C0", label="value: cost of the plan")
ax.plot(parts, lower, "v-", color="C1", label="lower")
ax.plot(parts, regularized, "s-", color="C2", label="regularized_value")
ax.plot(parts, divergence, "d-", color="C3", label="Sinkhorn divergence")
ax.axhline(exact.value, color="black", ls="--", label="optimum")
ax.axhline(mean_cost, color="black", ls=":", label="mean cost: product plan")
ax.set(xscale="log", xlabel="epsilon / mean cost", ylabel="cost × mass (distance²)")
ax.legend(frameon=False, fontsize=9)
plt.show()

# %%
# For the value alone the exact method is the better choice here. If you want a bracket
# of a given width, write ``solve(problem, method="sinkhorn", tol=1e-3)`` and leave
# ``epsilon`` out. See :doc:`/guide/approximate`.
