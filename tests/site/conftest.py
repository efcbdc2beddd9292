"""A browser for the tests of the site, and figures in it."""

import shutil
from contextlib import ExitStack

import pytest
from playwright.sync_api import sync_playwright

from tests.site.figures import GLIDE, LiveFigure, opened, placed

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without a sandbox, because in a container there is none to be had; and quiet: the browser itself
# must not reach for the network either.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    """One browser for a file of tests; closed after it, because its event loop disturbs others."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_figure(browser, request):
    """Open the figure of this file in a tab of its own; it does not glide unless a test asks for that."""
    with ExitStack() as tabs:

        def open_figure(name=None, **options):
            name = name or request.module.FIGURE
            return LiveFigure(tabs.enter_context(opened(browser, name, **options)), name)

        yield open_figure


@pytest.fixture
def jumps_or_glides(open_figure):
    """Assert that what a script changes is drawn at once for those who asked for less motion, and for others at last."""

    def jumps_or_glides(step, assert_right):
        live = open_figure()
        assert live.evaluate(step) is True
        assert_right(live)
        live = open_figure(reduced_motion="no-preference")
        assert live.evaluate(step) is False
        live.page.wait_for_timeout(GLIDE)
        assert_right(live)

    return jumps_or_glides


@pytest.fixture(scope="module")
def tab(browser, request):
    """Open the figure of this file, wide and light, in a tab that many tests share."""
    with opened(browser, request.module.FIGURE) as page:
        yield LiveFigure(page, request.module.FIGURE)


@pytest.fixture
def live(tab):
    """Give the figure of this file, as at first."""
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "light"
    tab.reset()
    return tab


@pytest.fixture(scope="module")
def formula(browser):
    """Call a function of a library of the figures: formula("rope", "score", q, k, m, n, thetas)."""
    page = browser.new_page()
    page.goto(next(iter(placed().values())).as_uri(), wait_until="domcontentloaded")
    page.wait_for_function("window.Figures")
    call = "async ([library, name, args]) => (await Figures.library(library))[name](...args)"
    yield lambda library, name, *args: page.evaluate(call, [library, name, args])
    page.close()
