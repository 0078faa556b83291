"""
An image that becomes another
=============================

What lies between two images? A cross-fade shows both at once. Along the optimal plan for W2 every
bit of mass moves on a straight line instead, and the image changes its shape. The frames are
equally spaced in the W2 distance.
"""

# %%
# Two images of 48 × 48 pixels: a ring, and a cross in the opposite corner. ``Problem.on_grid``
# takes one weight for each pixel, and distances are in pixels.

import matplotlib.pyplot as plt
import numpy as np

from otdist import Problem, solve

side = 48
row, column = np.indices((side, side))
radius = np.hypot(row - 15, column - 15)
ring = np.exp(-0.5 * ((radius - 9) / 1.5) ** 2)
arms = np.minimum(np.abs(row - 33), np.abs(column - 33))
reach = np.maximum(np.abs(row - 33), np.abs(column - 33))
cross = np.exp(-0.5 * (arms / 1.5) ** 2) * (reach < 11)
for image in (ring, cross):
    image[image < 0.05] = 0
    image /= image.sum()

result = solve(Problem.on_grid(ring, cross, p=2))
print(result.status, f"W2 = {result.distance:.3f} pixels, relative gap {result.relative_gap:.1e}")

# %%
# The plan is a list of arcs. At time t the mass of an arc has gone the part t of its way. It is
# shared among the four nearest pixels.

pixels = np.stack([row.ravel(), column.ravel()], axis=1)
plan = result.plan


def places(t):
    """Return where the mass of each arc is at time t."""
    return (1 - t) * pixels[plan.row] + t * pixels[plan.col]


def frame(t):
    """Return the image at time t."""
    image = np.zeros((side + 1, side + 1))
    corner = np.floor(places(t)).astype(int)
    share = places(t) - corner
    for i in (0, 1):
        for j in (0, 1):
            part = np.abs(1 - i - share[:, 0]) * np.abs(1 - j - share[:, 1])
            np.add.at(image, (corner[:, 0] + i, corner[:, 1] + j), plan.data * part)
    return image[:side, :side]


times = [0, 0.25, 0.5, 0.75, 1]
fig, axes = plt.subplots(2, 5, figsize=(11, 4.8), layout="constrained")
for above, below, t in zip(*axes, times, strict=True):
    above.imshow(frame(t), cmap="cividis")
    below.imshow((1 - t) * ring + t * cross, cmap="cividis")
    above.set_title(f"t = {t:g}")
for ax in axes.ravel():
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("along the plan")
axes[1, 0].set_ylabel("cross-fade")
plt.show()

# %%
# Distances along the way
# -----------------------
#
# Moved along an optimal plan, the mass at time t is t · W2 away from the start: the path is a
# shortest one. The solver confirms it.

start = ring.ravel() > 0
for t in times:
    moved = Problem(pixels[start], places(t), ring.ravel()[start], plan.data, p=2)
    print(
        f"t = {t:4g}: {solve(moved).distance:7.4f} pixels, {t:g} · W2 = {t * result.distance:7.4f}"
    )

# %%
# Source: R. J. McCann, "A convexity principle for interacting gases", Advances in Mathematics
# 128, 1997. See also :doc:`/guide/moving-points`.
