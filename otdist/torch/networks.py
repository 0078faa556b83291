"""Fully connected networks, and proved bounds of their Lipschitz constants."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.utils.parametrizations import orthogonal

from otdist.errors import InputError
from otdist.typing import FloatArray

_EPS = float(np.finfo(float).eps)


class MaxMin(nn.Module):
    """GroupSort of pairs: the larger and the smaller of entries k and k + width / 2.

    It permutes the entries of its input. It is therefore 1-Lipschitz and keeps the norm of
    gradients. Source: Anil, Lucas, Grosse, "Sorting out Lipschitz function
    approximation", 2019.
    """

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the sorted pairs; the last axis must have an even length."""
        first, second = z.chunk(2, dim=-1)
        return torch.cat([torch.maximum(first, second), torch.minimum(first, second)], dim=-1)


#: Activations that are 1-Lipschitz in the Euclidean norm.
_ONE_LIPSCHITZ = (nn.ReLU, nn.Tanh, nn.Identity, MaxMin)


def lipschitz_bound(network: nn.Module) -> float:
    """Return a proved bound of the Lipschitz constant of a fully connected network.

    Parameters
    ----------
    network : torch.nn.Sequential
        A sequence of `torch.nn.Linear`, ``ReLU``, ``Tanh``, ``Identity``, `MaxMin` and
        sequences of these, without hooks.

    Returns
    -------
    float
        A bound in the Euclidean norm: the product of the layers' spectral norms. Each is
        computed in float64 from the present weights, by a verified singular value
        decomposition, and enlarged by a bound of all rounding (about 1e-12). It holds
        for the function in exact arithmetic. It is inf if a weight is not finite.

    Raises
    ------
    InputError
        For a layer of unknown type; the message names it.

    Notes
    -----
    Every network f satisfies ``E_P f - E_Q f <= bound * W1(P, Q)``. The true constant is
    often far below the bound. Power iteration, as in spectral normalisation, gives lower
    bounds of norms, which prove nothing.

    Examples
    --------
    >>> import torch
    >>> from otdist.torch import lipschitz_bound
    >>> layer = torch.nn.Linear(2, 2)
    >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    >>> round(lipschitz_bound(torch.nn.Sequential(layer, torch.nn.ReLU())), 9)
    4.0
    """
    if type(network) is not nn.Sequential or _has_hooks(network):
        raise InputError(
            "network must be a torch.nn.Sequential without hooks, got"
            f" {type(network).__name__}; the bound of other modules is not known"
        )
    factors = [_layer_bound(name, layer) for name, layer in network.named_children()]
    # Each product is rounded once.
    return math.prod(factors) * (1 + len(factors) * _EPS)


def _layer_bound(name: str, layer: nn.Module) -> float:
    if type(layer) is nn.Sequential:
        return lipschitz_bound(layer)
    # Compare the forward method, not the class: parametrized layers have their own classes.
    forward = getattr(layer.forward, "__func__", None)
    if not _has_hooks(layer):
        if forward is nn.Linear.forward:
            return spectral_norm_bound(_weight(layer))
        if any(forward is known.forward for known in _ONE_LIPSCHITZ):
            return 1.0
    raise InputError(
        f"layer {name} of network must be a Linear, ReLU, Tanh, Identity or MaxMin without"
        f" hooks, got a {type(layer).__name__}, whose Lipschitz constant is not known"
    )


def _has_hooks(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks)


def _weight(layer: nn.Module) -> FloatArray:
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach().cpu().double().numpy()


def spectral_norm_bound(matrix: FloatArray) -> float:
    """Return a proved upper bound of the largest singular value; inf if not finite.

    The bound does not rely on the singular value decomposition being right: for any U, S
    and Vt with ``matrix = U S Vt + R``, the norm is at most ``|U| s_max |Vt| + |R|``. The
    norms of U and Vt are bounded by the deviation of their columns and rows from
    orthonormal. The rounding error of a product is at most ``k eps |A| |B|`` in Frobenius
    norms for k terms per entry, with twice the usual constant. The bound exceeds the norm
    by about 1e-12, relative, for 100 rows. O(n m min(n, m)) time.
    """
    if not np.isfinite(matrix).all():
        return math.inf
    largest = float(np.abs(matrix).max(initial=0.0))
    if largest == 0.0:
        return 0.0
    # Scaling by a power of two is exact, and prevents overflow and underflow of products.
    scale = math.ldexp(1.0, math.frexp(largest)[1])
    scaled = matrix / scale
    u, s, vt = np.linalg.svd(scaled, full_matrices=False)
    rest = np.linalg.norm(scaled - (u * s) @ vt)
    # Rounding of u * s, of the k terms of the product, and of the difference.
    rest += (len(s) + 3) * _EPS * (_norm(u * s) * _norm(vt) + _norm(scaled))
    bound = float(s[0]) * _stretch(u.T) * _stretch(vt) + float(rest)
    return scale * bound * (1 + 16 * _EPS)


def _stretch(rows: FloatArray) -> float:
    """Return an upper bound of the norm of a matrix with nearly orthonormal rows (k, n)."""
    k, n = rows.shape
    error = _norm(rows @ rows.T - np.eye(k)) + (n + 3) * _EPS * (_norm(rows) ** 2 + k)
    return math.sqrt(1 + error)


def _norm(matrix: FloatArray) -> float:
    """Return an upper bound of the Frobenius norm."""
    return float(np.linalg.norm(matrix)) * (1 + matrix.size * _EPS)


def plain(dimension: int, width: int, depth: int) -> nn.Sequential:
    """Return a float32 network with ReLU and PyTorch's initial weights."""
    layers: list[nn.Module] = []
    for fan_in in [dimension, *[width] * (depth - 1)]:
        layers += [nn.Linear(fan_in, width, dtype=torch.float32), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 1, dtype=torch.float32))


def orthonormal(dimension: int, width: int, depth: int) -> nn.Sequential:
    """Return a float32 network of orthonormal layers (Cayley transform) and `MaxMin`."""
    layers: list[nn.Module] = []
    for fan_in in [dimension, *[width] * (depth - 1)]:
        layers += [_cayley(fan_in, width), MaxMin()]
    return nn.Sequential(*layers, _cayley(width, 1))


def _cayley(fan_in: int, fan_out: int) -> nn.Module:
    layer = nn.Linear(fan_in, fan_out, dtype=torch.float32)
    return orthogonal(layer, orthogonal_map="cayley")


def in_double(network: nn.Sequential) -> nn.Sequential:
    """Return a float64 copy of a network that cannot be trained."""
    return _copied(network, _weight)


def orthonormalised(network: nn.Sequential, centre: FloatArray, scale: float) -> nn.Sequential:
    """Return ``scale * network((z - centre) / scale)`` in float64, exactly orthonormal.

    Each weight is replaced by the nearest one with orthonormal rows or columns. As `MaxMin`
    is homogeneous, centre and scale change the biases only.
    """
    copy = _copied(network, lambda layer: _nearest_orthonormal(_weight(layer)))
    layers = [layer for layer in copy if isinstance(layer, nn.Linear)]
    for layer in layers:
        layer.bias.mul_(scale)
    layers[0].bias.sub_(layers[0].weight @ torch.from_numpy(centre))
    return copy


def _nearest_orthonormal(weight: FloatArray) -> FloatArray:
    u, _, vt = np.linalg.svd(weight, full_matrices=False)
    return np.asarray(u @ vt)


def _copied(network: nn.Sequential, weight_of: Callable[[nn.Module], FloatArray]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for layer in network:
        if not isinstance(layer, nn.Linear):
            layers.append(layer)
            continue
        copy = nn.Linear(layer.in_features, layer.out_features, dtype=torch.float64)
        copy.requires_grad_(False)
        copy.weight.copy_(torch.from_numpy(weight_of(layer)))
        copy.bias.copy_(layer.bias)
        layers.append(copy)
    return nn.Sequential(*layers)
