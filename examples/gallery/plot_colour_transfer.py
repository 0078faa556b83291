"""
The colours of one photograph on another
========================================

Can an image get the colours of another one and keep its own scene? The pixels of an
image are points in the space of colours. The optimal plan between two such clouds says
which colour each pixel gets.
"""

# %%
# Two images of 64 × 64 pixels are generated, so that nothing needs to be downloaded: a
# hilly landscape by day, and one at dusk. A colour is a point with three coordinates,
# red, green and blue.

import matplotlib.pyplot as plt
import numpy as np

from otdist import Problem, solve


def landscape(zenith, horizon, sun, hill, water, phase, rng):
    """Return an RGB image: a sky with a sun, hills, and water."""
    row, column = np.mgrid[0:1:64j, 0:1:64j]
    image = zenith + (row / 0.6)[..., None] * (horizon - zenith)
    glow = np.exp(-((row - 0.3) ** 2 + (column - 0.7) ** 2) / 0.02)
    image += glow[..., None] * (sun - image)
    ridge = 0.55 + 0.1 * np.sin(6 * column + phase) + 0.03 * np.sin(17 * column)
    image[row > ridge] = hill
    image[row > 0.78] = water
    image *= (1 - 0.35 * np.maximum(row - ridge, 0))[..., None]
    return np.clip(image + rng.normal(scale=0.025, size=image.shape), 0, 1)


rng = np.random.default_rng(0)
colour = {
    "day": np.array(
        [
            [0.35, 0.6, 0.9],
            [0.8, 0.9, 1],
            [1, 1, 0.9],
            [0.2, 0.5, 0.2],
            [0.2, 0.45, 0.6],
        ]
    ),
    "dusk": np.array(
        [
            [0.25, 0.1, 0.4],
            [1, 0.5, 0.25],
            [1, 0.9, 0.5],
            [0.2, 0.08, 0.2],
            [0.55, 0.25, 0.35],
        ]
    ),
}
day = landscape(*colour["day"], phase=0, rng=rng)
dusk = landscape(*colour["dusk"], phase=2, rng=rng)
x, y = day.reshape(-1, 3), dusk.reshape(-1, 3)

# %%
# Both clouds have 4096 points of equal weight, so there is an optimal plan that pairs
# each pixel with one pixel. ``solve`` finds it, and proves it, without the matrix of
# 16.8 million costs.

result = solve(Problem(x, y, p=2))
print(
    result.status, f"W2 = {result.distance:.4f}, relative gap {result.relative_gap:.1e}"
)

partner = np.empty(len(x), int)
partner[result.plan.row] = result.plan.col
print("each colour is used once:", np.array_equal(np.sort(partner), np.arange(len(y))))


# %%
# Half way there is an image too: the mean of each colour and its partner.

images = {
    "day": day,
    "half way": (0.5 * x + 0.5 * y[partner]).reshape(day.shape),
    "day, colours of dusk": y[partner].reshape(day.shape),
    "dusk": dusk,
}
fig, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for ax, (name, image) in zip(axes, images.items(), strict=True):
    ax.imshow(image)
    ax.set_title(name)
    ax.set_axis_off()
plt.show()

# %%
# The clouds of colours
# ---------------------
#
# Each pixel is drawn at its red and blue, in its own colour. Grey lines join 60 pixels
# to the colours that they get.

some = rng.choice(len(x), 60, replace=False)
fig, ax = plt.subplots(figsize=(6, 5.4), layout="constrained")
ax.plot(
    [x[some, 0], y[partner[some], 0]],
    [x[some, 2], y[partner[some], 2]],
    color="#555555",
    lw=0.7,
    alpha=0.7,
)
ax.scatter(x[:, 0], x[:, 2], c=x, s=14, marker="o", label="day")
ax.scatter(y[:, 0], y[:, 2], c=y, s=14, marker="^", label="dusk")
ax.set(
    xlabel="red (0 to 1)", ylabel="blue (0 to 1)", title="circles: day; triangles: dusk"
)
ax.set_aspect("equal")
plt.show()

# %%
# Real photographs have millions of pixels: take a sample of a few thousand colours from
# each, and give every other pixel the change of its nearest neighbour in the sample.
# Source: J. Rabin, S. Ferradans and N. Papadakis, "Adaptive color transfer with relaxed
# optimal transport", ICIP 2014.
