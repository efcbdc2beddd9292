"""The exercises of "Reading a rotary head": each planted bug is rejected for the right reason."""

import numpy as np

from tests.notebooks.lesson import Lesson


def test_the_solution_names_the_favourite_of_any_pair():
    """The distances of the exercise determine h well enough to tell the highest score far from them."""
    names = Lesson("rotary/interpret").before("favourite")
    exec(Lesson("rotary/interpret").solution("favourite"), names)
    rng, theta, waves = np.random.default_rng(0), names["theta"], names["waves_at"]
    seen = waves(np.arange(128), theta)
    for low, high in ((130, 400), (1000, 1200)):
        far = waves(np.arange(low, high + 1), theta)
        for _ in range(300):
            h = rng.standard_normal(names["d"])
            assert names["favourite"](seen @ h, theta, low, high) == low + np.argmax(far @ h)


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("key_for", "turned back", ("1j * r", "-1j * r"), r"expected 1, found -1\b"),
    ("key_for", "not turned", ("r * theta", "0 * theta"), "expected 1, found 0"),
    ("key_for", "one step too far", ("r * theta", "(r + 1) * theta"), "expected 0, found 1"),
    ("key_for", "longer with distance", ("1j * r * theta", "(0.1 + 1j) * r * theta"), "agreement fails"),
    ("key_for", "the other layout", ("(z.real, z.imag), axis=-1", "(z.real, z.imag), axis=0"), "agreement fails"),
    ("key_for", "mirror image", ("z.imag)", "-z.imag)"), "agreement fails"),
    ("reach", "the chord taken for the angle at any size", ("2 * np.arcsin(tolerance / 2)", "tolerance"), "agreement fails"),
    ("reach", "half the angle", ("2 * np.arcsin", "np.arcsin"), "agreement fails"),
    ("reach", "rounded up", ("np.floor", "np.ceil"), "agreement fails"),
    ("reach", "the frequency forgotten", (" / theta", ""), "agreement fails"),
    ("favourite", "clockwise", ("1j * wanted", "-1j * wanted"), "agreement fails"),
    ("favourite", "lengths instead of real parts", (".sum(-1).real", ".sum(-1).__abs__()"), "agreement fails"),
    ("favourite", "counted from zero", ("wanted[np.argmax(there)]", "np.argmax(there)"), "agreement fails"),
    ("favourite", "the last distance left out", ("high + 1)", "high - 21)"), "agreement fails"),
    ("favourite", "distances from one", ("np.arange(len(scores))", "np.arange(len(scores)) + 1"), "agreement fails"),
]  # fmt: skip
