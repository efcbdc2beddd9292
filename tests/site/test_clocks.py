"""The clock wall, driven in a real browser, and its numbers against posemb_ref."""

import math

import numpy as np
import pytest

from posemb_ref.rotary import rope
from tests.site.figures import NARROW, QUIET

FIGURE = "clocks"

# What is drawn of each clock. Angles are counter-clockwise from the right; `covers` says of a point near the middle, in
# the direction of each of 720 angles, whether it is shaded.
CLOCKS = """figure => [...figure.querySelectorAll('g.clock')].map(clock => {
    const part = name => clock.querySelector(name);
    const {e, f} = clock.transform.baseVal[0].matrix;
    const radius = part('.rim').r.baseVal.value;
    const at = angle => new DOMPoint(0.5 * radius * Math.cos(angle), -0.5 * radius * Math.sin(angle));
    const hand = part('.hand');
    return {
        x: e, y: f, radius,
        hand: [hand.x2.baseVal.value / radius, -hand.y2.baseVal.value / radius],
        label: part('.wavelength').textContent,
        dash: getComputedStyle(part('.rim')).strokeDasharray,
        covers: Array.from({length: 720}, (_, i) => part('.seen').isPointInFill(at((i + 0.5) * Math.PI / 360))),
    };
})"""
BOXES = """figure => [...figure.querySelectorAll('.rim, .wavelength')].map(part => {
    const {left, right, top, bottom} = part.getBoundingClientRect();
    return [left, right, top, bottom];
})"""
HAND = "figure => +figure.querySelectorAll('.hand')[4].getAttribute('x2')"
STEP = f"""figure => {{
    const slider = figure.querySelector('input[name=m]');
    const before = ({HAND})(figure);
    slider.value = 60;
    slider.dispatchEvent(new Event('input'));
    return ({HAND})(figure) !== before;
}}"""


def read(label):
    """Read a compact number: 35.3k is 35300."""
    return float(label.rstrip("kM")) * {"k": 1e3, "M": 1e6}.get(label[-1], 1)


def assert_true_to_reference(live):
    """Compare numbers and drawn clocks with posemb_ref; give the state."""
    now = live.state()
    theta = rope.frequencies(now["d"], base=float(now["base"])).numpy()
    wavelength = 2 * np.pi / theta
    slow = wavelength > now["context"]
    seen = np.where(slow, now["context"] * theta, 2 * np.pi)
    assert now["slow"] == f"{slow.sum()}" or now["slow"] == slow.sum()
    assert live.shown("slow") == f"{slow.sum()} of {now['d'] // 2}"
    assert now["longest"] == pytest.approx(wavelength[-1], rel=1e-12)
    assert live.shown("longest") == f"{wavelength[-1]:,.0f}"
    clocks = live.evaluate(CLOCKS)
    assert len(clocks) == now["d"] // 2
    directions = (np.arange(720) + 0.5) * np.pi / 360
    for i, clock in enumerate(clocks):
        angle = now["m"] * theta[i]
        assert clock["hand"] == pytest.approx([0.9 * math.cos(angle), 0.9 * math.sin(angle)], abs=1e-5)
        assert read(clock["label"]) == pytest.approx(wavelength[i], rel=5e-3)
        assert (clock["dash"] != "none") == slow[i]
        clear = np.abs(directions - seen[i]) > 0.02  # not on the edge of the shaded part
        assert np.array_equal(np.array(clock["covers"])[clear], (directions < seen[i])[clear])
    return now


def test_the_first_picture(live):
    """True before anything is touched."""
    now = assert_true_to_reference(live)
    assert (now["m"], now["base"], now["d"], now["context"]) == (20, 10000, 32, 4096)


@pytest.mark.parametrize(
    ("m", "base", "d", "context"),
    [
        (0, 10000, 64, 512),
        (77, 100, 8, 4096),
        (4100, 500000, 64, 8192),
        (100000, 1000000, 16, 131072),
        (350, 130, 32, 512),
    ],
)
def test_controls_set_position_base_dimensions_and_context(live, m, base, d, context):
    """Several states, against the reference."""
    live.choice("d").select_option(str(d))
    live.choice("context").select_option(str(context))
    live.stop("m", m)
    live.stop("base", base)
    now = assert_true_to_reference(live)
    assert (now["m"], now["base"], now["d"], now["context"]) == (m, base, d, context)


def test_a_wavelength_equal_to_the_context_is_once_round(formula):
    """The lesson counts as slow what needs more positions than there are."""
    assert formula("rope", "wavelengths", [2 * math.pi / 512]) == [512]


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("m", "ArrowRight", 21),
        ("m", "ArrowLeft", 19),
        ("m", "Shift+ArrowUp", 25),
        ("base", "ArrowRight", 11000),
        ("base", "Shift+ArrowLeft", 5600),
        ("base", "End", 1000000),
        ("m", "End", 100000),
        ("m", "Home", 0),
    ],
)
def test_sliders_obey_the_keyboard(live, name, key, value):
    """Arrow keys move by a stop, with Shift by five; the spoken value follows."""
    live.slider(name).press(key)
    now = assert_true_to_reference(live)
    assert now[name] == value
    assert live.slider(name).get_attribute("aria-valuetext") == f"{value:,}"


def test_the_stops_of_the_position(live):
    """Each position to 100, then by tens, hundreds and thousands."""
    for start, key, value in [
        (99, "ArrowRight", 100),
        (100, "ArrowRight", 110),
        (1000, "ArrowRight", 1100),
        (1000, "ArrowLeft", 990),
    ]:
        live.stop("m", start)
        live.slider("m").press(key)
        assert live.state()["m"] == value


@pytest.mark.parametrize("d", [8, 16, 32, 64])
@pytest.mark.parametrize("base", [100, 1000000])
def test_the_clocks_hang_in_order_and_apart(live, d, base):
    """The fastest first, row by row; neither circles nor labels touch."""
    live.choice("d").select_option(str(d))
    live.stop("base", base)
    clocks = live.evaluate(CLOCKS)
    places = [(round(clock["y"]), clock["x"]) for clock in clocks]
    assert places == sorted(places)
    boxes = live.evaluate(BOXES)
    for i, (left, right, top, bottom) in enumerate(boxes):
        for left2, right2, top2, bottom2 in boxes[:i]:
            assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top


def test_the_mouse_moves_a_slider(live):
    """A click far right on the slider is a late position."""
    box = live.slider("m").bounding_box()
    live.page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    assert assert_true_to_reference(live)["m"] > 10000


def test_a_finger_moves_a_slider(open_figure):
    """On a phone."""
    live = open_figure(viewport=NARROW, has_touch=True, is_mobile=True)
    live.slider("base").scroll_into_view_if_needed()
    box = live.slider("base").bounding_box()
    live.page.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    assert 100000 <= assert_true_to_reference(live)["base"] <= 400000


def test_reduced_motion(jumps_or_glides):
    """A hand jumps for those who asked for less motion; for others it turns, and gets there."""
    jumps_or_glides(STEP, assert_true_to_reference)


def test_a_screen_reader_hears_how_many_are_slow(live):
    """Many steps, one sentence."""
    heard = live.listen()
    live.choice("context").select_option("512")
    for _ in range(3):
        live.slider("m").press("ArrowRight")
    live.page.wait_for_timeout(QUIET)
    assert heard() == [
        "Position 23, base 10,000: 8 of 16 clocks do not go once round within 512 positions; the longest turn takes 35,333."
    ]


@pytest.mark.parametrize("dim", [2, 8, 64, 128])
@pytest.mark.parametrize("base", [100.0, 10000.0, 500000.0])
def test_wavelengths(formula, dim, base):
    """2π base^(2i/dim), as in the lesson."""
    expected = [2 * math.pi * base ** (2 * i / dim) for i in range(dim // 2)]
    assert formula("rope", "wavelengths", rope.frequencies(dim, base=base).tolist()) == pytest.approx(
        expected, rel=1e-12
    )
