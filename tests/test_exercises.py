"""What `check` says to a reader."""

import functools

import pytest

from posemb_ref import laws
from posemb_ref.lesson.exercises import check


def doubles(attempt):
    return laws.agreement(attempt, reference=lambda x: 2 * x, cases=[(1.0,), (3.0,)])


def never(attempt):
    raise AssertionError("a law after a broken one is not tried")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x: ..., "f: not attempted"),
        (lambda x: x + x, "f: correct"),
        (lambda x: x + 1, "f: not yet. agreement fails for the input (3): expected 6, found 4"),
        (lambda x: x / 0, "f: not yet. It stopped with ZeroDivisionError: float division by zero"),
        (lambda: 1, "f: not yet. It stopped with TypeError"),
    ],
)
def test_check_says(answer, says, capsys):
    def f(*args):
        return answer(*args)

    check(f, doubles)
    assert capsys.readouterr().out.startswith(says)


def test_the_first_broken_law_is_the_one_explained(capsys):
    check(lambda x: 0.0, doubles, never)
    assert "agreement" in capsys.readouterr().out


def test_a_function_without_a_name_can_be_checked(capsys):
    check(functools.partial(lambda a, x: a * x, 2), doubles)
    assert capsys.readouterr().out == "the answer: correct\n"


def test_what_a_law_cannot_read_is_not_said_to_have_stopped(capsys):
    check(lambda x: "six", doubles)
    assert "not yet. With what it returned, the check stopped with " in capsys.readouterr().out
