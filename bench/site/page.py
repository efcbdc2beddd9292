"""How soon is a page there on a slow phone, and do its formulas delay it? In one interleaved run: `make bench`.

`python -m bench.site.page > bench/site/page.txt` records a run. The site must be built.

The largest contentful paint of a page (the moment when the largest text or picture of the first view is shown, in the
fonts that a script brings) is compared with that of a copy without formulas, on a processor slowed four times. Machines
differ and are busy, so only the ratio means anything: it is that of the medians over rounds, in each of which both are
visited, now the one first and now the other. Beside it stand how much of the first view moves while the page loads, at
worst, and what that view weighs, compressed.
"""

import re
import shutil
import statistics
import sys

from playwright.sync_api import sync_playwright

from tests.site.conftest import FLAGS, NAMES
from tests.site.figures import NARROW, SITE
from tests.site.test_browser import BUDGET, SHIFT, SHIFTED, weight

PAGES = [
    "book/welcome",
    "book/notation",
    "lessons/absolute/sinusoidal",
    "lessons/relative/deberta",
    "lessons/rotary/plane",
    "lessons/rotary/rope",
]
SLOWER = 4
ROUNDS = 9
LATER = 1.3  # the most that the paint may take, in times of the paint without formulas
FORMULA = re.compile(r"<math\b.*?</math>", re.DOTALL)
PAINTED = """() => new Promise(done => {
    const see = list => done(list.getEntries().at(-1).startTime);
    new PerformanceObserver(see).observe({type: "largest-contentful-paint", buffered: true});
})"""


def visit(browser, path):
    """Open a page with nothing kept from before; return its largest paint, its shift and its weight."""
    context = browser.new_context(viewport=NARROW, reduced_motion="reduce")
    page = context.new_page()
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    requests = set()
    page.on("request", lambda call: requests.add(call.url))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    painted, shift = page.evaluate(PAINTED), page.evaluate(SHIFTED)
    context.close()
    return painted, shift, weight(requests)


def measure(browser, name):
    """Visit a page and its copy without formulas in turn; return what the page has, and the ratio of the paints."""
    page = SITE / f"{name}.html"
    text = page.read_text(encoding="utf-8")
    plain, formulas = FORMULA.subn("", text)
    copy = page.with_name(f"{page.stem}.plain.html")
    copy.write_text(plain, encoding="utf-8")
    try:
        visit(browser, page)  # warms up
        visits = {page: [], copy: []}
        for i in range(ROUNDS):
            for path in (page, copy) if i % 2 else (copy, page):
                visits[path].append(visit(browser, path))
    finally:
        copy.unlink()
    whole, bare = (statistics.median(paint for paint, *_ in visits[path]) for path in (page, copy))
    shift = max(shift for _, shift, _ in visits[page])
    live = 'class="interactive ' in text
    return formulas, live, whole / bare, shift, visits[page][0][2]


def main():
    """Print the table."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        sys.exit(f"To measure pages needs a browser: none of {', '.join(NAMES)} is installed.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        print(f"Chromium {browser.version}, {NARROW['width']} pixels wide, processor slowed {SLOWER} times")
        print("largest contentful paint, in times of that of the page without its formulas;")
        print("layout shift; KB of the first view, compressed\n")
        print(f"{'page':28}{'formulas':>8}{'paint':>7}{'target':>8}{'shift':>8}{'target':>8}{'KB':>6}{'target':>8}")
        for name in PAGES:
            formulas, live, ratio, shift, size = measure(browser, name)
            print(
                f"{name:28}{formulas:8}{ratio:7.2f}{f'≤ {LATER}':>8}{shift:8.3f}{f'≤ {SHIFT}':>8}"
                f"{size:6.0f}{f'≤ {BUDGET[live]}':>8}",
                flush=True,
            )
        browser.close()


if __name__ == "__main__":
    main()
