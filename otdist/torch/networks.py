"""Fully connected critics, and what their weights prove about them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.utils.parametrizations import orthogonal

from otdist.errors import InputError
from otdist.torch.spectral import spectral_norm_bound
from otdist.typing import FloatArray


class MaxMin(nn.Module):
    """GroupSort of pairs: the larger and the smaller of entries k and k + width / 2.

    It permutes its input, so that it keeps distances from growing and the lengths of
    gradients as they are. Anil, Lucas, Grosse, "Sorting out Lipschitz function
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
        Of `torch.nn.Linear`, ``ReLU``, ``Tanh``, ``Identity``, `MaxMin`, and further
        sequences of these, without hooks.

    Returns
    -------
    float
        In the Euclidean norm: the product of the layers' spectral norms, each
        recomputed in NumPy's float64 from the weights as they are now, by a singular
        value decomposition that is checked, and enlarged by all rounding (about
        1e-12). It holds for the function in exact arithmetic; inf if a weight is not
        finite.

    Raises
    ------
    InputError
        For a layer that nothing is known about, by name.

    Notes
    -----
    Any critic f, however it was trained, has ``E_P f - E_Q f <= bound * W1(P, Q)``. Often
    the true constant is far less than the product. Power iteration, as in spectral
    normalisation, bounds norms from below and proves nothing.

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
            f" {type(network).__name__}; nothing is known of any other module"
        )
    factors = [_layer_bound(name, layer) for name, layer in network.named_children()]
    # Each product is rounded once.
    return math.prod(factors) * (1 + len(factors) * float(np.finfo(float).eps))


def _layer_bound(name: str, layer: nn.Module) -> float:
    if type(layer) is nn.Sequential:
        return lipschitz_bound(layer)
    # What a layer computes counts, not its class: parametrized ones have their own.
    forward = getattr(layer.forward, "__func__", None)
    if not _has_hooks(layer):
        if forward is nn.Linear.forward:
            return spectral_norm_bound(_weight(layer))
        if any(forward is known.forward for known in _ONE_LIPSCHITZ):
            return 1.0
    raise InputError(
        f"layer {name} of network is a {type(layer).__name__} of which no Lipschitz bound"
        " is known; known are Linear, ReLU, Tanh, Identity and MaxMin, without hooks"
    )


def _has_hooks(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks)


def _weight(layer: nn.Module) -> FloatArray:
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach().cpu().double().numpy()


def plain(dimension: int, width: int, depth: int) -> nn.Sequential:
    """Return a float32 network with ReLU and the initial weights of PyTorch."""
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
    """Return a float64 copy of a network, without anything left to train."""
    return _copied(network, _weight)


def orthonormalised(network: nn.Sequential, centre: FloatArray, scale: float) -> nn.Sequential:
    """Return ``scale * network((z - centre) / scale)`` in float64, exactly orthonormal.

    A weight becomes the nearest with orthonormal rows or columns. As `MaxMin` is
    homogeneous, only biases have to change for centre and scale.
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
