"""`pairwise(out=)` meets damaged files, kills, a second process and a full disk.

OTDIST_FAULTS=full takes as many kills and damaged files as docs/many-pairs.md reports.
"""

from __future__ import annotations

import ctypes
import functools
import json
import math
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
import warnings

import numpy as np
import pytest

from otdist import FailedPairsWarning, InputError, pairwise
from otdist.batch import checkpoint
from otdist.batch.identity import UnknownObjectError, fingerprint

IS_FULL = os.environ.get("OTDIST_FAULTS") == "full"
N_KILLS = 40 if IS_FULL else 6
N_DAMAGED = 200 if IS_FULL else 40
MEASURES = [np.array([[float(k), float(k * k)]]) for k in range(12)]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX")


def apart(x, y, a, b):
    """Return a distance without compiled code, which fails for one pair."""
    if x[0, 0] == 2 and y[0, 0] == 5:
        raise ArithmeticError("two and five")
    return float(np.abs(x - y).sum())


def matrix_of(out, **options):
    """Return the matrix and the pairs that failed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = pairwise(MEASURES, distance=apart, out=out, **options)
    return np.array(found), caught[0].message.failures


EXPECTED = np.abs(np.subtract.outer(range(12), range(12))) * 1.0
EXPECTED += np.abs(np.subtract.outer(np.arange(12) ** 2, np.arange(12) ** 2))
EXPECTED[2, 5] = EXPECTED[5, 2] = math.nan
ALL = EXPECTED[EXPECTED >= 0]


# --------------------------------------------------------------------- damaged files


def flip(data, rng):
    where = rng.randrange(len(data))
    return data[:where] + bytes([data[where] ^ 1 << rng.randrange(8)]) + data[where + 1 :]


def cut(data, rng):
    return data[: rng.randrange(len(data))]


def zeros(data, rng):
    where = rng.randrange(len(data))
    return data[:where] + bytes(min(64, len(data) - where)) + data[where + 64 :]


def longer(data, rng):
    return data + rng.randbytes(rng.randrange(1, 99))


def foreign(data, rng):
    return rng.randbytes(len(data))


def empty(data, rng):
    return b""


def other_numbers(data, rng):
    return data[:-800] + rng.randbytes(800)


def lines_in_another_order(data, rng):
    head, *lines = data.splitlines(keepends=True)
    return head + b"".join(rng.sample(lines, len(lines)))


def lines_twice(data, rng):
    head, *lines = data.splitlines(keepends=True)
    return head + b"".join(lines + lines[: rng.randrange(len(lines))])


def lines_missing(data, rng):
    head, *lines = data.splitlines(keepends=True)
    return head + b"".join(rng.sample(lines, rng.randrange(len(lines))))


def another_block(data, rng):
    head, *lines = data.splitlines(keepends=True)
    line = json.loads(lines[0])
    line["block"] = rng.choice([-1, 3, 10**9, "0", None])
    return head + json.dumps(line).encode() + b"\n" + b"".join(lines[1:])


def another_head(data, rng):
    head, *lines = data.splitlines(keepends=True)
    changed = json.loads(head)
    changed[rng.choice(sorted(changed))] = rng.choice([[13, 13], "other", 7, None])
    return json.dumps(changed).encode() + b"\n" + b"".join(lines)


def no_json(data, rng):
    return rng.choice([b"[" * 9999, b"null\n", b"[]\n", b"{}\n", b'"a"\n', b"\xff\xfe\n"]) + data


IN_MATRIX = flip, cut, zeros, longer, foreign, empty, other_numbers
IN_RECORD = (
    *(flip, cut, zeros, longer, foreign, empty, no_json),
    *(lines_in_another_order, lines_twice, lines_missing, another_block, another_head),
)


def test_damaged_files_give_the_right_matrix_or_one_sentence(tmp_path):
    whole = tmp_path / "whole.npy"
    matrix_of(whole)
    n_mended = 0
    for k in range(N_DAMAGED):
        rng = random.Random(k)
        out = tmp_path / f"{k}.npy"
        in_matrix, record = k % 2 == 0, whole.with_name("whole.npy.checkpoint").read_bytes()
        if rng.random() < 0.5:  # of a run that was stopped
            record = b"".join(record.splitlines(keepends=True)[: rng.randrange(2, 12)])
        data = whole.read_bytes()
        damage = rng.choice(IN_MATRIX if in_matrix else IN_RECORD)
        out.write_bytes(damage(data, rng) if in_matrix else data)
        path = out.with_name(f"{k}.npy.checkpoint")
        path.write_bytes(record if in_matrix else damage(record, rng))
        try:
            found, failures = matrix_of(out)
        except InputError as error:
            sentence = str(error)
            out.unlink()
            path.unlink()
            found, failures = matrix_of(out)
            assert "delete it" in sentence, damage
            assert "\n" not in sentence, damage
        else:
            n_mended += 1
        np.testing.assert_array_equal(found, EXPECTED, err_msg=f"{k} {damage}")
        np.testing.assert_array_equal(np.load(out), EXPECTED, err_msg=f"{k} {damage}")
        assert failures == [(2, 5, "ArithmeticError: two and five")], damage
    assert n_mended > N_DAMAGED // 4


@pytest.mark.parametrize("condensed", [False, True])
def test_only_damaged_blocks_are_computed_anew(tmp_path, condensed):
    out, calls = tmp_path / "m.npy", tmp_path / "calls"

    def counted(x, y, a, b, log=str(calls)):
        with open(log, "a") as lines:
            lines.write("1\n")
        return float(np.abs(x - y).sum())

    expected = np.array(pairwise(MEASURES, distance=counted, out=out, condensed=condensed))
    calls.write_text("")
    pairwise(MEASURES, distance=counted, out=out, condensed=condensed)
    assert calls.read_text() == ""
    data = bytearray(out.read_bytes())
    data[200] ^= 1
    out.write_bytes(data)
    found = pairwise(MEASURES, distance=counted, out=out, condensed=condensed)
    assert (found == expected).all()
    assert 0 < len(calls.read_text().splitlines()) <= 3


def test_the_lower_triangle_is_mended(tmp_path):
    out = tmp_path / "m.npy"
    matrix_of(out)
    matrix = np.load(out, mmap_mode="r+")
    matrix[7, 1], matrix[3, 3] = 5.0, 1.0
    matrix.flush()
    np.testing.assert_array_equal(matrix_of(out)[0], EXPECTED)


def test_a_file_without_its_record_is_left_alone(tmp_path):
    out = tmp_path / "m.npy"
    np.save(out, np.arange(3.0))
    with pytest.raises(InputError, match="no record"):
        matrix_of(out)
    assert np.load(out).tolist() == [0.0, 1.0, 2.0]
    assert not (tmp_path / "m.npy.checkpoint").exists()


# ------------------------------------------------------------------------- processes

PROGRAM = """
import os, sys, time, warnings
import numpy as np
from otdist import pairwise
warnings.simplefilter("ignore")
MEASURES = [np.array([[float(k), float(k * k)]]) for k in range(12)]
def slow(x, y, a, b):
    with open({log!r}, "a") as log:
        log.write("1\\n")
    time.sleep(float(sys.argv[1]))
    return float(np.abs(x - y).sum())
print("ready", flush=True)
found = pairwise(MEASURES, distance=slow, out={out!r})
np.save({saved!r}, found)
"""


def start(tmp_path, wait, name="m.npy"):
    """Start a process that fills a matrix slowly."""
    paths = {"log": str(tmp_path / "log"), "out": str(tmp_path / name)}
    code = PROGRAM.format(saved=str(tmp_path / "saved.npy"), **paths)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(wait)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def end(process):
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_kills_at_any_time_lose_one_block(tmp_path, number):
    """The same call goes on after each; pairs are computed again only in blocks cut short."""
    rng, n_kills, n_pairs, block = random.Random(7), 0, 66, 3
    log = tmp_path / "log"
    while n_kills < N_KILLS:
        process = start(tmp_path, 0.01)
        time.sleep(rng.uniform(0, 0.2))
        is_killed = process.poll() is None
        process.send_signal(number)
        _, errors = process.communicate()
        n_kills += is_killed
        assert is_killed or process.returncode == 0, errors
        if (tmp_path / "saved.npy").exists():
            np.testing.assert_array_equal(np.load(tmp_path / "saved.npy")[EXPECTED >= 0], ALL)
            assert len(log.read_text().splitlines()) <= n_pairs + block * n_kills
            for name in ("saved.npy", "m.npy", "m.npy.checkpoint", "log"):
                (tmp_path / name).unlink()
    process = start(tmp_path, 0)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    np.testing.assert_array_equal(np.load(tmp_path / "saved.npy")[EXPECTED >= 0], ALL)


def test_a_second_process_is_refused_until_the_first_ends(tmp_path):
    out = tmp_path / "m.npy"
    process = start(tmp_path, 0.05)
    try:
        limit = time.monotonic() + 30
        while not out.exists():
            assert time.monotonic() < limit
            time.sleep(0.01)
        second = start(tmp_path, 0)
        _, errors = second.communicate()
        assert "InputError" in errors
        assert "is being written by another call" in errors
        assert process.poll() is None
    finally:
        end(process)
    third = start(tmp_path, 0)
    _, errors = third.communicate()
    assert third.returncode == 0, errors
    np.testing.assert_array_equal(np.load(tmp_path / "saved.npy")[EXPECTED >= 0], ALL)


FULL = """
import os, resource
import numpy as np
from otdist import pairwise
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    pairwise(np.eye(200), distance="js", out={out!r})
except OSError as error:
    print(str(error))
    os._exit(7)
"""


def test_a_limit_of_file_sizes_is_an_error(tmp_path):
    """Without reserved room, writing to mapped memory ends the process (SIGBUS)."""
    out = tmp_path / "m.npy"
    code = FULL.format(limit=100_000, out=str(out))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "takes 0.320128 MB" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a small disk")
def test_a_full_disk_is_an_error(tmp_path):
    mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=200k none "$0" && exec "$@"']
    if subprocess.run([*mount, str(tmp_path), "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted")
    code = FULL.format(limit=0, out=str(tmp_path / "m.npy"))
    command = [*mount, str(tmp_path), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "No space left on device; make room" in done.stdout


def test_a_record_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    out = tmp_path / "m.npy"

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "fsync", full)
        with pytest.raises(OSError, match="make room"):
            matrix_of(out)
    np.testing.assert_array_equal(matrix_of(out)[0], EXPECTED)


# ------------------------------------------------------------------ functions and out=

SCALE, WEIGHTS = 2.0, np.arange(3.0)


def helper(x):
    return SCALE * x


def with_globals(x, y, a, b):
    return helper(float(np.abs(x - y).sum())) + WEIGHTS[1]


class Scaled:
    def __init__(self, by):
        self.by = by

    def __call__(self, x, y, a, b):
        return self.by * abs(x[0, 0] - y[0, 0])

    def method(self, x, y, a, b):
        return self(x, y, a, b) + 1


def scaled(by):
    return lambda x, y, a, b: by * abs(x[0, 0] - y[0, 0])


@pytest.mark.parametrize("name, value", [("SCALE", 3.0), ("WEIGHTS", np.ones(3))])
def test_globals_that_a_function_reads_are_part_of_it(tmp_path, monkeypatch, name, value):
    out = tmp_path / "m.npy"
    found = np.array(pairwise(MEASURES, distance=with_globals, out=out))
    assert (pairwise(MEASURES, distance=with_globals, out=out) == found).all()
    monkeypatch.setitem(globals(), name, value)
    with pytest.raises(InputError, match="another call"):
        pairwise(MEASURES, distance=with_globals, out=out)


@pytest.mark.parametrize(
    "make",
    [
        scaled,
        Scaled,
        lambda by: Scaled(by).method,
        lambda by: functools.partial(lambda x, y, a, b, by: by * x[0, 0], by=by),
        lambda by: functools.cache(scaled(by)),
        lambda by: functools.wraps(np.sum)(scaled(by)),
    ],
    ids=["closure", "object", "method", "partial", "cached", "wrapped"],
)
def test_what_a_function_holds_is_part_of_it(make):
    assert fingerprint(make(2.0)) == fingerprint(make(2.0))
    assert fingerprint(make(2.0)) != fingerprint(make(3.0))


IDENTITIES = """
import math, sys
import numpy as np
from otdist.batch.identity import fingerprint
def f(x, y, a, b):
    def g():
        return x in {"a", "b", "c"}
    return g() or np.dot(x, y) + math.sqrt(2)
print(fingerprint(f, np.add, np.arange(4.0)[::2], {"k": {"a", "b", "c"}}, np.random.default_rng(0)))
"""


def test_identities_are_the_same_in_other_processes():
    found = {
        subprocess.run(
            [sys.executable, "-c", IDENTITIES],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert len(found) == 1


def refused():
    held = Scaled(threading.Lock())
    return [
        ctypes.CDLL(None).hypot,
        held,
        held.method,
        types.MethodType(Scaled.method, threading.Lock()),
        scaled(threading.Lock()),
        lambda x, y, a, b: float(next(a for a in ()) if held else 0),
    ]


@pytest.mark.parametrize("k", range(len(refused())))
def test_functions_that_cannot_be_recognised_are_refused(tmp_path, k):
    distance = refused()[k]
    with pytest.raises(UnknownObjectError):
        fingerprint(distance)
    with pytest.raises(InputError, match=r"out= must recognise the call.* leave out out"):
        pairwise(MEASURES, distance=distance, out=tmp_path / "m.npy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "out", [5, 0, True, b"m.npy", ["m.npy"], {}, np.zeros(2), "", "m.txt", "a\0.npy", "no/m.npy"]
)
def test_names_of_a_wrong_type_are_refused(out):
    with pytest.raises(InputError, match="out"):
        pairwise(MEASURES, out=out)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "m.npy").mkdir()
    (tmp_path / "k.npy.checkpoint").mkdir()
    for name in ("m.npy", "k.npy"):
        with pytest.raises(InputError, match="out="):
            pairwise(MEASURES, out=tmp_path / name)


@pytest.mark.parametrize("failures", [[], None, 3])
def test_failures_is_no_option(failures):
    with pytest.raises(InputError, match="failures"):
        pairwise(MEASURES, failures=failures)


def test_functions_that_cannot_be_pickled_are_refused_with_a_remedy():
    with pytest.raises(InputError, match="pass n_jobs=1"):
        pairwise(MEASURES, distance=Scaled(threading.Lock()), n_jobs=2)


# --------------------------------------------------------------- functions that raise


class OddError(Exception):
    pass


def raises(error):
    def distance(x, y, a, b):
        if x[0, 0] == 1:
            raise error
        return 1.0

    return distance


@pytest.mark.parametrize(
    "distance, reason",
    [
        (raises(OddError("odd")), "OddError: odd"),
        (raises(ZeroDivisionError("zero")), "ZeroDivisionError: zero"),
        (raises(InputError("bad")), "InputError: bad"),
        (raises(StopIteration()), "StopIteration: "),
        (raises(pickle.PicklingError("no")), "PicklingError: no"),
        (lambda x, y, a, b: np.ones(2) if x[0, 0] == 1 else 1.0, "an array of shape"),
        (lambda x, y, a, b: "abc" if x[0, 0] == 1 else 1.0, "must be a number, got 'abc'"),
        (lambda x, y, a, b: None if x[0, 0] == 1 else 1.0, "NoneType"),
        (lambda x, y, a, b: 1j if x[0, 0] == 1 else 1.0, "complex"),
        (lambda x, y, a, b: math.nan if x[0, 0] == 1 else 1.0, "the distance is nan"),
    ],
)
def test_a_function_that_raises_gives_nan_and_its_reason(distance, reason):
    with pytest.warns(FailedPairsWarning) as caught:
        found = pairwise(MEASURES[:4], distance=distance)
    assert np.isnan(found[1, 2:]).all()
    assert (found[0, 1:] == 1).all()
    failures = caught[0].message.failures
    assert [failure[:2] for failure in failures] == [(1, 2), (1, 3)]
    assert all(reason in failure[2] for failure in failures)


def test_a_metric_that_raises_gives_nan_and_its_reason():
    def metric(x, y):
        if x[0] == 1:
            raise OddError("odd")
        return abs(float(x[0] - y[0]))

    with pytest.warns(FailedPairsWarning, match="OddError: odd"):
        found = pairwise(MEASURES[1:4], metric=metric)
    assert np.isnan(found[0, 1:]).all()
    assert found[1, 2] == 1.0
