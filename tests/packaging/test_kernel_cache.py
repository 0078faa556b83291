"""Where compiled kernels are kept: own folders, other users, read-only installs, archives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipapp
from pathlib import Path

import pytest

import otdist
from otdist.runtime import kernel_cache

NOBODY = 65534
KERNEL = """
from otdist.runtime.kernel_cache import njit

kernel = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)


@kernel
def twice(x):
    return 2 * x


@kernel
def thrice(x):
    return 3 * x
"""
PROGRAM = """
import json, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from otdist.compiled.planted import twice
    value = twice(21)
print(json.dumps({
    "value": value,
    "path": twice.stats.cache_path,
    "hits": sum(twice.stats.cache_hits.values()),
    "warnings": [str(one.message) for one in caught],
}))
"""
SLOW = """
import time

from numba.extending import overload
from otdist.runtime.kernel_cache import njit

kernel = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)


def wait(x):
    return x


@overload(wait)
def _wait(x):
    time.sleep(2.1)
    return lambda x: x


@kernel
def slow(x):
    return wait(x)
"""
LOGGED = """
import logging
logged = []
handler = logging.Handler(logging.INFO)
handler.emit = lambda record: logged.append(record.getMessage())
logging.getLogger("otdist").addHandler(handler)
logging.getLogger("otdist").setLevel(logging.INFO)
from otdist.compiled.planted import {name}
{name}(1), {name}(1.0)
print(*logged, sep="\\n")
"""


@pytest.fixture
def site(tmp_path):
    """Return a folder with a copy of the package that has one small kernel more."""
    ignored = shutil.ignore_patterns("__pycache__")
    package = tmp_path / "site" / "otdist"
    shutil.copytree(Path(otdist.__file__).parent, package, ignore=ignored)
    (package / "compiled" / "planted.py").write_text(KERNEL)
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    return package.parent


def run(path, *, before=(), **environment):
    """Import the small kernel from a folder or archive in a new process, and call it."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "XDG_"))}
    folder = path.parent
    base |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(path)}
    done = subprocess.run(
        [*before, sys.executable, "-c", PROGRAM],
        env=base | {k: str(v) for k, v in environment.items()},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def cached(folder):
    return sorted(path.name for path in folder.rglob("*.nb[ic]"))


linux = pytest.mark.skipif(sys.platform != "linux", reason="mounts and setpriv are of Linux")


@pytest.fixture
def other_user(site):
    """Return what makes a command run as another user, who finds the package read-only."""
    rights = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    who = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *rights]
    mount = f'mount -o bind,ro {site} {site} && exec setpriv {" ".join(who)} "$@"'
    before = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    try:
        subprocess.run([*before, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this user cannot mount, or not run as another: {error}")
    site.parent.joinpath("tmp").chmod(0o1777)
    return before


def test_the_cache_is_beside_the_package(site):
    first, second = run(site), run(site)
    assert first["path"].startswith(str(site / "__pycache__" / "otdist"))
    assert (first["hits"], second["hits"]) == (0, 1)
    assert first["warnings"] == second["warnings"] == []
    assert cached(site / "otdist") == []  # or `pip uninstall` would leave an empty package


@linux
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid(), reason="only root gives away")
def test_no_cache_beside_the_package_in_a_folder_of_another_user(site):
    (site / "__pycache__").mkdir()
    os.chown(site / "__pycache__", NOBODY, NOBODY)
    assert run(site)["path"].startswith(str(site.parent / "home"))


@linux
def test_the_cache_of_a_read_only_install_is_in_the_folder_of_the_user(site, other_user, tmp_path):
    home = tmp_path / "home"
    os.chown(home, NOBODY, NOBODY)
    first, second = (run(site, before=other_user) for _ in range(2))
    folder = home / ".cache" / "otdist"
    assert first["path"].startswith(str(folder))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (first["hits"], second["hits"]) == (0, 1)
    assert first["warnings"] == second["warnings"] == []


def test_a_cache_that_the_user_names_wins(site, tmp_path):
    found = run(site, NUMBA_CACHE_DIR=tmp_path / "named")
    assert found["path"].startswith(str(tmp_path / "named"))
    assert cached(tmp_path / "named")
    assert not (tmp_path / "home" / ".cache").exists()


@linux
def test_a_read_only_install_without_a_home(site, other_user, tmp_path):
    first = run(site, before=other_user, HOME="/nonexistent")
    second = run(site, before=other_user, HOME="/nonexistent")
    folder = tmp_path / "tmp" / f"otdist-{NOBODY}"
    assert first["path"].startswith(str(folder))
    assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, NOBODY)
    assert (first["value"], first["hits"], second["hits"]) == (42, 0, 1)
    assert first["warnings"] == second["warnings"] == []


@linux
@pytest.mark.parametrize("planted", ["a folder of another user", "a link"])
def test_no_cache_in_a_folder_that_others_can_write(site, other_user, tmp_path, planted):
    folder, elsewhere = tmp_path / "tmp" / f"otdist-{NOBODY}", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if planted == "a link":
        os.chown(elsewhere, NOBODY, NOBODY)
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        folder.chmod(0o777)
    found = run(site, before=other_user, HOME="/nonexistent")
    assert (found["value"], found["path"], found["hits"]) == (42, None, 0)
    (message,) = found["warnings"]
    assert "NUMBA_CACHE_DIR" in message
    assert str(folder) in message
    assert list(elsewhere.iterdir()) == []
    assert cached(tmp_path) == []


def test_from_an_archive(site, tmp_path):
    """numba keeps nothing for code in a .pyz; it is compiled, with one warning."""
    (site / "__main__.py").write_text("")
    archive = tmp_path / "app.pyz"
    zipapp.create_archive(site, archive)
    found = run(archive)
    assert (found["value"], found["path"]) == (42, None)
    (message,) = found["warnings"]
    assert "archive" in message
    assert "NUMBA_CACHE_DIR" not in message  # it would not help


@linux
def test_from_an_archive_without_a_home(site, other_user, tmp_path):
    """numba looks for a folder for code in a .zip, but not if it can be written."""
    archive = tmp_path / "app.zip"
    zipapp.create_archive(site, archive, main="otdist.cli.main:main")
    found = run(archive, before=other_user, HOME="/nonexistent")
    assert (found["value"], len(found["warnings"])) == (42, 1)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders have no modes")
def test_private_folders(tmp_path):
    good = tmp_path / "cache" / "otdist"
    assert kernel_cache.is_private(good)
    assert good.stat().st_mode & 0o777 == 0o700
    for mode in (0o770, 0o707, 0o702):
        good.chmod(mode)
        assert not kernel_cache.is_private(good)
    good.chmod(0o755)
    assert kernel_cache.is_private(good)
    (tmp_path / "link").symlink_to(good)
    (tmp_path / "file").touch()
    assert not kernel_cache.is_private(tmp_path / "link")
    assert not kernel_cache.is_private(tmp_path / "file")


def test_a_change_in_any_kernel_names_another_folder(site, monkeypatch):
    monkeypatch.setattr(kernel_cache, "_PACKAGE", site / "otdist")
    before = kernel_cache._state_of_kernels()
    (site / "otdist" / "errors.py").write_text("")
    assert kernel_cache._state_of_kernels() == before
    (site / "otdist" / "compiled" / "planted.py").write_text(KERNEL.replace("2 *", "3 *"))
    assert kernel_cache._state_of_kernels() != before


def test_old_kernels_are_deleted(tmp_path):
    for name, days in (("old", 91), ("new", 1)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kernel.nbi").touch()
        then = time.time() - 86400 * days
        os.utime(tmp_path / name, (then, then))
    kernel_cache._delete_old(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_no_cache_folder_from_a_relative_home(monkeypatch):
    """A home that is not known is "~"; nobody wants a folder of this name."""
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("LOCALAPPDATA", "cache")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    beside, temporary = kernel_cache._candidates()
    assert beside.parent.name == "__pycache__"
    assert beside.is_absolute()
    assert temporary.is_absolute()


def told(site, name, tmp_path):
    """Return what a process logs that calls a planted kernel, and what it tells a terminal."""
    leader, terminal = os.openpty()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": str(site), "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    done = subprocess.run(
        [sys.executable, "-c", LOGGED.format(name=name)],
        env=environment,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        check=True,
    )
    os.close(terminal)
    os.set_blocking(leader, False)
    try:
        seen = os.read(leader, 1 << 16).decode()
    except OSError:  # nothing was written
        seen = ""
    os.close(leader)
    return done.stdout.split("\n")[:-1], seen.split("\r\n")[:-1]


@linux
def test_a_long_compilation_is_told_once(site, tmp_path):
    (site / "otdist" / "compiled" / "planted.py").write_text(SLOW)
    logged, seen = told(site, "slow", tmp_path)  # two compilations of more than 2 s
    (message,) = logged
    assert "otdist warmup" in message
    assert seen == [message]
    assert told(site, "slow", tmp_path) == ([""], [])  # both are kept


@linux
def test_a_short_compilation_is_not_told(site, tmp_path):
    assert told(site, "twice", tmp_path) == ([""], [])
