"""
A hundred thousand points
=========================

What can be said about W1 of two clouds of 100 000 points in seconds? The matrix of all
distances would have 10¹⁰ entries. Pixels give a bracket that is proved, and it narrows
as they become smaller.
"""

# %%
# Two clouds of 100 000 points in the plane. The first one is drawn from a normal
# distribution, the second from three.

import matplotlib.pyplot as plt
import numpy as np

from otdist import Problem, solve, wasserstein_distance

plt.style.use("seaborn-v0_8-colorblind")

rng = np.random.default_rng(0)
n = 100_000
x = rng.normal(size=(n, 2))
centres = np.array([[1.5, 0.0], [-0.5, 1.2], [0.0, -1.5]])
y = centres[rng.integers(3, size=n)] + 0.5 * rng.normal(size=(n, 2))

# %%
# On the line, all points
# -----------------------
#
# Along one axis sorting is enough. The distance of the coordinates is a lower bound of
# the distance of the points.

by_axis = [wasserstein_distance(x[:, k], y[:, k]) for k in (0, 1)]
print(f"first coordinate {by_axis[0]:.6f}, second coordinate {by_axis[1]:.6f}")

# %%
# On pixels, with a proof
# -----------------------
#
# Move each point to the centre of its pixel. That costs the mean distance to the
# centre, for x and for y. By the triangle inequality W1 of the clouds differs from W1
# of the two images by no more than both costs together.


def bracket(n_pixels):
    """Return bounds of W1 of the clouds from images of n_pixels × n_pixels."""
    low = min(x.min(), y.min())
    step = (max(x.max(), y.max()) - low) / n_pixels
    images, cost = [], 0.0
    for points in (x, y):
        pixel = np.minimum((points - low) // step, n_pixels - 1).astype(int)
        image = np.zeros((n_pixels, n_pixels))
        np.add.at(image, tuple(pixel.T), 1 / n)
        images.append(image)
        cost += np.linalg.norm(points - (low + (pixel + 0.5) * step), axis=1).mean()
    result = solve(Problem.on_grid(*images, spacing=step))
    return max(result.lower - cost, 0), result.value, result.upper + cost, images


sizes = [8, 16, 32, 64, 128]
found = {size: bracket(size) for size in sizes}
for size, (lower, value, upper, _) in found.items():
    print(f"{size:3d} × {size:<3d} pixels: W1 in [{lower:.4f}, {upper:.4f}]")
    print(f"  W1 of the images {value:.4f}")

# %%
# A sample of 2000 points of each cloud is another way. It gives an estimate, too large
# on average, and no bracket.

sample = [
    wasserstein_distance(
        rng.choice(x, 2000, replace=False), rng.choice(y, 2000, replace=False)
    )
    for _ in range(5)
]
print("five samples of 2000:", ", ".join(f"{value:.4f}" for value in sample))

lower, value, upper = np.transpose([found[size][:3] for size in sizes])
fig = plt.figure(figsize=(11, 4), layout="constrained")
left, middle, right = fig.subplots(1, 3, width_ratios=[1, 1, 1.5])
finest = found[sizes[-1]][3]
for ax, image, name in ((left, finest[0], "P"), (middle, finest[1], "Q")):
    ax.imshow(image.T, origin="lower", cmap="cividis")
    ax.set(
        title=f"{name}, 128 × 128 pixels",
        xlabel="column (pixels)",
        ylabel="row (pixels)",
    )
right.fill_between(
    sizes, lower, upper, color="C0", alpha=0.25, label="bracket of W₁ of the clouds"
)
right.plot(sizes, value, "o-", color="C0", label="W₁ of the images")
right.plot(np.full(5, 200), sample, "x", color="C2", label="samples of 2000")
right.set(
    xscale="log", xlabel="pixels on a side", ylabel="W₁ (distance)", ylim=(0, None)
)
right.set_xticks([*sizes, 200], [*sizes, "sample"])
right.minorticks_off()
right.legend(frameon=False, loc="lower right")
plt.show()

# %%
# ``wasserstein_distance(x, y)`` also solves such clouds exactly, in memory proportional
# to the points; at this size that can take minutes. See :doc:`/guide/large`.
