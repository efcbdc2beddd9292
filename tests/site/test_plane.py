"""RoPE in the plane, driven in a real browser, and its numbers against posemb_ref."""

import math

import pytest
import torch

from posemb_ref.rotary import rope
from tests.site.figures import NARROW, QUIET, centre

FIGURE = "plane"

# Where an arrow's tip is drawn, in the units of the plane.
DRAWN = """(figure, key) => {
    const head = figure.querySelector(`.vector-${key} .after path`).transform.baseVal[0].matrix;
    const rings = [...figure.querySelectorAll('circle.grid')].map(ring => ring.r.baseVal.value);
    const {cx, cy} = figure.querySelector('circle.grid');
    return [(head.e - cx.baseVal.value) / rings[0], (cy.baseVal.value - head.f) / rings[0]];
}"""
# The point on the curve, read off the ticks: distance and score.
POINT = """figure => {
    const tick = label => [...figure.querySelectorAll('.ticks .tick')]
        .find(tick => tick.textContent === label).transform.baseVal[0].matrix;
    const [x, y] = ['cx', 'cy'].map(name => +figure.querySelector('.here').getAttribute(name));
    const [zero, eight, floor, ceiling] = ['0', '8', '−4', '4'].map(tick);
    const middle = (floor.f + ceiling.f) / 2;
    return [8 * (x - zero.e) / (eight.e - zero.e), 4 * (middle - y) / (middle - ceiling.f)];
}"""
DOT = "figure => ['cx', 'cy'].map(name => +figure.querySelector('.here').getAttribute(name))"


def handle(live, key):
    """Find the handle of a vector."""
    return live.find(f".handle-{key}")


def knob(live, key):
    """Find the middle of a handle, on the screen."""
    return centre(handle(live, key).locator(".knob"))


def tensor(values):
    """Numbers from the browser, which counts in double precision."""
    return torch.tensor(values, dtype=torch.float64)


def rotate(vectors, positions, theta):
    """Each vector turned to its position, by the reference."""
    return rope.rotate(vectors, *rope.tables(tensor(positions), theta, dtype=torch.float64))


def assert_true_to_reference(live):
    """Compare numbers and drawn arrows with posemb_ref; give the state."""
    now = live.state()
    vectors = tensor([now["q"], now["k"]])
    query, key = rotate(vectors, [now["m"], now["n"]], tensor([now["theta"]]))
    assert now["score"] == pytest.approx(float(query @ key), abs=1e-12)
    assert now["plain"] == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-12)
    assert now["distance"] == now["m"] - now["n"]
    assert live.evaluate(DRAWN, "q") == pytest.approx(query.tolist(), abs=1e-3)
    assert live.evaluate(DRAWN, "k") == pytest.approx(key.tolist(), abs=1e-3)
    point = live.evaluate(POINT)
    assert point == pytest.approx([now["distance"], now["score"]], abs=1e-3)
    assert float(live.shown("score")) == pytest.approx(now["score"], abs=5e-4)
    return now


def test_the_first_picture(live):
    """True before anything is touched."""
    now = assert_true_to_reference(live)
    assert (now["m"], now["n"]) == (7, 2)


@pytest.mark.parametrize(("m", "n", "theta"), [(0, 0, 0.25), (0, 9, 1), (16, 3, 0.07), (5, 5, 0.61), (2, 16, 0)])
def test_sliders_set_positions_and_angle(live, m, n, theta):
    """Several states, against the reference."""
    for name, value in {"m": m, "n": n, "theta": theta}.items():
        live.slider(name).fill(str(value))
    now = assert_true_to_reference(live)
    assert (now["m"], now["n"], now["theta"]) == (m, n, theta)


@pytest.mark.parametrize(
    ("name", "key", "change"),
    [
        ("m", "ArrowRight", 1),
        ("m", "ArrowLeft", -1),
        ("n", "Shift+ArrowUp", 5),
        ("theta", "ArrowUp", 0.01),
        ("theta", "Shift+ArrowLeft", -0.05),
    ],
)
def test_sliders_obey_the_keyboard(live, name, key, change):
    """Arrow keys move by a step, with Shift by five; the spoken value follows."""
    before = live.state()
    live.slider(name).press(key)
    now = assert_true_to_reference(live)
    assert now[name] == pytest.approx(before[name] + change)
    assert float(live.slider(name).get_attribute("aria-valuetext")) == pytest.approx(now[name])


@pytest.mark.parametrize(
    ("key", "press", "change"),
    [
        ("q", "ArrowLeft", (-0.1, 0)),
        ("q", "ArrowDown", (0, -0.1)),
        ("k", "ArrowUp", (0, 0.1)),
        ("k", "Shift+ArrowLeft", (-0.5, 0)),
    ],
)
def test_handles_obey_the_keyboard(live, key, press, change):
    """Arrow keys move a vector by 0.1, with Shift by 0.5; the spoken value follows."""
    before = live.state()
    handle(live, key).press(press)
    now = assert_true_to_reference(live)
    assert now[key] == pytest.approx([a + b for a, b in zip(before[key], change, strict=True)])
    x, y = now[key]
    assert handle(live, key).get_attribute("aria-valuetext") == f"x {x:.2f}, y {y:.2f}"


def unit(live):
    """How long 1 is on the screen, in pixels."""
    return live.find("circle.grid").first.bounding_box()["width"] / 2


def assert_dragged(live, key, before, pixels):
    """Check that the vector went where the pointer took it."""
    now = assert_true_to_reference(live)
    goal = tensor(before[key]) + tensor([pixels[0], -pixels[1]]) / unit(live)
    assert now[key] == pytest.approx(goal.tolist(), abs=0.02)
    assert knob(live, key)[0] == pytest.approx(before["at"][0] + pixels[0], abs=1.5)


@pytest.mark.parametrize(("key", "pixels"), [("q", (-60, 30)), ("k", (-40, -70))])
def test_handles_follow_the_mouse(live, key, pixels):
    """Drag a vector."""
    handle(live, key).scroll_into_view_if_needed()
    x, y = knob(live, key)
    before = live.state() | {"at": (x, y)}
    live.page.mouse.move(x + 3, y - 2)
    live.page.mouse.down()
    live.page.mouse.move(x + 3 + pixels[0], y - 2 + pixels[1], steps=4)
    live.page.mouse.up()
    live.page.mouse.move(x, y)
    assert_dragged(live, key, before, pixels)


@pytest.mark.parametrize("key", ["q", "k"])
def test_handles_follow_a_finger(open_figure, key):
    """Drag a vector by touch, on a phone; the page stays where it is."""
    live = open_figure(viewport=NARROW, has_touch=True, is_mobile=True)
    handle(live, key).scroll_into_view_if_needed()
    scroll = live.page.evaluate("scrollY")
    x, y = knob(live, key)
    before = live.state() | {"at": (x, y)}
    pixels = (-50, -20)
    live.swipe([(x + pixels[0] * step / 4, y + pixels[1] * step / 4) for step in range(5)])
    assert_dragged(live, key, before, pixels)
    assert live.page.evaluate("scrollY") == scroll


def test_a_vector_stays_in_reach(live):
    """Neither out of the plane nor shorter than can be gripped."""
    for _ in range(6):
        handle(live, "q").press("Shift+ArrowRight")
    assert math.hypot(*assert_true_to_reference(live)["q"]) == pytest.approx(2)


def test_moving_both_leaves_the_score(live):
    """The arrows turn, and score, distance and the point on the curve stay."""
    before, dot = live.state(), live.evaluate(DOT)
    for press in ["ArrowRight"] * 3 + ["Shift+ArrowRight", "ArrowLeft", "Home"]:
        drawn = live.evaluate(DRAWN, "q")
        live.slider("both").press(press)
        now = assert_true_to_reference(live)
        assert now["distance"] == before["distance"]
        assert now["score"] == pytest.approx(before["score"], abs=1e-12)
        assert live.evaluate(DOT) == pytest.approx(dot, abs=1e-6)
        assert math.dist(live.evaluate(DRAWN, "q"), drawn) > 0.1
    assert min(now["m"], now["n"]) == 0


def test_moving_both_stops_where_positions_end(live):
    """The last position is 16 for the later of the two as well."""
    before = live.state()
    live.slider("both").press("End")
    now = assert_true_to_reference(live)
    assert max(now["m"], now["n"]) == 16
    assert now["score"] == pytest.approx(before["score"], abs=1e-12)


def test_moving_one_moves_the_point_on_the_curve(live):
    """The score changes with m - n."""
    before, dot = live.state(), live.evaluate(DOT)
    live.slider("m").press("ArrowRight")
    now = assert_true_to_reference(live)
    assert abs(now["score"] - before["score"]) > 0.01
    assert live.evaluate(DOT)[0] > dot[0]


STEP = """figure => {
    const slider = figure.querySelector('input[name=m]');
    const drawn = () => figure.querySelector('.vector-q .after path').getAttribute('transform');
    const before = drawn();
    slider.value = 12;
    slider.dispatchEvent(new Event('input'));
    return drawn() !== before;
}"""


def test_reduced_motion(jumps_or_glides):
    """An arrow jumps for those who asked for less motion; for others it turns, and gets there."""
    jumps_or_glides(STEP, assert_true_to_reference)


def test_a_screen_reader_hears_the_score(live):
    """Many steps, one sentence."""
    heard = live.listen()
    for _ in range(4):
        live.slider("m").press("ArrowRight")
    live.page.wait_for_timeout(QUIET)
    (sentence,) = heard()
    assert f"score {live.state()['score']:.2f}" in sentence.replace("\u2212", "-")


def test_the_theme_recolours_the_drawing(open_figure):
    """Colours follow the theme, and the drawing stays."""
    live = open_figure()
    colour = "figure => getComputedStyle(figure.querySelector('.vector-q .after path')).fill"
    assert live.evaluate(colour) == "rgb(0, 114, 178)"
    live.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    live.page.wait_for_function(  # the theme lets colours take a moment
        f"({colour})(document.querySelector('.live-plane')) === 'rgb(86, 180, 233)'", timeout=20000
    )
    assert_true_to_reference(live)


@pytest.mark.parametrize("dim", [2, 4, 10, 128])
@pytest.mark.parametrize("base", [10000.0, 500000.0, 1.5])
def test_frequencies(formula, dim, base):
    """As rope.frequencies."""
    expected = rope.frequencies(dim, base=base).tolist()
    assert formula("rope", "frequencies", dim, base) == pytest.approx(expected, rel=1e-13)


def test_the_base_is_10000_when_none_is_given(formula):
    """As in the reference."""
    assert formula("rope", "frequencies", 8) == pytest.approx(rope.frequencies(8).tolist(), rel=1e-13)


@pytest.mark.parametrize(("dim", "position"), [(2, 1), (4, 3), (8, -5), (16, 1000), (6, 0.5)])
def test_rotate(formula, dim, position):
    """As rope.rotate, in the interleaved layout."""
    x = torch.randn(1, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(dim))
    theta = rope.frequencies(dim)
    expected = rotate(x, [position], theta)[0]
    found = formula("rope", "rotate", x[0].tolist(), position, theta.tolist())
    assert found == pytest.approx(expected.tolist(), abs=1e-11)


@pytest.mark.parametrize(("m", "n"), [(0, 0), (7, 2), (2, 7), (1000, 1003)])
def test_score(formula, m, n):
    """As rope.rotate of both, and their dot product."""
    q, k = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(m))
    theta = rope.frequencies(6)
    turned = rotate(torch.stack((q, k)), [m, n], theta)
    found = formula("rope", "score", q.tolist(), k.tolist(), m, n, theta.tolist())
    assert found == pytest.approx(float(turned[0] @ turned[1]), abs=1e-11)
