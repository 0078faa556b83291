"""Losses against differences of their values; critics against what is known of them."""

from __future__ import annotations

import functools
import math
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import JIT_OFF

torch = pytest.importorskip("torch", reason="otdist.torch needs PyTorch")

from torch import nn
from torch.nn.utils import parametrizations

import otdist
from otdist import InputError, NotCertifiedError, datasets
from otdist.torch import (
    MaxMin,
    lipschitz_bound,
    sinkhorn_divergence_loss,
    train_critic,
    wasserstein_loss,
)
from otdist.torch import critics as _critics

torch.set_num_threads(1)
SIZES = (3, 4) if JIT_OFF else (7, 9)


def cloud(n, d=2, seed=0, dtype=torch.float64, shift=0.0):
    points = np.random.default_rng(seed).normal(size=(n, d) if d else n) + shift
    return torch.tensor(points, dtype=dtype, requires_grad=True)


def problem(d=2):
    """Points and logits of masses: what a sum of 1 needs for every change."""
    n, m = SIZES
    return cloud(n, d), cloud(m, d, 1, shift=0.5), cloud(n, 0, 2), cloud(m, 0, 3)


def gradcheck(function, *inputs):
    assert torch.autograd.gradcheck(function, inputs, atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------------------------ losses


@pytest.mark.parametrize(
    "p, metric",
    [(1, "euclidean"), (2.5, "euclidean"), (1, "cityblock"), (1, "sqeuclidean")],
)
def test_exact_cost_has_the_derivatives_of_its_differences(p, metric):
    def loss(x, y, a, b):
        a, b = a.softmax(0), b.softmax(0)
        return wasserstein_loss(x, y, a, b, p=p, metric=metric)

    gradcheck(loss, *problem())


@pytest.mark.parametrize("p, reach", [(2, None), (1, None), (2, 1.5)])
def test_sinkhorn_divergence_has_the_derivatives_of_its_differences(p, reach):
    def loss(x, y, a, b):
        a, b = (a.softmax(0), b.softmax(0)) if reach is None else (a.exp(), b.exp())
        return sinkhorn_divergence_loss(x, y, a, b, epsilon=0.5, p=p, reach=reach, tol=1e-10)

    gradcheck(loss, *problem())


def test_points_on_the_line_keep_their_shape():
    x, y, *_ = problem(0)
    gradcheck(lambda x, y: wasserstein_loss(x, y, p=2), x, y)
    gradcheck(lambda x, y: sinkhorn_divergence_loss(x, y, epsilon=1, p=2, tol=1e-10), x, y)


def test_values_are_those_of_the_library_and_not_rooted():
    x, y, *_ = problem()
    arrays = x.detach().numpy(), y.detach().numpy()
    exact = otdist.solve(otdist.Problem(*arrays, p=2)).value
    assert wasserstein_loss(x, y, p=2).item() == exact
    assert exact != pytest.approx(otdist.wasserstein_distance(*arrays, p=2), rel=0.01)
    divergence = otdist.sinkhorn_divergence(*arrays, epsilon=0.5, p=2)
    assert sinkhorn_divergence_loss(x, y, epsilon=0.5, p=2).item() == divergence


@pytest.mark.parametrize(
    "loss", [wasserstein_loss, lambda *xy: sinkhorn_divergence_loss(*xy, epsilon=0.5)]
)
def test_single_precision(loss):
    n, m = SIZES
    x, y = cloud(n, dtype=torch.float32), cloud(m, seed=1, dtype=torch.float32)
    logits = [cloud(k, 0, k, dtype=torch.float32) for k in (n, m)]
    value = loss(x, y, *(each.softmax(0) for each in logits))
    value.backward()
    assert value.dtype == torch.float32
    double = [each.detach().double().requires_grad_() for each in (x, y, *logits)]
    exact = loss(*double[:2], *(each.softmax(0) for each in double[2:]))
    exact.backward()
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    for mine, theirs in zip((x, y, *logits), double, strict=True):
        assert mine.grad.dtype == torch.float32
        torch.testing.assert_close(mine.grad.double(), theirs.grad, rtol=0, atol=1e-5)


def test_mixed_types_each_get_their_own():
    n, m = SIZES
    x, y = cloud(n, dtype=torch.float32), cloud(m, seed=1)
    value = wasserstein_loss(x, y)
    assert value.dtype == torch.float64
    value.backward()
    assert (x.grad.dtype, y.grad.dtype) == (torch.float32, torch.float64)


def test_derivatives_follow_the_chain_rule_and_need():
    x, y, *_ = problem()
    wasserstein_loss(x, y).backward()
    once, x.grad, y.grad = x.grad, None, None
    assert not torch.equal(once, torch.zeros_like(once))
    (3 * wasserstein_loss(x, y.detach())).backward()
    torch.testing.assert_close(x.grad, 3 * once)
    assert y.grad is None
    assert not wasserstein_loss(x.detach(), y.detach()).requires_grad
    with torch.no_grad():
        assert not wasserstein_loss(x, y).requires_grad


def test_inputs_are_left_as_they_were():
    x, y, *_ = problem()
    before = x.detach().clone(), y.detach().clone()
    wasserstein_loss(x, y).backward()
    sinkhorn_divergence_loss(x, y, epsilon=0.5).backward()
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_a_loss_on_another_device_comes_back_there():
    """Through host copies; run where there is such a device."""
    if not torch.cuda.is_available():
        pytest.skip("no second device here")
    x = cloud(4).detach().cuda().requires_grad_()
    value = wasserstein_loss(x, cloud(5))
    value.backward()
    assert value.device == x.grad.device == x.device


@pytest.mark.parametrize(
    "loss", [wasserstein_loss, lambda x, y: sinkhorn_divergence_loss(x, y, epsilon=0.5)]
)
def test_second_derivatives_are_refused_not_taken_as_zero(loss):
    x, y, *_ = problem()
    (slope,) = torch.autograd.grad(loss(x, y), x, create_graph=True)
    other = (x**2).sum()  # with it there is something left to differentiate
    with pytest.raises(RuntimeError, match="first derivatives only"):
        (slope.norm() + other).backward()


def test_what_is_not_proved_is_refused(monkeypatch):
    x, y, *_ = problem()
    with monkeypatch.context() as patch:
        patch.setattr(otdist.Certificate, "proves", lambda *_: False)
        with pytest.raises(NotCertifiedError, match="did not prove its value"):
            wasserstein_loss(x, y)
    monkeypatch.setattr(otdist.Result, "success", False)
    with pytest.raises(NotCertifiedError, match="did not converge"):
        sinkhorn_divergence_loss(x, y, epsilon=0.5)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"x": np.zeros((3, 2))}, "x must be a torch tensor, got ndarray"),
        ({"y": None}, "y must be a torch tensor, got NoneType"),
        ({"a": [1.0]}, "a must be a torch tensor, got list"),
        ({"y": torch.zeros(3, 2).half()}, "y must be float32 or float64, got torch.f"),
        ({"x": torch.zeros(3, 2).int()}, r"x must be .* got torch.int32; .*x.float"),
        ({"x": torch.full((3, 2), math.nan)}, r"x\[0, 0\] is nan"),
        ({"y": torch.zeros(3, 1)}, "coordinates"),
        ({"b": torch.tensor([0.5, 0.5, 0.5])}, "masses differ"),
    ],
)
def test_bad_arguments_of_losses(change, message):
    words = {"x": torch.zeros(3, 2), "y": torch.ones(3, 2)} | change
    for loss, more in (
        (wasserstein_loss, {}),
        (sinkhorn_divergence_loss, {"epsilon": 0.5}),
    ):
        with pytest.raises(InputError, match=message):
            loss(**words, **more)


# ------------------------------------------------------------------- Lipschitz bounds


def test_bound_of_a_network_is_the_product_of_its_norms():
    torch.manual_seed(0)
    first, second = nn.Linear(5, 8), nn.Linear(4, 1)
    network = nn.Sequential(
        nn.Sequential(first, MaxMin()), nn.ReLU(), nn.Linear(8, 4), nn.Tanh(), second
    )
    norms = [
        np.linalg.norm(layer.weight.detach().double().numpy(), 2)
        for layer in (first, network[2], second)
    ]
    bound = lipschitz_bound(network)
    assert math.prod(norms) < bound < math.prod(norms) * (1 + 1e-12)
    # Larger than what power iteration finds, which comes from below.
    vector = torch.randn(5).double().numpy()
    weight = first.weight.detach().double().numpy()
    for _ in range(3):
        vector = weight.T @ (weight @ vector)
        vector /= np.linalg.norm(vector)
    assert np.linalg.norm(weight @ vector) < norms[0] * (1 - 1e-6)


class Doubled(nn.Linear):
    def forward(self, z):
        return 2 * super().forward(z)


def test_what_is_not_known_has_no_bound():
    layer = nn.Linear(2, 2)
    for bad in (Doubled(2, 2), nn.GELU(), nn.LayerNorm(2)):
        with pytest.raises(InputError, match=f"layer 1 .* got a {type(bad).__name__}"):
            lipschitz_bound(nn.Sequential(layer, bad))
    with pytest.raises(InputError, match=r"must be a torch\.nn\.Sequential"):
        lipschitz_bound(layer)
    hooked = nn.Sequential(layer)
    hooked[0].register_forward_hook(lambda *args: 2 * args[-1])
    with pytest.raises(InputError, match="without hooks"):
        lipschitz_bound(hooked)
    instance = nn.Sequential(nn.Linear(2, 2))
    instance[0].forward = lambda z: 2 * z
    with pytest.raises(InputError, match="layer 0"):
        lipschitz_bound(instance)
    broken = nn.Sequential(nn.Linear(2, 2))
    broken[0].weight.data[0, 0] = math.nan
    assert lipschitz_bound(broken) == math.inf


def test_parametrized_layers_are_read_as_they_compute():
    torch.manual_seed(0)
    layer = parametrizations.orthogonal(nn.Linear(6, 6, dtype=torch.float64))
    assert lipschitz_bound(nn.Sequential(layer)) == pytest.approx(1, abs=1e-12)


# ----------------------------------------------------------------------------- critics

TRANSLATION = datasets.translation(2)
# The critics need no compiled code, and take as long without.
slow = pytest.mark.skipif(JIT_OFF, reason="trains networks; no kernels in it")


@pytest.fixture(scope="module")
def samples():
    return TRANSLATION.sample(4000, rng=0)


@pytest.fixture(scope="module")
def orthonormal(samples):
    return train_critic(*samples, steps=150, rng=0)


@slow
def test_orthonormal_critic_is_proved_and_not_above_the_truth(orthonormal):
    assert 1 <= orthonormal.lipschitz <= 1 + 1e-10
    assert orthonormal.is_certified
    assert 0.9 < orthonormal.value < 1 + 3 * orthonormal.standard_error
    assert orthonormal.n_held_out == (1200, 1200)
    # Of a translation all variance is that along it: f(x) has nearly that of x.
    assert orthonormal.standard_error == pytest.approx((2 / 1200) ** 0.5, rel=0.1)
    assert "at most W1 but for sampling noise" in str(orthonormal)


def test_held_out_points_are_never_drawn_for_training():
    points = np.arange(40.0)
    draw, held_out = _critics._source("x", points, np.random.default_rng(0))
    drawn = np.unique(draw(2000))
    assert len(held_out) == 12
    assert sorted([*drawn, *held_out.ravel()]) == points.tolist()


@slow
def test_clipped_critic_falls_far_short(samples):
    clipped = train_critic(*samples, kind="clip", steps=300, rng=0)
    assert 0 < clipped.value < 0.1
    for layer in clipped.network:
        if isinstance(layer, nn.Linear):
            assert layer.weight.abs().max() == pytest.approx(0.01, rel=1e-6)
    wide = train_critic(*samples, kind="clip", clip=0.5, steps=300, rng=0)
    assert wide.value > 2
    assert not wide.is_certified
    assert "without a certificate" in str(wide)
    for critic in (clipped, wide):
        # Divided by what is proved, even these are no more than W1.
        assert 0 < critic.normalized_value < 1
        assert critic.normalized_value * critic.lipschitz == pytest.approx(critic.value)


@slow
def test_penalised_critic_comes_near_and_proves_nothing(samples):
    critic = train_critic(*samples, kind="gp", steps=1200, rng=0)
    assert 0.7 < critic.value < 1.3
    assert not critic.is_certified
    lengths = np.linalg.norm(critic.gradient(samples[0]), axis=1)
    assert lengths.mean() == pytest.approx(1, abs=0.2)
    assert lengths.max() < critic.lipschitz


@slow
def test_a_planted_error_is_seen(samples):
    critic = train_critic(*samples, steps=2, rng=0)
    assert critic.is_certified
    critic.network[2].weight.mul_(1.1)
    assert critic.lipschitz == pytest.approx(1.1, rel=1e-10)
    assert not critic.is_certified
    critic.network[2].weight.mul_(1 / 1.1)
    critic.network[2].weight[0] *= 1 + 1e-5
    assert not critic.is_certified


@slow
def test_critics_are_functions_with_their_gradients(orthonormal):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(300, 2))
    step = 1e-6 * rng.normal(size=z.shape)
    change = orthonormal(z + step) - orthonormal(z - step)
    slopes = orthonormal.gradient(z)
    along = 2 * np.einsum("kd,kd->k", slopes, step)
    # At a kink the difference is of both sides.
    assert np.isclose(change, along, rtol=0, atol=1e-11).mean() > 0.95
    # Orthonormal layers keep the length of a gradient, but for the narrowing last one.
    assert np.linalg.norm(slopes, axis=1).max() <= 1 + 1e-9
    far = 100 * rng.normal(size=(2, 2000, 2))
    rise = np.abs(orthonormal(far[0]) - orthonormal(far[1]))
    assert (rise / np.linalg.norm(far[0] - far[1], axis=1)).max() <= 1 + 1e-9
    with pytest.raises(InputError, match="points must have 2 coordinates, got 3"):
        orthonormal(np.zeros((4, 3)))


@slow
def test_units_and_place_do_not_matter_to_the_orthonormal_critic(samples):
    x, y = samples
    plain = train_critic(x, y, steps=30, rng=0)
    moved = train_critic(1024 * x + 2048, 1024 * y + 2048, steps=30, rng=0)
    assert moved.value == pytest.approx(1024 * plain.value, rel=1e-3)
    assert moved.is_certified


@slow
def test_one_seed_gives_one_critic_and_leaves_torch_alone():
    def train(rng):
        torch.rand(1)  # what torch's own generator does next must not matter
        state = torch.get_rng_state()
        critic = train_critic(TRANSLATION.first, TRANSLATION.second, kind="gp", steps=5, rng=rng)
        assert torch.equal(state, torch.get_rng_state())
        return critic

    first = train(3)
    assert first.n_held_out == (16384, 16384)
    assert train(3).value == first.value
    assert train(4).value != first.value


@slow
def test_the_example_trains_measures_and_draws(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="it draws a picture")
    example = Path(__file__).resolve().parents[2] / "examples" / "train_generator.py"
    main = runpy.run_path(str(example))["main"]
    values = main(["--quick", "--out", str(tmp_path / "picture.png")])
    assert len(values) == 6
    assert all(0 < value < 10 for value in values.values())
    assert (tmp_path / "picture.png").stat().st_size > 10_000
    assert "target itself" in capsys.readouterr().out


@slow
def test_equal_points_and_the_line():
    critic = train_critic(np.zeros(20), np.zeros(20), steps=2, rng=0)
    assert critic.value == 0
    assert critic.standard_error < 1e-15
    x = np.linspace(0, 1, 50)
    assert train_critic(x, x + 3, steps=100, rng=0).value == pytest.approx(3, abs=0.3)


@pytest.mark.parametrize(
    "words, message",
    [
        ({"kind": "spectral"}, "kind must be one of 'clip', 'gp', 'orthonormal'"),
        ({"steps": 0}, "steps must be a positive integer, got 0"),
        ({"steps": 1.5}, "steps must be a positive integer, got 1.5"),
        ({"clip": -1.0}, "clip must be a positive number"),
        ({"x": np.zeros((9, 2))}, "x must have at least 10 points, .*, got 9"),
        ({"y": np.zeros((20, 3))}, "same number of coordinates, got 2 and 3"),
        ({"y": [[math.inf, 0]] * 20}, r"y\[0, 0\] is inf"),
        ({"x": lambda n, rng: np.zeros((n + 1, 2))}, "the sampler x must return n=16384 points"),
    ],
)
def test_bad_arguments_of_critics(words, message):
    words = {"x": np.zeros((20, 2)), "y": np.ones((20, 2))} | words
    with pytest.raises(InputError, match=message):
        train_critic(**words)


def test_without_torch_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import otdist\n"
        "try:\n    import otdist.torch\n"
        "except ImportError as error:\n    print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith('pip install "otdist[torch]"')


@pytest.mark.parametrize(
    "loss",
    [wasserstein_loss, functools.partial(sinkhorn_divergence_loss, epsilon=0.5, tol=1e-10)],
    ids=["exact", "sinkhorn"],
)
def test_gradients_go_through_the_sums_of_weights(loss):
    x, y = torch.tensor([0.0, 1, 5]).double(), torch.tensor([2.0, 3.5]).double()
    b = torch.tensor([1.0, 3.0]).double()

    def value(a):
        return loss(x, y, a, b, normalize=True)

    a = torch.tensor([1.0, 1.5, 2.0]).double().requires_grad_()
    wanted = loss(x, y, a.detach() / a.detach().sum(), b / b.sum())
    value(a).backward()
    assert value(a).item() == pytest.approx(wanted.item(), rel=1e-9)
    for k in range(3):
        step = torch.zeros(3).double()
        step[k] = 1e-4
        change = (value(a.detach() + step) - value(a.detach() - step)).item() / 2e-4
        assert a.grad[k].item() == pytest.approx(change, abs=1e-6)
    with pytest.raises(InputError, match="pass normalize=True"):
        loss(x, y, a.detach(), b)
    with pytest.raises(InputError, match="normalize must be True or False"):
        loss(x, y, a, b, normalize="no")


@pytest.mark.parametrize(
    "loss", [wasserstein_loss, functools.partial(sinkhorn_divergence_loss, epsilon=0.1)]
)
def test_a_metric_without_derivatives_is_not_advised(loss):
    x = torch.ones(2, 2, requires_grad=True)
    with pytest.raises(
        InputError, match="'sqeuclidean', whose derivatives are known; got 'cosine'"
    ):
        loss(x, torch.zeros(2, 2), metric="cosine")
