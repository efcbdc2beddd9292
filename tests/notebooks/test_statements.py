"""Every displayed formula and theorem of every lesson: where its check is altered to say something false, it fails.

The statements are listed, in their order, in a file that has the lesson's name: `tests/rotary/plane.toml`. Each is a
definition or an assumption, which nothing can refute, or it is true, and then there are false variants of it: passages
of the lesson's code, and what to put in their place.
"""

import tomllib
from pathlib import Path

import pytest

from tests.notebooks.lesson import Lesson, lessons

TESTS = Path(__file__).parents[1]
LISTED = [name for name in lessons() if (TESTS / f"{name}.toml").exists()]
UNCHECKED = {"definition", "assumption"}


def listed(name):
    """Return the statements listed for a lesson, in order."""
    return tomllib.loads((TESTS / f"{name}.toml").read_text(encoding="utf-8"))["statement"]


FALSE = [
    pytest.param(name, old, new, id=f"{name}: {fault}")
    for name in LISTED
    for entry in listed(name)
    for fault, old, new in entry.get("false", [])
]


@pytest.mark.parametrize("name", LISTED)
def test_every_statement_is_listed(name):
    found, entries = Lesson(name).statements, listed(name)
    for statement, entry in zip(found, entries, strict=False):
        assert " ".join(entry["says"].split()) in statement
    assert len(entries) == len(found), found[len(entries) :]


@pytest.mark.parametrize("name", LISTED)
def test_a_statement_is_true_for_a_reason_or_says_what_it_is(name):
    for entry in listed(name):
        assert set(entry) in ({"says", "is"}, {"says", "false"})
        assert entry.get("is", "definition") in UNCHECKED
        assert entry.get("false") != []


@pytest.mark.parametrize(("name", "old", "new"), FALSE)
def test_the_check_fails_on_a_false_variant(evidence, name, old, new):
    with pytest.raises(AssertionError):
        Lesson(name).altered(old, new)
    evidence(name, "refused", old, new)
