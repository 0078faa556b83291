"""
Intervals that shrink with n
============================

What do two samples say about W1 of the distributions behind them? W1 of the samples
alone says little: it is positive even if the distributions are equal. ``w1_interval``
returns an interval that holds the true value with a probability of at least 95 %, for
every sample size.
"""

# %%
# Samples on the line, in [0, 1]. The truth is known in both cases: Beta(2, 5) and
# Beta(5, 2) are at a distance of 3/7, the difference of their means, and the distance
# of a distribution to itself is 0. That all points lie in a box must be known
# beforehand; it is an assumption that no sample can verify.

import matplotlib.pyplot as plt
import numpy as np

from otdist import w1_interval

plt.style.use("seaborn-v0_8-colorblind")

rng = np.random.default_rng(0)
sizes = [10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000]
cases = {
    "Beta(2, 5) and Beta(5, 2)": ((2, 5), (5, 2), 3 / 7),
    "Beta(2, 5) and itself": ((2, 5), (2, 5), 0.0),
}
found = {}
for name, (first, second, truth) in cases.items():
    print(f"{name}: W1 = {truth:.4f}")
    found[name] = []
    for n in sizes:
        interval = w1_interval(rng.beta(*first, n), rng.beta(*second, n), box=(0, 1))
        found[name].append((interval.lower, interval.plug_in, interval.upper))
        print(f"  n = {n:6d}: [{interval.lower:.4f}, {interval.upper:.4f}]")

# %%
# The width falls about like 1/√n. W1 of the samples is inside each time. For equal
# distributions it is above the truth, and the lower end is 0.

fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
for ax, (name, (_, _, truth)) in zip(axes, cases.items(), strict=True):
    lower, plug_in, upper = np.transpose(found[name])
    ax.fill_between(sizes, lower, upper, color="C0", alpha=0.25, label="interval, 95 %")
    ax.plot(sizes, plug_in, "o-", color="C2", label="W₁ of the samples")
    ax.axhline(truth, color="black", ls="--", label="W₁ of the distributions")
    ax.set(xscale="log", xlabel="points in each sample, n", title=name)
axes[0].set_ylabel("W₁ (distance)")
axes[0].legend(frameon=False)
plt.show()

# %%
# How often does it hold?
# -----------------------
#
# The interval has to hold the truth in about 475 of 500 repetitions, or more. Its
# bounds are safe: it holds in more of them. Printed, an interval shows its assumptions.

truth = 3 / 7
hits = 0
for _ in range(500):
    interval = w1_interval(rng.beta(2, 5, 200), rng.beta(5, 2, 200), box=(0, 1))
    hits += interval.lower <= truth <= interval.upper
print(f"{hits} of 500 intervals hold the truth")
print(interval)

# %%
# In the plane and in space the interval is wider; see :doc:`/guide/samples`. The bands
# of both distribution functions are those of P. Massart, "The tight constant in the
# Dvoretzky-Kiefer-Wolfowitz inequality", The Annals of Probability 18, 1990.
