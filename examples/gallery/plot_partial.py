"""
Partial matching
================

What if some points have no partner? W1 must move all mass, outliers too.
``Problem.partial`` leaves mass where it is, for a price: nothing moves at a cost above
twice the price.
"""

# %%
# A first image shows forty stars. A second one is noisy, misses six of them and has ten
# false detections.

import matplotlib.pyplot as plt
import numpy as np

from otdist import Problem, solve

plt.style.use("seaborn-v0_8-colorblind")

rng = np.random.default_rng(0)
stars = 100 * rng.random((40, 2))
n_seen = 34
x = stars
y = np.vstack(
    [
        stars[:n_seen] + rng.normal(scale=1.0, size=(n_seen, 2)),
        100 * rng.random((10, 2)),
    ]
)
a, b = np.ones(len(x)), np.ones(len(y))


def matched(price):
    """Return pairs (i, j) that are matched at a price, and the result."""
    result = solve(Problem.partial(x, y, a, b, price=price))
    plan = result.plan
    return plan.row[plan.data > 0.5], plan.col[plan.data > 0.5], result


# %%
# The price decides how far a star may seem to have moved: at most twice the price. The
# right pairs are known here, as star i is detection i.

prices = [0.5, 2, 20]
fig, axes = plt.subplots(
    1, 3, figsize=(12, 4.2), sharex=True, sharey=True, layout="constrained"
)
for ax, price in zip(axes, prices, strict=True):
    rows, columns, result = matched(price)
    n_right = np.sum((rows == columns) & (columns < n_seen))
    print(
        f"price {price:4}: {len(rows)} pairs, {n_right} of them right;"
        f" cost in [{result.lower:.6f}, {result.upper:.6f}]"
    )
    left_x, left_y = result.unmatched
    for i, j in zip(rows, columns, strict=True):
        ax.plot(*zip(x[i], y[j], strict=True), color="#555555", lw=1.2)
    ax.scatter(
        *x.T,
        s=36,
        c=np.where(left_x > 0.5, "none", "#0072B2"),
        ec="#0072B2",
        label="first",
    )
    ax.scatter(
        *y.T,
        s=30,
        c=np.where(left_y > 0.5, "none", "#D55E00"),
        ec="#D55E00",
        marker="^",
        label="second",
    )
    ax.set(
        title=f"price {price}: {len(rows)} pairs", xlabel="x (arcsec)", aspect="equal"
    )
axes[0].set_ylabel("y (arcsec)")
fig.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=2,
    frameon=False,
    title="hollow: left without a partner",
)
plt.show()

# %%
# Which price?
# ------------
#
# Over a range of prices, above the noise and below the distances of unrelated points,
# the number of pairs does not change.

prices = np.geomspace(0.2, 60, 40)
counts, rights = np.empty((2, len(prices)))
for k, price in enumerate(prices):
    rows, columns, _ = matched(price)
    counts[k] = len(rows)
    rights[k] = np.sum((rows == columns) & (columns < n_seen))
# sphinx_gallery_thumbnail_number = 2
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(prices, counts, "o-", color="C2", label="pairs")
ax.plot(prices, rights, "s-", color="C0", label="right pairs")
ax.axhline(n_seen, color="black", ls="--", label="stars seen twice")
ax.set(xscale="log", xlabel="price (arcsec)", ylabel="count", ylim=(0, 45))
ax.legend(frameon=False, loc="lower right")
plt.show()
same = prices[counts == 35]
print(f"35 pairs at prices from {same.min():.2f} to {same.max():.2f}")
print(f"right pairs: at most {rights.max():.0f} of {n_seen}")

# %%
# See :doc:`/guide/unequal-mass`.
