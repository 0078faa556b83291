"""Draw what a matrix of distances shows: ``python -m benchmarks.plot_pairs``.

Forty digits as a tree by average linkage of exact W1, the images at its leaves.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import dendrogram, linkage

from otdist import pairwise

_COUNT = 40


def draw(figure: Any) -> None:
    """Draw the tree, and below it the images."""
    from sklearn.datasets import load_digits

    images = load_digits().data[:_COUNT]
    pixels = np.indices((8, 8)).reshape(2, -1).T
    matrix = pairwise(images, support=pixels, normalize=True, condensed=True)
    tree, leaves = figure.subplots(2, 1, height_ratios=[4, 1])
    found = dendrogram(
        linkage(matrix, "average", optimal_ordering=True),
        ax=tree,
        no_labels=True,
        color_threshold=0,
        above_threshold_color="#0072b2",
    )
    tree.set_ylabel("W1 (pixels)", fontsize=8)
    tree.tick_params(labelsize=7)
    for side in ("top", "right", "bottom"):
        tree.spines[side].set_visible(False)
    row = np.zeros((8, 9 * _COUNT + 1))
    for k, leaf in enumerate(found["leaves"]):
        row[:, 9 * k + 1 : 9 * k + 9] = images[leaf].reshape(8, 8)
    leaves.imshow(row, cmap="gray_r", aspect="auto", interpolation="nearest")
    leaves.set_axis_off()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/_static"))
    arguments = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.6), layout="constrained")
    draw(figure)
    metadata = {"Date": None}
    figure.savefig(arguments.out / "digits-tree.svg", metadata=metadata)


if __name__ == "__main__":
    main()
