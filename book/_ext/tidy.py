"""Make the pages of other extensions valid, accessible HTML, and set proofs and formulas the usual way.

sphinx-proof gives every theorem's text and every proof the same id. Nothing can link to an id that
occurs twice, so these are taken off; and the word "Proof." is set in italics. Sphinx writes the
entries of a bibliography, and the parameters of a signature, as parts of a list that they are not.
And a browser would begin a line with the comma that follows a formula.
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


def whole_formulas(app, doctree, docname):
    """Keep each formula on one line with what touches it: an opening bracket, a comma, the rest of a word."""
    for formula in list(doctree.findall(nodes.math)):
        line = formula.parent
        at = line.index(formula)
        before, after = (line[i] if 0 <= i < len(line) else None for i in (at - 1, at + 1))
        opening = re.search(r"[(\[“]*$", before)[0] if isinstance(before, nodes.Text) else ""
        closing = re.match(r"\S{,12}", after)[0] if isinstance(after, nodes.Text) else ""
        if opening or closing:
            line[at] = nodes.inline("", opening, formula.deepcopy(), nodes.Text(closing), classes=["whole"])
        if opening:
            line[at - 1] = nodes.Text(before[: -len(opening)])
        if closing:
            line[at + 1] = nodes.Text(after[len(closing) :])


def plain_roles(app, pagename, templatename, context, doctree):
    """Write list entries as list entries, and the lines of a signature as lines."""
    body = context.get("body", "").replace('role="doc-biblioentry"', 'role="listitem"')
    lines = re.compile(r"<dl>\n((?:<dd>.*</dd>\n)+)</dl>")
    body = re.sub(r' id="(solution|exercise|proof)-content"', "", body)
    body = re.sub(r"(Solution to)(<a [^>]*>) ", r"\1 \2", body)
    body = re.sub(r'<th class="head">\s*(<p>\s*</p>)?\s*</th>', "<td></td>", body)
    context["body"] = lines.sub(lambda match: re.sub("(</?)dd>", r"\1div>", match[1]), body)


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-resolved", repeated_ids)
    app.connect("doctree-resolved", whole_formulas)
    app.connect("html-page-context", plain_roles)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
