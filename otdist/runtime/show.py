"""What results show of themselves: one line as text, a small table in notebooks."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from typing import Any


def brief(value: Any) -> str:
    """Return a dataclass with its fields, for ``__repr__``: arrays by their shapes only."""
    names = (field.name for field in dataclasses.fields(value) if field.repr)
    fields = (f"{name}={_word(getattr(value, name))}" for name in names)
    return f"{type(value).__name__}({', '.join(fields)})"


def _word(value: Any) -> str:
    """Return a number, a short text, or what kind of thing it is."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"array {tuple(value.shape)}"
    if isinstance(value, float):
        return f"{value:.12g}"
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else f"<{type(value).__name__}>"


def table(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table in HTML, for ``_repr_html_``."""
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><caption>{html.escape(title)}</caption>{body}</table>"
