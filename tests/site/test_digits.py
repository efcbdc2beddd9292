"""The two hands of a clock, driven in a real browser: number types against PyTorch, errors against 60 digits."""

import itertools
import math

import mpmath
import pytest
import torch

from posemb_ref.rotary import rope
from tests.site.figures import QUIET

FIGURE = "digits"
TYPES = ("bfloat16", "float16", "float32", "float64")
PARTS = ("everything", "position", "frequency", "angle")
THETA = rope.frequencies(128)
RADIUS = 150

# What is drawn: both hands, rings and dots, each as a point of the plane with y up, in units of the rim.
DRAWN = f"""figure => {{
    const point = (part, x, y) => [Number(part.getAttribute(x)) / {RADIUS}, -Number(part.getAttribute(y)) / {RADIUS}];
    const hand = name => point(figure.querySelector(name), 'x2', 'y2');
    const circles = name => [...figure.querySelectorAll(name + ' circle')].map(part => point(part, 'cx', 'cy'));
    return {{
        exact: hand('.exact'), given: hand('.given'), dash: getComputedStyle(figure.querySelector('.given')).strokeDasharray,
        rings: circles('.ring-exact'), dots: circles('.dot-given'),
    }};
}}"""
ROUNDED = """async ([values, type]) => {
    const { round } = await Figures.library('digits');
    return values.map(value => round(value, type));
}"""
HANDS = """async ([positions, thetas, type, part]) => {
    const { hand } = await Figures.library('digits');
    return thetas.map(theta => positions.map(m => hand(m, theta, type, part)));
}"""


def hand(positions, theta, name, part):
    """Give the angles, rounded by PyTorch; the type itself multiplies where everything is rounded."""
    dtype = getattr(torch, name)
    positions = torch.as_tensor(positions, dtype=torch.float64)
    if part == "everything":
        return (positions.to(dtype) * theta.to(dtype)).double()
    m = positions.to(dtype).double() if part == "position" else positions
    angles = m * (theta.to(dtype).double() if part == "frequency" else theta)
    return angles.to(dtype).double() if part == "angle" else angles


def exact(m, pair):
    """Give the angle with 60 digits."""
    with mpmath.workdps(60):
        return m * mpmath.mpf(10) ** (mpmath.mpf(-pair) / 16)


def after_turns(angle):
    """Give what is left after whole turns."""
    with mpmath.workdps(60):
        return float(angle - 2 * mpmath.pi * mpmath.nint(angle / (2 * mpmath.pi)))


def points(angles, radius=1.0):
    """Give the points at these angles, flat: x, y, x, y, …"""
    return pytest.approx([float(radius * f(a)) for a in angles for f in (mpmath.cos, mpmath.sin)], abs=1e-6)


def assert_true_to_reference(live):
    """Compare numbers and drawing with PyTorch and with 60 digits; give the state."""
    now = live.state()
    m, pair, name, part = int(now["m"]), int(now["pair"]), now["type"], now["rounded"]
    places = list(range(m, m + 8))
    angles = hand(places, THETA[pair], name, part).tolist()
    finite = [angle for angle in angles if math.isfinite(angle)]
    right = [exact(place, pair) for place in places]
    drawn = live.evaluate(DRAWN)
    assert list(itertools.chain(*drawn["rings"])) == points(right)
    assert list(itertools.chain(*drawn["dots"])) == points(finite)
    assert now["different"] == len(set(finite))
    assert live.shown("different") == f"{len(set(finite))} hand{'s' * (len(set(finite)) != 1)}"
    assert drawn["exact"] == points(right[:1], 0.86)
    assert drawn["dash"] != "none"
    if math.isfinite(angles[0]):
        assert now["error"] == pytest.approx(after_turns(mpmath.mpf(angles[0]) - right[0]), abs=1e-9)
        assert drawn["given"] == points(angles[:1], 0.86)
    else:
        assert live.shown("error") == "no angle"
    return now


def choose(live, m, pair, name, part):
    """Set all four."""
    live.choice("type").select_option(name)
    live.choice("rounded").select_option(part)
    live.slider("pair").fill(str(pair))
    live.stop("m", m)


def test_the_first_picture(live):
    """True before anything is touched."""
    now = assert_true_to_reference(live)
    assert (now["m"], now["pair"], now["type"], now["rounded"]) == (1001, 2, "bfloat16", "everything")


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("part", PARTS)
def test_controls_set_everything(live, name, part):
    """Near and far, fast and slow, in every type; float16 ends at 65,504."""
    for m, pair in ((0, 0), (77, 5), (447, 0), (10593, 20), (100000, 3), (1000000, 63)):
        choose(live, m, pair, name, part)
        now = assert_true_to_reference(live)
        assert (now["m"], now["pair"], now["type"], now["rounded"]) == (m, pair, name, part)


def test_the_next_position_is_one_further(live):
    """A button reaches the positions between the stops of the slider."""
    for m in (1002, 1003):
        live.root.get_by_role("button", name="Next position").click()
        assert assert_true_to_reference(live)["m"] == m
    live.slider("m").press("End")
    live.root.get_by_role("button", name="Next position").click()
    assert live.state()["m"] == 1000000


@pytest.mark.parametrize(
    ("key", "slider", "value"),
    [("ArrowRight", "m", 1059), ("ArrowLeft", "m", 944), ("Home", "m", 0), ("ArrowUp", "pair", 3), ("End", "pair", 63)],
)
def test_sliders_obey_the_keyboard(live, key, slider, value):
    """Arrow keys move by a stop."""
    live.stop("m", 1000)
    live.slider(slider).press(key)
    assert assert_true_to_reference(live)[slider] == value


def test_the_question_of_the_caption(live):
    """Near 100,000 only pair 0 stands a frequency in bfloat16: it is 1."""
    right = []
    for pair in range(64):
        choose(live, 100000, pair, "bfloat16", "frequency")
        if live.state()["error"] == 0:
            right.append(pair)
    assert right == [0]


def test_a_screen_reader_hears_the_error(live):
    """One sentence; and another where there is no angle."""
    heard = live.listen()
    live.choice("type").select_option("float16")
    live.page.wait_for_timeout(QUIET)
    live.stop("m", 1000000)
    live.page.wait_for_timeout(QUIET)
    assert heard()[0].startswith("Position 1,001, pair 2, float16: the hand is off by 0.")
    assert heard()[-1].startswith("Position 1,000,000, pair 2, float16: there is no angle; positions ")


@pytest.mark.parametrize("name", TYPES)
def test_rounding(tab, name):
    """As PyTorch rounds: ties to even, subnormal numbers, the largest, and beyond."""
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(2000, dtype=torch.float64, generator=generator)
    scales = 2.0 ** torch.randint(-40, 30, (2000,), generator=generator).double()
    special = [0.0, 1.0, 255.0, 256.0, 257.0, 258.0, 259.0, 2049.0, 2051.0, 65504.0, 65519.0, 65520.0, 70000.0]
    special += [1e-8, 6e-8, 5.96e-8, 3e-5, 6.1e-5, 1e-39, 1e-45, 3.39e38, 3.4e38, 1e39, -257.0, -65520.0, 2**24 + 1.0]
    values = torch.cat((random * scales, torch.tensor(special, dtype=torch.float64)))
    expected = values.to(getattr(torch, name)).double()
    assert tab.page.evaluate(ROUNDED, [values.tolist(), name]) == expected.tolist()


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("part", PARTS)
def test_hands(tab, name, part):
    """The angles of all pairs at many positions, to the last digit."""
    positions = [*range(0, 300, 7), 1001, 2049, 4095, 65505, 65519, 65521, 131071, 999999, 1000000]
    found = tab.page.evaluate(HANDS, [positions, THETA.tolist(), name, part])
    for pair, angles in enumerate(found):
        assert angles == hand(positions, THETA[pair], name, part).tolist()


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
@pytest.mark.parametrize("part", PARTS)
def test_the_first_shared_hand(formula, name, part):
    """By trying all positions."""
    for pair in range(0, 64, 3):
        angles = hand(range(5000), THETA[pair], name, part)
        same = (angles[1:] == angles[:-1]).nonzero()
        expected = same[0].item() if len(same) else None
        assert formula("digits", "firstShared", THETA[pair].item(), name, part) == expected


@pytest.mark.parametrize(("part", "pair"), [("everything", 0), ("everything", 9), ("angle", 30), ("position", 5)])
def test_the_first_shared_hand_in_float32(formula, part, pair):
    """By trying all positions, too; in float64 and for a rounded frequency there is none."""
    angles = hand(torch.arange(2**24 + 2), THETA[pair], "float32", part)
    expected = (angles[1:] == angles[:-1]).nonzero()[0].item()
    assert formula("digits", "firstShared", THETA[pair].item(), "float32", part) == expected
    assert formula("digits", "firstShared", THETA[pair].item(), "float64", part) is None
    assert formula("digits", "firstShared", THETA[pair].item(), "float32", "frequency") is None


def test_exact_hands(formula):
    """Against 60 digits."""
    for m, pair in itertools.product((0, 1, 4095, 1000000), (0, 1, 17, 63)):
        assert formula("digits", "exactHand", m, pair) == pytest.approx(after_turns(exact(m, pair)), abs=1e-15)
