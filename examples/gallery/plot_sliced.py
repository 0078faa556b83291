"""
Distances along directions
==========================

In which direction do two clouds differ? Projected on a line, points are numbers, and W2
is found by sorting. The sliced distance is the mean over all directions, the max-sliced
distance the largest value.
"""

# %%
# Two clouds with the same mean. One is long and narrow, the other consists of two
# groups. One call computes W2 along 181 directions.

import matplotlib.pyplot as plt
import numpy as np

from otdist import wasserstein_distance
from otdist.sliced import max_sliced_wasserstein_distance, sliced_wasserstein_estimate

plt.style.use("seaborn-v0_8-colorblind")

rng = np.random.default_rng(0)
n = 400
x = rng.normal(size=(n, 2)) * [2.0, 0.5]
y = rng.normal(size=(n, 2)) * 0.5 + np.where(np.arange(n) < n // 2, 1.6, -1.6)[
    :, None
] * [0.5, 1.0]
x, y = x - x.mean(axis=0), y - y.mean(axis=0)

angle = np.linspace(0, np.pi, 181)
directions = np.array([np.cos(angle), np.sin(angle)])
along = wasserstein_distance(x @ directions, y @ directions, p=2, axis=0)

mean, error = sliced_wasserstein_estimate(x, y, p=2, n_projections=512, rng=0)
found = max_sliced_wasserstein_distance(x, y, p=2, rng=0)
full = wasserstein_distance(x, y, p=2)
print(f"along 181 directions: from {along.min():.4f} to {along.max():.4f}")
print(f"sliced:     {mean:.4f}, standard error {error:.4f}")
best = np.arctan2(*found.direction[::-1])
print(f"max-sliced: {found.value:.4f}, at {np.degrees(best):.1f}°")
print(f"W2:         {full:.4f}")

# %%
# The mean is at most the largest value, and the largest value is at most W2 of the
# clouds. W2 along each direction is proved; the mean over all directions is an
# estimate, with its standard error.

fig = plt.figure(figsize=(10, 4.4), layout="constrained")
left = fig.add_subplot(1, 2, 1)
left.scatter(*x.T, s=9, color="C0", label="P")
left.scatter(*y.T, s=9, color="C2", marker="^", label="Q")
left.axline(
    (0, 0), found.direction, color="black", ls="--", label="direction of the largest"
)
left.set(
    xlabel="first coordinate", ylabel="second coordinate", xlim=(-6, 6), ylim=(-5, 5)
)
left.set_aspect("equal")
left.legend(frameon=False, fontsize=9, loc="upper left")
right = fig.add_subplot(1, 2, 2, projection="polar")
turn = np.concatenate([angle, angle + np.pi])
right.plot(turn, np.tile(along, 2), color="C0", label="W₂ along the direction")
right.plot(turn, np.full_like(turn, mean), color="C1", ls="-.", label="sliced: mean")
right.plot(
    turn, np.full_like(turn, full), color="C2", ls=":", lw=2, label="W₂ of the clouds"
)
right.plot([best, best + np.pi], [found.value] * 2, "ko", label="max-sliced")
right.set_title("W₂ (distance) by direction", fontsize=10)
right.set_yticks([0.5, 1, 1.5])
right.set_rlabel_position(22)
right.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.1, 0.5))
plt.show()

# %%
# See :doc:`/guide/approximate`.
