"""Set formulas while the book is built: TeX becomes MathML, which browsers show and read aloud without a script.

A formula is written once, as it should look on a wide page. Here it is cut where it may be broken, before relations and
before plus and minus, into pieces that flow like words: where there is room they stand in one line, and on a phone the
line breaks between them. The rows of an `aligned` keep their two columns as long as both fit.
"""

import html
import re
from xml.etree import ElementTree

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.locale import _
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

CONVERTER = LatexToMathML(fancy_error=False)
RELATIONS = set("=≠<>≤≥≪≫≈≡∼∈→↦⟺⟹⇒⇔∝⊂⊆")
SIGNS = set("+−±∓")
BRACKETS = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "⌈": "⌉", "⌊": "⌋", "|": "|", "‖": "‖"}
PRODUCTS = set("⊙⋅")
PRIMES = "′″"
LONG = 18  # characters: what is shorter is not broken if that can be avoided
ROOM = 1.0  # em: after a space as wide as this a line may end
ENVIRONMENT = re.compile(r"\s*\\begin\{(equation|align|gather)\*?\}(.*)\\end\{\1\*?\}\s*", re.DOTALL)
ENTITY = re.compile(r"&(?!lt;|gt;|amp;)\w+;")  # names that HTML knows and XML does not
SPACING = re.compile(r"\\\\\s*\[-?[\d.]+\s*[a-z]{2}\]")  # as in \\[4pt]: the page has its own
TAG = re.compile(r"\\tag\{([^}]*)\}")
OUTER = {"align": "aligned", "gather": "gathered"}


def formula(tex, *, displaystyle):
    """Return the `<math>` element of a formula."""
    written = CONVERTER.convert_with_local_state(tex, displaystyle=displaystyle)
    math = ElementTree.fromstring(ENTITY.sub(lambda name: html.unescape(name[0]), written))
    for script in [*math.iter("msup"), *math.iter("msubsup")]:
        lower_prime(script)
    for script in [element for element in math.iter() if element.tag in {"msup", "msub", "msubsup"}]:
        keep_size(script)
    return math


def keep_size(script):
    """Put a bracket of a given size that carries an index into a row: as a bare base it is drawn small and low."""
    base = script[0]
    if base.tag == "mo" and "minsize" in base.attrib:
        script[0] = ElementTree.Element("mrow")
        script[0].append(base)


def lower_prime(script):
    """Take a prime out of a superscript: the font draws it small and high already, and would have it so twice."""
    base, *below, above = script
    if set(above.text or "") - set(PRIMES) or not above.text:
        return
    above.set("lspace", "0")
    above.set("rspace", "0")
    primed = ElementTree.Element("mrow")
    primed.extend([base, above])
    script.tag = "msub" if below else "mrow"
    script[:] = [primed, *below] if below else [base, above]


def operator(element):
    """Return the operator that an element is, or is built upon: `=` for itself and for what stands over it."""
    while element.tag in {"mover", "munder", "munderover", "msup", "msub"}:
        element = element[0]
        if element.tag == "mrow" and len(element) == 1 and "minsize" in element[0].attrib:
            element = element[0]
    return element if element.tag == "mo" else None


def length(elements):
    """Count the characters of a row of elements."""
    return sum(len("".join(element.itertext())) for element in elements)


def is_wide(element):
    """Say whether an element is a space after which a line may end."""
    width = re.match(r"([\d.]+)em", element.get("width", "")) if element.tag == "mspace" else None
    return width is not None and float(width[1]) >= ROOM


def cut(elements, signs, depth=0):
    """Cut a row of elements before the signs that are at most so deep in brackets, and after wide spaces."""
    pieces, open_brackets, before = [[]], [], None
    for element in elements:
        found = operator(element)
        sign = found.text if found is not None else None
        outside = len(open_brackets) <= depth
        joins = found is not None and found.get("lspace") != "0"  # and is not the sign of what follows
        breaks = outside and joins and sign in signs and pieces[-1]
        if breaks or (outside and before is not None and is_wide(before)):
            pieces.append([])
        if breaks and element.tag == "mo":
            element.set("form", "infix")
        if sign in open_brackets[-1:]:
            open_brackets.pop()
        elif sign in BRACKETS:
            open_brackets.append(BRACKETS[sign])
        pieces[-1].append(element)
        before = element
    return [piece for piece in pieces if piece]


def written(elements, *, displaystyle):
    """Write a piece as a formula of its own."""
    math = ElementTree.Element("math", {"displaystyle": "true"} if displaystyle else {})
    math.extend(elements)
    return ElementTree.tostring(math, encoding="unicode", short_empty_elements=False)


def flowing(elements):
    """Write a row of a display as pieces. A long one is a box, in which a line may end within brackets too.

    Where wide spaces part several formulas, each of them is a box: a line ends between two before it ends within one.
    """
    formulas = cut(elements, set())
    if len(formulas) > 1:
        return "<wbr>".join(f"<span>{flowing(each)}</span>" for each in formulas)
    pieces = []
    for piece in cut(elements, RELATIONS | SIGNS):
        parts = cut(piece, SIGNS | PRODUCTS, depth=1) if length(piece) > LONG else [piece]
        inner = "<wbr>".join(written(part, displaystyle=True) for part in parts)
        pieces.append(inner if len(parts) == 1 else f"<span>{inner}</span>")
    return "<wbr>".join(pieces)


def rows(math):
    """Return the rows of a display: each a left and a right column, of which the left may be empty."""
    table = math[0] if len(math) == 1 and math[0].tag == "mtable" else None
    if table is None:
        return [("", flowing(list(math)))]
    cells = [[list(cell) for cell in row] for row in table]
    if all(len(row) == 1 for row in cells):
        return [("", flowing(row[0])) for row in cells]
    return [(flowing(row[0]), " ".join(flowing(cell) for cell in row[1:])) for row in cells]


def display(tex):
    """Return the HTML of a displayed formula, and the number that its paper gives it."""
    within = ENVIRONMENT.fullmatch(tex)
    if within:
        name = OUTER.get(within[1])
        tex = rf"\begin{{{name}}}{within[2]}\end{{{name}}}" if name else within[2]
    tag = TAG.search(tex)
    math = formula(SPACING.sub(r"\\\\", TAG.sub("", tex)), displaystyle=True)
    body = "".join(
        f'<div class="row"><div class="left">{left}</div><div class="right">{right}</div></div>'
        for left, right in rows(math)
    )
    return f'<div class="rows">{body}</div>', tag[1] if tag else None


def inline(tex):
    """Return the HTML of a formula within a line; a long one may break where a display would."""
    math = formula(tex, displaystyle=False)
    pieces = cut(list(math), RELATIONS) if length(math) > LONG else [list(math)]
    return "<wbr>".join(written(piece, displaystyle=False) for piece in pieces)


def plain(tex):
    """Write a formula in letters, as a heading in a list shows it."""
    try:
        math = formula(tex, displaystyle=False)
    except LatexError:
        return tex
    return "".join(("√" if element.tag == "msqrt" else "") + (element.text or "") for element in math.iter())


def readable_titles(app, doctree):
    """Let a link to a section whose title holds a formula show that formula in letters."""
    labels = app.env.get_domain("std").labels
    titles = {}
    for section in doctree.findall(nodes.section):
        if any(section[0].findall(nodes.math)):
            pieces = section[0].findall(lambda node: isinstance(node, nodes.Text))
            letters = (plain(piece) if isinstance(piece.parent, nodes.math) else piece.astext() for piece in pieces)
            titles |= dict.fromkeys(section["ids"], "".join(letters))
    for name, (docname, anchor, _title) in list(labels.items()):
        if docname == app.env.docname and anchor in titles:
            labels[name] = docname, anchor, titles[anchor]


def refuse(error, node):
    """Report a formula that cannot be set: a warning, which fails the build, with its page."""
    logging.getLogger(__name__).warning("%s in the formula %s", error, node.astext().strip(), location=node)
    raise nodes.SkipNode


def visit_math(self, node):
    """Write a formula within a line."""
    try:
        self.body.append(inline(node.astext()))
    except LatexError as error:
        refuse(error, node)
    raise nodes.SkipNode


def visit_math_block(self, node):
    """Write a display, with its number in the book and in the paper, and a link to it."""
    try:
        body, tag = display(node.astext())
    except LatexError as error:
        refuse(error, node)
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(body)
    if node["number"] or tag:
        self.body.append('<span class="eqno">')
        if tag:
            title = _("The number of this equation in the paper")
            self.body.append(f'<span class="tag" title="{title}">({html.escape(tag)})</span> ')
        if node["number"]:
            self.body.append(f"({get_node_equation_number(self, node)})")
            self.add_permalink_ref(node, _("Link to this equation"))
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-read", readable_titles)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
