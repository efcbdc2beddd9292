"""The interactive figures of the built site, and a hand to operate one with.

A test file about one figure says `FIGURE = "plane"`; the fixtures `live` and `open_figure` then bring that figure.
"""

import functools
import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "_build" / "html"
WIDE, NARROW = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
QUIET = 1100  # milliseconds after which all has been said
GLIDE = 400  # milliseconds after which nothing moves any more

PICTURE = re.compile(r'<img[^>]*\bclass="[^"]*\binteractive ([\w-]+)')


@functools.cache
def placed():
    """Give every interactive figure of the built site and a page that holds it: {name: path}."""
    return {
        name: page
        for page in sorted(SITE.rglob("*.html"), reverse=True)
        if "_static" not in page.parts
        for name in PICTURE.findall(page.read_text(encoding="utf-8"))
    }


def address(name):
    """Give the address of a page that holds a figure."""
    pages = placed()
    if name not in pages:
        pytest.skip(
            f"no page of the built site holds the figure {name!r} (it has: {', '.join(sorted(pages)) or 'none'})"
        )
    return pages[name].as_uri()


def number(text):
    """Read a shown value: a number where it is one."""
    try:
        return float(text)
    except ValueError:
        return text


@contextmanager
def opened(browser, name, prepare=lambda page: None, **options):
    """Open a page that holds a figure."""
    context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", "color_scheme": "light"} | options)
    page = context.new_page()
    prepare(page)
    page.goto(address(name))
    yield page
    context.close()


class LiveFigure:
    """A live figure on an open page."""

    def __init__(self, page, name):
        page.wait_for_selector(f".live-{name}")
        self.page, self.name = page, name
        self.root = page.locator(f".live-{name}").first
        self.root.scroll_into_view_if_needed()

    def find(self, selector):
        """Find something in the figure."""
        return self.root.locator(selector)

    def evaluate(self, script, argument=None):
        """Call a function of the figure's element."""
        return self.root.evaluate(script, argument)

    def state(self):
        """Read the state, and each readout in full under its name."""
        data = self.evaluate("figure => ({...figure.dataset})")
        state = json.loads(data.pop("state"))
        return state | {name: number(value) for name, value in data.items()}

    def shown(self, name):
        """Read what a readout shows, with a plain minus sign."""
        return self.find(f".number-{name} output").inner_text().replace("\u2212", "-")

    def slider(self, key):
        """Find the slider of a number of the state."""
        return self.find(f"input[type=range][name={key}]")

    def stop(self, key, value):
        """Move the slider of a list of numbers to one of them."""
        found = self.slider(key).evaluate(
            """(slider, wanted) => {
                const said = () => slider.getAttribute('aria-valuetext');
                const go = place => {
                    slider.value = place;
                    slider.dispatchEvent(new Event('input'));
                    return Number(said().replaceAll(',', ''));
                };
                let [low, high] = [0, Number(slider.max)];
                while (low < high) {
                    const middle = Math.floor((low + high) / 2);
                    if (go(middle) < wanted) low = middle + 1;
                    else high = middle;
                }
                go(low);
                return said();
            }""",
            value,
        )
        assert found == f"{value:,}", f"the slider has no stop at {value:,}"

    def choice(self, key):
        """Find the list from which a part of the state is chosen."""
        return self.find(f"select[name={key}]")

    def controls(self):
        """List all that a reader can operate, in the order of the Tab key."""
        return self.find("input, select, button, [tabindex='0']").all()

    def reset(self):
        """Bring the first state back."""
        self.root.get_by_role("button", name="Reset").click()

    def listen(self):
        """Note from now on what a screen reader is told; give a function that reads the notes."""
        self.evaluate(
            """figure => {
                window.heard = [];
                const voice = figure.querySelector('[aria-live=polite]');
                new MutationObserver(() => heard.push(voice.textContent))
                    .observe(voice, {childList: true, subtree: true, characterData: true});
            }"""
        )
        return lambda: self.page.evaluate("heard")

    def swipe(self, points):
        """Move a finger over the screen: down at the first point, up at the last."""
        finger = self.page.context.new_cdp_session(self.page)
        for i, (x, y) in enumerate(points):
            kind = "touchMove" if i else "touchStart"
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def centre(locator):
    """Find the middle of something, on the screen."""
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
