"""The interactive figures, driven in a real browser, and their numbers against posemb_ref."""

import json
import math
from pathlib import Path

import pytest
import torch

from posemb_ref.rotary import rope

SITE = Path(__file__).parents[2] / "_build" / "html"
PLANE = (SITE / "lessons" / "rotary" / "plane.html").as_uri()
WELCOME = (SITE / "book" / "welcome.html").as_uri()
WIDE, NARROW = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
QUIET = 1100  # milliseconds after which all has been said
GLIDE = 400  # milliseconds after which nothing moves any more
TOUCH_TARGET = 40

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


@pytest.fixture
def open_page(browser):
    """Open a page in a context of its own; the figure does not glide unless a test asks for it."""
    contexts = []

    def open_page(url=PLANE, size=WIDE, reduced_motion="reduce", **options):
        context = browser.new_context(viewport=size, reduced_motion=reduced_motion, **options)
        contexts.append(context)
        page = context.new_page()
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def tab(browser):
    """Open a tab that many tests share."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", color_scheme="light")
    page = context.new_page()
    page.goto(PLANE)
    figure(page).scroll_into_view_if_needed()
    yield page
    context.close()


@pytest.fixture
def page(tab):
    """Give the lesson with the plane, wide, with the figure as at first."""
    assert tab.evaluate("document.documentElement.dataset.theme") == "light"
    figure(tab).get_by_role("button", name="Reset").click()
    return tab


def figure(page):
    """Wait for the live figure."""
    page.wait_for_selector(".live-plane")
    return page.locator(".live-plane")


def state(page):
    """Read the state of the figure, and the numbers it shows."""
    data = figure(page).evaluate("figure => ({...figure.dataset})")
    numbers = {name: float(data[name]) for name in ("distance", "plain", "score")}
    return json.loads(data["state"]) | numbers


def slider(page, name):
    """Find the slider of a number of the state."""
    return figure(page).locator(f"input[name={name}]")


def handle(page, key):
    """Find the handle of a vector."""
    return figure(page).locator(f".handle-{key}")


def tensor(values):
    """Numbers from the browser, which counts in double precision."""
    return torch.tensor(values, dtype=torch.float64)


def rotate(vectors, positions, theta):
    """Each vector turned to its position, by the reference."""
    return rope.rotate(vectors, *rope.tables(tensor(positions), theta, dtype=torch.float64))


def assert_true_to_reference(page):
    """Compare numbers and drawn arrows with posemb_ref; give the state."""
    now = state(page)
    vectors = tensor([now["q"], now["k"]])
    query, key = rotate(vectors, [now["m"], now["n"]], tensor([now["theta"]]))
    assert now["score"] == pytest.approx(float(query @ key), abs=1e-12)
    assert now["plain"] == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-12)
    assert now["distance"] == now["m"] - now["n"]
    assert figure(page).evaluate(DRAWN, "q") == pytest.approx(query.tolist(), abs=1e-3)
    assert figure(page).evaluate(DRAWN, "k") == pytest.approx(key.tolist(), abs=1e-3)
    point = figure(page).evaluate(POINT)
    assert point == pytest.approx([now["distance"], now["score"]], abs=1e-3)
    shown = figure(page).locator(".number-score output").inner_text().replace("\u2212", "-")
    assert float(shown) == pytest.approx(now["score"], abs=5e-4)
    return now


def test_the_figure_takes_the_place_of_the_picture(page):
    """Inside the same figure, with its caption and its number, and the picture's description."""
    live = figure(page)
    frame = page.locator("figure", has=live)
    assert frame.locator("figcaption .caption-number").count() == 1
    assert frame.locator("img").count() == 0
    assert len(live.locator("desc").text_content()) > 20
    assert_true_to_reference(page)


@pytest.mark.parametrize(("m", "n", "theta"), [(0, 0, 0.25), (0, 9, 1), (16, 3, 0.07), (5, 5, 0.61), (2, 16, 0)])
def test_sliders_set_positions_and_angle(page, m, n, theta):
    """Several states, against the reference."""
    for name, value in {"m": m, "n": n, "theta": theta}.items():
        slider(page, name).fill(str(value))
    now = assert_true_to_reference(page)
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
def test_sliders_obey_the_keyboard(page, name, key, change):
    """Arrow keys move by a step, with Shift by five; the spoken value follows."""
    before = state(page)
    slider(page, name).press(key)
    now = assert_true_to_reference(page)
    assert now[name] == pytest.approx(before[name] + change)
    assert float(slider(page, name).get_attribute("aria-valuetext")) == pytest.approx(now[name])


@pytest.mark.parametrize(
    ("key", "press", "change"),
    [
        ("q", "ArrowLeft", (-0.1, 0)),
        ("q", "ArrowDown", (0, -0.1)),
        ("k", "ArrowUp", (0, 0.1)),
        ("k", "Shift+ArrowLeft", (-0.5, 0)),
    ],
)
def test_handles_obey_the_keyboard(page, key, press, change):
    """Arrow keys move a vector by 0.1, with Shift by 0.5; the spoken value follows."""
    before = state(page)
    handle(page, key).press(press)
    now = assert_true_to_reference(page)
    assert now[key] == pytest.approx([a + b for a, b in zip(before[key], change, strict=True)])
    x, y = now[key]
    assert handle(page, key).get_attribute("aria-valuetext") == f"x {x:.2f}, y {y:.2f}"


def centre(page, key):
    """Find the middle of a handle, on the screen."""
    box = handle(page, key).locator(".knob").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def unit(page):
    """How long 1 is on the screen, in pixels."""
    return figure(page).locator("circle.grid").first.bounding_box()["width"] / 2


def assert_dragged(page, key, before, pixels):
    """Check that the vector went where the pointer took it."""
    now = assert_true_to_reference(page)
    goal = tensor(before[key]) + tensor([pixels[0], -pixels[1]]) / unit(page)
    assert now[key] == pytest.approx(goal.tolist(), abs=0.02)
    assert centre(page, key)[0] == pytest.approx(before["at"][0] + pixels[0], abs=1.5)


@pytest.mark.parametrize(("key", "pixels"), [("q", (-60, 30)), ("k", (-40, -70))])
def test_handles_follow_the_mouse(page, key, pixels):
    """Drag a vector."""
    handle(page, key).scroll_into_view_if_needed()
    x, y = centre(page, key)
    before = state(page) | {"at": (x, y)}
    page.mouse.move(x + 3, y - 2)
    page.mouse.down()
    page.mouse.move(x + 3 + pixels[0], y - 2 + pixels[1], steps=4)
    page.mouse.up()
    page.mouse.move(x, y)
    assert_dragged(page, key, before, pixels)


@pytest.mark.parametrize("key", ["q", "k"])
def test_handles_follow_a_finger(open_page, key):
    """Drag a vector by touch, on a phone; the page stays where it is."""
    page = open_page(size=NARROW, has_touch=True, is_mobile=True)
    handle(page, key).scroll_into_view_if_needed()
    scroll = page.evaluate("scrollY")
    x, y = centre(page, key)
    before = state(page) | {"at": (x, y)}
    pixels = (-50, -20)
    finger = page.context.new_cdp_session(page)
    for step in range(5):
        point = {"x": x + pixels[0] * step / 4, "y": y + pixels[1] * step / 4}
        kind = "touchMove" if step else "touchStart"
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert_dragged(page, key, before, pixels)
    assert page.evaluate("scrollY") == scroll


def test_a_vector_stays_in_reach(page):
    """Neither out of the plane nor shorter than can be gripped."""
    for _ in range(6):
        handle(page, "q").press("Shift+ArrowRight")
    assert math.hypot(*assert_true_to_reference(page)["q"]) == pytest.approx(2)


def test_moving_both_leaves_the_score(page):
    """The arrows turn, and score, distance and the point on the curve stay."""
    before, dot = state(page), figure(page).evaluate(DOT)
    for press in ["ArrowRight"] * 3 + ["Shift+ArrowRight", "ArrowLeft", "Home"]:
        drawn = figure(page).evaluate(DRAWN, "q")
        slider(page, "both").press(press)
        now = assert_true_to_reference(page)
        assert now["distance"] == before["distance"]
        assert now["score"] == pytest.approx(before["score"], abs=1e-12)
        assert figure(page).evaluate(DOT) == pytest.approx(dot, abs=1e-6)
        assert math.dist(figure(page).evaluate(DRAWN, "q"), drawn) > 0.1
    assert min(now["m"], now["n"]) == 0


def test_moving_both_stops_where_positions_end(page):
    """The last position is 16 for the later of the two as well."""
    before = state(page)
    slider(page, "both").press("End")
    now = assert_true_to_reference(page)
    assert max(now["m"], now["n"]) == 16
    assert now["score"] == pytest.approx(before["score"], abs=1e-12)


def test_moving_one_moves_the_point_on_the_curve(page):
    """The score changes with m - n."""
    before, dot = state(page), figure(page).evaluate(DOT)
    slider(page, "m").press("ArrowRight")
    now = assert_true_to_reference(page)
    assert abs(now["score"] - before["score"]) > 0.01
    assert figure(page).evaluate(DOT)[0] > dot[0]


def test_reset(page):
    """One button brings the first state back."""
    first = state(page)
    assert (first["m"], first["n"]) == (7, 2)
    slider(page, "m").press("End")
    handle(page, "k").press("ArrowUp")
    assert state(page) != first
    figure(page).get_by_role("button", name="Reset").click()
    assert assert_true_to_reference(page) == first


STEP = """figure => {
    const slider = figure.querySelector('input[name=m]');
    const drawn = () => figure.querySelector('.vector-q .after path').getAttribute('transform');
    const before = drawn();
    slider.value = 12;
    slider.dispatchEvent(new Event('input'));
    return drawn() !== before;
}"""


def test_reduced_motion(open_page):
    """An arrow jumps for those who asked for less motion; for others it turns, and gets there."""
    page = open_page(reduced_motion="reduce")
    assert figure(page).evaluate(STEP) is True
    assert_true_to_reference(page)
    page = open_page(reduced_motion="no-preference")
    assert figure(page).evaluate(STEP) is False
    page.wait_for_timeout(GLIDE)
    assert_true_to_reference(page)


def test_a_screen_reader_hears_one_sentence(page):
    """Many steps, one sentence, and only when all is still."""
    page.wait_for_timeout(QUIET)
    figure(page).evaluate(
        """figure => {
            window.heard = [];
            const voice = figure.querySelector('[aria-live=polite]');
            new MutationObserver(() => heard.push(voice.textContent))
                .observe(voice, {childList: true, subtree: true, characterData: true});
        }"""
    )
    for _ in range(4):
        slider(page, "m").press("ArrowRight")
    page.wait_for_timeout(QUIET)
    heard = page.evaluate("heard")
    assert len(heard) == 1
    assert f"score {state(page)['score']:.2f}".replace("-", "\u2212") in heard[0].replace("-", "\u2212")


def test_the_focus_is_visible(page):
    """A handle reached with the Tab key shows it."""
    slider(page, "m").focus()
    for _ in range(2):
        page.keyboard.press("Shift+Tab")
    key = page.evaluate("document.activeElement.dataset.key")
    assert key == "q"
    ring = handle(page, key).locator(".ring")
    assert ring.evaluate("ring => getComputedStyle(ring).stroke") != "none"


def test_the_theme_recolours_the_drawing(open_page):
    """Colours follow the theme, and the drawing stays."""
    page = open_page(color_scheme="light")
    colour = "figure => getComputedStyle(figure.querySelector('.vector-q .after path')).fill"
    assert figure(page).evaluate(colour) == "rgb(0, 114, 178)"
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(  # the theme lets colours take a moment
        f"({colour})(document.querySelector('.live-plane')) === 'rgb(86, 180, 233)'", timeout=20000
    )
    assert_true_to_reference(page)


def test_a_finger_finds_everything(open_page):
    """On a phone every control is at least 40 px wide and high."""
    page = open_page(size=NARROW)
    for control in figure(page).locator("input, button, .handle").all():
        box = control.bounding_box()
        assert min(box["width"], box["height"]) >= TOUCH_TARGET, control


def test_without_scripts_the_picture_stays(open_page):
    """The page is complete without JavaScript."""
    page = open_page(java_script_enabled=False)
    picture = page.locator("figure img.interactive.plane")
    assert picture.is_visible()
    assert len(picture.get_attribute("alt")) > 20
    assert page.locator(".live-figure").count() == 0


@pytest.mark.parametrize("script", ["", "not JavaScript", "Figures.define('plane', {mount() { throw Error('no') }})"])
def test_when_a_figure_fails_the_picture_stays(browser, script):
    """A broken script costs the reader nothing."""
    context = browser.new_context(viewport=WIDE)
    page, lines = context.new_page(), []
    page.on("console", lambda line: lines.append(line.text))
    page.route("**/figures/plane.js", lambda route: route.fulfill(body=script))
    page.goto(PLANE)
    page.wait_for_timeout(300)
    assert any("stays a picture" in line for line in lines)
    assert page.locator("figure img.interactive.plane").is_visible()
    assert page.locator(".live-figure").count() == 0
    context.close()


def test_pages_without_a_figure_load_no_library(browser):
    """Only a page that has an interactive figure pays for it."""
    context = browser.new_context()
    page, urls = context.new_page(), []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(WELCOME)
    assert any("figures/figures.js" in url for url in urls)
    assert not any("d3.min.js" in url or "stage.js" in url for url in urls)
    context.close()


@pytest.fixture(scope="module")
def formulas(browser):
    """Call a function of rope.js."""
    page = browser.new_page()
    page.goto(PLANE)
    page.wait_for_function("window.Figures")
    call = "async ([name, args]) => (await Figures.library('rope'))[name](...args)"
    yield lambda name, *args: page.evaluate(call, [name, args])
    page.close()


@pytest.mark.parametrize("dim", [2, 4, 10, 128])
@pytest.mark.parametrize("base", [10000.0, 500000.0, 1.5])
def test_frequencies(formulas, dim, base):
    """As rope.frequencies."""
    expected = rope.frequencies(dim, base=base).tolist()
    assert formulas("frequencies", dim, base) == pytest.approx(expected, rel=1e-13)


def test_the_base_is_10000_when_none_is_given(formulas):
    """As in the reference."""
    assert formulas("frequencies", 8) == pytest.approx(rope.frequencies(8).tolist(), rel=1e-13)


@pytest.mark.parametrize(("dim", "position"), [(2, 1), (4, 3), (8, -5), (16, 1000), (6, 0.5)])
def test_rotate(formulas, dim, position):
    """As rope.rotate, in the interleaved layout."""
    x = torch.randn(1, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(dim))
    theta = rope.frequencies(dim)
    expected = rotate(x, [position], theta)[0]
    found = formulas("rotate", x[0].tolist(), position, theta.tolist())
    assert found == pytest.approx(expected.tolist(), abs=1e-11)


@pytest.mark.parametrize(("m", "n"), [(0, 0), (7, 2), (2, 7), (1000, 1003)])
def test_score(formulas, m, n):
    """As rope.rotate of both, and their dot product."""
    q, k = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(m))
    theta = rope.frequencies(6)
    turned = rotate(torch.stack((q, k)), [m, n], theta)
    found = formulas("score", q.tolist(), k.tolist(), m, n, theta.tolist())
    assert found == pytest.approx(float(turned[0] @ turned[1]), abs=1e-11)
