"""The front page: the map says what the encodings do, leads to their lessons, and can be read on a phone."""

import itertools
import math
import re

import pytest
import torch

from posemb_ref.encodings import encodings
from tests.site.figures import NARROW, SITE, WIDE

PAGE = SITE / "book" / "welcome.html"
DIM, LENGTH = 8, 5
TARGET = 40  # pixels: what a finger hits
SMALLEST = 12  # pixels: what an eye reads

# Rows as a reader sees them: where each leads, what it says, and over which words its filled circles hang.
ROWS = """() => {
    const lanes = [...document.querySelectorAll('.map text')].map(at => [at.getAttribute('x'), at.textContent]);
    const circles = [...document.querySelectorAll('.map circle')].map(at => ({
        lane: Object.fromEntries(lanes)[at.getAttribute('cx')],
        open: at.classList.contains('open'),
        y: at.getBoundingClientRect().y + at.getBoundingClientRect().height / 2,
    }));
    return [...document.querySelectorAll('.map li')].map(row => {
        const {top, bottom} = row.getBoundingClientRect();
        return {
            link: row.querySelector('a').href,
            about: row.querySelector('span').textContent,
            circles: circles.filter(({y}) => top < y && y < bottom),
            overflow: Math.max(row.scrollHeight - row.clientHeight, row.scrollWidth - row.clientWidth),
            height: bottom - top,
        };
    });
}"""
# Ends of the arrows, and centres of the filled circles, in the units of the drawing.
ARROWS = """() => [...document.querySelectorAll('.map .leads')].map(path =>
    [path.getPointAtLength(0), path.getPointAtLength(path.getTotalLength())].map(({x, y}) => [x, y]))"""
DOTS = (
    """() => [...document.querySelectorAll('.map .open')].map(at => [+at.getAttribute('cx'), +at.getAttribute('cy')])"""
)
TEXTS = """() => [...document.querySelectorAll('.map :is(text, a, span)')].map(text => {
    const {left, right, top, bottom} = text.getBoundingClientRect();
    return {left, right, top, bottom, size: parseFloat(getComputedStyle(text).fontSize)};
})"""


@pytest.fixture(scope="module", params=[WIDE, NARROW], ids=["wide", "narrow"])
def page(browser, request):
    """The front page without scripts, which it does not need."""
    context = browser.new_context(viewport=request.param, java_script_enabled=False)
    page = context.new_page()
    page.goto(PAGE.as_uri())
    yield page
    context.close()


def opened(encoding):
    """Open an encoding's doors and see what comes through: not by their names, by what they do."""
    x = torch.randn(1, LENGTH, DIM, generator=torch.Generator().manual_seed(0))
    at = torch.arange(1, LENGTH + 1)
    for parameter in encoding.parameters():
        torch.nn.init.normal_(parameter)
    doors = {
        "input": encoding.at_input(x, at),
        "q, k": torch.cat([encoding.on_query(x, at), encoding.on_key(x, at)]),
        "scores": encoding.on_scores(x, x, at, at),
        "values": encoding.on_values(torch.ones(1, LENGTH, LENGTH) / LENGTH, at, at),
    }
    return {name for name, out in doors.items() if out is not None and not all(torch.equal(part, x[0]) for part in out)}


def test_the_map_shows_the_doors_that_encodings_open(page):
    """In circles and in words."""
    rows = page.evaluate(ROWS)
    book = encodings(DIM)
    assert len(rows) == len(book)
    for row, (name, encoding) in zip(rows, book.items(), strict=True):
        doors = opened(encoding)
        assert {circle["lane"] for circle in row["circles"] if circle["open"]} == doors, name
        said = row["about"].partition(" · ")[2]
        assert ({*said.split(" and ")} if said != "no door" else set()) == doors, name


def test_years_go_down_the_map(page):
    """Each row has one, and what came later stands lower."""
    years = [int(re.match(r"\d{4}", row["about"])[0]) for row in page.evaluate(ROWS)]
    assert years == sorted(years)


def test_rows_lead_to_different_lessons(page):
    """Each to a page that is there, named as its encoding."""
    links = [row["link"] for row in page.evaluate(ROWS)]
    assert len(set(links)) == len(links)
    for link in links:
        place = link.partition("/lessons/")[2]
        assert (SITE / "lessons" / place).is_file(), link


def test_arrows_run_from_circle_to_circle_and_down(page):
    """Each begins and ends beside a filled circle."""
    dots = page.evaluate(DOTS)
    arrows = page.evaluate(ARROWS)
    assert arrows
    for start, end in arrows:
        first, last = (min(dots, key=lambda dot, at=at: math.dist(dot, at)) for at in (start, end))
        assert math.dist(first, start) <= 8 and math.dist(last, end) <= 12
        assert first[1] < last[1]


def test_the_map_can_be_read_and_touched(page):
    """No text leaves its row or the window, touches another or is tiny; each row is as high as a finger is broad."""
    for row in page.evaluate(ROWS):
        assert row["overflow"] <= 0 and row["height"] >= TARGET, row
    texts = page.evaluate(TEXTS)
    for text in texts:
        assert text["size"] >= SMALLEST
        assert text["left"] >= 0 and text["right"] <= page.viewport_size["width"]
    for one, two in itertools.combinations(texts, 2):
        apart = (one["right"] <= two["left"], two["right"] <= one["left"])
        assert any(apart) or one["bottom"] <= two["top"] + 1 or two["bottom"] <= one["top"] + 1, (one, two)


def test_the_whole_row_is_the_link(page):
    """A click on a circle leads where the words lead."""
    for row in page.locator(".map li").all():
        row.scroll_into_view_if_needed()
        box = row.bounding_box()
        row.hover(position={"x": 5, "y": box["height"] / 2})
        assert row.locator("a").evaluate("link => link.matches(':hover')")


def test_the_keyboard_goes_down_the_map(page):
    """One stop for each row, in their order."""
    links = page.locator(".map a").all()
    links[0].focus()
    for link in links:
        assert link.evaluate("link => link === document.activeElement")
        page.keyboard.press("Tab")


def test_the_description_tells_the_score_of_the_picture(page):
    """The numbers of the alternative text are those of the figure."""
    q, k, theta = 1.4 + 1.0j, 1.3 - 0.5j, 0.25
    score = (q * k.conjugate() * complex(math.cos(5 * theta), math.sin(5 * theta))).real
    said = page.locator("img.interactive").get_attribute("alt")
    assert f"minus {abs(score):.2f}." in said and score < 0


def test_three_ways_in(page):
    """Three cards, each with links."""
    ways = page.locator(".way").all()
    assert len(ways) == 3
    assert all(way.locator("a").count() >= 2 for way in ways)
