"""
Clipped, penalised, certified: three critics
============================================

Is the number that a Wasserstein GAN reports the Wasserstein distance? The critic has to be
1-Lipschitz. Clipping its weights and penalising its gradients aim at that; orthonormal layers
guarantee it. Here W1 of the two distributions is 1, so that each value can be judged.
"""

# %%
# Two normal distributions in the plane at distance 1. The networks need PyTorch. Without it the
# example shows ``kr_dual`` alone, whose critics are 1-Lipschitz by construction and need no
# network.

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
x, y = pair.sample(2000, rng=0)
print(f"W1 of the distributions: {pair.w1}")

# %%
# Each critic is fitted to 70 % of the points or less, and its value is taken on points that are
# held out. The training is short, 300 steps for each network. ``lipschitz`` is a constant that is
# proved from the weights.

critics = {"kr_dual": kr_dual(x, y, rng=0)}
if train_critic is not None:
    for clip in (0.01, 0.1, 0.5):
        critics[f"clipped at {clip}"] = train_critic(x, y, kind="clip", clip=clip, steps=300, rng=0)
    critics["gradient penalty"] = train_critic(x, y, kind="gp", steps=300, rng=0)
    critics["orthonormal layers"] = train_critic(x, y, kind="orthonormal", steps=300, rng=0)
for name, critic in critics.items():
    print(
        f"{name:19} value {critic.value:7.4f} ± {critic.standard_error:.4f},"
        f" proved Lipschitz constant {critic.lipschitz:.4g}"
    )

# %%
# A value counts as a lower bound of W1, up to the noise of the held-out points, if the proved
# constant is at most 1. Weights clipped at 0.01 pass this test, and the function is so flat that
# its value is far below W1. With other limits the value depends on the limit. The gradient
# penalty proves nothing. The last two panels of the table pass the test and come near 1.

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
left.legend(frameon=False, fontsize=9, loc="lower right")
right.axvline(1, color="black", ls="--")
right.set(xscale="log", xlabel="proved Lipschitz constant")
plt.show()

# %%
# Sources: M. Arjovsky, S. Chintala and L. Bottou, "Wasserstein generative adversarial networks",
# ICML 2017; I. Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017; C. Anil,
# J. Lucas and R. Grosse, "Sorting out Lipschitz function approximation", ICML 2019. See also
# :doc:`/guide/pytorch`.
