"""Links of the built site: none is broken, and guide pages link to the API."""

from __future__ import annotations

import pytest
from site_pages import Page, built_site, pages_of, targets_of

#: Anchors that scripts of the theme make.
BY_SCRIPT = {"", "top"}


@pytest.fixture(scope="module")
def site():
    return built_site().resolve()


@pytest.fixture(scope="module")
def pages(site):
    return pages_of(site)


def broken(site, pages):
    """Return (page, link) for every link to a file or an anchor that is not there."""
    found = []
    for path, page in pages.items():
        for link, target, anchor in targets_of(path, page.links):
            if target.is_dir():
                target /= "index.html"
            exists = target.is_file() and target.is_relative_to(site)
            known = target not in pages or anchor in pages[target].anchors | BY_SCRIPT
            if not (exists and known):
                found.append((path.relative_to(site).as_posix(), link))
    return found


def test_no_link_is_broken(site, pages):
    assert len(pages) > 50
    assert broken(site, pages) == []


def test_the_check_finds_planted_links(tmp_path):
    site = tmp_path.resolve()
    (site / "a").mkdir()
    good = '<p id="here"></p><a href="../index.html#top-of">x</a><a href="#here">y</a>'
    (site / "a" / "page.html").write_text(good, encoding="utf-8")
    index = '<h1 id="top-of"></h1><a href="a/page.html">x</a><a href="https://e.org/#no">y</a>'
    (site / "index.html").write_text(index, encoding="utf-8")
    assert broken(site, pages_of(site)) == []
    for link in ("b/page.html", "a/page.html#gone", "#gone", "../other/index.html", "img.png"):
        text = index + (f'<img src="{link}">' if "png" in link else f'<a href="{link}">z</a>')
        (site / "index.html").write_text(text, encoding="utf-8")
        assert broken(site, pages_of(site)) == [("index.html", link)]


def api_links(site, pages, folder):
    """Return how many links to entries of the API every page of a folder has in its text."""
    return {
        path.name: sum(
            target.is_relative_to(site / "api" / "generated")
            for _, target, _ in targets_of(path, page.body)
        )
        for path, page in pages.items()
        if path.parent == site / folder
    }


def test_guide_pages_link_to_the_api(site, pages):
    counts = api_links(site, pages, "guide")
    del counts["index.html"]
    assert sum(counts.values()) >= 5 * len(counts), counts


def test_links_outside_the_text_do_not_count(tmp_path):
    text = '<a href="../api/generated/f.html">x</a><article>{}</article>'
    site = tmp_path.resolve()
    pages = {
        site / "guide" / "one.html": Page(text.format('<a href="../api/index.html">y</a>')),
        site / "guide" / "two.html": Page(text.format('<a href="../api/generated/f.html#f">y</a>')),
    }
    assert api_links(site, pages, "guide") == {"one.html": 0, "two.html": 1}
