"""
The field of a critic
=====================

Where is one distribution denser than another, and which way does mass have to go? The
best critic of W1 answers both. It is a function that is high on P, low on Q, and
nowhere steeper than 1; the difference of its means is W1 itself.
"""

# %%
# ``kr_dual`` with McShane's extension returns the critic of the two clouds as a
# function on the whole plane. Its value is proved to be W1 of the clouds.

import matplotlib.pyplot as plt
import numpy as np

from otdist import kr_dual, lipschitz_lower, wasserstein_distance
from otdist.plot import plot_critic

rng = np.random.default_rng(1)
n = 150
angle = 2 * np.pi * rng.random(n)
x = 2 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.12 * rng.normal(size=(n, 2))
y = 0.35 * rng.normal(size=(n, 2)) + np.where(np.arange(n) < n // 2, -0.6, 0.6)[
    :, None
] * [1, 1]

critic = kr_dual(x, y, critic="mcshane")
print(f"mean on P minus mean on Q: {critic(x).mean() - critic(y).mean():.9f}")
print(f"W1 of the clouds:          {wasserstein_distance(x, y):.9f}")

# %%
# It is 1-Lipschitz by construction. A search for a pair of points with a larger slope
# finds none.

print(f"largest slope found: {lipschitz_lower(critic, np.vstack([x, y]), rng=0):.12f}")

# %%
# Left: level lines of the critic. Right: minus its gradient, the direction in which
# mass of P moves towards Q. Its length is 1 at every place of the grid: it does not
# fade with the distance.

fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
plot_critic(critic, x, y, ax=left)
grid = np.stack(
    np.meshgrid(np.linspace(-2.6, 2.6, 24), np.linspace(-2.6, 2.6, 24)), axis=-1
)
slope = critic.gradient(grid.reshape(-1, 2)).reshape(grid.shape)
right.quiver(
    *np.moveaxis(grid, -1, 0), *-np.moveaxis(slope, -1, 0), color="#555555", pivot="mid"
)
right.scatter(*x.T, s=14, color="#0072B2", label="P")
right.scatter(*y.T, s=14, color="#D55E00", marker="^", label="Q")
right.set(
    xlabel="first coordinate", ylabel="second coordinate", title="minus the gradient"
)
right.set_aspect("equal")
right.legend(frameon=True, fontsize=9, loc="upper right")
plt.show()

length = np.linalg.norm(slope, axis=-1)
print(f"length of the gradient: from {length.min():.12f} to {length.max():.12f}")

# %%
# Source: E. J. McShane, "Extension of range of functions", Bulletin of the American
# Mathematical Society 40, 1934. See also :doc:`/guide/disjoint-supports`.
