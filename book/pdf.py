"""Print the built site as one PDF: `make pdf`.

The articles of all pages, in the order of the contents, become one long page, in which links lead from one to another;
the browser that the tests use prints it, with bookmarks made of the headings.
"""

import re
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
TARGET = ROOT / "_build" / "positional-embeddings.pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGE = """<!doctype html>
<html lang="en" data-theme="light">
<head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="_static/fonts/fonts.css"><link rel="stylesheet" href="_static/style.css">
<link rel="stylesheet" href="_static/front.css"></head>
<body><main class="book"><header class="cover"><h1>{title}</h1><p>{about}</p></header>{contents}{articles}</main></body>
</html>
"""


def chapters():
    """Give the parts of the book: each a caption and the names of its pages."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [(part["caption"], [chapter["file"] for chapter in part["chapters"]]) for part in toc["parts"]]
    return [("", [toc["root"]]), *parts]


def place(name, anchor=""):
    """Name a place of a page within the one long page."""
    return f"{name.replace('/', '-')}{'--' + anchor if anchor else ''}"


def article(name, names):
    """Return the article of a page, with ids that no other page has and links that stay within the book."""
    path = SITE / f"{name}.html"
    found = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").article
    found.name, found["id"] = "section", place(name)
    for tag in found.find_all(id=True):
        tag["id"] = place(name, tag["id"])
    for tag in found.select("script, noscript, .headerlink, details.hide"):
        tag.decompose()
    for tag in found.find_all("details"):
        tag["open"] = ""
    for image in found.find_all("img"):
        image["src"] = (path.parent / image["src"]).resolve().as_uri()
        del image["loading"]
    for link in found.find_all("a", href=True):
        parts = urlsplit(link["href"])
        if parts.scheme:
            continue
        target = (path.parent / parts.path).resolve() if parts.path else path
        other = target.relative_to(SITE).with_suffix("").as_posix()
        if other in names:
            link["href"] = f"#{place(other, parts.fragment)}"
        else:
            link.name, link.attrs = "span", {}  # search and index are not printed
    return found


def whole():
    """Return the one long page."""
    parts = chapters()
    names = {name for _, pages in parts for name in pages}
    articles = {name: article(name, names) for _, pages in parts for name in pages}
    rows = []
    for caption, pages in parts[1:]:
        links = "".join(
            f'<li><a href="#{place(name)}">{articles[name].h1.decode_contents()}</a></li>' for name in pages
        )
        rows.append(f"<h3>{caption}</h3><ul>{links}</ul>")
    welcome = articles[parts[0][1][0]]
    return PAGE.format(
        title="Positional Embeddings",
        about=re.sub(r"\s+", " ", welcome.p.get_text()),
        contents=f'<nav class="toc"><h2>Contents</h2>{"".join(rows)}</nav>',
        articles="".join(str(found) for found in articles.values()),
    )


def print_page(source, target, browser):
    """Print a page of the site, or the long one, as A4 with bookmarks and page numbers."""
    page = browser.new_page()
    page.goto(source.as_uri())
    page.evaluate("document.fonts.ready")
    page.pdf(path=target, outline=True, tagged=True, prefer_css_page_size=True)
    page.close()


def main():
    """Make the PDF and say where it is."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"To print the book needs a browser: none of {', '.join(BROWSERS)} is installed.")
    source = SITE / "print.html"
    source.write_text(whole(), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        print_page(source, TARGET, browser)
        browser.close()
    source.unlink()
    print(f"The book is at {TARGET}")


if __name__ == "__main__":
    main()
