"""
Two Gaussians
=============

How close does the distance of two samples come to the distance of the distributions
behind them? For two normal distributions W2 has a closed form. This example compares it
with the exact solver on samples of growing size.
"""

# %%
# Closed forms
# ------------
#
# ``bures_wasserstein_distance`` is W2 of two normal distributions, given by means and
# covariances. ``otdist.gaussian`` has the divergences.

import matplotlib.pyplot as plt
import numpy as np

from otdist import (
    Problem,
    bures_wasserstein_distance,
    gaussian,
    solve,
    wasserstein_distance,
)
from otdist.plot import plot_plan

plt.style.use("seaborn-v0_8-colorblind")

mean_p, covariance_p = np.array([0.0, 0.0]), np.array([[1.0, 0.6], [0.6, 0.5]])
mean_q, covariance_q = np.array([0.6, 0.2]), np.array([[0.4, -0.3], [-0.3, 1.2]])
both = mean_p, covariance_p, mean_q, covariance_q

truth = bures_wasserstein_distance(*both)
print(f"W2        {truth:.4f}")
print(f"KL(P|Q)   {gaussian.kl_divergence(*both):.4f} nats")
print(f"KL(Q|P)   {gaussian.kl_divergence(*both[2:], *both[:2]):.4f} nats")
print(f"Hellinger {gaussian.hellinger_distance(*both):.4f}, at most 1")

# %%
# The solver
# ----------
#
# W2 of two samples is exact for the samples. For the distributions it is an estimate:
# it is too large on average, and the excess shrinks as n grows.

rng = np.random.default_rng(0)
sizes = [25, 50, 100, 200, 400, 800, 1600]
n_repeats = 20
values = np.empty((len(sizes), n_repeats))
for i, n in enumerate(sizes):
    for k in range(n_repeats):
        x = rng.multivariate_normal(mean_p, covariance_p, n)
        y = rng.multivariate_normal(mean_q, covariance_q, n)
        values[i, k] = wasserstein_distance(x, y, p=2)
    print(f"n = {n:4d}: mean {values[i].mean():.4f}, truth {truth:.4f}")

# %%
# Left: two samples of 80 points and the optimal plan. Right: W2 of the samples, with
# the range of 20 repetitions, and the closed form.

x = rng.multivariate_normal(mean_p, covariance_p, 80)
y = rng.multivariate_normal(mean_q, covariance_q, 80)
result = solve(Problem(x, y, p=2))

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
plot_plan(result.plan, x, y, ax=left)
right.fill_between(
    sizes, values.min(axis=1), values.max(axis=1), alpha=0.25, label="range"
)
right.plot(sizes, values.mean(axis=1), "o-", label="mean of samples")
right.axhline(truth, color="black", ls="--", label="closed form")
right.set(xscale="log", xlabel="points in each sample, n", ylabel="W₂ (distance)")
right.set_xticks(sizes, sizes, minor=False)
right.minorticks_off()
right.set_title("exact solver on samples")
right.legend(frameon=False)
plt.show()

# %%
# An interval that holds W1 of the distributions is in
# :ref:`sphx_glr_gallery_plot_interval.py`.
