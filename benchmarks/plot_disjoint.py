"""Draw what distances see of disjoint supports: ``python -m benchmarks.plot_disjoint``.

Four pictures into the folder ``--out``: parallel lines; the gradients of a perfect
discriminator and of a critic between two Gaussians; noise on parallel lines, and the
bounds of W1 that it gives; modes lost by one of two rings. Every number is computed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from otdist import datasets, kl_divergence, kr_dual, wasserstein_distance
from otdist.comparison.separation import demo_separations
from otdist.comparison.smoothing import smoothed

_BLUE, _ORANGE, _GREEN, _SKY = "#0072b2", "#d55e00", "#009e73", "#56b4e9"
_N_MODES, _RADIUS = 8, 2.0


def draw_lines(axes: Any, slopes: Any) -> None:
    """P_0 = (0, Z) and P_theta = (theta, Z), and what W1 and JS change by."""
    rows = demo_separations(n=100, n_theta=41)
    theta = np.array([row.theta for row in rows])
    w1, js, tv = (np.array([getattr(row, name) for row in rows]) for name in ("w1", "js", "tv"))
    axes.plot(theta, w1, color=_BLUE, label="W1 (distance)")
    for values, style, colour, name in (
        (js, "s", _ORANGE, "JS (nats)"),
        (tv, "^", _GREEN, "TV"),
    ):
        axes.plot(theta, values, style, color=colour, markersize=3, label=name)
    axes.set_ylabel("value; KL is inf but at 0", fontsize=8)
    middle = 0.5 * (theta[1:] + theta[:-1])
    steps = np.diff(theta)
    slopes.plot(middle, np.diff(w1) / steps, color=_BLUE, label="dW1 / dθ")
    # Next to 0 JS jumps: a difference there is no slope.
    away = (theta[1:] != 0) & (theta[:-1] != 0)
    js_slope = np.where(away, np.diff(js) / steps, np.nan)
    slopes.plot(middle, js_slope, "s", color=_ORANGE, markersize=3, label="dJS / dθ")
    for each in (axes, slopes):
        each.set_xlabel("θ (distance)", fontsize=8)
        each.legend(fontsize=7)


def saturation(gap: float) -> float:
    """|d/dx log(1 - D*)| at the fake mean, for N(0, 1) and N(gap, 1)."""
    return gap / (1 + np.exp(gap**2 / 2))


def draw_gradients(axes: Any, gradients: Any) -> None:
    """A perfect discriminator of two Gaussians, and the slope of a critic."""
    z = np.linspace(-4, 12, 400)
    for gap, colour in zip((2, 4, 6, 8), (_SKY, _BLUE, _GREEN, _ORANGE), strict=True):
        chance = 1 / (1 + np.exp(np.clip(gap * (z - gap / 2), -700, 700)))
        axes.plot(z, chance, color=colour, label=f"gap {gap}")
    axes.set_xlabel("x (distance)", fontsize=8)
    axes.set_ylabel("D*(x): how real x looks", fontsize=8)
    gaps = np.linspace(0.5, 8, 16)
    gradients.plot(gaps, saturation(gaps), "s-", color=_ORANGE, markersize=3,
                   label="d log(1 − D*) / dx at the fake mean")  # fmt: skip
    gradients.plot(gaps, [critic_slope(gap) for gap in gaps], color=_BLUE,
                   label="slope of the critic there")  # fmt: skip
    gradients.set_yscale("log")
    gradients.set_xlabel("gap (distance)", fontsize=8)
    for each in (axes, gradients):
        each.legend(fontsize=7)


def critic_slope(gap: float, n: int = 101) -> float:
    """Norm of the gradient of the best critic between normal quantiles, gap apart."""
    from statistics import NormalDist

    z = np.array([NormalDist().inv_cdf((k + 0.5) / n) for k in range(n)])
    critic = kr_dual(z, z + gap, critic="mcshane")
    return float(np.linalg.norm(critic.gradient([[gap + 1e-3]])))


def draw_noise(axes: Any) -> None:
    """Box noise of any width on parallel lines, 1 apart."""
    n = 60
    z = (np.arange(n) + 0.5) / n
    x, y = np.column_stack([0 * z, z]), np.column_stack([0 * z + 1, z])
    mass = np.full(n, 1 / n)
    widths = np.geomspace(0.02, 20, 40)
    found = [smoothed(x, y, mass, mass, width) for width in widths]
    axes.plot(widths, [each.js for each in found], color=_ORANGE, label="JS (nats)")
    axes.plot(widths, [each.js_bound for each in found], "--", color=_ORANGE,
              label="2 E|e| + C √(2 JS)")  # fmt: skip
    axes.plot(widths, [each.tv_bound for each in found], "--", color=_GREEN,
              label="2 E|e| + C TV")  # fmt: skip
    axes.axhline(wasserstein_distance(x, y), color=_BLUE, label="W1, without noise")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("half width of the noise (distance)", fontsize=8)
    axes.legend(fontsize=7)


def collapse(kept: int) -> tuple[float, float, float, float]:
    """W1, JS, TV and KL(Q | P) of a ring of modes P and of Q, its first `kept`."""
    pair = datasets.ring_of_modes(_N_MODES, kept, _RADIUS)
    p = np.full(_N_MODES, 1 / _N_MODES)
    q = np.where(np.arange(_N_MODES) < kept, 1 / kept, 0.0)
    return pair.w1, pair.js, pair.tv, float(kl_divergence(q, p))


def draw_collapse(axes: Any) -> None:
    kept = np.arange(1, _N_MODES + 1)
    values = np.array([collapse(int(m)) for m in kept])
    for column, colour, name in zip(
        values.T,
        (_BLUE, _ORANGE, _GREEN, _SKY),
        ("W1 (distance)", "JS (nats)", "TV", "KL(Q | P) (nats)"),
        strict=True,
    ):
        axes.plot(kept, column, "o-", color=colour, markersize=3, label=name)
    axes.set_xlabel("modes kept of 8; KL(P | Q) is inf but for 8", fontsize=8)
    axes.legend(fontsize=7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder = parser.parse_args().out
    # Here, since only a picture needs matplotlib.
    from matplotlib.figure import Figure

    for name, draw, n_axes, width in (
        ("lines", draw_lines, 2, 8),
        ("gradients", draw_gradients, 2, 8),
        ("noise", draw_noise, 1, 5),
        ("collapse", draw_collapse, 1, 5),
    ):
        figure = Figure(figsize=(width, 3.2), layout="constrained")
        draw(*np.ravel(figure.subplots(1, n_axes)))
        figure.savefig(folder / f"disjoint-{name}.png", dpi=100)


if __name__ == "__main__":
    main()
