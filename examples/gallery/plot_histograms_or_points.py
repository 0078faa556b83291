"""
Histograms are not points
=========================

Why is the distance of two clearly different histograms 0? The most common mistake is to
pass the heights of the bars where points are expected. otdist warns, and this example
shows what it then computes, and what to write instead.
"""

# %%
# The marks of two classes in an exam, from 1 to 10. The second class does better by
# three marks.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from otdist import InputWarning, Problem, emd, solve, wasserstein_distance

plt.style.use("seaborn-v0_8-colorblind")

marks = np.arange(1, 11)
first = np.array([0.05, 0.15, 0.3, 0.25, 0.15, 0.07, 0.03, 0, 0, 0])
second = np.roll(first, 3)

# %%
# The mistake
# -----------
#
# A vector is read as points on the line, each of equal weight. The heights of the two
# histograms are the same ten numbers in another order, so their distance is 0.

with warnings.catch_warnings(record=True, action="always") as caught:
    mistake = wasserstein_distance(first, second)
print(f"wasserstein_distance(first, second) = {mistake}")
print(f"{caught[0].category.__name__}: {caught[0].message}")

# %%
# What to write
# -------------
#
# Points are the positions of the bins, and the heights are weights. ``emd`` takes
# histograms and the matrix of costs. SciPy has the same order of arguments, and gives
# no warning for the mistake.

answer = wasserstein_distance(marks, marks, first, second)
cost = np.abs(marks[:, None] - marks)
print(f"wasserstein_distance(marks, marks, first, second) = {answer:.9g} marks")
print(f"emd(first, second, cost) = {emd(first, second, cost):.9g} marks")
print(f"SciPy: {stats.wasserstein_distance(marks, marks, first, second):.9g} marks")
print(f"SciPy with the mistake: {stats.wasserstein_distance(first, second):.9g}")

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.bar(marks - 0.2, first, 0.4, color="C0", label="first class")
left.bar(marks + 0.2, second, 0.4, color="C2", label="second class")
left.set(
    xlabel="mark", ylabel="share of the class", title=f"meant: W₁ = {answer:.3g} marks"
)
left.set_xticks(marks)
left.legend(frameon=False)
right.scatter(
    first, np.full(10, 1), color="C0", alpha=0.5, s=60, label="heights of the first"
)
right.scatter(
    second, np.full(10, 0), color="C2", alpha=0.5, s=60, label="heights of the second"
)
right.set(xlabel="height of a bar, read as a position", ylim=(-0.6, 1.9))
right.set_title(f"computed by mistake: W₁ = {mistake:.3g}")
right.set_yticks([])
right.legend(frameon=False, loc="upper center", ncols=2)
plt.show()

# %%
# Images
# ------
#
# Two grey images of one shape are the same mistake in two dimensions: rows would be
# read as points. ``Problem.on_grid`` takes images. To turn the warning into an error,
# filter it.

A, B = np.zeros((2, 16, 16))
A[4:8, 4:8] = B[7:11, 8:12] = (
    1  # a square, and the same 3 rows down and 4 columns to the right
)
with warnings.catch_warnings():
    warnings.simplefilter("error", InputWarning)
    try:
        wasserstein_distance(A, B)
    except InputWarning as warning:
        print(warning)
print(f"on_grid: {solve(Problem.on_grid(A, B, normalize=True)).value:.9g} pixels")

# %%
# See :doc:`/guide/input`.
