"""The exercises of "Far away: precision and the cache": each planted bug is rejected for the right reason."""

import re

import pytest

from tests.notebooks.lesson import Lesson

# exercise, what is wrong, the change to the solution, what the verdict must say
BUGS = [
    ("count_to", "one bit less", ("2**bits", "2**(bits - 1)"), "agreement fails"),
    ("count_to", "one too few", ("2**bits", "2**bits - 1"), "agreement fails"),
    ("count_to", "one bit more", ("2**bits", "2**(bits + 1)"), "agreement fails"),
    ("positions_from", "starts at one", (" - 1", ""), "agreement fails"),
    ("positions_from", "negative for padding", (".clamp(min=0)", ""), "expected 0, found -1"),
    ("positions_from", "along the batch", ("cumsum(-1)", "cumsum(0)"), "agreement fails"),
    ("positions_from", "counts padding", ("mask.cumsum", "(0 * mask + 1).cumsum"), "agreement fails"),
    ("slide", "moved the other way", ("-drop", "drop"), "agreement fails"),
    ("slide", "not moved", ("-drop", "0"), "agreement fails"),
    ("slide", "one too few dropped", ("keys[drop:]", "keys[drop - 1 :]"), "agreement"),
    ("slide", "each by its own position", ("torch.full((len(left),), -drop)", "torch.arange(len(left))"), "agreement fails"),
    ("slide", "the wrong base", ("Rotary(keys.shape[-1])", "Rotary(keys.shape[-1], base=100.0)"), "agreement fails"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fault", "change", "says"), BUGS, ids=lambda value: str(value).replace(" ", "-"))
def test_a_planted_bug_is_rejected_for_the_right_reason(name, fault, change, says):
    verdict = Lesson("rotary/precision").planted(name, *change)
    assert re.match(rf"{name}: not yet\. ", verdict)
    assert re.search(says, verdict, re.DOTALL), verdict
