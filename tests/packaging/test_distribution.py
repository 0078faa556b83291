"""The source distribution is whole, and an editable install is a folder on the path."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "import setuptools.build_meta as backend; print(backend.{hook}({folder!r}))"
#: Of the repository alone: nothing that runs, tests or documents the package.
NOT_SHIPPED = (".ci/", ".github/", ".gitignore", ".pre-commit-config.yaml")


def tracked():
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git repository")
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Copy the files of the repository, without what builds left behind."""
    setuptools = pytest.importorskip("setuptools", minversion="77")
    assert setuptools
    folder = tmp_path_factory.mktemp("checkout") / "otdist"
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def build(checkout, hook, folder):
    code = BUILD.format(hook=hook, folder=str(folder))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True
    )
    return folder / done.stdout.splitlines()[-1]


def test_the_source_distribution_has_all_files(checkout, tmp_path):
    with tarfile.open(build(checkout, "build_sdist", tmp_path)) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    expected = {name for name in tracked() if not name.startswith(NOT_SHIPPED)}
    assert expected - names == set()
    assert {"tests/conftest.py", "docs/index.md"} <= names
    assert not [name for name in names if name.endswith((".pyc", ".nbi", ".nbc"))]


def test_an_editable_install_is_a_folder_on_the_path(checkout, tmp_path):
    """A finder instead comes last: a folder named otdist on the path then hides the package,
    be it left by an older install or the checkout itself, and type checkers see nothing."""
    with zipfile.ZipFile(build(checkout, "build_editable", tmp_path)) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
        assert [Path(name).suffix for name in names] == [".pth"]
        assert wheel.read(names[0]).decode().strip() == str(checkout)
