"""Train one small generator with six losses, and measure what each has learned.

The target is a ring of eight normal distributions in the plane. Every generator has the same
architecture, the same initial weights and the same number of steps, whose rate falls to 0
as a cosine, and is judged by the same certified W1 between 2000 points it draws and 2000
fresh target points.

    python examples/train_generator.py --out generators.png

With ``--shift 10`` the target lies far from where generators start, and the two distributions have
no overlap to begin with.

Needs ``pip install "otdist[torch,plot]"``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from otdist import Problem, solve
from otdist.torch import sinkhorn_divergence_loss, wasserstein_loss

N_MODES, RADIUS, DEVIATION = 8, 2.0, 0.1
CLIP, PENALTY, EPSILON = 0.01, 10.0, 0.1

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Game(NamedTuple):
    """How a generator and its critic, if it has one, are trained.

    Critic losses are of (critic, fake, real), generator losses of (critic, fake, real)
    as well, those without a critic of fake and real only.
    """

    generator_loss: Callable[..., torch.Tensor]
    critic_loss: Callable[..., torch.Tensor] | None = None
    n_critic: int = 1
    optimizer: Callable[..., torch.optim.Optimizer] | None = None
    clip: float | None = None


def adam(parameters, rate=1e-3, betas=(0.9, 0.999)):
    return torch.optim.Adam(parameters, lr=rate, betas=betas)


def discriminate(critic, fake, real):
    """Cross entropy of telling real from fake: log 4 minus twice JS at its least."""
    return softplus(-critic(real)).mean() + softplus(critic(fake)).mean()


def gradient_penalty(critic, fake, real):
    t = torch.rand(len(real), 1)
    between = (t * real + (1 - t) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slope.norm(dim=1) - 1) ** 2).mean()


def rise(critic, fake, real):
    """The critic's mean under the fake distribution minus that under the real one."""
    return critic(fake).mean() - critic(real).mean()


# WGANs as in their papers, but for rates ten times as large: steps here are few.
GAMES = {
    # Its optimum over critics is 2 JS - log 4; then the generator lowers that.
    "JS-GAN, log(1 - D)": Game(
        lambda critic, fake, real: -softplus(critic(fake)).mean(),
        discriminate,
        optimizer=lambda p: adam(p, 1e-3, (0.5, 0.999)),
    ),
    # The loss that is used in practice instead.
    "GAN, -log D": Game(
        lambda critic, fake, real: softplus(-critic(fake)).mean(),
        discriminate,
        optimizer=lambda p: adam(p, 1e-3, (0.5, 0.999)),
    ),
    "WGAN, weights clipped": Game(
        lambda critic, fake, real: -critic(fake).mean(),
        rise,
        n_critic=5,
        optimizer=lambda p: torch.optim.RMSprop(p, lr=5e-4),
        clip=CLIP,
    ),
    "WGAN-GP": Game(
        lambda critic, fake, real: -critic(fake).mean(),
        lambda critic, fake, real: (
            rise(critic, fake, real) + PENALTY * gradient_penalty(critic, fake, real)
        ),
        n_critic=5,
        optimizer=lambda p: adam(p, 1e-3, (0.0, 0.9)),
    ),
    "exact W1 of batches": Game(lambda critic, fake, real: wasserstein_loss(fake, real)),
    "Sinkhorn divergence": Game(
        lambda critic, fake, real: sinkhorn_divergence_loss(
            fake, real, epsilon=EPSILON, p=2, tol=1e-3
        )
    ),
}


class Ring(NamedTuple):
    """Normal distributions on a circle about a point of the first axis."""

    shift: float

    @property
    def modes(self) -> np.ndarray:
        angle = 2 * np.pi * np.arange(N_MODES) / N_MODES
        circle = RADIUS * np.column_stack([np.cos(angle), np.sin(angle)])
        return circle + np.array([self.shift, 0.0])

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        noise = DEVIATION * rng.normal(size=(n, 2))
        return self.modes[rng.integers(N_MODES, size=n)] + noise


def network(n_out: int, width: int = 64) -> nn.Sequential:
    layers = [nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, n_out))


def generate(generator: nn.Module, n: int) -> torch.Tensor:
    return generator(torch.randn(n, 2))


def train(game: Game, target: Ring, steps: int, batch: int, seed: int) -> nn.Module:
    """Return a generator that has taken that many steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    generator, critic = network(2), network(1)
    make = game.optimizer or adam
    of_generator = make(generator.parameters())
    of_critic = make(critic.parameters())
    used = [of_generator, of_critic] if game.critic_loss else [of_generator]
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, steps) for o in used]

    def real() -> torch.Tensor:
        return torch.from_numpy(target.draw(batch, rng)).float()

    for _ in range(steps):
        for _ in range(game.n_critic if game.critic_loss else 0):
            with torch.no_grad():
                fake = generate(generator, batch)
            step(of_critic, game.critic_loss(critic, fake, real()))
            if game.clip is not None:
                with torch.no_grad():
                    for weights in critic.parameters():
                        weights.clamp_(-game.clip, game.clip)
        fake = generate(generator, batch)
        step(of_generator, game.generator_loss(critic, fake, real()))
        for schedule in schedules:
            schedule.step()
    return generator


def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def measure(points: np.ndarray, target: Ring, n: int, seed: int) -> tuple[float, float, int]:
    """Return the certified bracket of W1 to fresh target points, and modes reached.

    A mode is reached if at least a quarter of its share of points is within three
    deviations of it.
    """
    result = solve(Problem(points, target.draw(n, np.random.default_rng(seed))))
    near = np.linalg.norm(points[:, None] - target.modes, axis=2) < 3 * DEVIATION
    n_reached = int((near.mean(axis=0) > 0.25 / N_MODES).sum())
    return result.lower, result.upper, n_reached


def draw_picture(
    target: Ring, learned: dict[str, np.ndarray], titles: dict[str, str], path: str
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 7.4), dpi=150, layout="constrained")
    real = target.draw(1000, np.random.default_rng(0))
    panels = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    for axes, (name, points) in zip(panels, learned.items(), strict=True):
        axes.scatter(*real.T, s=3, color="#d6604d", alpha=0.5, lw=0, label="target")
        axes.scatter(*points[:1000].T, s=3, color="#2166ac", alpha=0.6, lw=0, label="generated")
        axes.set_title(titles[name], fontsize=11)
        axes.set_aspect("equal")
        axes.set_xlim(target.shift - 3, target.shift + 3)
        axes.set_ylim(-3, 3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize=9, markerscale=3, loc="upper right")
    figure.supxlabel("first coordinate", fontsize=10)
    figure.supylabel("second coordinate", fontsize=10)
    figure.savefig(path)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="generators.png", help="picture to write")
    parser.add_argument("--steps", type=int, default=2000, help="of each generator")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--shift", type=float, default=0.0, help="of the target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few steps, as a test")
    options = parser.parse_args(arguments)
    if options.quick:
        options.steps, options.batch = 2, 32
    n = 200 if options.quick else 2000
    torch.set_num_threads(1)
    target = Ring(options.shift)
    values, learned, titles = {}, {}, {}
    print(f"{'loss':<24}{'W1, certified bracket':<28}{'modes':>6}{'seconds':>9}")
    for name, game in GAMES.items():
        start = time.process_time()
        generator = train(game, target, options.steps, options.batch, options.seed)
        seconds = time.process_time() - start
        with torch.no_grad():
            learned[name] = generate(generator, n).double().numpy()
        lower, upper, n_reached = measure(learned[name], target, n, options.seed + 1)
        bracket = f"[{lower:.6f}, {upper:.6f}]"
        print(f"{name:<24}{bracket:<28}{n_reached:>6}{seconds:>9.1f}")
        values[name] = upper
        titles[name] = f"{name}\nW1 = {upper:.3f}, {n_reached} of {N_MODES} modes"
    again = target.draw(n, np.random.default_rng(options.seed + 2))
    lower, upper, n_reached = measure(again, target, n, options.seed + 1)
    print(f"{'target itself':<24}{f'[{lower:.6f}, {upper:.6f}]':<28}{n_reached:>6}")
    draw_picture(target, learned, titles, options.out)
    print(f"picture: {options.out}")
    return values


if __name__ == "__main__":
    main()
