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
        if self._delimiter is None:
            return "commas or blanks" if self.options.delimiter is None else "blanks"
        if self._delimiter == "," and self.options.delimiter is None:
            return "commas or blanks"
        return {",": "commas", "\t": "tabs"}.get(self._delimiter or "", repr(self._delimiter))

    def _of_option(self, kind: str) -> str | None:
        """Return the character between columns; None for blanks."""
        option = self.options.delimiter
        if self.options.decimal not in (".", ","):
            raise InputError(f"--decimal must be . or , , got {self.options.decimal!r}")
        if self.options.header not in ("auto", "yes", "no"):
            raise InputError(f"--header must be auto, yes or no, got {self.options.header!r}")
        if option is None:
            return "\t" if kind == ".tsv" and "\t" in self._first() else self._guessed()
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

    def _guessed(self) -> str | None:
        first = self._first().strip(" ")
        marks = ";\t" if self.options.decimal == "," else ",;\t"
        return next((mark for mark in marks if mark in first.strip()), None)

    def _first(self) -> str:
        """Return the first line that is not blank."""
        for content in self._lines():
            if content.partition("#")[0].strip():
                return content.partition("#")[0]
        return ""

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
    header = options.header == "yes" or not any(map(_like_number, first.fields))
    numbers, lines = array("d"), array("q")
    for row in rows if header and options.header != "no" else itertools.chain([first], rows):
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
    """Decide whether the first line has names; those that are numbers are told."""
    option = text.options.header
    if option != "auto":
        return option == "yes"
    if not any(map(_like_number, first.fields)):
        return True
    if not _are_numbered(first.fields) or not _is_of_fractions(text):
        return False
    shown = short(",".join(first.fields))
    text.options.note(
        f"{text.name}: line {first.line}, {shown}, is taken as the header: the columns below hold"
        " fractions (if it is a point, add --header no)"
    )
    return True


def _are_numbered(fields: list[str]) -> bool:
    """Whether fields are 0, 1, 2, …, or several integers that all differ, as names may be."""
    if not all(map(_INTEGER.fullmatch, fields)):
        return False
    distinct = len(fields) > 1 and len(set(map(int, fields))) == len(fields)
    return distinct or fields == ["0"]


def _is_of_fractions(text: _Text) -> bool:
    """Whether no field below the first line is written as an integer."""
    rows = (row.fields for row in itertools.islice(text.rows(), 1, None) if row.fields)
    first = next(rows, None)
    if first is None:
        return False
    return all(
        _like_number(field) and not _INTEGER.fullmatch(field)
        for fields in itertools.chain([first], rows)
        for field in fields
    )


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
