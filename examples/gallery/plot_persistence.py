"""
Persistence diagrams by one extra atom
======================================

How can two sets of different size be matched, if each point may also be left unmatched
at a price of its own? Distances of persistence diagrams ask for that: a point may go to
the diagonal. One extra atom on each side turns it into a problem for
``Problem.from_cost``.
"""

# %%
# The valleys of a signal
# -----------------------
#
# Raise the water level from below. A valley is born at its lowest point, and dies where
# its lake meets that of a deeper valley. Each pair (birth, death) is a point of the
# diagram; shallow valleys are near the diagonal.

import matplotlib.pyplot as plt
import numpy as np

from otdist import Problem, solve

plt.style.use("seaborn-v0_8-colorblind")


def diagram(signal):
    """Return births and deaths of the valleys of a signal, but for the deepest."""
    parent, pairs = {}, []

    def lowest(i):
        while parent[i] != i:
            i = parent[i]
        return i

    for i in np.argsort(signal, kind="stable"):
        parent[i] = i
        for j in (i - 1, i + 1):
            if j in parent:
                deep, shallow = sorted((lowest(i), lowest(j)), key=lambda k: signal[k])
                if signal[shallow] < signal[i]:
                    pairs.append((signal[shallow], signal[i]))
                parent[shallow] = deep
    return np.array(pairs)


rng = np.random.default_rng(3)
t = np.linspace(0, 1, 120)
clean = np.sin(9 * np.pi * t) * (0.4 + t) + 0.8 * np.cos(2 * np.pi * t)
noisy = clean + rng.uniform(-0.25, 0.25, len(t))
x, y = diagram(clean), diagram(noisy)
print(f"{len(x)} pairs of the clean signal, {len(y)} of the noisy one")

# %%
# One extra atom
# --------------
#
# The extra atom of either side stands for the diagonal. A point (b, d) reaches it at a
# cost of (d − b) / 2, and from diagonal to diagonal is free. The extra atom has room
# for all points of the other side.


def with_diagonal(x, y):
    """Return costs and weights of two diagrams; the diagonal is the last atom."""
    cost = np.zeros((len(x) + 1, len(y) + 1))
    cost[:-1, :-1] = np.abs(x[:, None] - y).max(axis=2)
    cost[:-1, -1] = (x[:, 1] - x[:, 0]) / 2
    cost[-1, :-1] = (y[:, 1] - y[:, 0]) / 2
    return cost, np.append(np.ones(len(x)), len(y)), np.append(np.ones(len(y)), len(x))


cost, a, b = with_diagonal(x, y)
first = solve(Problem.from_cost(cost, a, b))
bottleneck = solve(Problem.from_cost(cost, a, b, p=np.inf))
print(f"1-Wasserstein distance {first.value:.4f}, gap {first.gap:.1e}")
print(f"bottleneck distance    {bottleneck.value:.4f}, gap {bottleneck.gap:.1e}")
print(f"largest difference of the signals {np.abs(clean - noisy).max():.4f}")

# %%
# The bottleneck distance is at most the largest difference of the two signals: diagrams
# are stable (Cohen-Steiner, Edelsbrunner and Harer, 2007). In the figure the deep
# valleys of the noisy signal are matched with those of the clean one, and the shallow
# ones go to the diagonal.

plan = first.plan
matched = (plan.row < len(x)) & (plan.col < len(y))
print(f"{matched.sum()} pairs are matched, {(~matched).sum() - 1} go to the diagonal")
points = np.vstack([x, [np.nan, np.nan]]), np.vstack([y, [np.nan, np.nan]])
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
left.plot(t, noisy, color="C2", label="noisy")
left.plot(t, clean, color="C0", label="clean")
left.set(xlabel="time (s)", ylabel="height (m)")
left.legend(frameon=False)
low, high = min(clean.min(), noisy.min()), max(clean.max(), noisy.max())
right.plot([low, high], [low, high], color="#555555", lw=1, label="diagonal")
for i, j in zip(plan.row, plan.col, strict=True):
    if i == len(x) and j == len(y):
        continue
    start, end = points[0][i], points[1][j]
    start = np.full(2, end.mean()) if i == len(x) else start
    end = np.full(2, start.mean()) if j == len(y) else end
    right.plot(*zip(start, end, strict=True), color="#555555", lw=1)
right.scatter(*x.T, color="C0", marker="o", s=50, label="clean", zorder=3)
right.scatter(*y.T, color="C2", marker="^", s=35, label="noisy", zorder=4)
right.set(xlabel="birth (m)", ylabel="death (m)", aspect="equal")
right.legend(frameon=False, loc="lower right")
plt.show()

# %%
# Source: D. Cohen-Steiner, H. Edelsbrunner and J. Harer, "Stability of persistence
# diagrams", Discrete & Computational Geometry 37, 2007. See also
# :doc:`/coming-from/gudhi`.
