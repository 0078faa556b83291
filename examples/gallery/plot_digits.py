"""
Neighbours and clusters of digits
=================================

Which handwritten digits look alike? An image of 8 × 8 pixels is a distribution of ink over the
pixels, and W1 is how far the ink must move. The matrix of exact distances goes to scikit-learn as
``metric="precomputed"`` and to SciPy in its condensed format.
"""

# %%
# ``pairwise`` fills the matrix in compiled code. Every entry is proved. ``normalize=True`` gives
# each image the same total, so that only the shape counts.

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import dendrogram, fcluster, linkage
from scipy.ndimage import shift
from scipy.spatial.distance import cdist, squareform
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
print(f"{len(condensed)} distances, from {condensed.min():.3f} to {condensed.max():.3f} pixels")

# %%
# A tree of forty digits
# ----------------------
#
# Average linkage joins the nearest groups first. The images are at the leaves.

few = 40
tree = linkage(squareform(squareform(condensed)[:few, :few]), "average", optimal_ordering=True)
fig, (above, below) = plt.subplots(
    2, 1, figsize=(11, 4), height_ratios=[5, 1], layout="constrained"
)
found = dendrogram(tree, ax=above, no_labels=True, color_threshold=0, above_threshold_color="C0")
above.set_ylabel("W₁ (pixels)")
above.spines[["top", "right", "bottom"]].set_visible(False)
strip = np.zeros((8, 9 * few + 1))
for k, leaf in enumerate(found["leaves"]):
    strip[:, 9 * k + 1 : 9 * k + 9] = images[leaf]
below.imshow(strip, cmap="gray_r", aspect="auto", interpolation="nearest")
below.set_axis_off()
plt.show()

# %%
# Three neighbours, and images that are not centred
# -------------------------------------------------
#
# Two thirds of the images have labels, and the others are to be recognised. They are moved to the
# right by up to two pixels, on a frame with a margin of two pixels. The Euclidean distance of the
# pixels is the other candidate.

frame = np.pad(images, ((0, 0), (2, 2), (2, 2)))
support = np.indices((12, 12)).reshape(2, -1).T
test = np.arange(count) % 3 == 0
train = frame[~test].reshape(-1, 144)


def w1(first, second):
    """Return the matrix of W1 between images."""
    return pairwise(first, second, support=support, normalize=True)


def euclidean(first, second):
    """Return the matrix of Euclidean distances between images of total 1."""
    return cdist(*(each / each.sum(axis=1, keepdims=True) for each in (first, second)))


offsets = [0, 0.5, 1, 1.5, 2]
right = {}
for name, distance in (("W1", w1), ("Euclidean", euclidean)):
    neighbours = KNeighborsClassifier(3, metric="precomputed")
    neighbours.fit(distance(train, train), labels[~test])
    right[name] = []
    for offset in offsets:
        moved = shift(frame[test], (0, 0, offset), order=1).reshape(-1, 144)
        score = neighbours.score(distance(moved, train), labels[test])
        right[name].append(100 * score)
    print(f"{name:9} recognised: " + ", ".join(f"{score:.0f} %" for score in right[name]))

fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name, style, colour in (("W1", "o-", "C0"), ("Euclidean", "s--", "C2")):
    ax.plot(offsets, right[name], style, color=colour, label=name)
ax.set(xlabel="test images moved by (pixels)", ylabel="recognised (%)", ylim=(0, 105))
ax.legend(frameon=False)
plt.show()

# %%
# Clusters without labels
# -----------------------
#
# Ten clusters by average linkage of all images. The adjusted Rand index is 1 if the clusters are
# the digits, and about 0 if they are drawn at random.

for name, matrix in (
    ("W1", condensed),
    ("Euclidean", squareform(cdist(weights, weights), checks=False)),
):
    clusters = fcluster(linkage(matrix, "average"), 10, "maxclust")
    print(f"{name}: adjusted Rand index {adjusted_rand_score(labels, clusters):.2f}")

# %%
# See :doc:`/guide/many-pairs`, also for matrices that do not fit in memory.
