"""The built pages, read as files: complete, self-contained, linked, described.

Each check is a function from a page (or a style sheet) to a list of faults, so that it can be shown
below to find the fault it is for.
"""

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
PAGES = sorted(path for path in SITE.rglob("*.html") if "_static" not in path.parts)
READ = [path for path in PAGES if path != SITE / "index.html"]  # index.html only redirects
OUTSIDE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
CSS_URL = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")
HASH = re.compile(r"[0-9a-f]{16,}|^[\w./-]+\.(svg|png|jpe?g|gif)$", re.IGNORECASE)
SOURCES = {
    "doi.org",
    "arxiv.org",
    "creativecommons.org",
    "opensource.org",
    "github.com",
    "huggingface.co",
    "nn.labml.ai",
}
LOADS = {
    "script": ["src"],
    "link": ["href"],
    "img": ["src", "srcset"],
    "iframe": ["src"],
    "source": ["src", "srcset"],
    "audio": ["src"],
    "video": ["src", "poster"],
    "object": ["data"],
    "embed": ["src"],
    "form": ["action"],
}


def parse(path):
    """Read one page."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def pages():
    """All pages that a reader sees, parsed once."""
    assert READ, "no built site: run `make site` first"
    return {path: parse(path) for path in READ}


def css_loads(css):
    """List what a style sheet loads."""
    return [first or second for first, second in CSS_URL.findall(css)]


def outside_loads(soup):
    """List what a page would fetch from elsewhere."""
    found = [
        tag[name]
        for kind, names in LOADS.items()
        for tag in soup.find_all(kind)
        for name in names
        if tag.has_attr(name)
    ]
    for style in soup.find_all("style"):
        found += css_loads(style.get_text())
    for tag in soup.find_all(style=True):
        found += css_loads(tag["style"])
    for script in soup.find_all("script", src=False):
        found += re.findall(r"""["']((?:https?:)?//[^"']+)["']""", script.get_text())
    return [url for url in found if OUTSIDE.match(url)]


def outside_links(soup):
    """List hyperlinks to anything but a cited source or a licence."""
    links = [tag["href"] for tag in soup.find_all("a", href=OUTSIDE)]
    return [link for link in links if urlsplit(link).netloc.removeprefix("www.") not in SOURCES]


def anchors(soup):
    """Collect everything in a page that can be linked to."""
    return {tag["id"] for tag in soup.find_all(id=True)} | {
        tag["name"] for tag in soup.find_all("a", attrs={"name": True})
    }


def broken_links(path, pages, places):
    """List links and loaded files of a page that lead nowhere; `places` are the anchors of each page."""
    broken = []
    for tag in pages[path].find_all(["a", "img", "script", "link"]):
        url = tag.get("href") or tag.get("src") or ""
        parts = urlsplit(url)
        if parts.scheme or parts.netloc or not url:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.is_file():
            broken.append(url)
        elif parts.fragment and target in pages and tag.name == "a":
            if unquote(parts.fragment) not in places[target]:
                broken.append(url)
    return broken


def poor_alt(soup):
    """List content images whose alt text does not say what they show."""
    images = soup.select("article img, main img")
    return [str(image)[:160] for image in images if len(image.get("alt", "").split()) < 3 or HASH.search(image["alt"])]


def poor_head(soup):
    """Say what a page lacks: a title, a language, one first-level heading."""
    faults = []
    if not soup.title or not soup.title.get_text(strip=True):
        faults.append("no title")
    if not soup.html.get("lang"):
        faults.append("no language")
    headings = soup.select("h1")
    if len(headings) != 1:
        faults.append(f"{len(headings)} first-level headings")
    return faults


def repeated_ids(soup):
    """List ids that occur twice: a link to such a place is a guess."""
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    return sorted(name for name, count in Counter(ids).items() if count > 1)


def toc_files():
    """List the pages that _toc.yml promises."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *chapters]


@pytest.mark.parametrize("name", toc_files())
def test_each_page_is_built(name, pages):
    assert SITE / f"{name}.html" in pages


def test_the_first_page_leads_to_the_welcome_page():
    refresh = parse(SITE / "index.html").find("meta", attrs={"http-equiv": "Refresh"})
    target = refresh["content"].partition("url=")[2]
    assert (SITE / target).is_file()


@pytest.mark.parametrize("check", [outside_loads, outside_links, poor_alt, poor_head, repeated_ids])
def test_pages(check, pages):
    faults = {str(path.relative_to(SITE)): check(soup) for path, soup in pages.items()}
    assert {path: found for path, found in faults.items() if found} == {}


def test_no_broken_link(pages):
    places = {path: anchors(soup) for path, soup in pages.items()}
    faults = {str(path.relative_to(SITE)): broken_links(path, pages, places) for path in pages}
    assert {path: found for path, found in faults.items() if found} == {}


def test_style_sheets_load_nothing_from_outside_and_miss_nothing():
    faults = []
    for path in SITE.rglob("*.css"):
        for url in css_loads(path.read_text(encoding="utf-8")):
            if url.startswith(("data:", "#")):
                continue
            target = path.parent / unquote(urlsplit(url).path)
            if OUTSIDE.match(url) or not target.resolve().is_file():
                faults.append((str(path.relative_to(SITE)), url))
    assert faults == []


def test_every_equation_theorem_and_exercise_can_be_linked_to(pages):
    bare = []
    for path, soup in pages.items():
        for box in soup.select("div.proof.theorem, div.proof.definition, div.exercise"):
            if not (box.get("id") or box.select_one("[id]")):
                bare.append((str(path.relative_to(SITE)), box.get_text(" ", strip=True)[:60]))
    assert bare == []


PAGE = "<html lang='en'><head><title>T</title></head><body><main>{}</main></body></html>"


@pytest.mark.parametrize(
    ("check", "html"),
    [
        (outside_loads, "<script src='https://cdn.example/x.js'></script>"),
        (outside_loads, "<img src='//cdn.example/x.png' alt='A line that rises'>"),
        (outside_loads, "<style>@import 'https://fonts.example/a.css';</style>"),
        (outside_loads, "<p style='background: url(https://x.example/y.png)'></p>"),
        (outside_loads, "<script>load('https://cdn.example/x.js')</script>"),
        (outside_links, "<a href='https://example.com/'>x</a>"),
        (poor_alt, "<img src='a.svg'>"),
        (poor_alt, "<img src='a.svg' alt='../_images/0a1b2c3d4e5f60718293.svg'>"),
        (poor_alt, "<img src='a.svg' alt='figure'>"),
        (poor_head, "<h1>a</h1><h1>b</h1>"),
        (repeated_ids, "<p id='a'></p><p id='a'></p>"),
    ],
)
def test_a_planted_fault_is_found(check, html):
    assert check(BeautifulSoup(PAGE.format(html), "html.parser"))


@pytest.mark.parametrize("html", ["<a href='gone.html'>x</a>", "<a href='#gone'>x</a>"])
def test_a_planted_broken_link_is_found(html, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(html)
    pages = {page: parse(page)}
    assert broken_links(page, pages, {page: anchors(pages[page])})
