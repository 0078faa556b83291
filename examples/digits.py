"""Handwritten digits by the distance that mass must move: neighbours and clusters.

Run it with ``python examples/digits.py``; it needs scikit-learn. An image of 8 by 8
pixels is a measure, grey is mass, and W1 is in pixels. The matrix of exact distances
goes to scikit-learn as ``metric="precomputed"`` and to SciPy in condensed form.
``--all`` takes all 1797 images, 1.6 million exact problems: about half a minute on one
core; ``--out`` keeps the matrix, and goes on from there if it is stopped.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier

from otdist import pairwise


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--all", action="store_true", help="all 1797 images")
    parser.add_argument("--jobs", type=int, help="threads (needs joblib)")
    parser.add_argument("--out", help="keep the condensed matrix in this .npy file")
    arguments = parser.parse_args(argv)

    digits = load_digits()
    count = len(digits.data) if arguments.all else arguments.images
    images, labels = digits.data[:count], digits.target[:count]
    pixels = np.indices((8, 8)).reshape(2, -1).T

    start = time.perf_counter()
    condensed = pairwise(
        images,
        support=pixels,
        normalize=True,  # the total ink does not count
        condensed=True,
        n_jobs=arguments.jobs,
        out=arguments.out,
    )
    seconds = time.perf_counter() - start
    print(f"{count} images, {len(condensed)} exact distances in {seconds:.1f} s:")
    print(f"from {condensed.min():.3f} to {condensed.max():.3f} pixels\n")
    w1 = squareform(condensed)
    flat = images / images.sum(axis=1, keepdims=True)
    euclidean = squareform(pdist(flat))

    train, test = np.arange(count) % 3 > 0, np.arange(count) % 3 == 0
    print(f"{train.sum()} images with labels, {test.sum()} to guess, by 3 neighbours:")
    for name, matrix in (("W1", w1), ("Euclidean of the pixels", euclidean)):
        neighbours = KNeighborsClassifier(3, metric="precomputed")
        neighbours.fit(matrix[np.ix_(train, train)], labels[train])
        score = neighbours.score(matrix[np.ix_(test, train)], labels[test])
        print(f"  {name:<24} {100 * score:.1f} % right")

    print("\nten clusters without labels (average linkage), adjusted Rand index:")
    for name, matrix in (("W1", w1), ("Euclidean of the pixels", euclidean)):
        tree = linkage(squareform(matrix, checks=False), "average")
        index = adjusted_rand_score(labels, fcluster(tree, 10, "maxclust"))
        print(f"  {name:<24} {index:.2f}")

    near = np.sort(w1, axis=1)[:, 4]  # to the fourth neighbour
    eps = float(np.quantile(near, 0.4))
    found = DBSCAN(eps=eps, min_samples=5, metric="precomputed").fit_predict(w1)
    inside = found >= 0
    index = adjusted_rand_score(labels[inside], found[inside])
    print(f"\nDBSCAN at {eps:.3f} pixels: {found.max() + 1} clusters of {inside.sum()}")
    print(f"images, {(~inside).sum()} left alone; adjusted Rand index {index:.2f} inside")


if __name__ == "__main__":
    main()
