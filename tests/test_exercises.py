"""What `check` says to a reader."""

import functools

import numpy as np
import pytest
import torch

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
        (
            lambda x: x + 1,
            "f: not yet. agreement fails for the call below: expected 6, found 4\n  f(args=(3,)) returned 4\n",
        ),
        (
            lambda x: x / 0,
            "f: not yet. It stopped at `return answer(*args)` with ZeroDivisionError: float division by zero\n  f(args=(1,))\n",
        ),
        (lambda: 1, "f: not yet. It stopped at `return answer(*args)` with TypeError"),
        (lambda x: None, "f: not yet. It returned nothing: is there a `return`?\n  f(args=(1,))\n"),
        (lambda x: (x, ...), "f: not attempted"),
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


def said(capsys, attempt, *cases, reference):
    check(attempt, lambda f: laws.agreement(f, reference=reference, cases=cases))
    return capsys.readouterr().out


def test_the_call_that_failed_can_be_made_again(capsys):
    def total(x, start=0):
        return x.sum()

    message = said(capsys, total, (np.array([1.0, 2.0]), 3), reference=lambda x, start: x.sum() + start)
    assert message.endswith("\n  total(x=array([1, 2]), start=3) returned 3\n")
    assert total(*check.call) == 3.0


def test_a_large_array_is_shown_by_its_shape(capsys):
    message = said(capsys, lambda x: x + 1, (torch.zeros(3, 4),), reference=lambda x: x)
    assert message.splitlines()[1] == "  <lambda>(x=<tensor (3, 4)>) returned <tensor (3, 4)>"
    assert len(message.splitlines()) <= 5 and "..." not in message


def test_a_missing_return_is_asked_for(capsys):
    assert "is there a `return`?" in said(capsys, lambda x: None, (1.0,), reference=lambda x: x)


def test_two_numbers_that_look_alike_are_told_apart(capsys):
    message = said(capsys, lambda x: float(np.float32(x)), (0.1,), reference=lambda x: x)
    assert "They differ by 1e-09: is something computed in float32?" in message


def test_an_input_that_was_changed_is_named(capsys):
    def doubled(x):
        x *= 2
        return x

    message = said(capsys, doubled, (np.ones(2),), reference=lambda x: 2 * x)
    assert "since argument 1 was changed in place" in message
