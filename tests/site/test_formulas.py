"""The formulas of the built pages, and the extension that sets them."""

import importlib.util
import re
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

from tests.site.figures import SITE
from tests.site.test_site import READ, ROOT

EXTENSIONS = ROOT / "book" / "_ext"
FONTS = ROOT / "book" / "_static" / "fonts"
TEX = re.compile(r"\\(?!n\b|t\b|s\b|w\b|d\b|0)[a-zA-Z]{2,}|\$[^$\s][^$]*\$|\\[(\[]")


def extension(name):
    """Load one of the book's own extensions."""
    spec = importlib.util.spec_from_file_location(name, EXTENSIONS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mathml = extension("mathml")


@pytest.fixture(scope="module")
def bodies():
    """Give the article of each page."""
    return {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").article for path in READ}


def pieces(html):
    """Read the pieces of a formula: the letters of each."""
    return [
        "".join(math.itertext()) for math in ElementTree.fromstring(f"<x>{html}</x>".replace("<wbr>", "")).iter("math")
    ]


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        ("a = b", ["a", "=b"]),
        ("a = b + c - d", ["a", "=b", "+c", "−d"]),
        ("a = -b", ["a", "=−b"]),
        ("a \\cdot (b + c) = d", ["a⋅(b+c)", "=d"]),
        ("|a - b| \\le |a| + |b|", ["|a−b|", "≤|a|", "+|b|"]),
        ("\\left(a + b\\right) = \\frac{a + b}{c}", ["(a+b)", "=a+bc"]),
        ("x = y, \\qquad z = w", ["x", "=y,", "z", "=w"]),
        ("f(x_{i+1}) \\to g", ["f(xi+1)", "→g"]),
        ("\\begin{aligned} a &= b + c \\\\[4pt] &= d \\end{aligned}", ["a", "=b", "+c", "=d"]),
        ("\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}", ["(abcd)"]),
    ],
)
def test_a_display_is_cut_where_it_may_be_broken(tex, expected):
    html, _ = mathml.display(tex)
    assert [re.sub(r"\s", "", piece) for piece in pieces(html)] == expected


def test_nothing_is_lost_by_cutting():
    tex = r"a = \sum_{i=0}^{n} b_i + c \le \left(d - \frac{e}{f}\right)^2 - g \,, \qquad h \neq k"
    whole = "".join(mathml.formula(tex, displaystyle=True).itertext())
    assert "".join(pieces(mathml.display(tex)[0])) == whole
    assert "".join(pieces(mathml.inline(tex))) == whole


def test_a_sign_that_begins_a_piece_keeps_its_room():
    html, _ = mathml.display("a = b - c")
    assert '<mo form="infix">−</mo>' in html
    html, _ = mathml.display("a = -c")
    assert "infix" in html and '<mo form="infix">−' not in html


def test_short_formulas_in_a_line_stay_whole():
    assert len(pieces(mathml.inline("r = m - n"))) == 1
    assert len(pieces(mathml.inline(r"\langle f(q, m), f(k, n)\rangle = g(q, k, m - n)"))) == 2


def test_the_number_of_the_paper():
    assert mathml.display(r"a = b \tag{16}")[1] == "16"
    assert mathml.display(r"\begin{equation*} a = b \end{equation*}")[1] is None


@pytest.mark.parametrize("tex", [r"\nosuchcommand x", r"\frac{a", r"a_{b"])
def test_a_formula_that_cannot_be_set_fails_the_build_by_name(tex, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXTENSIONS)
    (tmp_path / "somepage.rst").write_text(f"A page\n======\n\n.. math::\n\n   {tex}\n")
    warnings = open(tmp_path / "warnings", "w+")
    with warnings:
        app = Sphinx(
            tmp_path,
            None,
            tmp_path / "out",
            tmp_path / "trees",
            "html",
            confoverrides={"extensions": ["mathml"], "html_math_renderer": "mathml", "root_doc": "somepage"},
            status=None,
            warning=warnings,
            warningiserror=True,
            keep_going=True,
        )
        app.build()
        warnings.seek(0)
        said = warnings.read()
    assert app.statuscode != 0
    assert "somepage" in said and tex in said


def test_every_page_is_free_of_tex(bodies):
    faults = {}
    for path, article in bodies.items():
        words = [
            text
            for text in article.find_all(string=True)
            if not text.find_parent(["pre", "code", "math", "svg", "script"])
        ]
        found = [text.strip()[:80] for text in words if TEX.search(text)]
        if found:
            faults[str(path.relative_to(SITE))] = found
    assert faults == {}


def test_there_are_formulas_everywhere_they_are_written(bodies):
    """In captions, tables, titles of theorems, solutions and headings too."""
    for where in ["figcaption", "td", ".theorem", "details", "h2, h3", ".math[id]", "li"]:
        assert any(article.select_one(f":is({where}) math") for article in bodies.values()), where


def italic(letter):
    """Give the letter that a browser shows for a single one in <mi>: mathematical italic."""
    if letter == "h":
        return "\u210e"
    for first, last, start in [("a", "z", 0x1D44E), ("A", "Z", 0x1D434), ("α", "ω", 0x1D6FC), ("Α", "Ω", 0x1D6E2)]:
        if first <= letter <= last:
            return chr(start + ord(letter) - ord(first))
    return letter


def test_the_fonts_hold_every_character_that_is_shown(bodies):
    """A character that they lack would be in another face, or a box."""
    held = {
        name: set(TTFont(FONTS / f"{name}.woff2").getBestCmap())
        for name in ("text", "text-italic", "text-bold", "math", "code")
    }
    invisible = {"\u200b", "\u2061", "\u2062", "\u2063", "\n", "\t", "\u00ad"}
    missing = {}
    for path, article in bodies.items():
        for text in article.find_all(string=True):
            if text.find_parent(["script", "svg", "noscript"]):
                continue
            if text.find_parent("math"):
                upright = text.parent.name != "mi" or len(text) > 1 or text.parent.get("mathvariant")
                shown, faces = (text if upright else italic(text)), [held["math"]]
            elif text.find_parent(["pre", "code"]) or text.find_parent(class_="sig"):
                shown, faces = text, [held["code"], held["math"]]
            else:
                shown, faces = text, [held["text"], held["math"]]
            lacking = {
                letter for letter in shown if letter not in invisible and not any(ord(letter) in face for face in faces)
            }
            if lacking:
                missing.setdefault(str(path.relative_to(SITE)), set()).update(lacking)
    assert missing == {}


@pytest.mark.parametrize("tex", ["Q'", "Q'_0", "x''", "(x')^2", "\\theta'_{i'}"])
def test_a_prime_is_drawn_at_its_own_size(tex):
    math = mathml.formula(tex, displaystyle=False)
    scripts = [child for tag in ("msup", "msubsup") for script in math.iter(tag) for child in script[1:]]
    assert not any(set(child.text or "") & set("′″") for child in scripts)
    assert [mark.text for mark in math.iter("mo") if mark.text in ("′", "″")]
