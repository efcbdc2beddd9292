"""Every exercise of every lesson: its stub is "not attempted", its solution is "correct", planted bugs are rejected.

The bugs are listed in the test file that has the lesson's name.
"""

import importlib
import re

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
