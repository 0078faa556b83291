"""The built site in a browser, in a wide and a narrow window: nothing is cut, search finds."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading

import pytest
from site_pages import built_site

WIDTHS = (1300, 390)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: Blocks of code with lines of at most 88 characters that have a scroll bar.
CUT = """
return [...document.querySelectorAll("pre")].filter(pre => pre.clientWidth > 0
    && Math.max(...pre.textContent.split("\\n").map(line => line.length)) <= 88
    && pre.scrollWidth > pre.clientWidth).map(pre => pre.textContent.slice(0, 80));
"""
#: By how much the page, and the column of its text, are wider than what is shown of them.
OVERFLOW = """
return [document.documentElement, ...document.querySelectorAll(".bd-article-container")]
    .map(each => each.scrollWidth - each.clientWidth);
"""
#: Tables that stick out: of the window, or of their container where it does not scroll.
TABLES = """
const is_cut = table => {
    const box = table.closest(".pst-scrollable-table-container") || table.parentElement;
    const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
    const [inner, outer] = [table, box].map(each => each.getBoundingClientRect());
    return outer.right > window.innerWidth + 1
        || (inner.width > outer.width + 1 && !(scrolls && window.innerWidth < 1000));
};
return [...document.querySelectorAll("article table")].filter(is_cut)
    .map(table => table.textContent.slice(0, 80));
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    return built_site()


@pytest.fixture(scope="module")
def address(site):
    """Serve the site from this machine."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(address, tmp_path_factory):
    """Start a browser without a window, and with a new profile."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no chromium with chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for each in (
        *("headless", "no-sandbox", "disable-gpu", "no-first-run", "hide-scrollbars=false"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(f"--{each}")
    service = webdriver.ChromeService(executable_path=driver)
    with webdriver.Chrome(options=options, service=service) as browser:
        yield browser


def pages_to_read(site):
    """Return the pages to read: of generated pages some, of the others all."""
    written = [
        path.relative_to(site).as_posix()
        for folder in ("api", "coming-from", "get-started", "guide")
        for path in sorted((site / folder).glob("*.html"))
    ]
    top = [f"{name}.html" for name in ("index", "benchmarks", "not-here", "genindex")]
    gallery = [f"gallery/{path.name}" for path in sorted(site.glob("gallery/plot_*.html"))]
    names = ("Problem", "solve", "sliced.max_sliced_wasserstein_distance")
    return [*top, *written, *gallery[::5], *(f"api/generated/otdist.{name}.html" for name in names)]


def resize(browser, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def wait_for(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30).until(condition)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut(browser, address, site, width):
    resize(browser, width)
    for page in pages_to_read(site):
        browser.get(f"{address}/{page}")
        assert browser.execute_script("return window.innerWidth") == width
        assert max(browser.execute_script(OVERFLOW)) <= 0, page
        assert browser.execute_script(CUT) == [], page
        assert browser.execute_script(TABLES) == [], page


@pytest.mark.parametrize("script", ["code", "table", "page"])
def test_the_checks_see_what_is_cut(browser, address, script):
    resize(browser, 1300)
    browser.get(f"{address}/guide/drift.html")
    wide = {
        "code": "<pre style='width: 300px; overflow: auto'>" + "x" * 80 + "</pre>",
        "table": "<table><tr><td><div style='width: 3000px'>x</div></td></tr></table>",
        "page": "<div style='width: 3000px'>x</div>",
    }[script]
    plant = "document.querySelector('article').insertAdjacentHTML('beforeend', arguments[0])"
    browser.execute_script(plant, wide)
    if script == "page":
        assert max(browser.execute_script(OVERFLOW)) > 0
    else:
        assert browser.execute_script({"code": CUT, "table": TABLES}[script]) != []


@pytest.mark.parametrize("word", ["histogram", "drift", "pandas", "Gromov"])
def test_search_finds_a_page(browser, address, word):
    resize(browser, 1300)
    browser.get(f"{address}/search.html?q={word}")
    found = wait_for(browser, lambda each: each.find_elements("css selector", "ul.search li a"))
    assert found


def test_mathematics_is_shown_without_other_servers(browser, address, site):
    """Only this machine is asked for what a page with formulas needs."""
    resize(browser, 1300)
    page = next(
        path
        for path in sorted(site.rglob("*.html"))
        if 'class="math' in path.read_text(encoding="utf-8")
    )
    browser.get(f"{address}/{page.relative_to(site).as_posix()}")
    assert wait_for(browser, lambda each: each.find_elements("css selector", "mjx-container"))
    asked = "return performance.getEntriesByType('resource').map(each => each.name)"
    assert [each for each in browser.execute_script(asked) if not each.startswith(address)] == []
