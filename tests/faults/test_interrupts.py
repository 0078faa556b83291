"""Ctrl-C at any time of a first call: it is answered at once, and the session goes on.

OTDIST_FAULTS=full interrupts each function twenty times.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import JIT_OFF

from otdist.runtime import interrupts
from otdist.runtime.blocks import exact_sum, share
from otdist.runtime.interrupts import LARGE, interruptible, unbroken

IS_FULL = os.environ.get("OTDIST_FAULTS") == "full"
N_TRIES = 20 if IS_FULL else 2
#: Seconds between the signal and the exception.
AT_ONCE = 0.2

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")

PROGRAM = """
import os, signal, sys, threading, time, warnings
# A shell that runs tests in the background has them ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
warnings.simplefilter("ignore")
import numpy as np
rng = np.random.default_rng(0)
u, v = rng.random((2, {n}))
x, y = rng.random((2, 60, 2))
a, b = rng.dirichlet(np.ones(60), 2)
sent = []
def send():
    time.sleep(float(sys.argv[1]))
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
def call():
    import otdist
    return {call}
try:
    threading.Thread(target=send, daemon=True).start()
    call()
    while not sent:
        time.sleep(0.01)
    time.sleep(0.5)
    print("lost")
except KeyboardInterrupt:
    print(time.perf_counter() - sent[0])
if {again}:
    print(float(np.sum(call())))
"""

FIRST_CALLS = {
    "line": "otdist.wasserstein_distance(u, v)",
    "circle": "otdist.wasserstein_distance(u, v, period=1.0)",
    "emd": "otdist.emd(a, b, np.abs(x[:, :1] - y[:, 0]))",
    "cloud": "otdist.solve(otdist.Problem(x, y, a, b)).value",
    "p2": "otdist.solve(otdist.Problem(x, y, p=2)).value",
    "sinkhorn": "otdist.sinkhorn_divergence(x, y, epsilon=0.1)",
    "sliced": "otdist.sliced_wasserstein_distance(x, y, rng=0)",
    "divergence": "otdist.kl_divergence(a, b)",
    "renyi": "otdist.renyi_divergence(a, b, 2)",
    "pairwise": "otdist.pairwise([x, y, x[:9]])",
    "grid": "otdist.solve(otdist.Problem.on_grid(x, y, normalize=True)).value",
    "kr_dual": "otdist.kr_dual(x, y, rng=0).value",
    "highs": "otdist.solve(otdist.Problem(x, y), method='highs').value",
}
USUAL = FIRST_CALLS if IS_FULL else {k: FIRST_CALLS[k] for k in ("line", "sliced", "highs")}


def run(call, delay, n=5000, again=True, **environment):
    """Interrupt a call of a new process; return the seconds it took, and its value later."""
    code = PROGRAM.format(n=n, call=call, again=again)
    done = subprocess.run(
        [sys.executable, "-c", code, str(delay)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    seconds, *values = done.stdout.split()
    return seconds, [float(value) for value in values]


@pytest.mark.parametrize("name", USUAL)
def test_a_first_call_that_is_interrupted_can_be_repeated(name):
    rng = random.Random(name)
    _, expected = run(USUAL[name], 0.0)
    for _ in range(N_TRIES):
        seconds, values = run(USUAL[name], rng.uniform(0, 1.5))
        assert values == pytest.approx(expected, rel=1e-12)
        assert float(seconds) <= AT_ONCE


@pytest.mark.skipif(JIT_OFF, reason="nothing is compiled")
@pytest.mark.parametrize("name", FIRST_CALLS if IS_FULL else ["divergence"])
def test_compilation_can_be_interrupted(tmp_path, name):
    """It goes on in the background, and the next call finds numba as it was."""
    rng = random.Random(name)
    for k in range(2 if IS_FULL else 1):
        cache = {"NUMBA_CACHE_DIR": str(tmp_path / str(k))}
        seconds, values = run(FIRST_CALLS[name], rng.uniform(1.0, 3.0), **cache)
        assert float(seconds) <= AT_ONCE
        assert np.isfinite(values).all()


LONG_CALLS = {
    "line": "otdist.wasserstein_distance(u, v)",
    "circle": "otdist.wasserstein_distance(u, v, period=1.0)",
    "solve": "otdist.solve(otdist.Problem(u, v)).value",
    "weights": "otdist.wasserstein_distance(u, v, u / u.sum(), v / v.sum())",
    "kl": "otdist.kl_divergence(u, v, normalize=True)",
    "renyi": "otdist.renyi_divergence(u, v, 2, normalize=True)",
    "sliced": "otdist.sliced_wasserstein_distance(u.reshape(-1, 2), v.reshape(-1, 2), rng=0)",
    "c_transform": "otdist.c_transform(u, v, np.zeros(len(v)))",
}


@pytest.mark.skipif(JIT_OFF, reason="plain Python would not end")
@pytest.mark.parametrize("name", LONG_CALLS if IS_FULL else ["line", "renyi"])
def test_ten_million_numbers_can_be_interrupted(name):
    rng = random.Random(name)
    for _ in range(N_TRIES if IS_FULL else 1):
        seconds, _ = run(LONG_CALLS[name], rng.uniform(1.5, 3.0), n=10**7, again=False)
        assert float(seconds) <= AT_ONCE


# --------------------------------------------------------------------- their own thread


def interrupt_in(seconds, monkeypatch):
    """Raise KeyboardInterrupt in the wait for a thread."""
    end = time.monotonic() + seconds
    join = threading.Thread.join

    def joined(thread, timeout=None):
        if time.monotonic() > end:
            raise KeyboardInterrupt
        join(thread, timeout)

    monkeypatch.setattr(interrupts._Helper, "join", joined)


def count_up(log):
    for _ in range(200):
        log.append(1)
        time.sleep(0.01)


@pytest.mark.skipif(sys.gettrace() is not None, reason="a call that is traced goes on")
def test_an_interrupted_call_ends_at_its_next_instruction(monkeypatch):
    log = []
    interrupt_in(0.05, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        interruptible(np.inf, count_up, log)
    time.sleep(0.1)
    n_steps = len(log)
    time.sleep(0.1)
    assert len(log) == n_steps < 200


def test_an_unbroken_call_goes_on(monkeypatch):
    log = []
    interrupt_in(0.05, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        unbroken(count_up, log)
    limit = time.monotonic() + 60
    while len(log) < 200:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_compilation_inside_an_interrupted_call_goes_on(monkeypatch):
    log = []
    interrupt_in(0.05, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        interruptible(np.inf, unbroken, count_up, log)
    limit = time.monotonic() + 60
    while len(log) < 200:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_values_errors_and_settings_pass_through():
    assert interruptible(np.inf, max, [3, 1, 2], key=lambda k: -k) == 1
    with pytest.raises(ZeroDivisionError):
        interruptible(np.inf, lambda: 1 / 0)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        interruptible(np.inf, lambda: np.float64(1e300) * 1e300)
    here = threading.get_ident()
    assert interruptible(LARGE, threading.get_ident) == here
    assert interruptible(LARGE + 1, threading.get_ident) != here
    assert unbroken(unbroken, threading.get_ident) != here


def test_threads_do_not_delay_ctrl_c(monkeypatch):
    interrupt_in(0.05, monkeypatch)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        share(lambda _: time.sleep(2), 2, 2)
    assert time.monotonic() - began < 1


def test_exact_sums_of_many_numbers():
    numbers = np.random.default_rng(0).normal(size=(3, 200_000)) * 1e10
    numbers[0, 0], numbers[2, -1] = 1e17, -1e17
    assert exact_sum(numbers) == exact_sum(numbers[::-1, ::-1])
    assert exact_sum(np.array([1e100, 1.0, -1e100] * 100_000)) == 100_000
    assert exact_sum(numbers[:, :9]) == float(np.sum(numbers[:, :9], dtype=np.longdouble))
