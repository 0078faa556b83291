"""Others that solve entropic transport, all brought to the same *measured* accuracy.

What a library calls its tolerance differs: POT's is a 2-norm of one marginal, RegOT's
one of both, GeomLoss has none and takes a number of steps from its `scaling`. So the
plan that comes back is measured, and `reach` looks for the loosest setting whose plan
is good enough; only the call with that setting is timed.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from benchmarks import peers
from benchmarks.instances import Clouds, FloatArray, Instance, make, make_points
from otdist import certify

try:
    import regot
except ImportError:
    regot = None

TOLERANCES = tuple(10.0**-k for k in range(4, 11))
#: The same for POT's epsilon scaling, which squares the 2-norm it compares.
_SQUARED = tuple(10.0**-k for k in range(4, 17))
#: GeomLoss takes about log(diameter / blur) / -log(scaling) steps.
SCALINGS = tuple(0.5 ** (0.25**k) for k in range(8))
_TO_THE_END = 10**9
# Its default, 1000, is passed in every iteration from n = 1000 on, and each time costs
# a new matrix of exponentials.
_TAU = 1e8


class Task(NamedTuple):
    """One problem, and the points it was made from, where there are any."""

    instance: Instance
    clouds: Clouds | None

    @property
    def shape(self) -> tuple[int, int]:
        return self.instance.shape

    @property
    def d(self) -> int | None:
        return self.instance.d

    @property
    def p(self) -> float | None:
        return self.instance.p

    @property
    def weights(self) -> str:
        return self.instance.weights

    @property
    def mean_cost(self) -> float:
        return float(self.instance.a @ self.instance.cost @ self.instance.b)


class Answer(NamedTuple):
    """A plan, the potential of its rows, and how many iterations they took."""

    plan: FloatArray
    f: FloatArray
    n_iter: int


class Peer(NamedTuple):
    """How a library is prepared for a task, called and read; the call alone is timed.

    `prepare` returns the call, of epsilon and a setting; settings go from the loosest
    to the strictest.
    """

    settings: Sequence[float]
    prepare: Callable[[Task], Callable[[float, float], Any]]
    read: Callable[[Task, float, Any], Answer]


class Reached(NamedTuple):
    """The cheapest setting that is good enough, or, in nan seconds, the best tried."""

    seconds: float
    measured: float
    n_iter: int
    epsilon: float
    setting: float


def make_task(family: str, n: int) -> Task:
    try:
        clouds = make_points(family, n)
    except NotImplementedError:
        return Task(make(family, n), None)
    return Task(clouds.matrix(), clouds)


def marginal_error(task: Task, answer: Answer) -> float:
    """Return ``|P 1 - a|_1 + |Pᵀ 1 - b|_1``."""
    rows = np.abs(answer.plan.sum(axis=1) - task.instance.a).sum()
    return float(rows + np.abs(answer.plan.sum(axis=0) - task.instance.b).sum())


def certified_gap(task: Task, answer: Answer) -> float:
    """Return the relative gap of the unregularised problem that the answer proves."""
    if not np.isfinite(answer.plan).all() or not np.isfinite(answer.f).all():
        return math.inf
    certificate = certify(task.instance.problem(), answer.plan, answer.f)
    return certificate.relative_gap


def _pot(
    name: str,
    iterations: str,
    settings: Sequence[float] = TOLERANCES,
    **options: float,
) -> Peer:
    """One of POT's functions; the log of what scales the rows goes by many names."""

    def prepare(task: Task) -> Callable[[float, float], Any]:
        function = getattr(peers.load_pot().bregman, name)
        instance = task.instance

        def call(epsilon: float, tol: float) -> Any:
            return function(
                instance.a,
                instance.b,
                instance.cost,
                epsilon,
                numItermax=_TO_THE_END,
                stopThr=tol,
                log=True,
                warn=False,
                **options,
            )

        return call

    def read(task: Task, epsilon: float, made: Any) -> Answer:
        plan, log = made
        if "alpha" in log:
            f = log["alpha"]
        else:
            f = epsilon * (log["log_u"] if "log_u" in log else np.log(log["u"]))
        return Answer(plan, f, log[iterations])

    return Peer(settings, prepare, read)


def _regot(name: str) -> Peer:
    """One of RegOT's solvers, in column order, which it would copy a matrix to."""

    def prepare(task: Task) -> Callable[[float, float], Any]:
        if regot is None:
            raise NotImplementedError("RegOT is not installed")
        a, b, cost = task.instance.a, task.instance.b, task.instance.cost
        cost = np.asfortranarray(cost)
        function = getattr(regot, name)
        return lambda epsilon, tol: function(cost, a, b, epsilon, tol=tol, max_iter=_TO_THE_END)

    def read(task: Task, epsilon: float, made: Any) -> Answer:
        return Answer(made.plan, made.dual[: len(task.instance.a)], made.niter)

    return Peer(TOLERANCES, prepare, read)


def _prepare_geomloss(task: Task) -> Callable[[float, float], Any]:
    """Let GeomLoss make potentials of points, in double precision.

    Its cost is ``|x - y|ᵖ / p`` and its epsilon ``blurᵖ``.
    """
    try:
        import torch
        from geomloss import SamplesLoss
    except ImportError:
        raise NotImplementedError("GeomLoss is not installed") from None
    if task.clouds is None:
        raise NotImplementedError("GeomLoss wants points")
    clouds = task.clouds
    arrays = [torch.from_numpy(np.array(each)) for each in (clouds.a, clouds.x, clouds.b, clouds.y)]

    def call(epsilon: float, scaling: float) -> Any:
        loss = SamplesLoss(
            "sinkhorn",
            p=clouds.p,
            blur=(epsilon / clouds.p) ** (1 / clouds.p),
            scaling=scaling,
            debias=False,
            potentials=True,
            backend="tensorized",
        )
        return loss(*arrays)

    return call


def _read_geomloss(task: Task, epsilon: float, made: Any) -> Answer:
    """Make the plan of the potentials; GeomLoss counts no iterations."""
    a, b, cost = task.instance.a, task.instance.b, task.instance.cost
    f, g = (task.clouds.p * each.detach().numpy().ravel() for each in made)
    plan = np.exp((f[:, None] + g[None, :] - cost) / epsilon)
    plan *= a[:, None] * b[None, :]
    return Answer(plan, f, -1)


# POT's greenkhorn updates one row or column in a step of Python: hopeless here.
PEERS: dict[str, Peer] = {
    "pot_stabilized": _pot("sinkhorn_stabilized", "n_iter", tau=_TAU),
    "pot_sinkhorn": _pot("sinkhorn_knopp", "niter"),
    "pot_log": _pot("sinkhorn_log", "niter"),
    "pot_scaling": _pot("sinkhorn_epsilon_scaling", "niter", _SQUARED, tau=_TAU),
    "geomloss": Peer(SCALINGS, _prepare_geomloss, _read_geomloss),
    "regot_bcd": _regot("sinkhorn_bcd"),
    "regot_apdagd": _regot("sinkhorn_apdagd"),
    "regot_lbfgs": _regot("sinkhorn_lbfgs_dual"),
    "regot_newton": _regot("sinkhorn_newton"),
    "regot_sparse_newton": _regot("sinkhorn_sparse_newton"),
    "regot_ssns": _regot("sinkhorn_ssns"),
    "regot_splr": _regot("sinkhorn_splr"),
}


def reach(
    peer: Peer,
    task: Task,
    epsilons: Iterable[float],
    target: float = 1e-6,
    measure: Callable[[Task, Answer], float] = marginal_error,
    cap: float = 120,
    settings: Sequence[float] | None = None,
) -> Reached:
    """Find the cheapest setting whose answer measures at most `target`.

    Settings are tried from the loosest on, epsilons from the largest; a call longer
    than `cap` seconds is ended, and nothing stricter is tried at that epsilon.
    """
    peer.prepare(task)  # where it is not installed, this says so
    best = Reached(math.nan, math.inf, -1, math.nan, math.nan)
    for epsilon in epsilons:
        for setting in settings or peer.settings:
            tried = _in_a_child(peer, task, epsilon, setting, measure, cap)
            if tried is None:
                break
            if tried.measured <= target:
                return tried
            if tried.measured < best.measured:
                best = tried
    return best._replace(seconds=math.nan)


def _in_a_child(
    peer: Peer,
    task: Task,
    epsilon: float,
    setting: float,
    measure: Callable[[Task, Answer], float],
    cap: float,
) -> Reached | None:
    """Call a peer where it can be ended; None if it had to be, or fell."""
    if not hasattr(os, "fork"):
        raise NotImplementedError("calls that may not end need fork")
    ours, theirs = multiprocessing.Pipe(duplex=False)
    arguments = (theirs, peer, task, epsilon, setting, measure)
    with warnings.catch_warnings():
        # The child starts no threads and takes no locks of ours.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = multiprocessing.get_context("fork").Process(target=_report, args=arguments)
        child.start()
    theirs.close()
    try:
        ours.recv()
        return ours.recv() if ours.poll(cap) and ours.recv() else None
    except EOFError:
        return None
    finally:
        child.kill()
        child.join()
        ours.close()


def _report(
    pipe: Connection,
    peer: Peer,
    task: Task,
    epsilon: float,
    setting: float,
    measure: Callable[[Task, Answer], float],
) -> None:
    """Send three messages: about to start, done, and what was measured."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    call = peer.prepare(task)
    pipe.send(True)
    start = time.perf_counter()
    made = call(epsilon, setting)
    seconds = time.perf_counter() - start
    pipe.send(True)
    answer = peer.read(task, epsilon, made)
    measured = measure(task, answer)
    pipe.send(Reached(seconds, measured, answer.n_iter, epsilon, setting))
