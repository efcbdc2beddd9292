"""Every page in a real browser, from disk: accessible, without errors, without outside requests."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe

SITE = Path(__file__).parents[2] / "_build" / "html"
WIDE, NARROW = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
# axe would fetch the style sheets once more, which a browser forbids to pages from disk.
AXE = {"resultTypes": ["violations"], "preload": False}
# What would be judged hundreds of times over and look the same each time is judged once, or as one letter: words of code
# of one colour, and formulas within a line.
LIGHTEN = """() => {
    const judged = new Set();
    for (const word of [...document.querySelectorAll("pre span, .sig span")].reverse()) {
        const colours = [word.className, word.closest(".cell_input, .cell_output, .sig")?.className].join();
        if (judged.has(colours)) word.replaceWith(...word.childNodes);
        judged.add(colours);
    }
    for (const formula of document.querySelectorAll("mjx-container:not([display])")) formula.replaceChildren("x");
    document.body.normalize();
}"""
VIEWS = [("light", WIDE), ("dark", WIDE), ("dark", NARROW), ("light", NARROW)]
LOCAL = ("file:", "data:", "blob:")

SET_THEME = "theme => Object.assign(document.documentElement.dataset, {mode: theme, theme})"
SETTLE = """async () => {
    const math = document.querySelector("script[src*=mathjax]");
    while (math && !window.MathJax?.startup?.promise) await new Promise(go => setTimeout(go, 20));
    await window.MathJax?.startup?.promise;
    await Promise.allSettled(document.getAnimations().map(animation => animation.finished));
}"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number)"
# The theme waits this long after a change of size before it makes wide tables reachable by Tab.
RESIZED = 350
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"


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


@pytest.fixture(scope="module")
def tab(browser):
    """One tab for all pages."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", color_scheme="light")
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module", params=pages())
def visit(tab, request):
    """Open a page once, look at it in each view, and note what there is to see."""
    seen = SimpleNamespace(errors=[], requests=[], violations={}, background={}, overflow={})
    listeners = {
        "pageerror": lambda error: seen.errors.append(str(error)),
        "console": lambda line: seen.errors.append(line.text) if line.type == "error" else None,
        "request": lambda call: seen.requests.append(call.url),
    }
    for event, listener in listeners.items():
        tab.on(event, listener)
    tab.set_viewport_size(NARROW)
    tab.goto((SITE / request.param).as_uri())
    tab.evaluate(SETTLE)
    for size in (NARROW, WIDE):
        tab.set_viewport_size(size)
        seen.overflow[size["width"]] = tab.evaluate(OVERFLOW)
    tab.evaluate(LIGHTEN)
    for theme, size in VIEWS:
        if size != tab.viewport_size:
            tab.set_viewport_size(size)
            tab.wait_for_timeout(RESIZED)
        tab.evaluate(SET_THEME, theme)
        tab.evaluate(SETTLE)
        view = (theme, size["width"])
        seen.background[view] = tab.evaluate(BACKGROUND)
        seen.violations[view] = explain(Axe().run(tab, options=AXE))
    seen.errors += tab.evaluate("[...document.querySelectorAll('mjx-merror')].map(e => e.dataset.mjxError)")
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
    """The page is never wider than the window."""
    assert max(visit.overflow.values()) <= 0, visit.overflow
