"""The program behind `make pdf`: one long page of all, and what a browser prints of a page."""

import importlib.util

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from tests.site.figures import SITE
from tests.site.test_site import ROOT

A4 = (595, 842)  # points


@pytest.fixture(scope="module")
def pdf():
    """Give the program."""
    spec = importlib.util.spec_from_file_location("book_pdf", ROOT / "book" / "pdf.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


def test_the_long_page_is_whole_and_its_links_lead_within(pdf):
    """Every page is there, no id twice, no link that leads nowhere, nothing folded, formulas and still pictures in place."""
    soup = BeautifulSoup(pdf.whole(), "html.parser")
    names = [name for _, pages in pdf.chapters() for name in pages]
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    assert {pdf.place(name) for name in names} <= set(ids)
    assert [link["href"] for link in soup.select('a[href^="#"]') if link["href"][1:] not in ids] == []
    assert soup.select("details:not([open])") == []
    assert len(soup.find_all("math")) > 1000
    assert len(soup.select("img.interactive")) > 5


def test_a_lesson_on_paper(pdf, browser, tmp_path):
    """A4, with the formula's number, the solution's code, and bookmarks."""
    pdf.print_page(SITE / "lessons" / "rotary" / "interpret.html", tmp_path / "page.pdf", browser)
    printed = PdfReader(tmp_path / "page.pdf")
    assert [round(float(side)) for side in printed.pages[0].mediabox[2:]] == pytest.approx(A4, abs=1)
    text = "\n".join(page.extract_text() for page in printed.pages)
    assert "(14.1)" in text and "Solution to Exercise 14.1" in text
    source = BeautifulSoup((SITE / "lessons" / "rotary" / "interpret.html").read_text(encoding="utf-8"), "html.parser")
    solution = source.select_one("details.solution pre").get_text().split()[1].partition("(")[0]
    assert text.count(f"def {solution}") == 2  # the stub, and the solution
    assert "Search" not in printed.pages[0].extract_text()
    assert len(printed.outline) > 0
