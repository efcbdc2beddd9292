"""Every exercise of every lesson, and everything that it states.

The stub of an exercise is "not attempted", its solution is "correct", and planted bugs are rejected: they are listed in
the test file that has the lesson's name.

Displayed formulas and theorems are listed, in their order, in a file of that name too, `tests/rotary/plane.toml`. Each is
a definition or an assumption, which nothing can refute, or it is true, and then there are false variants of it: passages
of the lesson's code, and what to put in their place. With a false one the lesson's own cell fails.
"""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

from tests.notebooks.lesson import Lesson, lessons

EXERCISES = [(name, exercise) for name in lessons() for exercise in Lesson(name).exercises]


def planted(name):
    """List the bugs for the exercises of a lesson."""
    part, method = name.split("/")
    return importlib.import_module(f"tests.{part}.test_{method}").PLANTED


PLANTED = [(name, *bug) for name in lessons() for bug in planted(name)]


@pytest.mark.parametrize("name", lessons())
def test_a_lesson_has_three_exercises_or_more_each_with_its_solution(name):
    lesson = Lesson(name)
    assert len(lesson.exercises) >= 3
    assert tuple(lesson.solutions) == lesson.exercises


@pytest.mark.parametrize(("name", "exercise"), EXERCISES)
def test_the_stub_is_not_attempted(name, exercise):
    assert Lesson(name).verdict(exercise) == f"{exercise}: not attempted"


@pytest.mark.parametrize(("name", "exercise"), EXERCISES)
def test_the_solution_is_correct(name, exercise):
    lesson = Lesson(name)
    assert lesson.verdict(exercise, lesson.solution(exercise)) == f"{exercise}: correct"


@pytest.mark.parametrize(("name", "exercise"), EXERCISES)
def test_bugs_are_planted_in_every_exercise(name, exercise):
    assert exercise in {bug[0] for bug in planted(name)}


@pytest.mark.parametrize(
    ("name", "exercise", "fault", "change", "says"), PLANTED, ids=lambda value: str(value).replace(" ", "-")
)
def test_a_planted_bug_is_rejected_for_the_right_reason(name, exercise, fault, change, says):
    verdict = Lesson(name).planted(exercise, *change)
    assert verdict.startswith(f"{exercise}: not yet. ")
    assert re.search(says, verdict, re.DOTALL), verdict


TESTS = Path(__file__).parents[1]
UNCHECKED = {"definition", "assumption"}


def listed(name):
    """Return the statements listed for a lesson, in order."""
    return tomllib.loads((TESTS / f"{name}.toml").read_text(encoding="utf-8"))["statement"]


FALSE = [
    pytest.param(name, old, new, id=f"{name}: {fault}")
    for name in lessons()
    for entry in listed(name)
    for fault, old, new in entry.get("false", [])
]


@pytest.mark.parametrize("name", lessons())
def test_every_statement_is_listed(name):
    found, entries = Lesson(name).statements, listed(name)
    for statement, entry in zip(found, entries, strict=False):
        assert " ".join(entry["says"].split()) in statement
    assert len(entries) == len(found), found[len(entries) :]


@pytest.mark.parametrize("name", lessons())
def test_statements_are_written_in_one_way(name):
    """Between dollars, and not in an environment of LaTeX, where they would not be found."""
    assert not re.search(r"^\\begin\{(equation|align|gather)\*?\}", Lesson(name).prose, re.MULTILINE)


@pytest.mark.parametrize("name", lessons())
def test_a_statement_is_true_for_a_reason_or_says_what_it_is(name):
    for entry in listed(name):
        assert set(entry) in ({"says", "is"}, {"says", "false"})
        assert entry.get("is", "definition") in UNCHECKED
        assert entry.get("false") != []


@pytest.mark.parametrize("name", lessons())
def test_the_checks_pass_as_they_stand(name):
    lesson = Lesson(name)
    passages = [old for entry in listed(name) for _, old, _ in entry.get("false", [])]
    for old in {lesson.cell_with(old): old for old in passages}.values():
        lesson.altered(old, old)


@pytest.mark.parametrize(("name", "old", "new"), FALSE)
def test_the_check_fails_on_a_false_variant(evidence, name, old, new):
    with pytest.raises(AssertionError):
        Lesson(name).altered(old, new)
    evidence(name, "refused", old, new)
