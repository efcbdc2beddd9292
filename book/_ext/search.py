"""What the search box looks through: every section of the book, and every function of its code.

Sphinx's own index knows pages, of which some take half an hour to read. This one knows their sections, by their
headings, their text and code, and the words that `{index}` gives them. It is a script, since a page that is opened
from a disk may load no data; only the page of results loads it.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from mathml import plain
from sphinx import addnodes

# A reference of these kinds is a key or a label until it is resolved, unless the page gives it words.
KEYS = {"p", "t", "ref", "doc", "eq", "numref"}
SKIPPED = (nodes.section, addnodes.desc, nodes.math_block, nodes.Invisible, nodes.raw, nodes.image)


def text(node, code=False):
    """Return the prose of a node, or its code: without the sections inside it and without what a cell printed."""
    if isinstance(node, nodes.Text):
        return "" if code else node.astext()
    if isinstance(node, nodes.literal_block):
        return node.astext() if code else ""
    if isinstance(node, nodes.math):
        return "" if code else plain(node.astext())
    if isinstance(node, addnodes.pending_xref) and node["reftype"] in KEYS and not node.get("refexplicit"):
        return ""
    if isinstance(node, SKIPPED) or "cell_output" in node.get("classes", []):
        return ""
    between = "" if isinstance(node, nodes.TextElement) else " "
    return between.join(text(child, code) for child in node.children)


def tidied(prose):
    """Return prose on one line, without the holes that references left."""
    return re.sub(r" *\((?:see)?[ ,;]*\)| +(?=[.,;:)])", "", " ".join(prose.split()))


def terms(node):
    """Return the words that the index of the book has for a place."""
    entries = (entry for child in node.children if isinstance(child, addnodes.index) for entry in child["entries"])
    return " ".join(entry[1] for entry in entries)


def sections(doctree):
    """Yield the anchor, title, terms, prose and code of each section of a page, and of each thing that it describes."""
    for section in doctree.findall(nodes.section):
        if section.children and isinstance(section[0], nodes.title):
            prose = tidied(" ".join(text(child) for child in section[1:]))
            code = "\n".join(filter(None, (text(child, code=True).strip() for child in section[1:])))
            yield section["ids"][0], text(section[0]) or section[0].astext(), terms(section), prose, code
    for described in doctree.findall(addnodes.desc):
        signature = described[0]
        if signature.get("ids"):
            prose = tidied(" ".join(text(child) for child in described[1:]))
            yield signature["ids"][0], signature["fullname"], "", prose, ""


def read(app, doctree):
    """Note the sections of a page that was read."""
    app.env.book_sections[app.env.docname] = list(sections(doctree))


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
    chapters = {docname: found[0][1] for docname, found in app.env.book_sections.items() if found}
    entries = [
        {
            "id": f"{app.builder.get_target_uri(docname)}#{anchor}",
            "chapter": chapters[docname],
            "title": chapters.get(title.removeprefix("../"), title),  # a title may be a link to a page
            "terms": terms,
            "text": prose,
            "code": code,
        }
        for docname, found in sorted(app.env.book_sections.items())
        for anchor, title, terms, prose, code in found
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
