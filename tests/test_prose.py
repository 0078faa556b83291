"""Phrases that pages, docstrings, comments and messages avoid, and words to use instead."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import otdist

PACKAGE = Path(otdist.__file__).parent
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Pattern and advice. Patterns see text on one line, without code.
PHRASES = {
    r"(?i)\blaws?\b": "distribution(s)",
    r"(?i)\bpictures?\b": "figure or plot",
    r"(?i)\bmass(es)? of (a|an|each|every|one|its|the) (point|atom|pixel|sample)s?\b": "weight(s)",
    r"(?i)\bwhoever\b": "name the person or the code",
    r"(?i)\bnobody else": "name the only user",
    r"(?i)\bwhom\b": "name the callback or the person",
    r"\bis none\b": "say the valid values",
    r"(?i)\breturns? the same\b": "name the result",
    r"(?i)\b(do|does) the same\b": "name the action",
    r"\bThe same,": "name the subject",
    r"(?i), whatever (it|they|the)\b": "for any …, independently of …",
    r"(?i)\bof which\b": "split the sentence",
    r"(?i)\bwhat (it|they|he|she) (is|are) of\b": "name the thing",
    r"(?i)\bcosts from elsewhere\b": "another representation of the costs",
    r"(?i)\bhow steep a function\b": "Lipschitz constants",
}
#: Terms of the field that contain a word refused above.
TERMS = r"(?i)\b(laws? of large numbers|cosine law|law of cosines|law of total \w+|power laws?)\b"


def faults(text):
    """Return the refused phrases in a text, each with the advice."""
    text = re.sub(r"(`+).*?\1", "", " ".join(text.split()))
    text = re.sub(TERMS, "", text)
    return [
        f"{found[0]!r}: {advice}"
        for pattern, advice in PHRASES.items()
        for found in re.finditer(pattern, text)
    ]


def prose_of_page(source):
    """Return a page without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", "", source, flags=re.DOTALL | re.MULTILINE)


def strings_of(node):
    """Yield the strings in a tree; those joined by the compiler or in an f-string are one."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(getattr(part, "value", "")) * is_text(part) for part in node.values)
    elif is_text(node):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from strings_of(child)


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def comments_of(source):
    """Yield the comments of a module; those on lines in a row are one text."""
    text, last = "", 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                yield text
                text = ""
            text += token.string.lstrip("#: ") + " "
            last = token.start[0]
    yield text


def faults_of_module(source):
    texts = [*strings_of(ast.parse(source)), *comments_of(source)]
    return [fault for text in texts for fault in faults(text)]


def faults_of_file(path):
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return faults(prose_of_page(source))
    return faults_of_module(source)


def files_named(source):
    """Return the files of the package or the repository that a page names by their path."""
    return set(re.findall(r"`((?:\w+/)+\w+\.py)`", prose_of_page(source)))


def name_of(path):
    return path.relative_to(PACKAGE.parent if path.suffix == ".py" else ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES + MODULES, ids=name_of)
def test_prose_is_plain(path):
    assert faults_of_file(path) == []


def missing(names):
    return {name for name in names if not ((PACKAGE / name).exists() or (ROOT / name).exists())}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_name_files_that_exist(path):
    assert missing(files_named(path.read_text(encoding="utf-8"))) == set()


def test_the_check_of_named_files_finds_a_missing_one():
    assert missing(files_named("See `geometry/nowhere.py` and `pipeline.py`.")) != set()
    assert missing(files_named("See `geometry/line.py`, `tests/test_prose.py`.")) == set()


@pytest.mark.parametrize(
    "sentence, word",
    [
        ("Two laws are compared.", "laws"),
        ("A picture is drawn.", "picture"),
        ("The masses of the\n    points are summed.", "masses of the points"),
        ("A copy for whoever asks.", "whoever"),
        ("It is used by nobody else's code.", "nobody else"),
        ("The callback, whom to tell.", "whom"),
        ("A number of workers that is none.", "is none"),
        ("Return the same\nproblem.", "Return the same"),
        ("Do the same for columns.", "Do the same"),
        ("The same, for columns.", "The same,"),
        ("It holds, whatever the plan.", ", whatever the"),
        ("Two plans, one of which is best.", "of which"),
        ("A block, and what it is of.", "what it is of"),
        ("The problem with the same costs from elsewhere.", "costs from elsewhere"),
        ("How steep a function is.", "How steep a function"),
    ],
)
def test_the_check_finds_planted_phrases(sentence, word):
    assert [word in fault for fault in faults(sentence)] == [True]
    half, rest = sentence[: len(sentence) // 2], sentence[len(sentence) // 2 :]
    lines = sentence.split("\n")
    for source in (
        f'"""{sentence}"""\n',
        f"def f(x):\n    raise ValueError(f{half!r} f{rest!r} f'{{x}}')\n",
        "x = 1\n#: " + "\n#: ".join(lines) + "\n",
        "x = 1  # " + " ".join(lines) + "\n",
    ):
        assert [word in fault for fault in faults_of_module(source)] == [True], source
    assert faults(prose_of_page(f"# Title\n\n```python\nx = 1\n```\n\n{sentence}\n")) != []


@pytest.mark.parametrize(
    "text",
    [
        "By the law of large numbers and the cosine law it holds.",
        "The value is None, or the same as before.",
        "Call `law(x)` or ``law(y)`` once for each figure.",
        "A lawful flaw, whatever happens.",
    ],
)
def test_the_check_accepts_terms_and_code(text):
    assert faults(text) == []


def test_code_is_not_prose():
    assert faults_of_module("law = picture(whoever)\n") == []
    assert faults(prose_of_page("One.\n\n```\nlaw\n```\n\nTwo.\n")) == []
