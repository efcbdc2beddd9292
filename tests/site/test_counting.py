"""The ways to write down a position, driven in a real browser; their numbers against NumPy and posemb_ref."""

import numpy as np
import pytest
import torch

from posemb_ref.absolute.sinusoidal import sinusoidal
from tests.site.figures import QUIET

FIGURE = "counting"
BARS = """(figure, name) => [...figure.querySelectorAll(`.bar.${name}`)].map(bar => {
    const axis = figure.querySelector('.axis').y1.baseVal.value;
    const { y, height } = bar.getBBox(); // as it is drawn, style sheets included
    return y < axis - 1e-6 ? height : -height;
})"""
UNIT = """figure => {
    const [low, , high] = [...figure.querySelectorAll('.grid, .axis')].map(line => line.y1.baseVal.value);
    return (low - high) / 2;
}"""


def vector(scheme, m, length):
    """The vector of a position, written again."""
    if scheme == "waves":
        return sinusoidal(torch.tensor(m), 16, dtype=torch.float64).numpy()
    return {
        "integer": np.array([m]),
        "fraction": np.array([m / length]),
        "binary": m // 2 ** np.arange(10) % 2,
    }[scheme].astype(float)


def assert_true(live):
    """Compare numbers and bars with the formulas."""
    now = live.state()
    here, after = (vector(now["scheme"], now["m"] + k, now["length"]) for k in (0, 1))
    assert now["largest"] == pytest.approx(np.abs(here).max(), abs=1e-12)
    assert now["step"] == pytest.approx(np.linalg.norm(after - here), abs=1e-12)
    assert now["changed"] == (np.abs(after - here) > 1e-12).sum()
    doubled = vector(now["scheme"], now["m"], 2 * now["length"])
    assert now["longer"] == pytest.approx(np.linalg.norm(doubled - here), abs=1e-12)
    unit = live.evaluate(UNIT) / (now["length"] if now["scheme"] == "integer" else 1)
    assert live.evaluate(BARS, "here") == pytest.approx(here * unit, abs=1e-4)
    assert live.evaluate(BARS, "next") == pytest.approx(after * unit, abs=1e-4)
    return now


def test_the_first_picture(live):
    now = assert_true(live)
    assert (now["scheme"], now["m"], now["length"]) == ("integer", 5, 16)


@pytest.mark.parametrize("scheme", ["integer", "fraction", "binary", "waves"])
@pytest.mark.parametrize(("m", "length"), [(0, 16), (14, 16), (63, 256), (511, 1024), (1022, 1024)])
def test_every_scheme(live, scheme, m, length):
    live.choice("scheme").select_option(scheme)
    live.choice("length").select_option(str(length))
    live.stop("m", m)
    assert_true(live)


def test_a_shorter_text_keeps_the_position_inside(live):
    live.choice("length").select_option("1024")
    live.stop("m", 700)
    live.choice("length").select_option("64")
    assert assert_true(live)["m"] == 62


def test_the_keyboard_moves_on(live):
    live.slider("m").press("ArrowRight")
    assert assert_true(live)["m"] == 6


def test_the_question_of_the_caption(live):
    """Below 100 the longest step of binary digits is from 63 to 64."""
    live.choice("scheme").select_option("binary")
    live.choice("length").select_option("256")
    steps = []
    for m in range(99):
        live.stop("m", m)
        steps.append(live.state()["step"])
    assert int(np.argmax(steps)) == 63


def test_a_screen_reader_hears_what_a_step_changes(live):
    heard = live.listen()
    live.choice("scheme").select_option("binary")
    live.stop("m", 7)
    live.page.wait_for_timeout(QUIET)
    assert heard()[-1].startswith("Position 7 of 16, 10 binary digits: the step to the next is 2.000, 4 numbers change")
