"""Numbers in text: one point on each line, its coordinates in columns."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from otdist.cli.read.columns import Atoms, Table, choose
from otdist.cli.read.source import Options, Source
from otdist.errors import InputError, short

_LONGEST = 2**23  # characters of a line: its fields, as strings, fit into memory
_SPACES = {"tab": "\t", "\\t": "\t", "blank": None, " ": None}
_INTEGER = re.compile(r"[+-]?\d+")
#: Numbers with any decimal mark, which are no names.
_LIKE_NUMBER = re.compile(r"[+-]?[\d.,' ]*\d[\d.,' ]*(e[+-]?\d+)?", re.IGNORECASE)


class _Row(NamedTuple):
    """The fields of a line; none for a blank line."""

    line: int
    fields: list[str]


class _Text:
    """The rows of a file of text, which can be read more than once."""

    def __init__(self, source: Source, options: Options) -> None:
        self.name, self.options, self._data = source.name, options, source.data
        if self._data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError(f"{self.name} is text in UTF-16, not UTF-8; save it as UTF-8")
        self._delimiter = self._of_option(source.kind)

    def rows(self) -> Iterator[_Row]:
        """Yield the rows without comments; of blank lines those between two others."""
        blank = 0
        seen = False
        for line, content in enumerate(self._lines(), 1):
            if "\0" in content:
                raise InputError(
                    f"{self.name}, line {line} holds a NUL byte; save the file as text in UTF-8"
                )
            content, mark, _ = content.partition("#")
            if not content.strip(" \r\n" if self._delimiter == "\t" else None):
                blank = blank or line * (not mark and seen)
                continue
            if blank:
                yield _Row(blank, [])
            blank, seen = 0, True
            yield _Row(line, self._fields(line, content))

    def _lines(self) -> Iterator[str]:
        stream = io.TextIOWrapper(io.BytesIO(self._data), encoding="utf-8-sig", newline=None)
        for line in itertools.count(1):
            try:
                content = stream.readline(_LONGEST + 1)
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{self.name} is not a text file (byte {_first_fault(self._data, error)} is"
                    " not UTF-8); save it as UTF-8, or rename it with the extension of its format"
                ) from None
            if len(content) > _LONGEST:
                raise InputError(
                    f"{self.name}, line {line} has more than {_LONGEST} characters; write one"
                    " point or one row of pixels on each line"
                )
            if not content:
                return
            yield content

    def number(self, line: int, field: str) -> float:
        """Convert a field that must be a finite number."""
        text = field
        if self.options.decimal == ",":
            text = "_" if "." in field else field.replace(",", ".")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isfinite(number) and "_" not in text:
            return number
        raise self._no_number(line, field)

    def _no_number(self, line: int, field: str) -> InputError:
        if not field:
            return InputError(
                f"{self.name}, line {line}: '' is not a number, a cell is empty; fill or drop"
                " such lines, or leave the column out with --columns"
            )
        if _is_number(field) and "_" not in field and self.options.decimal == ".":
            shown = field if len(field) <= 80 else short(field)
            return InputError(
                f"{self.name}, line {line}: {shown} is not finite; drop or replace such lines"
            )
        comma = self.options.decimal == ","
        return InputError(
            f"{self.name}, line {line}: {short(field)} is not a number; columns are separated by"
            f" {self._separators()} (see --delimiter), comments begin with #, decimals use a"
            f" {'comma' if comma else 'point'} (see --decimal), a header may be only the first"
            " line (see --header), other columns may hold text (see --columns)"
        )

    def _separators(self) -> str:
        names = {None: "blanks", ",": "commas", ";": "semicolons", "\t": "tabs"}
        return names.get(self._delimiter, repr(self._delimiter))

    def _of_option(self, kind: str) -> str | None:
        """Return the character between columns; None for blanks."""
        option = self.options.delimiter
        if self.options.decimal not in (".", ","):
            raise InputError(f"--decimal must be . or , , got {self.options.decimal!r}")
        if self.options.header not in ("auto", "yes", "no"):
            raise InputError(f"--header must be auto, yes or no, got {self.options.header!r}")
        if option is None:
            marks = "\t,;" if kind == ".tsv" else ",;\t"
            return self._guessed(marks.replace(self.options.decimal, ""))
        if option not in _SPACES and (len(option) != 1 or option.isalnum() or option in '.+-"#'):
            raise InputError(
                f"--delimiter must be one character such as ';', or tab, or blank, got {option!r}"
            )
        found = _SPACES.get(option, option)
        if found == self.options.decimal:
            raise InputError(
                "--delimiter and --decimal are both a comma; pass another --delimiter, such as ';'"
            )
        return found

    def _guessed(self, marks: str) -> str | None:
        """Return the first of these marks in the first line that has fields."""
        contents = (content.partition("#")[0].strip() for content in self._lines())
        first = next(filter(None, contents), "")
        return next((mark for mark in marks if mark in first), None)

    def _fields(self, line: int, content: str) -> list[str]:
        content = content.strip("\r\n")
        if '"' in content:
            mark = " " if self._delimiter is None else self._delimiter
            try:
                split = next(csv.reader([content.strip(" ")], delimiter=mark, strict=True))
            except csv.Error as error:
                raise InputError(
                    f"{self.name}, line {line}: {error}; a field in quotes ends on its line"
                ) from None
            fields: Iterable[str] = split if self._delimiter else filter(None, split)
        else:
            fields = content.split(self._delimiter)
        return [field.strip().strip('"') for field in fields]


def read_text(source: Source, options: Options) -> Atoms:
    """Read points, and weights if a column holds them."""
    text = _Text(source, options)
    rows = text.rows()
    first = _first_row(text, rows)
    names = first.fields if _is_header(text, first) else None
    width = len(first.fields)
    line = None if names is None else first.line
    chosen = choose(text.name, names, width, options, line)
    columns, numbers, lines = chosen.all, array("d"), array("q")
    for row in rows if names is not None else itertools.chain([first], rows):
        if not row.fields:
            _require_no_gap(text, row, width)
            continue
        if len(row.fields) != width:
            raise InputError(
                f"{text.name}, line {row.line}: {len(row.fields)} columns, but the first line has"
                f" {width}; every line needs one number per column"
            )
        numbers.extend([text.number(row.line, row.fields[k]) for k in columns])
        lines.append(row.line)
    if not lines:
        raise _empty(text)
    return chosen.atoms(Table(np.array(numbers).reshape(len(lines), -1), "line", lines))


def read_flat(source: Source, options: Options) -> Table:
    """Read all numbers, of lines that may differ in length."""
    text = _Text(source, options)
    rows = text.rows()
    first = _first_row(text, rows)
    is_header = options.header == "yes"
    if options.header == "auto" and not any(map(_like_number, first.fields)):
        options.note(f"{_shown(text, first)} is taken as a header, and left out")
        is_header = True
    numbers, lines = array("d"), array("q")
    for row in rows if is_header else itertools.chain([first], rows):
        numbers.extend([text.number(row.line, field) for field in row.fields])
        lines.extend([row.line] * len(row.fields))
    if not lines:
        raise _empty(text)
    return Table(np.array(numbers), "line", lines)


def _first_row(text: _Text, rows: Iterator[_Row]) -> _Row:
    first = next(rows, None)
    if first is None:
        raise _empty(text)
    return first


def _empty(text: _Text) -> InputError:
    return InputError(f"{text.name} has no numbers; a measure needs at least one point")


def _is_header(text: _Text, first: _Row) -> bool:
    """Decide whether the first line has names; where they are integers, that is told."""
    if text.options.header != "auto":
        return text.options.header == "yes"
    fields = first.fields
    if not any(map(_like_number, fields)):
        return True
    is_counted = fields == [str(k) for k in range(len(fields))]
    is_distinct = len(fields) > 1 and len(set(fields)) == len(fields)
    if not is_counted and not (is_distinct and all(map(_INTEGER.fullmatch, fields))):
        return False
    fractions, line = _columns_of_fractions(text), _shown(text, first)
    if len(fractions) == len(fields):
        text.options.note(
            f"{line} is taken as the header: the columns below hold fractions (if it is a"
            " point, add --header no)"
        )
        return True
    if is_counted and fractions:
        raise InputError(f"{line} may be a header or a point; add --header yes or --header no")
    if is_counted and len(fields) > 1:
        text.options.note(f"{line} is read as a point; if it is a header, add --header yes")
    return False


def _shown(text: _Text, row: _Row) -> str:
    return f"{text.name}: line {row.line}, {short(','.join(row.fields))},"


def _columns_of_fractions(text: _Text) -> set[int]:
    """Return the columns in which no field below the first line is written as an integer."""
    found: set[int] | None = None
    for _, fields in itertools.islice(text.rows(), 1, None):
        if fields:  # the line is not blank
            here = {k for k, field in enumerate(fields) if _is_fraction(field)}
            found = here if found is None else found & here
            if not found:
                break
    return found or set()


def _is_fraction(field: str) -> bool:
    return _like_number(field) and not _INTEGER.fullmatch(field)


def _require_no_gap(text: _Text, row: _Row, width: int) -> None:
    """Raise for a blank line in a single column, where it may be a number that is missing."""
    if width == 1:
        raise InputError(
            f"{text.name}, line {row.line} is blank; in a file of one column it may be a missing"
            " number: delete the line, or drop its point from the data"
        )


def _first_fault(data: bytes, error: UnicodeDecodeError) -> int:
    """Return the place of the first byte that is not UTF-8; `error` is about a part."""
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as whole:
        return whole.start
    return error.start


def _like_number(field: str) -> bool:
    return _is_number(field) or _LIKE_NUMBER.fullmatch(field) is not None


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
