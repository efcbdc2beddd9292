"""What the search box looks through: every section of the book, and every function of its code.

Sphinx's own index knows pages, of which some take half an hour to read. This one knows their sections, by their
headings, their text and code, and the words that `{index}` gives them. It is a script, since a page that is opened
from a disk may load no data; only the page of results loads it.
"""

import json
from pathlib import Path

from docutils import nodes
from math_core import LatexError
from mathml import formula
from sphinx import addnodes

SKIPPED = (nodes.Invisible, nodes.raw, nodes.image)


def plain(tex):
    """Write a formula in letters, as a heading in a list shows it."""
    try:
        math = formula(tex, displaystyle=False)
    except LatexError:
        return tex
    return "".join(("√" if element.tag == "msqrt" else "") + (element.text or "") for element in math.iter())


def text(node):
    """Return what a node says, without the sections inside it and without what a cell printed."""
    if isinstance(node, nodes.Text):
        return node.astext()
    if isinstance(node, nodes.math | nodes.math_block):
        return plain(node.astext()) if isinstance(node, nodes.math) else ""
    if isinstance(node, SKIPPED) or "cell_output" in node.get("classes", []):
        return ""
    between = "" if isinstance(node, nodes.TextElement) else " "
    return between.join(text(child) for child in node.children if not isinstance(child, nodes.section | addnodes.desc))


def terms(node):
    """Return the words that the index of the book has for a place."""
    entries = (entry for child in node.children if isinstance(child, addnodes.index) for entry in child["entries"])
    return " ".join(entry[1] for entry in entries)


def sections(doctree):
    """Yield the anchor, title, terms and text of each section of a page, and of each function or class it describes."""
    for section in doctree.findall(nodes.section):
        title = next(iter(section.findall(nodes.title)), None)
        if title is not None and title.parent is section:
            body = " ".join(text(child) for child in section.children if child is not title)
            yield section["ids"][0], text(title), terms(section), " ".join(body.split())
    for described in doctree.findall(addnodes.desc):
        signature = described[0]
        if signature.get("ids"):
            yield signature["ids"][0], signature["fullname"], "", " ".join(text(described[-1]).split())


def read(app, doctree):
    """Note the sections of a page that was read."""
    found = list(sections(doctree))
    app.env.book_sections[app.env.docname] = found and [
        (("" if i == 0 else anchor), *rest) for i, (anchor, *rest) in enumerate(found)
    ]


def begin(app, env, docnames):
    """Have a place for the notes."""
    if not hasattr(env, "book_sections"):
        env.book_sections = {}


def purge(app, env, docname):
    """Forget a page."""
    getattr(env, "book_sections", {}).pop(docname, None)


def merge(app, env, docnames, other):
    """Take over what another process has read."""
    env.book_sections.update((name, other.book_sections[name]) for name in docnames if name in other.book_sections)


def write(app, error):
    """Write the index, one entry for each section."""
    if error or app.builder.name != "html":
        return
    entries = [
        {
            "id": app.builder.get_target_uri(docname) + (f"#{anchor}" if anchor else ""),
            "chapter": found[0][1],
            "title": title,
            "terms": terms,
            "text": text,
        }
        for docname, found in sorted(app.env.book_sections.items())
        for anchor, title, terms, text in found
    ]
    target = Path(app.outdir, "_static", "search", "sections.js")
    target.write_text(f"const SECTIONS = {json.dumps(entries, ensure_ascii=False)};\n", encoding="utf-8")


def setup(app):
    """Register with Sphinx."""
    app.connect("env-before-read-docs", begin)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("doctree-read", read)
    app.connect("build-finished", write)
    # The builder's own index is not made.
    app.connect("builder-inited", lambda app: setattr(app.builder, "search", False))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
