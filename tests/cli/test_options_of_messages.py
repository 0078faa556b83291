"""Messages of the command line name options that the command has, and no arguments of Python."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from otdist.cli import main as program
from otdist.cli.parser import make_parser

FOLDER = Path(program.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
#: Of pandas, which writes the file.
FOREIGN = {"index="}


def options_of(command):
    commands = next(each for each in make_parser()._actions if each.dest == "command")
    return set(commands.choices[command]._option_string_actions)


def texts_of(path):
    """Return the strings of a module; those joined in one message are one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if is_documented(node)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (each.value for each in node.values if isinstance(each, ast.Constant))
            found.append(" ".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return [text for text in found if text not in docs]


def is_documented(node):
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)


def foreign(text, commands):
    """Return the options named in a text that one of the commands lacks.

    "otdist compare --signed" names the command itself.
    """
    text = re.sub(r"otdist (\w+) (--[\w-]+)", named_with_command, text)
    named = OPTION.findall(text)
    return {name for each in commands for name in named if name not in options_of(each)}


def named_with_command(match):
    return "" if match[2] in options_of(match[1]) else match[0]


def test_messages_of_files_name_options_of_both_commands():
    own = {"--signed", "--pool"}  # said where these are given, or are missing
    for path in sorted((FOLDER / "read").glob("*.py")):
        for text in texts_of(path):
            assert foreign(text, ["compare", "pairwise"]) <= own, (path, text)


def test_messages_of_the_program_name_options_that_exist():
    every = set().union(*map(options_of, program._COMMANDS))
    count = 0
    for path in sorted(FOLDER.rglob("*.py")):
        for text in texts_of(path):
            count += len(OPTION.findall(text))
            assert set(OPTION.findall(text)) <= every | {"--version"}, (path, text)
    assert count > 60


PAGES = """
README.md docs/get-started/first-distance.md docs/guide/command-line.md docs/guide/images.md
docs/guide/many-pairs.md
"""


@pytest.mark.parametrize("page", PAGES.split())
def test_pages_name_options_that_exist(page):
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    every = set().union(*map(options_of, program._COMMANDS))
    alone = {name for code in re.findall(r"`(--[^`]*)`", text) for name in OPTION.findall(code)}
    assert alone <= every
    calls = re.findall(r"otdist (compare|pairwise|demo) ([^`\n#]*)", text)
    assert calls
    for command, rest in calls:
        assert set(OPTION.findall(rest)) <= options_of(command), (command, rest)


def test_the_check_finds_planted_options():
    assert foreign("add --nowhere", ["compare"]) == {"--nowhere"}
    assert foreign("add --signed", ["compare"]) == set()
    assert foreign("add --signed", ["compare", "pairwise"]) == {"--signed"}
    assert foreign("otdist compare --signed reads it", ["compare", "pairwise"]) == set()
    assert foreign("otdist pairwise --signed reads it", ["pairwise"]) == {"--signed"}


CALLS = """
compare a.npy c.npy
compare a.npy b.npy --p 0.5
compare a.npy b.npy --p nan
compare a.npy b.npy --p inf --method sinkhorn
compare a.npy b.npy --metric x
compare a.npy b.npy --metric sqeuclidean --p 2
compare a.npy b.npy --metric sqeuclidean --p 0.5
compare a.npy b.npy --method x
compare a.npy b.npy --method line
compare a.npy b.npy --method circle
compare a.npy b.npy --method flow
compare a.npy b.npy --method tree
compare a.npy b.npy --method coprime
compare a.npy b.npy --method bottleneck
compare a.npy b.npy --epsilon 0
compare a.npy b.npy --epsilon nan
compare nan.npy b.npy
compare big.npy b.npy --method sinkhorn
compare h.txt h.txt
compare counts.txt other.txt
compare image.txt image.txt
compare image.txt image.txt --grid 32x33
compare w.csv v.csv --weights w
compare minus.csv w.csv --weights w
compare minus.csv --weights w --signed
compare w.csv --signed
compare w.csv w.csv --weights u
compare a.npy b.npy --signed
compare a.npy
compare one.npy one.npy --period -1
compare one.npy one.npy --period nan
compare a.npy b.npy --period 3
compare one.npy one.npy --period 3 --metric cityblock
compare one.npy one.npy --period 3 --p inf
compare one.npy one.npy --period 3 --p 0.5
compare one.npy one.npy --period 3 --noise 1
compare one.npy one.npy --period 3 --method line
compare one.npy one.npy --period 3 --plot a.png
compare a.npy b.npy --noise -1
compare a.npy b.npy --noise 1 --metric cityblock
compare c.npy c.npy --noise 1
compare a.npy b.npy --diameter -1
compare a.npy b.npy --diameter 1
compare a.npy b.npy --diameter 100 --confidence 2
compare a.npy b.npy --diameter 100 --seed -1
compare w.csv w.csv --weights w --diameter 9
compare a.npy b.npy --diameter 100 --metric sqeuclidean
compare a.npy b.npy --pool 2
compare a.npy b.npy --time-limit -1
compare a.npy b.npy --normalize
compare - -
compare a.npy -
compare a.npy b.npy --columns 3
compare a.npy b.npy --weights 1 --columns 1,2
compare a.npy b.npy --grid 2x2
compare a.npy b.npy --max-bytes 20
compare w.csv other.csv
compare w.csv w.csv --delimiter ,, --decimal ,
compare numbers.csv numbers.csv
pairwise a.npy c.npy -o m.npz
pairwise a.npy b.npy -o m.npz --p 0.5
pairwise a.npy b.npy -o m.npz --metric x
pairwise a.npy b.npy -o m.npz --metric sqeuclidean --p 2
pairwise w.csv v.csv -o m.npz --weights w
pairwise minus.csv w.csv -o m.npz --weights w
pairwise w.csv other.csv -o m.npz
pairwise image.txt h.txt -o m.npz
pairwise nan.npy a.npy -o m.npz
pairwise a.npy b.npy -o m.npz --jobs 0
pairwise a.npy b.npy -o m.npz --resume a.npy
pairwise a.npy b.npy -o m.npz --resume no/a.npy
pairwise one.npy one.npy -o m.npz --period -1
pairwise one.npy one.npy -o m.npz --period 3 --metric cityblock
pairwise one.npy one.npy -o m.npz --period 3 --p inf
pairwise image.txt image.txt -o m.npz --grid 32x32 --period 3
pairwise image.txt image.txt -o m.npz --grid 32x33
pairwise a.npy -o m.npz
pairwise a.npy b.npy -o m.doc
pairwise a.npy b.npy -o m.npz --normalize
pairwise - - -o m.npz
demo --points 0
demo --thetas nan
demo --out a.doc
verify --problems 0
warmup --jobs 0
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("a.npy", rng.normal(size=(4, 2)))
    np.save("b.npy", rng.normal(size=(5, 2)) + 3)
    np.save("c.npy", np.ones((3, 5)))
    np.save("nan.npy", [[np.nan, 0.0]])
    np.save("one.npy", rng.normal(size=5))
    np.save("big.npy", [[1e200, 0], [0, 1]])
    np.savetxt("image.txt", rng.integers(0, 255, size=(32, 32)), fmt="%d")
    for name, text in (
        ("h.txt", "0.5\n0.5\n"),
        ("counts.txt", "6\n1\n1\n"),
        ("other.txt", "1\n6\n1\n"),
        ("w.csv", "x,w\n0,1\n1,3\n"),
        ("v.csv", "x,w\n0,2\n1,3\n"),
        ("minus.csv", "x,w\n0,-2\n1,3\n"),
        ("other.csv", "y,weight\n0,2\n1,3\n"),
        ("numbers.csv", "0,1\n0.5,2.5\n"),
    ):
        Path(name).write_text(text)


@pytest.mark.parametrize("call", CALLS.strip().split("\n"))
def test_what_is_said_can_be_done(files, capsys, call):
    words = shlex.split(call)
    code = program.main(words)
    said = capsys.readouterr().err
    assert code in (0, 2)
    assert said
    for line in said.splitlines():
        if not line or "pairs/s" in line:  # the progress bar of tqdm
            continue
        assert line.startswith("otdist: ")
        assert foreign(line, words[:1]) == set(), line
        assert set(re.findall(r"\b\w+=", line)) <= FOREIGN, line
