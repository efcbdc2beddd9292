"""What the frame around a page needs to know: its question, its part, its notebook to take away.

Also what is folded: a block of the class `dropdown` becomes a `<details>`, which opens without a script.
"""

import base64
import functools
import json
import re
import shutil
import zipfile
from pathlib import Path

import yaml
from docutils import nodes
from pybtex import plugin
from sphinx.errors import ExtensionError
from sphinx.util.parallel import parallel_available
from sphinx_proof.domain import ProofDomain

HOME = Path(__file__).parents[2]
IMAGE = re.compile(r'<img(?P<rest>[^>]* src="[^"]*?(?P<name>[^/"]+)"[^>]*>)')
SVG_SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"')
PIXELS = 4 / 3  # to a point
FACE = re.compile(r'@font-face \{ font-family: "([^"]+)"; src: url\(([\w-]+\.woff2)\)[^;]*;([^}]*)\}')
DESCRIPTOR = re.compile(r"font-(\w+): (\w+);")
FONTS = """for (const [family, data, descriptors] of %s) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt());
  document.fonts.add(new FontFace(family, bytes, descriptors));
}
"""
READ_ME = """# {title}

A lesson of the book "{book}", with the code that it imports.

    pip install -r requirements.txt jupyterlab
    jupyter lab {name}
"""


class details(nodes.General, nodes.Element):
    """A folded block."""


class summary(nodes.General, nodes.TextElement):
    """The line of a folded block that is always seen."""


def fold(app, doctree, docname):
    """Turn blocks of the class `dropdown` into folded ones. A link in the line that unfolds would be in the way."""
    for block in list(doctree.findall(nodes.Admonition)):
        if "dropdown" in block["classes"]:
            title, *rest = block.children
            classes = [name for name in block["classes"] if name != "dropdown"]
            line = summary("", title.astext())
            block.replace_self(details("", line, *rest, ids=block["ids"], classes=classes))


def still(app, body):
    """Give pictures the room that they will take, so that no text moves when one arrives; fetch them when needed."""
    files = {target: Path(app.srcdir, source) for source, target in app.builder.images.items()}

    def sized(tag):
        source = files.get(tag["name"])
        size = SVG_SIZE.search(source.read_text(encoding="utf-8")) if source and source.suffix == ".svg" else None
        room = (
            ' width="{:.0f}" height="{:.0f}"'.format(*(PIXELS * float(side) for side in size.groups())) if size else ""
        )
        return f'<img loading="lazy"{room}{tag["rest"]}'

    return IMAGE.sub(sized, body)


def question(doctree):
    """Return the first paragraph of a page, which says what it asks."""
    paragraphs = (node for node in doctree.findall(nodes.paragraph) if isinstance(node.parent, nodes.section))
    first = next(paragraphs, None)
    return " ".join(first.astext().split()) if first else ""


def parts(app):
    """Name the part of the book that each page belongs to."""
    toc = yaml.safe_load(Path(app.confdir, "_toc.yml").read_text(encoding="utf-8"))
    return {chapter["file"]: part["caption"] for part in toc["parts"] for chapter in part["chapters"]}


def is_notebook(app, docname):
    """Say whether a page is a notebook to take away. The front page is none: it needs the whole book."""
    known = docname in app.env.all_docs and docname != app.config.root_doc
    return known and app.env.doc2path(docname).endswith(".ipynb")


def frame(app, docname, template, context, doctree):
    """Give the template what it asks for."""
    body = context["body"] = still(app, context.get("body", ""))
    context["description"] = question(doctree) if doctree else None
    context["part"] = parts(app).get(docname)
    context["live"] = 'class="interactive ' in body
    context["bundle"] = f"_downloads/{docname}.zip" if is_notebook(app, docname) else None
    context["kind"] = docname.rpartition("/")[2] if docname.startswith("book/") else None


def bundle(app, error):
    """Pack each notebook with the code that it imports: a browser saves an archive, even from a disk."""
    if error or app.builder.format != "html":
        return
    code = sorted(path for path in (HOME / "posemb_ref").rglob("*") if path.suffix in {".py", ".mplstyle"})
    needs = (HOME / "requirements" / "lessons.txt").read_text(encoding="utf-8") + "numpy\njaxtyping\n"
    for docname in filter(lambda name: is_notebook(app, name), app.env.all_docs):
        source = Path(app.env.doc2path(docname))
        text = source.read_text(encoding="utf-8")
        title = "".join(json.loads(text)["cells"][0]["source"]).splitlines()[0].lstrip("# ")
        about = READ_ME.format(title=title, book=app.config.html_title, name=source.name)
        target = Path(app.outdir, "_downloads", f"{docname}.zip")
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in [(source.name, text), ("requirements.txt", needs), ("README.md", about)]:
                archive.writestr(name, content)
            for path in code:
                archive.write(path, path.relative_to(HOME))


def static(app, error):
    """Copy style and scripts, for which no page is built again, and write the fonts as a script.

    A face that a script holds is there before the first letter is shown: no line moves when it comes. Without scripts
    a style sheet loads the same faces.
    """
    if error or app.builder.format != "html":
        return
    target = Path(app.outdir, "_static")
    shutil.copytree(HOME / "book" / "_static", target, dirs_exist_ok=True)
    fonts = target / "fonts"
    faces = [
        (family, base64.b64encode((fonts / file).read_bytes()).decode(), dict(DESCRIPTOR.findall(rest)))
        for family, file, rest in FACE.findall((fonts / "fonts.css").read_text(encoding="utf-8"))
    ]
    (fonts / "fonts.js").write_text(FONTS % json.dumps(faces), encoding="utf-8")


def complete(app, error):
    """Fail if a page is missing: Sphinx says nothing when a process that writes pages dies."""
    if not error and app.builder.format == "html":
        missing = [name for name in app.env.found_docs if not Path(app.builder.get_outfilename(name)).exists()]
        if missing:
            raise ExtensionError(f"these pages were not written: {', '.join(sorted(missing))}")


def settle(app, config):
    """Take back what jupyter-book sets for a theme that is not used here, and let two processes share the work."""
    config.html_theme_options = {}
    app.parallel = 2 if parallel_available else 1
    # These two are safe to read in parallel, and do not say so: the one acts only after all pages have been read,
    # and the other keeps nothing in its domain that would have to be merged.
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
    # Each citation looks up the same plug-ins.
    plugin._load_entry_point = functools.cache(plugin._load_entry_point)
    ProofDomain.merge_domaindata = lambda domain, docnames, other: None


def setup(app):
    """Register with Sphinx."""
    for node in (details, summary):
        name = node.__name__
        app.add_node(
            node,
            html=(
                lambda self, node, name=name: self.body.append(self.starttag(node, name)),
                lambda self, node, name=name: self.body.append(f"</{name}>\n"),
            ),
        )
    app.add_config_value("comments_config", None, "")  # jupyter-book sets it for an extension that is not loaded
    app.connect("config-inited", settle)
    app.connect("doctree-resolved", fold)
    app.connect("html-page-context", frame)
    app.connect("build-finished", complete)
    app.connect("build-finished", static, priority=400)  # before what is written beside it
    app.connect("build-finished", bundle)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
