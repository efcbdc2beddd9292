"""Print the built site as one PDF: `make pdf`.

The browser that the tests use opens the front page and puts the text of all pages into it, in the order of the
contents, with links that lead from one to another. What it prints has bookmarks, made of the headings. It prints twice:
the first time tells on which page each chapter begins.
"""

import re
import shutil
import sys
from io import BytesIO
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
TARGET = ROOT / "_build" / "positional-embeddings.pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
JOIN = """({ title, parts, texts }) => {
  const make = (name, attributes, ...children) => {
    const element = Object.assign(document.createElement(name), attributes);
    element.append(...children);
    return element;
  };
  const place = (name, anchor) => name.replaceAll("/", "-") + (anchor ? `--${anchor}` : "");
  const names = new Map(Object.entries(texts).map(([name, { address }]) => [address, name]));
  const rules = [];

  const chapter = (name) => {
    const { address, html } = texts[name];
    const article = new DOMParser().parseFromString(html, "text/html").querySelector("article");
    for (const gone of article.querySelectorAll("script, noscript, .headerlink")) gone.remove();
    for (const folded of article.querySelectorAll("details:not(.hide)")) folded.open = true;
    for (const element of article.querySelectorAll("[id]:not(svg *)")) element.id = place(name, element.id);
    article.id = article.style.page = place(name);
    for (const image of article.querySelectorAll("img")) {
      image.removeAttribute("loading");
      image.src = new URL(image.getAttribute("src"), address).href;
    }
    for (const link of article.querySelectorAll("a[href]")) {
      const to = new URL(link.getAttribute("href"), address);
      const anchor = decodeURIComponent(to.hash.slice(1));
      to.hash = "";
      if (names.has(to.href)) link.href = `#${place(names.get(to.href), anchor)}`;
      else if (to.protocol === "file:") link.replaceWith(...link.childNodes); // search and index are not printed
    }
    const running = JSON.stringify(article.querySelector("h1").textContent);
    rules.push(`@page ${place(name)} { @bottom-left { content: ${running}; } }`);
    return article;
  };

  const articles = new Map(parts.flatMap(([, pages]) => pages).map((name) => [name, chapter(name)]));
  const row = (name) => {
    const link = make("a", { href: `#${place(name)}` });
    link.append(...articles.get(name).querySelector("h1").cloneNode(true).childNodes);
    return make("li", {}, link, make("span", { className: "folio" }));
  };
  const lists = parts.filter(([caption]) => caption).flatMap(([caption, pages]) => [
    make("p", { className: "caption" }, caption), make("ul", {}, ...pages.map(row)),
  ]);
  const rights = document.querySelector("body > footer p");
  rights.querySelector("a[href*=genindex]").remove();
  const front = [...articles.values()][0];
  document.head.append(make("style", {}, ...rules));
  document.body.replaceChildren(make("main", { className: "book" },
    make("header", { className: "cover" },
      document.querySelector(".brand img"), make("h1", {}, title), front.querySelector("p").cloneNode(true), rights),
    make("nav", { className: "toc" }, make("h2", {}, "Contents"), ...lists),
    ...articles.values(),
  ));
}"""
NUMBER = """pages => {
  for (const row of document.querySelectorAll(".toc li")) {
    row.querySelector(".folio").textContent = pages[row.querySelector("a").hash.slice(1)];
  }
}"""


def contents():
    """Give the parts of the book: each a caption and the names of its pages."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [(part["caption"], [chapter["file"] for chapter in part["chapters"]]) for part in toc["parts"]]
    return [("", [toc["root"]]), *parts]


def opened(browser, source):
    """Open a page of the site as it is without scripts: live figures stay pictures."""
    page = browser.new_page(java_script_enabled=False)
    page.goto(source.as_uri())
    return page


def joined(browser, parts):
    """Return a page, opened, that holds the text of all pages of these parts."""
    sources = {name: SITE / f"{name}.html" for _, pages in parts for name in pages}
    texts = {
        name: {"address": path.as_uri(), "html": path.read_text(encoding="utf-8")} for name, path in sources.items()
    }
    page = opened(browser, next(iter(sources.values())))
    title = re.search(r"^title: (.+)$", (ROOT / "_config.yml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    page.evaluate(JOIN, {"title": title, "parts": parts, "texts": texts})
    return page


def paper(page, **options):
    """Print a page with the paper and margins of the style sheet, when its pictures and fonts are there."""
    page.evaluate("Promise.all([document.fonts.ready, ...[...document.images].map((image) => image.decode())])")
    return page.pdf(prefer_css_page_size=True, **options)


def number(page):
    """Write into the contents on which printed page each chapter begins."""
    printed = PdfReader(BytesIO(paper(page)))
    places = {name.lstrip("/"): place for name, place in printed.named_destinations.items()}
    page.evaluate(NUMBER, {name: printed.get_destination_page_number(place) + 1 for name, place in places.items()})


def main():
    """Make the PDF and say where it is."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"To print the book needs a browser: none of {', '.join(BROWSERS)} is installed.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = joined(browser, contents())
        number(page)
        paper(page, path=TARGET, outline=True, tagged=True)
        browser.close()
    print(f"The book is at {TARGET}")


if __name__ == "__main__":
    main()
