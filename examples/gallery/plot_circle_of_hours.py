"""
The circle of hours
===================

How far is a quarter to midnight from a quarter past? Half an hour, though the numbers
23.75 and 0.25 say 23.5. Times of day, angles and days of the year lie on a circle, and
``period=`` measures along it.
"""

# %%
# Two positions, fifteen minutes before and after midnight.

import matplotlib.pyplot as plt
import numpy as np

from otdist import wasserstein_distance

plt.style.use("seaborn-v0_8-colorblind")

print("on the circle:", wasserstein_distance([23.75], [0.25], period=24))
print("on the line:  ", wasserstein_distance([23.75], [0.25]))

# %%
# A shift of the clock
# --------------------
#
# Calls to a taxi company peak in the late evening. If everything happens s hours later,
# the distance to the old times is at most s hours, and at most 24 − s: mass goes the
# shorter way round. On the line, each call that passes midnight seems to jump back by a
# day.

rng = np.random.default_rng(0)
calls = (22.5 + 1.5 * rng.normal(size=500)) % 24
shifts = np.linspace(0, 24, 97)
moved = (calls + shifts[:, None]) % 24
around = wasserstein_distance(calls, moved, period=24, axis=-1)
straight = wasserstein_distance(calls, moved, axis=-1)
for s in (0, 1, 2, 6, 12, 23):
    print(
        f"{s:2d} h later: circle {around[4 * s]:6.3f} h, line {straight[4 * s]:6.3f} h"
    )

fig = plt.figure(figsize=(10, 4.2), layout="constrained")
clock = fig.add_subplot(1, 2, 1, projection="polar")
edges = np.linspace(0, 2 * np.pi, 49)
for times, colour, name in (
    (calls, "C0", "calls"),
    ((calls + 3) % 24, "C2", "3 hours later"),
):
    heights = np.histogram(times, 48, (0, 24))[0]
    clock.bar(
        edges[:-1],
        heights,
        width=edges[1],
        align="edge",
        color=colour,
        alpha=0.6,
        label=name,
    )
clock.set(theta_zero_location="N", theta_direction=-1, yticklabels=[])
clock.set_xticks(
    np.linspace(0, 2 * np.pi, 8, endpoint=False), [f"{h} h" for h in range(0, 24, 3)]
)
clock.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.15, -0.12))
curves = fig.add_subplot(1, 2, 2)
curves.plot(shifts, around, color="C0", label="circle: period=24")
curves.plot(shifts, straight, color="C2", ls="--", label="line")
curves.set(xlabel="shift (hours)", ylabel="W₁ (hours)")
curves.set_xticks(range(0, 25, 3))
curves.legend(frameon=False)
plt.show()

# %%
# Days of a week
# --------------
#
# 300 arrivals on each of seven days: working days have two peaks, the weekend one at
# night. One call computes all 49 distances.

names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
days = np.where(rng.random((7, 300)) < 0.5, 8.0, 17.5) + rng.normal(size=(7, 300))
days[5:] = 0.5 + 2.5 * rng.normal(size=(2, 300))
matrix = wasserstein_distance(days[:, None], days, period=24, axis=-1)
print(f"two working days: at most {matrix[:5, :5].max():.2f} h")
print(f"a working day and a weekend day: at least {matrix[:5, 5:].min():.2f} h")

fig, ax = plt.subplots(figsize=(5.2, 4.4), layout="constrained")
shown = ax.imshow(matrix, cmap="cividis")
ax.set_xticks(range(7), names)
ax.set_yticks(range(7), names)
fig.colorbar(shown, label="W₁ (hours)")
plt.show()

# %%
# See :doc:`/guide/graphs-and-circle`.
