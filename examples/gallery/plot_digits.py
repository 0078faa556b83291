"""
Neighbours and clusters of digits
=================================

Which handwritten digits look alike? An image of 8 × 8 pixels is a distribution of ink
over the pixels, and W1 is how far the ink must move. The matrix of exact distances goes
to scikit-learn as ``metric="precomputed"`` and to SciPy in its condensed format.
"""

# %%
# ``pairwise`` fills the matrix in compiled code. Every entry is proved.
# ``normalize=True`` gives each image the same total, so that only the shape counts.

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import dendrogram, fcluster, linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier

from otdist import pairwise

plt.style.use("seaborn-v0_8-colorblind")

digits = load_digits()
count = 300  # all 1797 images are 1.6 million distances: that takes about half a minute
images, labels = digits.images[:count], digits.target[:count]
pixels = np.indices((8, 8)).reshape(2, -1).T
weights = images.reshape(count, -1)

condensed = pairwise(weights, support=pixels, normalize=True, condensed=True)
nearest, farthest = condensed.min(), condensed.max()
print(f"{len(condensed)} distances, from {nearest:.3f} to {farthest:.3f} pixels")

# %%
# A tree of thirty digits
# -----------------------
#
# Average linkage joins the nearest groups first. The images are at the leaves.

few = 30
tree = linkage(
    squareform(squareform(condensed)[:few, :few]), "average", optimal_ordering=True
)
fig, (above, below) = plt.subplots(
    2, 1, figsize=(10, 4), height_ratios=[11, 1], layout="constrained"
)
found = dendrogram(
    tree, ax=above, no_labels=True, color_threshold=0, above_threshold_color="C0"
)
above.set_ylabel("W₁ (pixels)")
above.spines[["top", "right", "bottom"]].set_visible(False)
strip = np.zeros((8, 10 * few))
for k, leaf in enumerate(found["leaves"]):
    strip[:, 10 * k + 1 : 10 * k + 9] = images[leaf]
below.imshow(strip, cmap="gray_r", aspect="auto", interpolation="nearest")
below.set_axis_off()
plt.show()

# %%
# How many images need a label?
# -----------------------------
#
# Some of the images have labels, and each of the others takes the label of its nearest
# neighbour. The Euclidean distance of the pixels is the other candidate. The mean is
# over 30 random choices of the labelled images. On these images, which are small and
# centred, the pixels do slightly better at each number of labels.

matrices = {
    "W₁": squareform(condensed),
    "Euclidean distance of the pixels": squareform(pdist(weights)),
}
sizes = [10, 20, 40, 80, 160]
right = {name: np.zeros(len(sizes)) for name in matrices}
rng = np.random.default_rng(0)
for k, size in enumerate(sizes):
    for _ in range(30):
        order = rng.permutation(count)
        known, others = order[:size], order[size:]
        for name, matrix in matrices.items():
            neighbours = KNeighborsClassifier(1, metric="precomputed")
            neighbours.fit(matrix[np.ix_(known, known)], labels[known])
            score = neighbours.score(matrix[np.ix_(others, known)], labels[others])
            right[name][k] += 100 * score / 30
for name, scores in right.items():
    print(f"{name}: " + ", ".join(f"{score:.1f} %" for score in scores))

fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for (name, scores), style, colour in zip(
    right.items(), ("o-", "s--"), ("C0", "C2"), strict=True
):
    ax.plot(sizes, scores, style, color=colour, label=name)
ax.set(xscale="log", xlabel="images with a label", ylabel="others recognised (%)")
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()

# %%
# Clusters without labels
# -----------------------
#
# Ten clusters by average linkage of all images. The adjusted Rand index is 1 if the
# clusters are the digits, and about 0 if they are drawn at random. Here too the pixels
# do better.

for name, matrix in matrices.items():
    clusters = fcluster(linkage(squareform(matrix), "average"), 10, "maxclust")
    print(f"{name}: adjusted Rand index {adjusted_rand_score(labels, clusters):.2f}")

# %%
# See :doc:`/guide/many-pairs`, also for matrices that do not fit in memory.
