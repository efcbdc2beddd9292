"""The lesson on the four terms: its table, and its exercises, whose planted bugs are rejected for the right reason."""

import numpy as np
import pytest

from tests.notebooks.lesson import Lesson

LESSON = Lesson("relative/four_terms")


def lesson(name):
    return LESSON.before("visible")[name]


# What each part of a method's score may depend on, read from its formula: cc, cp, pc, pp
TABLE = {
    "no positions": ["constant", ".", ".", "."],
    "absolute (3)": ["constant", "n", "m", "m, n"],
    "Shaw (5)": ["constant", "m - n", ".", "."],
    "Transformer-XL (7)": ["constant", "m - n", "constant", "m - n"],
    "T5 (8)": ["constant", ".", ".", "m - n"],
    "TUPE (9)": ["constant", ".", ".", "m, n"],
    "DeBERTa (10)": ["constant", "m - n", "m - n", "."],
    "ALiBi": ["constant", ".", ".", "m - n"],
    "RoPE (16)": ["m - n", ".", ".", "."],
}


def test_the_table_has_every_method():
    assert set(lesson("methods")) == set(TABLE)


@pytest.mark.parametrize("method", TABLE)
def test_a_row_of_the_table_is_what_the_formula_says(method):
    assert lesson("row")(lesson("methods")[method]) == TABLE[method]


MUTANTS = {
    "Transformer-XL without u": (lambda L: lambda x, y, m, n: L["transformer_xl"](x, y, m, n) - L["word"](L["u"], y), [2], "."),
    "Shaw with an absolute vector": (lambda L: lambda x, y, m, n: L["word"](x, y + L["p"](n)), [1], "n"),
    "DeBERTa with the query's place": (lambda L: lambda x, y, m, n: L["word"](x, y) + L["word"](L["p"](m), y), [2], "m"),
    "T5 counted from the key": (lambda L: lambda x, y, m, n: L["word"](x, y) + L["bias"][n], [3], "n"),
    "the queries alone rotated": (lambda L: lambda x, y, m, n: L["rotate"](x, m) @ y, [0], "m"),
    "one side rotated backwards": (lambda L: lambda x, y, m, n: L["rotate"](x, -m) @ L["rotate"](y, n), [0], "m, n"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_changed_method_has_a_changed_row(name):
    make, (column,), expected = MUTANTS[name]
    assert lesson("row")(make(LESSON.before("visible")))[column] == expected


def test_the_parts_of_an_added_code_are_the_four_terms_and_sum_to_the_score():
    rng = np.random.default_rng(5)
    Wq, Wk, (x, y) = lesson("Wq"), lesson("Wk"), rng.standard_normal((2, 8))
    p = [np.array([f(m * 10000.0 ** (-2 * i / 8)) for i in range(4) for f in (np.sin, np.cos)]) for m in range(10)]
    found = lesson("parts")(lesson("absolute"), x, y)
    for m in range(10):
        for n in range(10):
            terms = [(Wq @ a) @ (Wk @ b) for a in (x, p[m]) for b in (y, p[n])]
            np.testing.assert_allclose([part[m, n] for part in found], terms, atol=1e-12)


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("visible", "columns centred", ("axis=-1", "axis=0"), "agreement fails"),
    ("visible", "one mean for all", ("scores.mean(axis=-1, keepdims=True)", "scores.mean()"), "agreement fails"),
    ("visible", "not centred", (" - scores.mean(axis=-1, keepdims=True)", ""), "agreement fails .* expected 0, found"),
    ("visible", "axis lost", (", keepdims=True", ""), "agreement fails"),
    ("visible", "median", ("scores.mean(axis=-1, keepdims=True)", "np.median(scores, axis=-1, keepdims=True)"), "expected 0, found"),
    ("content_scale", "square root", ("0.25", "0.5"), "agreement fails .* expected 1, found"),
    ("content_scale", "upside down", ("0.25", "-0.25"), "agreement fails .* expected 1, found"),
    ("content_scale", "projections forgotten", ("X @ B @ X.T, P @ B @ P.T", "X @ X.T, P @ P.T"), "agreement fails"),
    ("content_scale", "vectors compared", ("X @ B @ X.T, P @ B @ P.T", "X, P"), "agreement fails"),
    ("content_scale", "negative", ("    return (", "    return -("), "agreement fails .* expected 1, found -1"),
    ("untied", "grows with distance", ("-slope * positions", "slope * positions"), "agreement fails"),
    ("untied", "the other way round", ("-slope * positions, ones], axis=1)\n    return asking, np.stack([ones, slope", "slope * positions, ones], axis=1)\n    return asking, np.stack([ones, -slope"), "agreement fails"),
    ("untied", "one vector for both", ("np.stack([ones, slope * positions], axis=1)", "np.stack([-slope * positions, ones], axis=1)"), "agreement fails"),
    ("untied", "slope twice", ("[ones, slope", "[ones, slope**2"), "agreement fails"),
    ("untied", "slope forgotten", ("-slope * positions", "-positions"), "agreement fails"),
    ("untied", "transposed", ("axis=1)", "axis=0)"), "the check stopped with AssertionError: two entries"),
    ("liked", "positions alone left in", (" - pp", ""), "agreement fails"),
    ("liked", "the query probed", ("score(nothing, word, m, n)", "score(word, nothing, m, n)"), "agreement fails"),
    ("liked", "both probed", ("score(nothing, word, m, n)", "score(word, word, m, n)"), "agreement fails"),
    ("liked", "another place", ("word, m, n)", "word, n, m)"), "agreement fails"),
    ("liked", "always the first place", ("word, m, n) - pp", "word, 0, 0) - score(nothing, nothing, 0, 0)"), "agreement fails"),
    ("liked", "one number", ("return np.array([score(nothing, word, m, n) - pp for word in np.eye(width)])", "return score(nothing, np.ones(width), m, n) - pp"), r"agreement \(shape\) fails"),
]  # fmt: skip
