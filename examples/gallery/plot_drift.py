"""
Has a feature drifted?
======================

Do the readings of today still look like those of the past? The daily W1 to a reference
is in the unit of the feature, so that a threshold has a meaning. This example watches
two features and finds the limit of chance by drawing days from the reference itself.
"""

# %%
# Sixty days with 200 readings each. From day 30 on, the temperature rises slowly. The
# response time keeps its median, but its slow requests become slower.

import matplotlib.pyplot as plt
import numpy as np

from otdist import wasserstein_distance

plt.style.use("seaborn-v0_8-colorblind")

rng = np.random.default_rng(0)
n_days, n_readings, start = 60, 200, 30
since = np.maximum(np.arange(n_days) - start, 0)[:, None]

temperature = 20 + 2 * rng.normal(size=(n_days, n_readings)) + 0.03 * since
spread = rng.normal(size=(n_days, n_readings))
response = 100 * np.exp(
    np.where(spread > 0, (0.4 + 0.01 * since) * spread, 0.4 * spread)
)
features = {"temperature (°C)": temperature, "response time (ms)": response}

# %%
# The first 20 days are the reference. ``axis=-1`` computes one distance for each day.
# 2000 days drawn from the reference show what chance does; the threshold is exceeded by
# one of a hundred of them.

fig, axes = plt.subplots(2, 1, figsize=(8, 6), sharex=True, layout="constrained")
for ax, (name, readings) in zip(axes, features.items(), strict=True):
    reference = readings[:20].ravel()
    distance = wasserstein_distance(readings[20:], reference, axis=-1)
    by_chance = rng.choice(reference, (2000, n_readings))
    threshold = np.quantile(wasserstein_distance(by_chance, reference, axis=-1), 0.99)
    days = np.arange(20, n_days)
    is_above = distance > threshold
    before, after = is_above[:10].sum(), is_above[10:].sum()
    change = readings[-1].mean() - reference.mean()
    print(f"{name}: threshold {threshold:.3f}")
    print(f"  above it: {before} of 10 days before day 30, {after} of 30 after it")
    print(f"  last day: W1 {distance[-1]:.2f}, change of the mean {change:.2f}")
    ax.plot(days, distance, color="#555555", lw=0.8)
    ax.plot(
        days[~is_above], distance[~is_above], "o", color="C0", label="within chance"
    )
    ax.plot(
        days[is_above], distance[is_above], "s", color="C2", label="above the threshold"
    )
    ax.axhline(threshold, color="black", ls="--", label="1 % by chance")
    ax.axvline(start, color="#555555", ls=":", label="drift begins")
    ax.set_ylabel(f"W₁ of the {name}")
    ax.set_ylim(0)
axes[0].legend(frameon=False, loc="upper left")
axes[1].set_xlabel("day")
plt.show()

# %%
# What has changed
# ----------------
#
# On the line W1 is the area between the two distribution functions. They show which
# part of the feature moved: all temperatures, but only the slow half of the response
# times.

fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
level = (np.arange(400) + 0.5) / 400
for ax, (name, readings) in zip(axes, features.items(), strict=True):
    before, after = (
        np.quantile(each, level) for each in (readings[:20], readings[-5:])
    )
    ax.plot(before, level, color="C0", label="days 0 to 19")
    ax.plot(after, level, color="C2", ls="--", label="last five days")
    ax.fill_betweenx(level, before, after, color="#e6e6e6", label="area: W₁")
    ax.set_xlabel(name)
axes[0].set_ylabel("share of the readings")
axes[0].legend(frameon=False)
plt.show()

# %%
# A test with a p-value is in :ref:`sphx_glr_gallery_plot_permutation_test.py`. See also
# :doc:`/guide/drift`.
