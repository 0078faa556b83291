"""Losses with exact gradients, and critics as networks, for PyTorch.

Imported on demand only: ``import otdist.torch`` needs ``pip install "otdist[torch]"``.
"""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError('otdist.torch needs PyTorch: pip install "otdist[torch]"') from error

from otdist.torch.critics import NetworkCritic, train_critic
from otdist.torch.losses import sinkhorn_divergence_loss, wasserstein_loss
from otdist.torch.networks import MaxMin, lipschitz_bound

__all__ = [
    "MaxMin",
    "NetworkCritic",
    "lipschitz_bound",
    "sinkhorn_divergence_loss",
    "train_critic",
    "wasserstein_loss",
]
