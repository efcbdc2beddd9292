"""The program behind `make pdf`: one long page of all, and what a browser prints of a page."""

import importlib.util
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from tests.site.figures import SITE
from tests.site.test_site import ROOT

A4 = (595, 842)  # points
LESSON = SITE / "lessons" / "rotary" / "interpret.html"
BOOKMARKS = {"outline": True, "tagged": True}
FEW = [("", ["book/welcome"]), ("About the book", ["book/reading", "book/notation"])]
# What is wrong with the long page: ids that occur twice, links that lead nowhere, what is still folded. And what it holds.
LOOK = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const ids = all("[id]").map((element) => element.id);
  const links = all("a[href]").map((link) => link.getAttribute("href")).filter((to) => !/^(https?|mailto):/.test(to));
  const faults = {
    twice: ids.filter((id, i) => ids.indexOf(id) < i),
    nowhere: links.filter((to) => to[0] !== "#" || !ids.includes(to.slice(1))),
    folded: all("details:not(.hide, [open])").length,
  };
  const counts = {
    chapters: all(".book > article").length, formulas: all("math").length, links: links.length, stills: all("img.interactive").length,
  };
  return [faults, all("img").map((image) => image.src), counts];
}"""


@pytest.fixture(scope="module")
def program():
    """Give the program."""
    spec = importlib.util.spec_from_file_location("book_pdf", ROOT / "book" / "pdf.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


@pytest.fixture(scope="module")
def printed(program, browser):
    """Give a printed lesson."""
    page = program.opened(browser, LESSON)
    yield PdfReader(BytesIO(program.paper(page, **BOOKMARKS)))
    page.close()


def titles(outline):
    """Give the titles of bookmarks."""
    return [title for item in outline for title in (titles(item) if isinstance(item, list) else [item.title])]


def test_the_long_page_is_whole_and_its_links_lead_within(program, browser):
    """Every page is there, no id twice, no link that leads nowhere, nothing folded, pictures in place."""
    page = program.joined(browser, program.contents())
    faults, pictures, counts = page.evaluate(LOOK)
    assert not any(faults.values()), faults
    assert [url for url in pictures if not Path(unquote(urlsplit(url).path)).is_file()] == []
    assert counts["chapters"] == sum(len(pages) for _, pages in program.contents())
    assert counts["formulas"] > 1000
    assert counts["links"] > 500
    assert counts["stills"] > 5
    page.close()


def test_the_contents_name_the_pages_on_which_chapters_begin(program, browser):
    """The number beside a chapter is that of its first page, which names the part of the book above the title."""
    page = program.joined(browser, FEW)
    program.number(page)
    links, numbers = (page.locator(f".toc li {part}").all_text_contents() for part in ("a", ".folio"))
    printed = PdfReader(BytesIO(program.paper(page, **BOOKMARKS)))
    page.close()
    assert links == ["How to read and run this book", "Notation"]
    for title, number in zip(links, numbers, strict=True):
        assert {"About the book", title} <= set(printed.pages[int(number) - 1].extract_text().split("\n"))
    assert "Notation" in titles(printed.outline)
    assert printed.pages[0].extract_text().split("\n")[0] == "Positional Embeddings"


def test_a_lesson_on_paper(printed):
    """A4, with the formula's number and the solution's code, but nothing of what surrounds the text on a screen."""
    assert [round(float(side)) for side in printed.pages[0].mediabox[2:]] == pytest.approx(A4, abs=1)
    first, *rest = (page.extract_text() for page in printed.pages)
    text = "\n".join([first, *rest])
    assert "(14.1)" in text and "Solution to Exercise 14.1" in text
    soup = BeautifulSoup(LESSON.read_text(encoding="utf-8"), "html.parser")
    solution = soup.select_one("details.solution pre").get_text().split()[1].partition("(")[0]
    assert text.count(f"def {solution}") == 2  # the stub, and the solution
    for word in ("Search", "Chapters", "Previous", "Download"):
        assert word not in first


def test_bookmarks_are_the_headings(printed):
    """A bookmark has the words of its heading, with the spaces at which the heading is broken."""
    soup = BeautifulSoup(LESSON.read_text(encoding="utf-8"), "html.parser")
    for link in soup.select(".headerlink"):
        link.decompose()
    headings = [tag.get_text() for tag in soup.article.find_all(["h1", "h2", "h3"]) if not tag.find("math")]
    assert set(headings) <= set(titles(printed.outline))


def test_paper_is_white_for_those_who_read_on_black(program, browser):
    """A dark page is printed in dark letters, and its pictures are not inverted."""
    page = program.opened(browser, LESSON)
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    colour, scheme = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.documentElement).colorScheme]"
    )
    picture = page.evaluate("getComputedStyle(document.querySelector('article img')).filter")
    page.close()
    assert colour == "rgb(29, 33, 39)" and scheme == "light"
    assert picture == "none"
