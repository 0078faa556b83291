"""
Parallel lines
==============

How far apart are two distributions that have no point in common? The example of the
Wasserstein GAN paper answers it with two parallel lines. KL divergence, JS divergence
and total variation cannot tell a near line from a far one; W1 is the distance between
the lines.
"""

# %%
# P is uniform on a vertical line of length 1. Q is the same line at a distance θ. One
# hundred points stand for each line. ``separations`` moves Q and compares the two at
# each offset.

import matplotlib.pyplot as plt
import numpy as np

from otdist.comparison import separations
from otdist.plot import plot_demo, plot_separation

z = (np.arange(100) + 0.5) / 100
line = np.column_stack([np.zeros(100), z])
rows = separations(line, line, offsets=np.linspace(-1, 1, 21))
for row in rows[10::2]:
    values = f"W1 {row.w1:.3f}  JS {row.js:.4f}  KL {row.kl}  TV {row.tv:g}"
    print(f"θ = {row.theta:.1f}:  {values}")

# %%
# JS is log 2 = 0.6931 for every θ except 0. Its slope is 0 wherever it has one, so it
# cannot say in which direction to move. W1 is \|θ\|: its slope leads to θ = 0.

fig, axes = plt.subplots(
    1, 2, figsize=(10, 4.6), width_ratios=[1, 2.5], layout="constrained"
)
plot_demo(rows, ax=axes)
plt.show()

# %%
# Where the supports overlap
# --------------------------
#
# On a common support JS works. Here are two histograms with the shape of a triangle, 21
# bins wide, with a bin every 1/16. Q moves to the right by whole bins. While the
# triangles overlap, JS and W1 both grow. From 21 bins on, an offset of 1.3125, they
# have no bin in common: JS stays at log 2, and W1 goes on with slope 1.

bins = np.arange(21) / 16
triangle = 11.0 - np.abs(np.arange(21) - 10)
offsets = np.arange(41) / 16
rows = separations(bins, bins, triangle, triangle, offsets=offsets, normalize=True)
for row in rows[::5]:
    print(f"offset {row.theta:.4f}:  W1 {row.w1:.4f}  JS {row.js:.4f}  KL {row.kl:.4g}")

# %%
# The dashed line is the mean slope of the best critic on P. At a bin that P and Q
# share, the critic has a corner, which counts as slope 0. Once nothing is shared, its
# slope is 1 everywhere on P.

fig, axes = plt.subplots(2, 1, figsize=(7, 6), sharex=True, layout="constrained")
plot_separation(rows, ax=axes)
plt.show()

# %%
# Source: M. Arjovsky, S. Chintala and L. Bottou, "Wasserstein generative adversarial
# networks", ICML 2017, example 1. See also :doc:`/guide/disjoint-supports`.
