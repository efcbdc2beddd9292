"""Every exercise of every lesson: its stub is "not attempted", its solution is "correct"."""

import pytest

from tests.notebooks.lesson import Lesson, lessons

EXERCISES = [(name, exercise) for name in lessons() for exercise in Lesson(name).exercises]


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
