"""
An image that becomes another
=============================

What lies between two images? A cross-fade shows both at once. Along the optimal plan
for W2 every bit of mass moves on a straight line instead, and the image changes its
shape. The frames are equally spaced in the W2 distance.
"""

# %%
# Two images of 48 × 48 pixels: a ring, and a cross in the opposite corner.
# ``Problem.on_grid`` takes one weight for each pixel, and distances are in pixels.

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

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
print(
    result.status,
    f"W2 = {result.distance:.3f} pixels, relative gap {result.relative_gap:.1e}",
)

# %%
# The plan is a list of arcs. At time t the mass of an arc has gone the part t of its
# way, and is counted in the pixel where it then is. A blur of one pixel hides the gaps
# between the arcs.

pixels = np.stack([row.ravel(), column.ravel()], axis=1)
plan = result.plan


def places(t):
    """Return where the mass of each arc is at time t."""
    return (1 - t) * pixels[plan.row] + t * pixels[plan.col]


def frame(t):
    """Return the image at time t."""
    edges = np.arange(side + 1) - 0.5
    image, _, _ = np.histogram2d(*places(t).T, bins=(edges, edges), weights=plan.data)
    return gaussian_filter(image, 1)


times = [0, 0.25, 0.5, 0.75, 1]
shown = {"cmap": "cividis", "vmin": 0, "vmax": max(frame(0).max(), frame(1).max())}
fig, axes = plt.subplots(2, 5, figsize=(11, 4.8), layout="constrained")
for above, below, t in zip(*axes, times, strict=True):
    above.imshow(frame(t), **shown)
    below.imshow((1 - t) * frame(0) + t * frame(1), **shown)
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
# Moved along an optimal plan, the mass at time t is t · W2 away from the start: the
# path is a shortest one. The solver confirms it.

start = ring.ravel() > 0
for t in times[1:]:
    moved = Problem(pixels[start], places(t), ring.ravel()[start], plan.data, p=2)
    expected = t * result.distance
    print(f"t = {t:4g}: {solve(moved).distance:7.4f} pixels, t · W2 = {expected:7.4f}")

# %%
# Source: R. J. McCann, "A convexity principle for interacting gases", Advances in
# Mathematics 128, 1997. See also :doc:`/guide/moving-points`.
