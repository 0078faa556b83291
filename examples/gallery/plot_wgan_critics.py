"""
Clipped, penalised, certified: three critics
============================================

Is the number that a Wasserstein GAN reports the Wasserstein distance? The critic has to
be 1-Lipschitz. Clipping its weights and penalising its gradients aim at that;
orthonormal layers guarantee it. Here W1 of the two distributions is 1, so that each
value can be judged.
"""

# %%
# Two normal distributions in the plane at distance 1. The networks need PyTorch.
# Without it the example shows ``kr_dual`` alone, whose critics are 1-Lipschitz by
# construction and need no network.

import matplotlib.pyplot as plt
import numpy as np

from otdist import datasets, kr_dual

try:
    from otdist.torch import train_critic
except ImportError:
    train_critic = None
    print("PyTorch is not installed: the networks are left out")

plt.style.use("seaborn-v0_8-colorblind")

pair = datasets.translation(2, 1.0)
print(f"W1 of the distributions: {pair.w1}")

# %%
# The critics draw points from both distributions. The value is taken on other points
# than those of the training. ``lipschitz`` is a constant that is proved from the
# weights. The trainings are short.

critics = {"kr_dual": kr_dual(pair.first, pair.second, n_samples=1000, rng=0)}
if train_critic is not None:
    trainings = {
        "clipped at 0.01": {"kind": "clip", "clip": 0.01, "steps": 100},
        "clipped at 1": {"kind": "clip", "clip": 1.0, "steps": 100},
        "gradient penalty": {"kind": "gp", "steps": 300},
        "orthonormal layers": {"kind": "orthonormal", "steps": 60},
    }
    for name, options in trainings.items():
        critics[name] = train_critic(pair.first, pair.second, **options, rng=0)
for name, critic in critics.items():
    print(
        f"{name:19} value {critic.value:7.4f} ± {critic.standard_error:.4f},"
        f" proved Lipschitz constant {critic.lipschitz:.4g}"
    )

# %%
# A value is a lower bound of W1, up to the noise of the held-out points, if the proved
# constant is at most 1. Weights clipped at 0.01 pass this test, with a function so flat
# that its value is almost 0. Clipped at 1 they do not pass, and their value is above
# W1. The gradient penalty keeps slopes near 1 where it samples them, and proves no
# constant near 1: its value is an estimate. Orthonormal layers and ``kr_dual`` pass the
# test and come near 1.

names = list(critics)
position = np.arange(len(names))
fig, (left, right) = plt.subplots(
    1, 2, figsize=(10, 0.45 * len(names) + 1.6), sharey=True, layout="constrained"
)
values = np.array([each.value for each in critics.values()])
errors = np.array([each.standard_error for each in critics.values()])
constants = np.array([each.lipschitz for each in critics.values()])
is_proved = constants <= 1 + 1e-6
for chosen, colour, marker, label in (
    (is_proved, "C0", "o", "proved 1-Lipschitz"),
    (~is_proved, "C2", "s", "not proved"),
):
    left.errorbar(
        values[chosen],
        position[chosen],
        xerr=2 * errors[chosen],
        fmt=marker,
        color=colour,
        label=label,
    )
    right.plot(constants[chosen], position[chosen], marker, color=colour)
left.axvline(pair.w1, color="black", ls="--", label="W₁ of the distributions")
left.set(xlabel="value on held-out points ± 2 standard errors (distance)")
left.set_yticks(position, names)
left.invert_yaxis()
fig.legend(frameon=False, fontsize=9, loc="outside upper center", ncols=3)
right.axvline(1, color="black", ls="--")
right.set(xscale="log", xlabel="proved Lipschitz constant")
plt.show()

# %%
# Sources: M. Arjovsky, S. Chintala and L. Bottou, "Wasserstein generative adversarial
# networks", ICML 2017; I. Gulrajani et al., "Improved training of Wasserstein GANs",
# NeurIPS 2017; C. Anil, J. Lucas and R. Grosse, "Sorting out Lipschitz function
# approximation", ICML 2019. See also :doc:`/guide/pytorch`.
