"""The decay explorer, driven in a real browser; its numbers against loops in NumPy and against posemb_ref."""

import cmath
import itertools
import math

import numpy as np
import pytest
import torch

from posemb_ref.rotary import decay, rope
from tests.site.figures import NARROW, QUIET, centre

FIGURE = "decay"
LINES = ["score", "abel", "trivial"]

# Axes as they are drawn: where each tick stands, by its number.
TICKS = """figure => [...figure.querySelectorAll('.ticks')].map(axis => Object.fromEntries(
    [...axis.querySelectorAll('g')].map(tick => {
        const {e, f} = tick.transform.baseVal[0].matrix;
        return [tick.textContent.replace('−', '-').replaceAll(',', ''), [e, f]];
    })))"""
DOTS = """figure => Object.fromEntries([...figure.querySelectorAll('.dot')].map(dot => {
    const {e, f} = dot.transform.baseVal[0].matrix;
    return [dot.getAttribute('class').split(' ')[1], [e, f]];
}))"""
LINE = """(figure, name) => figure.querySelector(`.line.${name}`).getAttribute('d').match(/[-\\d.e]+/g).map(Number)"""
NAMES = """figure => [...figure.querySelectorAll('.name')].map(name => {
    const {left, right, top, bottom} = name.getBoundingClientRect();
    return [name.textContent, left, right, top, bottom];
})"""


def gaussian(seed, count):
    """Mulberry32 and Box–Muller, written again."""
    state, numbers = seed, []

    def uniform():
        nonlocal state
        state = (state + 0x6D2B79F5) % 2**32
        bits = (state ^ state >> 15) * (state | 1) % 2**32
        bits ^= (bits + (bits ^ bits >> 7) * (bits | 61)) % 2**32
        return (bits ^ bits >> 14) / 2**32

    for _ in range(count):
        radius = math.sqrt(-2 * math.log(1 - uniform()))
        numbers.append(radius * math.cos(2 * math.pi * uniform()))
    return numbers


def speeds(d, base):
    """θ_i, the fastest first."""
    return [float(base) ** (-2 * i / d) for i in range(d // 2)]


def pairs(x):
    """Read neighbours as complex numbers."""
    return [complex(a, b) for a, b in zip(x[::2], x[1::2], strict=True)]


def vectors(now):
    """Query and key of a state."""
    d, theta = now["d"], speeds(now["d"], now["base"])
    drawn = gaussian(now["seed"], 2 * d)
    if now["kind"] == "ones":
        return [1.0] * d, [1.0] * d
    if now["kind"] == "ramp":
        fall = [part for i in range(d // 2) for part in (math.sqrt(d // 2 - i), 0.0)]
        return fall, fall
    if now["kind"] == "random":
        return drawn[:d], drawn[d:]
    made = [z * cmath.exp(1j * now["r0"] * t) for z, t in zip(pairs(drawn[:d]), theta, strict=True)]
    return drawn[:d], [part for z in made for part in (z.real, z.imag)]


def expected(q, k, r, base):
    """Score, Abel bound (RoFormer, eqs. 35–37) and trivial bound, as loops."""
    theta = speeds(len(q), base)
    h = [a * b.conjugate() for a, b in zip(pairs(q), pairs(k), strict=True)]
    score = sum((z * cmath.exp(1j * r * t)).real for z, t in zip(h, theta, strict=True))
    sums = [abs(sum(cmath.exp(1j * r * t) for t in theta[:j])) for j in range(1, len(h) + 1)]
    steps = [abs(b - a) for a, b in itertools.pairwise([*h, 0])]
    return {"score": score, "abel": max(steps) * sum(sums), "trivial": sum(map(abs, h))}


class Axes:
    """The drawing's axes, read off its ticks."""

    def __init__(self, live):
        level, across = live.evaluate(TICKS)
        self.level = {float(value): y for value, (_, y) in level.items()}
        ticks = sorted((float(r), x) for r, (x, _) in across.items())
        self.ticks, self.log = ticks, live.state()["view"] == "log"

    def r(self, x):
        """Read a distance; the logarithmic axis counts from 1 + r."""
        (low, left), (high, right) = self.ticks[0], self.ticks[-1]
        part = (x - left) / (right - left)
        return math.expm1(part * math.log1p(high)) if self.log else low + part * (high - low)

    def value(self, y):
        """Read a value, in units of the trivial bound: linear up to 1, logarithmic above."""
        level = self.level
        if y > level[1] - 1e-6:
            return (level[0] - y) / (level[0] - level[1])
        return 10 ** ((level[1] - y) / (level[1] - level[10]))


def assert_true(live):
    """Compare numbers and the points that mark them with the formulas; give the state."""
    now = live.state()
    wanted = expected(*vectors(now), now["r"], now["base"])
    wanted["ratio"] = wanted["abel"] / wanted["trivial"]
    for name, value in wanted.items():
        assert now[name] == pytest.approx(value, rel=1e-9, abs=1e-9 * wanted["trivial"])
        assert float(live.shown(name).replace(",", "")) == pytest.approx(value, abs=5.1e-3)
    axes, dots = Axes(live), live.evaluate(DOTS)
    for name in LINES:
        x, y = dots[name]
        assert axes.r(x) == pytest.approx(now["r"], rel=1e-5, abs=1e-3)
        assert axes.value(y) == pytest.approx(wanted[name] / wanted["trivial"], rel=1e-4, abs=1e-4)
    return now


def show(live, **wanted):
    """Bring the figure into a state, by its controls."""
    for key in ("kind", "d", "view"):
        if key in wanted:
            live.choice(key).select_option(str(wanted[key]))
    for key in ("base", "r0", "r"):
        if key in wanted:
            live.stop(key, wanted[key])
    if "seed" in wanted:
        live.slider("seed").fill(str(wanted["seed"]))
    now = live.state()
    if "kind" in wanted and now["kind"] != wanted["kind"]:  # a slider may have chosen another
        live.choice("kind").select_option(wanted["kind"])
    now = live.state()
    assert {key: now[key] for key in wanted} == wanted
    return now


STATES = [
    {"kind": "ones", "d": 128, "base": 10000, "view": "log", "r": 0},
    {"kind": "ones", "d": 8, "base": 100, "view": "100", "r": 63},
    {"kind": "ramp", "d": 128, "base": 10000, "view": "log", "r": 1000},
    {"kind": "random", "d": 64, "base": 500000, "view": "1000", "r": 890, "seed": 7},
    {"kind": "random", "d": 32, "base": 10000, "view": "10000", "r": 10000, "seed": 20},
    {"kind": "made", "d": 128, "base": 10000, "view": "log", "r": 500, "r0": 300, "seed": 3},
]


def test_the_first_picture(live):
    """True before anything is touched."""
    now = assert_true(live)
    assert (now["kind"], now["d"], now["base"], now["r"], now["view"]) == ("ones", 128, 10000, 100, "log")


@pytest.mark.parametrize("wanted", STATES)
def test_numbers(live, wanted):
    """Several states, against the formulas."""
    show(live, **wanted)
    assert_true(live)


def assert_curves(live):
    """Check that a curve's points lie over whole distances and show their values, the highest and the lowest among them."""
    now = live.state()
    q, k = vectors(now)
    theta = np.array(speeds(now["d"], now["base"]))
    h = np.array(pairs(q)) * np.conj(pairs(k))
    waves = np.exp(1j * np.arange((10000 if now["view"] == "log" else int(now["view"])) + 1)[:, None] * theta)
    trivial = np.abs(h).sum()
    step = np.abs(np.diff([*h, 0])).max()
    wanted = {"score": (h * waves).real.sum(1) / trivial, "abel": step * np.abs(waves.cumsum(1)).sum(1) / trivial}
    axes = Axes(live)
    for name, values in wanted.items():
        points = np.reshape(live.evaluate(LINE, name), (-1, 2))
        assert len(points) >= min(100, len(waves))
        distances = [axes.r(x) for x, _ in points]
        nearest = np.rint(distances).astype(int)
        assert distances == pytest.approx(nearest, rel=2e-4, abs=0.05)
        assert np.all(np.diff(nearest) > 0)
        ends = [nearest[0] / len(waves), nearest[-1] / (len(waves) - 1)]
        assert ends == pytest.approx([0, 1], abs=2e-3)  # half a pixel
        drawn = np.array([axes.value(y) for _, y in points])
        assert drawn == pytest.approx(values[nearest], rel=1e-3, abs=1e-3)
        assert drawn.max() == pytest.approx(values.max(), rel=1e-3, abs=1e-3)
        assert drawn.min() == pytest.approx(values.min(), rel=1e-3, abs=1e-3)
    left, y, _ = live.evaluate(LINE, "trivial")
    assert axes.value(y) == pytest.approx(1) and axes.r(left) == pytest.approx(0)


@pytest.mark.parametrize("wanted", STATES)
def test_curves(live, wanted):
    """Several states, against the formulas."""
    show(live, **wanted)
    assert_curves(live)


def test_curves_follow_every_control(live):
    """One change at a time; none of them leaves an old curve behind."""
    for change in (
        {"view": "100"},
        {"d": 8},
        {"base": 100},
        {"kind": "random"},
        {"seed": 2},
        {"kind": "made"},
        {"r0": 20},
        {"d": 32},
    ):
        show(live, **change)
        assert_curves(live)
        assert_true(live)


def test_the_bound_is_worth_something_where_products_fall_evenly(live):
    """There it meets the trivial bound at distance 0 and stays below it; for random vectors it stays above."""
    show(live, kind="ramp", d=128, view="10000", r=0)
    assert assert_true(live)["ratio"] == pytest.approx(1, rel=1e-12)
    axes = Axes(live)
    points = np.reshape(live.evaluate(LINE, "abel"), (-1, 2))
    values = [axes.value(y) for x, y in points if axes.r(x) > 0.5]
    assert 0 < min(values) and max(values) < 1
    show(live, kind="random", r=0)
    points = np.reshape(live.evaluate(LINE, "abel"), (-1, 2))
    assert min(axes.value(y) for _, y in points) > 1


def test_a_key_made_for_a_distance_is_loudest_there(live):
    """Its score reaches the trivial bound at r₀, and nowhere else that is drawn."""
    show(live, kind="made", r0=300, r=300, d=64, view="1000")
    now = assert_true(live)
    assert now["score"] == pytest.approx(now["trivial"], rel=1e-12)
    axes = Axes(live)
    points = np.reshape(live.evaluate(LINE, "score"), (-1, 2))
    assert axes.r(points[points[:, 1].argmin()][0]) == pytest.approx(300, abs=0.5)


@pytest.mark.parametrize(
    ("name", "key", "changed"),
    [
        ("r", "ArrowRight", {"r": 110}),
        ("r", "ArrowLeft", {"r": 99}),
        ("r", "Shift+ArrowUp", {"r": 150}),
        ("base", "ArrowLeft", {"base": 8900}),
        ("r0", "ArrowRight", {"r0": 210, "kind": "made"}),
        ("seed", "ArrowRight", {"seed": 2, "kind": "random"}),
    ],
)
def test_sliders_obey_the_keyboard(live, name, key, changed):
    """Arrow keys move by a stop; a slider that only some vectors have chooses them."""
    live.slider(name).press(key)
    now = assert_true(live)
    assert {name: now[name] for name in changed} == changed
    assert live.slider(name).get_attribute("aria-valuetext") == f"{changed[name]:,}"


def test_another_draw_keeps_a_made_key(live):
    """The key stays made for r₀, for another query."""
    live.choice("kind").select_option("made")
    live.slider("seed").press("ArrowRight")
    now = assert_true(live)
    assert (now["kind"], now["seed"]) == ("made", 2)


def test_a_nearer_view_brings_the_point_along(live):
    """The point is never outside the drawing, and the slider ends where the drawing ends."""
    live.stop("r", 4000)
    live.choice("view").select_option("100")
    assert assert_true(live)["r"] == 100
    live.choice("view").select_option("1000")
    assert assert_true(live)["r"] == 100
    live.slider("r").press("End")
    assert assert_true(live)["r"] == 1000


def at(live, r):
    """Find a distance of the drawing up to 100, on the screen."""
    box = live.find(".surface").bounding_box()
    return box["x"] + box["width"] * r / 100, box["y"] + box["height"] / 3


def test_the_mouse_points_at_a_distance(live):
    """A press chooses, a drag goes on choosing, also beyond the edge; a mouse that passes by does not."""
    live.choice("view").select_option("100")
    live.find(".surface").scroll_into_view_if_needed()
    live.page.mouse.move(*at(live, 30))
    assert live.state()["r"] == 100
    live.page.mouse.down()
    assert assert_true(live)["r"] == 30
    live.page.mouse.move(*at(live, 64), steps=3)
    assert assert_true(live)["r"] == 64
    live.page.mouse.move(*at(live, -20))
    assert assert_true(live)["r"] == 0
    live.page.mouse.up()
    live.page.mouse.move(*at(live, 50))
    assert live.state()["r"] == 0


def test_a_finger_points_at_a_distance(open_figure):
    """Sideways it chooses; up and down it scrolls the page."""
    live = open_figure(viewport=NARROW, has_touch=True, is_mobile=True)
    live.choice("view").select_option("100")
    live.find(".surface").scroll_into_view_if_needed()
    scroll = live.page.evaluate("scrollY")
    live.swipe([at(live, r) for r in (20, 30, 50, 72)])
    assert assert_true(live)["r"] == pytest.approx(72, abs=1)
    assert live.page.evaluate("scrollY") == scroll
    x, y = centre(live.find(".surface"))
    live.swipe([(x, y + step) for step in (0, -20, -60, -120)])
    live.page.wait_for_function(f"scrollY > {scroll + 30}")


def test_lines_differ_without_colour(live):
    """One line is whole, the others have dashes of their own; each has a name and a dot of another shape."""
    dashes = live.evaluate(
        "(figure, names) => names.map(name => getComputedStyle(figure.querySelector(`.line.${name}`)).strokeDasharray)",
        LINES,
    )
    shapes = live.evaluate("figure => [...figure.querySelectorAll('.dot')].map(dot => dot.getAttribute('d'))")
    assert dashes[0] == "none" and len(set(dashes)) == len(set(shapes)) == 3
    assert [name for name, *_ in live.evaluate(NAMES)] == ["score", "Abel bound", "trivial bound"]


@pytest.mark.parametrize("wanted", STATES)
def test_names_stand_apart(live, wanted):
    """The names of the lines overlap neither one another nor the edge of the drawing."""
    show(live, **wanted)
    box = live.find(".surface").bounding_box()
    names = live.evaluate(NAMES)
    for name, left, right, top, bottom in names:
        assert left >= box["x"] and right <= box["x"] + box["width"], name
        assert top >= box["y"] - 1 and bottom <= box["y"] + box["height"] + 1, name
    for a, b in itertools.combinations(names, 2):
        assert a[2] <= b[1] or b[2] <= a[1] or a[4] <= b[3] or b[4] <= a[3], (a[0], b[0])


def test_a_screen_reader_hears_the_numbers(live):
    """Many steps, one sentence."""
    heard = live.listen()
    for _ in range(4):
        live.slider("r").press("ArrowLeft")
    live.page.wait_for_timeout(QUIET)
    now = live.state()
    assert heard() == [
        f"Distance 96: score {now['score']:.2f}, Abel bound {now['abel']:.2f}, "
        f"trivial bound {now['trivial']:.2f}, ratio {now['ratio']:.2f}."
    ]


@pytest.mark.parametrize(("dim", "base"), [(2, 10000.0), (8, 100.0), (64, 500000.0), (128, 10000.0)])
@pytest.mark.parametrize("r", [0, 1, 100, 9999])
def test_score_and_bounds(formula, dim, base, r):
    """As the loops, and as posemb_ref."""
    q, k = np.random.default_rng(dim).standard_normal((2, dim))
    wanted = expected(q, k, r, base)
    theta = rope.frequencies(dim, base=base)
    cos, sin = rope.tables(torch.tensor([r, 0]), theta, dtype=torch.float64)
    turned = rope.rotate(torch.from_numpy(np.stack((q, k))), cos, sin)
    assert wanted["score"] == pytest.approx(float(turned[0] @ turned[1]), abs=1e-10)
    bound = decay.abel_bound(torch.from_numpy(q), torch.from_numpy(k), torch.tensor(r), base=base)
    assert wanted["abel"] == pytest.approx(float(bound), rel=1e-10)

    h = formula("rope", "products", q.tolist(), k.tolist())
    assert formula("rope", "wave", h, r, theta.tolist()) == pytest.approx(wanted["score"], abs=1e-10)
    assert formula("rope", "trivialBound", h) == pytest.approx(wanted["trivial"], rel=1e-12)
    assert formula("rope", "abelBound", h, r, theta.tolist()) == pytest.approx(wanted["abel"], rel=1e-10)


def test_the_gaussian_numbers(formula):
    """The same as when written again; and Gaussian, as far as moments tell."""
    for seed in (1, 2, 20):
        assert formula("rope", "gaussian", seed, 64) == pytest.approx(gaussian(seed, 64), abs=1e-12)
    many = np.array(formula("rope", "gaussian", 5, 20000))
    assert [abs(many.mean()), many.var(), (many**4).mean()] == pytest.approx([0, 1, 3], abs=0.15)
