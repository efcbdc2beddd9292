"""The exercises of "RoPE in the plane": each planted bug is rejected for the right reason."""

import re

import pytest

from tests.notebooks.lesson import Lesson

# exercise, what is wrong, the change to the solution, what the verdict must say
BUGS = [
    ("walk", "one sine lost", ("[cos, -sin]", "[cos, 0.0]"), "norm preservation fails"),
    ("walk", "the wrong way round", ("[[cos, -sin], [sin, cos]]", "[[cos, sin], [-sin, cos]]"), "agreement fails"),
    ("walk", "one step too many", ("position) @", "position + 1) @"), "identity at zero fails"),
    ("walk", "no power", ("np.linalg.matrix_power(G, position)", "position * G"), "identity at zero fails"),
    ("walk", "degrees", ("np.sin(STEP)", "np.sin(np.radians(STEP))"), "norm preservation fails"),
    ("walk", "another frequency", ("(STEP)", "(2 * STEP)"), "agreement fails"),
    ("walk", "entry by entry", ("np.linalg.matrix_power(G, position)", "G**position"), "identity at zero fails"),
    ("walk", "positions repeat", ("position) @", "position % 2) @"), "composition fails"),
    ("read_distance", "n − m", ("round(np", "-round(np"), "agreement fails"),
    ("read_distance", "own angles left in", (" / (q * np.conj(k))", ""), "agreement fails"),
    ("read_distance", "no conjugate", ("q_turned * np.conj(k_turned)", "q_turned * k_turned"), "agreement fails"),
    (
        "read_distance",
        "sign lost in the cosine",
        ("np.angle(factor)", "np.arccos(np.clip(factor.real, -1, 1))"),
        "agreement fails",
    ),
    (
        "read_distance",
        "angles subtracted unwrapped",
        ("np.angle(factor)", "(np.angle(q_turned) - np.angle(k_turned) - np.angle(q) + np.angle(k))"),
        "agreement fails",
    ),
    ("lookalikes", "half turns", ("2 * np.pi * np", "np.pi * np"), "agreement fails"),
    ("lookalikes", "one too few", ("np.arange(stride)", "np.arange(1, stride)"), r"agreement \(shape\) fails"),
    ("lookalikes", "one twice", ("np.arange(stride)", "np.arange(stride + 1)"), r"agreement \(shape\) fails"),
    ("lookalikes", "outside the interval", ("np.angle(np.exp(1j * angles))", "angles"), "agreement fails"),
    ("lookalikes", "not sorted", ("np.sort", ""), "agreement fails"),
    ("fading_scores", "the same factor twice", ("-key_positions", "key_positions"), "shift invariance fails"),
    ("fading_scores", "the key left alone", ("shrink * turn", "turn"), "shift invariance fails"),
    ("fading_scores", "no fading", ("    shrink", "    zeta = 1.0\n    grow = 1.0\n    shrink"), "agreement fails"),
    ("fading_scores", "growing with distance", ("    grow", "    zeta = 1 / zeta\n    grow"), "agreement fails"),
    ("fading_scores", "no turn", ("turn(k, key_positions)", "k"), "shift invariance fails"),
    (
        "half_step",
        "a step for a reflection",
        ("np.linalg.det(G) < 0", "False"),
        "agreement fails .* expected 1, found 0",
    ),
    ("half_step", "never", ("np.linalg.det(G) < 0", "True"), "agreement fails .* expected 0, found 1"),
    ("half_step", "the whole angle", (" / 2", ""), "agreement fails"),
    (
        "half_step",
        "half the matrix",
        ("np.linalg.det(G) < 0:\n        return None", "True:\n        return G / 2"),
        "found 0",
    ),
    ("half_step", "the wrong way round", ("arctan2(G[1, 0]", "arctan2(G[0, 1]"), "agreement fails"),
]


@pytest.mark.parametrize(("name", "fault", "change", "says"), BUGS, ids=lambda value: str(value).replace(" ", "-"))
def test_a_planted_bug_is_rejected_by_the_right_law(name, fault, change, says):
    verdict = Lesson("rotary/plane").planted(name, *change)
    assert re.match(rf"{name}: not yet\. ", verdict)
    assert re.search(says, verdict, re.DOTALL), verdict
