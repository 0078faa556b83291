"""Every text file of the project is read as it was written."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".bib", ".json", ".cff", ".in", ".svg", ""}
SKIPPED = {"build", "dist", "_build", "generated", "__pycache__", "PKG-INFO"}
HIDDEN = {".ci", ".github", ".gitignore", ".pre-commit-config.yaml"}
#: Controls of Latin-1: an "é" that was decoded once more than it was encoded leaves one.
CONTROLS = re.compile("[\x80-\x9f]")


def text_files(root):
    for path in sorted(root.iterdir()):
        hidden = path.name.startswith(".") and path.name not in HIDDEN
        if hidden or path.name in SKIPPED or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from text_files(path)
        elif path.suffix in TEXT:
            yield path


def broken_lines(text):
    return [n for n, line in enumerate(text.split("\n"), 1) if CONTROLS.search(line)]


def test_no_character_is_encoded_twice():
    files = list(text_files(ROOT))
    assert {"pyproject.toml", "README.md", "pipeline.py", "index.md"} <= {f.name for f in files}
    found = {str(path): broken_lines(path.read_text("utf-8")) for path in files}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_the_check_finds_a_planted_one():
    twice = "L∞".encode().decode("latin-1")
    assert broken_lines(f"fine\nL∞, é and {twice}\n") == [2]
