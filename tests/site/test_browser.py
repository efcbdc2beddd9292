"""Every page in a real browser, from disk: accessible, light, steady, without errors and without outside requests."""

import gzip
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.site.figures import NARROW, SITE, WIDE

# axe would fetch the style sheets once more, which a browser forbids to pages from disk.
AXE = {"resultTypes": ["violations"], "preload": False}
VIEWS = [("light", WIDE), ("dark", WIDE), ("dark", NARROW), ("light", NARROW)]
LOCAL = ("file:", "data:", "blob:")
BUDGET = {False: 150, True: 250}  # KB of a first view, compressed: without and with a live figure
BUDGET_OF_SEARCH = 400  # its index is all the text of the book
PACKED = {".woff2", ".png"}  # already compressed
SHIFT = 0.02  # how much of a view may move while it loads

# Words of code and letters of formulas repeat by the thousand, and they are what takes axe its time. Each kind of element
# (its name and classes, with those of the two around it) is judged in all views on the first page that has it. After
# that the code and formulas that hold nothing new are one letter, and the page is judged as a whole in one view.
LIGHTEN = """known => {
    const name = element => element ? `${element.localName}.${element.getAttribute("class") ?? ""}` : "";
    const kind = e => [e, e.parentElement, e.parentElement?.parentElement].map(name).join(" < ");
    const fresh = new Set();
    for (const element of document.body.querySelectorAll("*:not(:has(*))")) {
        const its = kind(element);
        if (known.includes(its) || fresh.has(its) || !element.checkVisibility()) continue;
        fresh.add(its);
        element.dataset.fresh = "";
    }
    for (const code of document.querySelectorAll(":is(pre, .sig):not(:has([data-fresh]))")) code.textContent = "x";
    for (const formula of document.querySelectorAll("math:not(:has([data-fresh]))")) formula.replaceWith("x");
    return [...fresh];
}"""
NEW = {"include": ["[data-fresh]"]}
SHIFTED = """() => new Promise(done => {
    let sum = 0;
    new PerformanceObserver(list => list.getEntries().forEach(e => { sum += e.value; })).observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(sum), 100);
})"""
SET_THEME = "theme => { document.documentElement.dataset.theme = theme; }"
BACKGROUND = "getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number)"
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
# Formulas that do not fit the column in which they stand, even where they may break.
CUT_OFF = """[...document.querySelectorAll(".rows")].filter(rows => rows.scrollWidth > rows.clientWidth + 1)
    .map(rows => rows.textContent.slice(0, 60))"""


def pages():
    """Every page of the site; those that only send the reader on to another are left out."""
    found = (page for page in SITE.rglob("*.html") if "_static" not in page.parts)
    return sorted(
        page.relative_to(SITE).as_posix()
        for page in found
        if 'http-equiv="refresh"' not in page.read_text(encoding="utf-8").lower()
    )


def explain(result):
    """Say in one line each what axe found."""
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]} {node['failureSummary']}"
        for rule in result.response["violations"]
        for node in rule["nodes"]
    ]


def weight(urls):
    """Add up what a first view takes, compressed, in KB."""
    files = [Path(unquote(urlsplit(url).path)) for url in urls if url.startswith("file:")]
    sizes = [path.stat().st_size if path.suffix in PACKED else len(gzip.compress(path.read_bytes())) for path in files]
    return sum(sizes) / 1024


@pytest.fixture(scope="module")
def tab(browser):
    """One tab for all pages."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", color_scheme="light")
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def known():
    """Give the kinds of elements that were judged so far."""
    return []


@pytest.fixture(scope="module", params=pages())
def visit(tab, known, request):
    """Open a page once, look at it in each view, and note what there is to see."""
    seen = SimpleNamespace(errors=[], requests=[], violations={}, background={}, overflow={}, cut_off={})
    seen.path = request.param
    listeners = {
        "pageerror": lambda error: seen.errors.append(str(error)),
        "console": lambda line: seen.errors.append(line.text) if line.type == "error" else None,
        "request": lambda call: seen.requests.append(call.url),
    }
    for event, listener in listeners.items():
        tab.on(event, listener)
    tab.set_viewport_size(NARROW)
    tab.goto((SITE / request.param).as_uri())
    tab.wait_for_load_state("networkidle")
    seen.shift = tab.evaluate(SHIFTED)
    seen.weight = weight(set(seen.requests))
    seen.live = tab.locator(".live-figure, img.interactive").count() > 0
    for size in (NARROW, WIDE):
        tab.set_viewport_size(size)
        seen.overflow[size["width"]] = tab.evaluate(OVERFLOW)
        seen.cut_off[size["width"]] = tab.evaluate(CUT_OFF)
    fresh = tab.evaluate(LIGHTEN, known)
    known += fresh
    axe = Axe()
    for theme, size in VIEWS:
        tab.set_viewport_size(size)
        tab.evaluate(SET_THEME, theme)
        view = (theme, size["width"])
        seen.background[view] = tab.evaluate(BACKGROUND)
        if (theme, size) == VIEWS[0]:
            seen.violations[view] = explain(axe.run(tab, options=AXE))
        elif fresh:
            seen.violations[view] = explain(axe.run(tab, context=NEW, options=AXE))
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    return seen


def test_there_are_pages():
    """Without a built site the other tests would check nothing."""
    assert pages(), f"no pages in {SITE}: run `make site` first"


def test_axe_finds_nothing(visit):
    """No accessibility violation, light or dark, wide or narrow."""
    assert not any(visit.violations.values()), visit.violations


def test_the_views_were_what_they_claim(visit):
    """Light pages are light and dark ones dark: the colours that axe judged are the real ones."""
    for (theme, _), (red, green, blue, *_) in visit.background.items():
        assert (red + green + blue > 3 * 128) == (theme == "light"), visit.background


def test_no_errors(visit):
    """Neither a script nor the console reports one."""
    assert visit.errors == []


def test_no_outside_request(visit):
    """Everything comes from the disk."""
    assert [url for url in visit.requests if not url.startswith(LOCAL)] == []


def test_no_sideways_scrolling(visit):
    """The page is never wider than the window, and no formula than its column."""
    assert max(visit.overflow.values()) <= 0, visit.overflow
    assert not any(visit.cut_off.values()), visit.cut_off


def test_the_page_is_light(visit):
    """What a first view on a phone takes stays within its budget."""
    assert visit.weight <= (BUDGET_OF_SEARCH if visit.path == "search.html" else BUDGET[visit.live])


def test_nothing_moves_while_it_loads(visit):
    """Fonts, figures and scripts find the room that was kept for them."""
    assert visit.shift <= SHIFT
