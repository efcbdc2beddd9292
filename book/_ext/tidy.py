"""Make the pages of other extensions valid, accessible HTML, and set proofs the usual way.

sphinx-proof gives every theorem's text and every proof the same id. Nothing can link to an id that
occurs twice, so these are taken off; and the word "Proof." is set in italics. Sphinx writes the
entries of a bibliography, and the parameters of a signature, as parts of a list that they are not.
"""

import re

from docutils import nodes
from sphinx_proof.nodes import proof_node


def repeated_ids(app, doctree, docname):
    """Take off the ids that sphinx-proof repeats, and set the word "Proof."."""
    for node in doctree.findall(nodes.section):
        if node["ids"] == ["proof-content"]:
            node["ids"] = []
    for proof in doctree.findall(proof_node):
        for box in proof.findall(nodes.admonition):
            box["ids"] = [name for name in box["ids"] if name != "proof"]
        first = next(proof.findall(nodes.Text))
        if first.startswith("Proof. "):
            rest = nodes.Text(first.removeprefix("Proof."))
            first.parent.replace(first, [nodes.emphasis("", "Proof."), rest])


def plain_roles(app, pagename, templatename, context, doctree):
    """Write list entries as list entries, and the lines of a signature as lines."""
    body = context.get("body", "").replace('role="doc-biblioentry"', 'role="listitem"')
    lines = re.compile(r"<dl>\n((?:<dd>.*</dd>\n)+)</dl>")
    body = re.sub(r' id="(solution|exercise|proof)-content"', "", body)
    body = re.sub(r'<th class="head">\s*(<p>\s*</p>)?\s*</th>', "<td></td>", body)
    context["body"] = lines.sub(lambda match: re.sub("(</?)dd>", r"\1div>", match[1]), body)


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-resolved", repeated_ids)
    app.connect("html-page-context", plain_roles)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
