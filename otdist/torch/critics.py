"""The critics of WGAN and WGAN-GP, and a critic with a proved Lipschitz constant."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import nn

from otdist.critics.sample import Sample
from otdist.errors import InputError
from otdist.inputs import validate as _validate
from otdist.torch.networks import (
    in_double,
    lipschitz_bound,
    orthonormal,
    orthonormalised,
    plain,
)
from otdist.typing import ArrayLike, FloatArray, Sampler, Seed

Kind: TypeAlias = Literal["clip", "gp", "orthonormal"]
_Draw: TypeAlias = Callable[[int], FloatArray]

_TOLERANCE = 1e-6  # of a certified Lipschitz bound
_PENALTY = 10.0
_DEPTH = 3  # hidden layers
_HELD_OUT = 0.3  # share of given points that is held out
_N_HELD_OUT = 1 << 14  # number of held-out points from a sampler
_N_SCALE = 4096  # number of points for estimating centre and scale
_BLOCK = 1 << 14  # points evaluated together


class _Recipe(NamedTuple):
    """Settings for training one kind of critic."""

    batch: int
    steps: int
    width: int  # of hidden layers, at least twice the dimension


_RECIPES: dict[str, _Recipe] = {
    "clip": _Recipe(64, 5000, 128),
    "gp": _Recipe(64, 5000, 128),
    "orthonormal": _Recipe(256, 1000, 64),
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NetworkCritic:
    """A trained network, high on the first distribution and low on the second.

    Attributes
    ----------
    kind : str
        "clip", "gp" or "orthonormal".
    network : torch.nn.Sequential
        In float64; ``network(points)`` has shape (k, 1).
    value : float
        Mean of the critic under the first distribution minus its mean under the second, on
        held-out points. The WGAN papers report it as an estimate of W1.
    standard_error : float
        Standard error of `value`.
    n_held_out : (int, int)
        Numbers of held-out points of the two distributions.
    dimension : int
        Number of coordinates of the points.
    """

    kind: str
    network: nn.Sequential
    value: float
    standard_error: float
    n_held_out: tuple[int, int]
    dimension: int

    @property
    def lipschitz(self) -> float:
        """Proved bound of the Lipschitz constant; see `lipschitz_bound`.

        It is computed from the weights at each access. A bound far above 1 does not mean
        that the network is steep; a bound far below 1 means that it is too flat.
        """
        return lipschitz_bound(self.network)

    @property
    def is_certified(self) -> bool:
        """Whether the critic is proved 1-Lipschitz within 1e-6.

        In this case the expectation of `value` is at most W1 of the distributions. Otherwise
        it may be above or below W1.
        """
        return self.lipschitz <= 1 + _TOLERANCE

    @property
    def normalized_value(self) -> float:
        """``value / lipschitz``, whose expectation is at most W1 for any kind."""
        return self.value / self.lipschitz

    def __call__(self, points: ArrayLike) -> FloatArray:
        """Return the critic's values (k,) at points (k, d), or (k,) on the line."""
        return _values(self.network, self._points(points))

    def gradient(self, points: ArrayLike) -> FloatArray:
        """Return the gradient (k, d) at each point; at a kink, one of several."""
        found = []
        with torch.enable_grad():
            for part in self._points(points).split(_BLOCK):
                z = part.requires_grad_()
                found += torch.autograd.grad(self.network(z).sum(), z)
        return np.asarray(torch.cat(found).numpy())

    def __str__(self) -> str:
        n, m = self.n_held_out
        claim = (
            "at most W1 but for sampling noise"
            if self.is_certified
            else "an estimate of W1 without a certificate"
        )
        return (
            f"{self.kind} critic, high on the first measure: {self.value:.6g} ±"
            f" {self.standard_error:.2g} on {n} + {m} held-out points; proved Lipschitz"
            f" bound {self.lipschitz:.6g}: {claim}"
        )

    def _points(self, points: ArrayLike) -> torch.Tensor:
        z = _validate.as_points_in("points", points, self.dimension)
        return torch.from_numpy(z.copy())


def train_critic(
    x: ArrayLike | Sampler,
    y: ArrayLike | Sampler,
    *,
    kind: Kind = "orthonormal",
    steps: int | None = None,
    clip: float = 0.01,
    rng: Seed = None,
) -> NetworkCritic:
    r"""Train a network to tell two distributions apart, as the critic of a Wasserstein GAN.

    .. math:: \max_f\; E_P f - E_Q f

    Parameters
    ----------
    x, y : array_like (n, d) and (m, d), or callable
        Independent samples of P and Q; a random 30 % is held out; or samplers:
        ``x(n, rng)`` draws n new points (n, d) with a `numpy.random.Generator`, for every
        batch and for 16384 held-out points.
    kind : {"orthonormal", "clip", "gp"}, default "orthonormal"
        ``"clip"`` is the WGAN critic: weights are clipped to [-clip, clip] after every
        step (RMSProp at 5e-5, batches of 64). Its Lipschitz constant depends on width and
        depth. ``"gp"`` is WGAN-GP: 10 times the mean of ``(|∇f| - 1)²`` between points of a
        batch is added to the loss (Adam at 1e-4, betas (0, 0.9), batches of 64). This
        penalty does not bound the Lipschitz constant. ``"orthonormal"`` has weights with
        orthonormal rows or columns (Cayley transform) and GroupSort of pairs (Adam at 0.01
        with cosine decay, batches of 256). It is 1-Lipschitz by construction.
    steps : int, optional
        Number of training steps; 1000 for "orthonormal", else 5000.
    clip : float, default 0.01
        Largest weight, for ``"clip"`` only.
    rng : numpy.random.Generator, int or None
        Random numbers for splitting, initial weights and batches (SPEC 7). The state of
        torch's own generator does not change. A seed gives the same critic on the same
        machine with the same number of threads.

    Returns
    -------
    NetworkCritic

    Raises
    ------
    InputError
        For points of wrong shapes or not finite, fewer than 10 points, an unknown kind,
        numbers out of range, or a sampler that does not return n points.

    Notes
    -----
    The networks have three hidden layers: of width max(2 d, 128) with ReLU for "clip" and
    "gp", as in the W1 benchmark of Korotin, Kolesov and Burnaev (2022), and of width
    max(2 d, 64) for "orthonormal". They are trained in float32 on the CPU, for 10 to 20 s.
    The orthonormal network is trained on standardised data, so that it does not depend on
    their units, and is made exactly orthonormal in float64 afterwards.

    How near `value` is to W1 depends on the training and is not certified. The critics of
    `kr_dual` need no such training and are mostly nearer.

    References
    ----------
    Arjovsky, Chintala, Bottou, "Wasserstein GAN", 2017; Gulrajani, Ahmed, Arjovsky,
    Dumoulin, Courville, "Improved training of Wasserstein GANs", 2017; Anil, Lucas,
    Grosse, "Sorting out Lipschitz function approximation", 2019; Trockman, Kolter,
    "Orthogonalizing convolutional layers with the Cayley transform", 2021.

    Examples
    --------
    >>> from otdist import datasets
    >>> from otdist.torch import train_critic
    >>> x, y = datasets.translation(2, 1.0).sample(500, rng=0)
    >>> critic = train_critic(x, y, steps=50, rng=0)
    >>> critic.is_certified, 0.5 < critic.value < 1 + 3 * critic.standard_error
    (True, True)
    """
    if kind not in _RECIPES:
        known = ", ".join(repr(name) for name in _RECIPES)
        raise InputError(f"kind must be one of {known}; got {kind!r}")
    recipe = _RECIPES[kind]
    if steps is not None:
        recipe = recipe._replace(steps=_validate.as_count("steps", steps))
    clip = _validate.as_inside("clip", clip, 0, math.inf, "a positive number")
    generator = _validate.as_generator(rng)
    draw_x, held_out_x = _source("x", x, generator)
    draw_y, held_out_y = _source("y", y, generator)
    _validate.require_same_space(held_out_x, held_out_y)
    dimension = held_out_x.shape[1]
    seed = int(generator.integers(2**62))
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        if kind == "orthonormal":
            network = _fit_orthonormal(draw_x, draw_y, dimension, recipe)
        else:
            limit = clip if kind == "clip" else None
            network = _fit_plain(draw_x, draw_y, dimension, recipe, limit)
    return _held_out(kind, network, held_out_x, held_out_y)


def _source(
    name: str, given: ArrayLike | Sampler, rng: np.random.Generator
) -> tuple[_Draw, FloatArray]:
    """Return a function that draws training points, and the points held out."""
    if callable(given):
        sampler = given

        def fresh(n: int) -> FloatArray:
            points = _validate.as_points(f"{name}(n, rng)", sampler(n, rng))
            if len(points) != n:
                raise InputError(f"the sampler {name} must return n={n} points, got {len(points)}")
            return points

        return fresh, fresh(_N_HELD_OUT)
    points = _validate.as_points(name, given)
    if len(points) < 10:
        raise InputError(
            f"{name} must have at least 10 points, since some are held out, got {len(points)}"
        )
    order = rng.permutation(len(points))
    n_held_out = int(_HELD_OUT * len(points))
    train = points[order[n_held_out:]]

    def again(n: int) -> FloatArray:
        return train[rng.integers(len(train), size=n)]

    return again, points[order[:n_held_out]]


def _fit_plain(
    draw_x: _Draw, draw_y: _Draw, dimension: int, recipe: _Recipe, clip: float | None
) -> nn.Sequential:
    """Train with clipped weights, or with a gradient penalty if clip is None."""
    network = plain(dimension, max(2 * dimension, recipe.width), _DEPTH)
    optimizer: torch.optim.Optimizer
    if clip is not None:
        optimizer = torch.optim.RMSprop(network.parameters(), lr=5e-5)
    else:
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.0, 0.9))
    for _ in range(recipe.steps):
        x, y = (_single(draw(recipe.batch)) for draw in (draw_x, draw_y))
        loss = network(y).mean() - network(x).mean()
        if clip is None:
            loss = loss + _PENALTY * _gradient_penalty(network, x, y)
        _step(optimizer, loss)
        if clip is not None:
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.clamp_(-clip, clip)
    return in_double(network)


def _gradient_penalty(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean of (|gradient| - 1)² at random points between x and y."""
    t = torch.rand(len(x), 1, dtype=x.dtype)
    z = (t * x + (1 - t) * y).requires_grad_()
    (gradient,) = torch.autograd.grad(network(z).sum(), z, create_graph=True)
    return ((gradient.norm(dim=1) - 1) ** 2).mean()


def _fit_orthonormal(
    draw_x: _Draw, draw_y: _Draw, dimension: int, recipe: _Recipe
) -> nn.Sequential:
    """Train an orthonormal network on standardised data."""
    some = np.concatenate([draw_x(_N_SCALE), draw_y(_N_SCALE)])
    centre, scale = some.mean(axis=0), float(some.std(axis=0).max()) or 1.0
    network = orthonormal(dimension, max(2 * dimension, recipe.width), _DEPTH)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps)
    for _ in range(recipe.steps):
        x, y = (_single((draw(recipe.batch) - centre) / scale) for draw in (draw_x, draw_y))
        _step(optimizer, network(y).mean() - network(x).mean())
        schedule.step()
    return orthonormalised(network, centre, scale)


def _single(points: FloatArray) -> torch.Tensor:
    return torch.from_numpy(points.astype(np.float32))


def _step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _held_out(kind: str, network: nn.Sequential, x: FloatArray, y: FloatArray) -> NetworkCritic:
    """Evaluate a network on the held-out points."""
    sample = Sample.of(x, y, np.ones(len(x)), np.ones(len(y)))
    on_x, on_y = (_values(network, torch.from_numpy(z.copy())) for z in (x, y))
    return NetworkCritic(
        kind=kind,
        network=network,
        value=sample.difference(on_x, on_y),
        standard_error=sample.standard_error(on_x, on_y),
        n_held_out=(len(x), len(y)),
        dimension=x.shape[1],
    )


def _values(network: nn.Sequential, z: torch.Tensor) -> FloatArray:
    """Return values (k,) of a network at points (k, d)."""
    with torch.no_grad():
        parts = [network(part)[:, 0] for part in z.split(_BLOCK)]
    return np.asarray(torch.cat(parts).numpy())
