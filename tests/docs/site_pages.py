"""The built site, if there is one: its folder is named by OTDIST_SITE (`nox -s docs` sets it)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]


def built_site():
    """Return the folder of the built site, or skip the test."""
    folder = os.environ.get("OTDIST_SITE")
    if not folder:
        pytest.skip("no built site: OTDIST_SITE is not set; run `nox -s docs`")
    assert Path(folder, "index.html").is_file()
    return Path(folder)


class Page(HTMLParser):
    """Anchors and links of one page; `body` has the links in its article only."""

    def __init__(self, text):
        super().__init__()
        self.anchors = set()
        self.links = []
        self.body = []
        self._depth = 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors.update(values[key] for key in ("id", "name") if values.get(key))
        self._depth += tag == "article"
        for key in ("href", "src"):
            if values.get(key) is not None and tag != "base":
                self.links.append(values[key])
                if self._depth:
                    self.body.append(values[key])

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag):
        self._depth -= tag == "article"


def pages_of(site):
    """Return the pages of a site by their path; templates in `_static` are none."""
    return {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.relative_to(site).parts
    }


def targets_of(path, links) -> Iterator[tuple[str, Path, str]]:
    """Yield the link, the file and the anchor of all links that stay on the site."""
    for link in links:
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            inside = unquote(parts.path)
            yield (
                link,
                (path.parent / inside).resolve() if inside else path,
                unquote(parts.fragment),
            )
