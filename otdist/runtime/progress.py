"""Progress bars."""

from __future__ import annotations

from typing import Any

from otdist.errors import InputError


def progress_bar(**options: Any) -> Any:
    """Return a bar of tqdm; raise if it is not installed."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise InputError("progress=True needs tqdm: pip install 'otdist[progress]'") from None
    return tqdm(**options)
