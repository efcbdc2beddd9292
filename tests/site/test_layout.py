"""The layout permuter, driven in a real browser, and its numbers against posemb_ref."""

import itertools

import pytest
import torch

from posemb_ref.rotary import layout, rope
from tests.site.figures import NARROW, QUIET

FIGURE = "layout"
BASE = 100.0  # of the figure
UNIT = 24  # how high a bar of 1 is drawn

# What is drawn: cells from left to right, with the row of the weights that each stands for, and the arcs.
CELLS = """figure => {
    const place = group => group.transform.baseVal[0].matrix.e;
    const value = bar => bar && -(bar.y.baseVal.value < 0 ? -1 : 1) * -bar.height.baseVal.value;
    const bars = key => [...figure.querySelectorAll(`.vector-${key} .bar`)];
    const cells = [...figure.querySelectorAll('.cell')].map((cell, row) => ({
        row, x: place(cell), letter: cell.querySelector('.letter').textContent,
        written: cell.querySelector('.origin').textContent, hatch: cell.querySelector('.texture').getAttribute('fill'),
        q: value(bars('q')[row].querySelector('.before')), turned: value(bars('q')[row].querySelector('.now')),
        k: value(bars('k')[row].querySelector('.now')), bars: [place(bars('q')[row]), place(bars('k')[row])],
    }));
    return cells.sort((a, b) => a.x - b.x);
}"""
ARCS = """figure => [...figure.querySelectorAll('.arcs > g')].map(arc => {
    const path = arc.querySelector('path');
    const [from, to] = [0, path.getTotalLength()].map(length => path.getPointAtLength(length).x);
    return {from, to, name: arc.querySelector('text').textContent, dash: getComputedStyle(path).strokeDasharray};
})"""
CONVERT = """figure => {
    const drawn = () => [...figure.querySelectorAll('.cell')].map(cell => cell.getAttribute('transform')).join();
    const before = drawn();
    figure.querySelector('button').click();
    return drawn() !== before;
}"""


def tensor(values):
    """Numbers from the browser, which counts in double precision."""
    return torch.tensor(values, dtype=torch.float64)


def turn(x, position, name):
    """Turn one vector to a position, by the reference."""
    cos, sin = rope.tables(torch.tensor([position]), rope.frequencies(len(x), base=BASE), dtype=torch.float64)
    return rope.rotate(x[None], cos, sin, layout=name)[0]


def assert_true_to_reference(live):
    """Compare numbers, cells, bars and arcs with posemb_ref; give the state."""
    now = live.state()
    d, m = now["d"], now["m"]
    cells = live.evaluate(CELLS)
    rows = torch.arange(d, dtype=torch.float64)
    order = layout.to_half(rows, 1) if now["converted"] else rows
    assert [cell["row"] for cell in cells] == order.tolist()
    assert [cell["written"] for cell in cells] == [f"{row:.0f}" for row in order]
    q, k, turned = (tensor([cell[name] for cell in cells]) / UNIT for name in ("q", "k", "turned"))
    assert turned.tolist() == pytest.approx(turn(q, m, now["layout"]).tolist(), abs=1e-4)

    trained = sorted(cells, key=lambda cell: cell["row"])
    as_trained = turn(tensor([cell["q"] for cell in trained]) / UNIT, m, "interleaved") @ (
        tensor([cell["k"] for cell in trained]) / UNIT
    )
    assert now["trained"] == pytest.approx(float(as_trained), abs=1e-4)
    assert now["here"] == pytest.approx(float(turn(q, m, now["layout"]) @ k), abs=1e-4)
    assert now["gap"] == pytest.approx(abs(now["here"] - now["trained"]), abs=1e-12)
    for name in ("trained", "here"):
        assert float(live.shown(name)) == pytest.approx(now[name], abs=5.1e-4)
    assert_cells_and_arcs(live, now, cells)
    return now


def assert_cells_and_arcs(live, now, cells):
    """Check that letters and hatches mark trained pairs, and that arcs join what turns together."""
    d, x = now["d"], [cell["x"] for cell in cells]
    for cell in cells:
        letter = "abcdefgh"[cell["row"] // 2]
        assert cell["letter"] == letter + "′" * (cell["row"] % 2)
        assert cell["hatch"].endswith(f"-{letter})")
        assert cell["bars"] == pytest.approx([cell["x"]] * 2, abs=1e-3)
    pairs = [(i, i + d // 2) if now["layout"] == "half" else (2 * i, 2 * i + 1) for i in range(d // 2)]
    arcs = live.evaluate(ARCS)
    assert len(arcs) == d // 2
    for i, (arc, (a, b)) in enumerate(zip(arcs, pairs, strict=True)):
        assert (arc["from"], arc["to"]) == (pytest.approx(x[a], abs=0.1), pytest.approx(x[b], abs=0.1))
        assert arc["name"] == f"θ{i}"
        assert (arc["dash"] == "none") == (cells[a]["letter"][0] == cells[b]["letter"][0])


def convert(live):
    """Find the button that converts the weights, and converts them back."""
    return live.root.get_by_role("button", name="Convert the weights")


def test_the_first_picture(live):
    """True before anything is touched."""
    now = assert_true_to_reference(live)
    assert (now["layout"], now["converted"], now["d"]) == ("interleaved", 0, 8)
    assert live.shown("gap") == "agree"


@pytest.mark.parametrize(("d", "m"), [(8, 1), (8, 32), (16, 9), (16, 20)])
def test_scores_agree_where_layout_and_weights_fit(live, d, m):
    """Of the four ways to combine them, two; in the others the arcs are dashed and the scores differ."""
    live.choice("d").select_option(str(d))
    live.slider("m").fill(str(m))
    agree = {}
    for converted, name in itertools.product((0, 1), ("interleaved", "half")):
        if live.state()["converted"] != converted:
            convert(live).click()
        live.choice("layout").select_option(name)
        now = assert_true_to_reference(live)
        assert (now["layout"], now["converted"], now["d"], now["m"]) == (name, converted, d, m)
        agree[name, converted] = live.shown("gap")
    assert agree["interleaved", 0] == agree["half", 1] == "agree"
    for wrong in (("interleaved", 1), ("half", 0)):
        assert float(agree[wrong].removeprefix("differ by ")) > 0.01


def test_at_position_0_nothing_turns(live):
    """So nothing differs, whatever turns together."""
    live.choice("layout").select_option("half")
    assert live.shown("gap") != "agree"
    live.slider("m").press("Home")
    assert_true_to_reference(live)
    assert live.shown("gap") == "agree"


@pytest.mark.parametrize(("key", "change"), [("ArrowRight", 1), ("ArrowDown", -1), ("Shift+ArrowUp", 5)])
def test_the_slider_obeys_the_keyboard(live, key, change):
    """Arrow keys move by a step, with Shift by five; the spoken value follows."""
    before = live.state()["m"]
    live.slider("m").press(key)
    assert assert_true_to_reference(live)["m"] == before + change
    assert live.slider("m").get_attribute("aria-valuetext") == str(before + change)


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_button_obeys_the_keyboard(live, key):
    """It converts, and then says that it converts back."""
    convert(live).press(key)
    assert assert_true_to_reference(live)["converted"] == 1
    assert convert(live).inner_text() == "Convert the weights back"
    convert(live).press(key)
    assert assert_true_to_reference(live)["converted"] == 0
    assert convert(live).inner_text() == "Convert the weights"


def test_a_finger_converts(open_figure):
    """On a phone, by a tap."""
    live = open_figure(viewport=NARROW, has_touch=True, is_mobile=True)
    live.choice("layout").select_option("half")
    convert(live).tap()
    assert assert_true_to_reference(live)["converted"] == 1
    assert live.shown("gap") == "agree"


def test_hatches_differ(live):
    """Eight pairs, eight drawings."""
    drawings = live.evaluate(
        "figure => [...figure.querySelectorAll('pattern path')].map(path => path.getAttribute('d'))"
    )
    assert len(drawings) == len(set(drawings)) == 8


@pytest.mark.parametrize("name", ["interleaved", "half"])
def test_nothing_written_overlaps(live, name):
    """In sixteen narrow cells too."""
    live.choice("d").select_option("16")
    live.choice("layout").select_option(name)
    script = """figure => [...figure.querySelectorAll('svg text')].map(text => {
        const {left, right, top, bottom} = text.getBoundingClientRect();
        return [text.textContent, left, right, top, bottom];
    })"""
    for a, b in itertools.combinations(live.evaluate(script), 2):
        assert a[2] <= b[1] or b[2] <= a[1] or a[4] <= b[3] or b[4] <= a[3], (a[0], b[0])


def test_reduced_motion(jumps_or_glides):
    """Cells jump for those who asked for less motion; for others they glide, and get there."""
    jumps_or_glides(CONVERT, assert_true_to_reference)


def test_a_screen_reader_hears_whether_scores_agree(live):
    """Many changes, one sentence."""
    heard = live.listen()
    live.choice("layout").select_option("half")
    gap = live.state()["gap"]
    live.page.wait_for_timeout(QUIET)
    convert(live).click()
    live.page.wait_for_timeout(QUIET)
    assert heard() == [
        f"Half layout, weights as trained, position 6: the scores differ by {gap:.2f}.",
        "Half layout, weights converted, position 6: the scores agree.",
    ]


@pytest.mark.parametrize("dim", [2, 4, 8, 16, 6])
def test_permutations(formula, dim):
    """As layout.to_half and layout.to_interleaved of one head; each undoes the other."""
    x = torch.arange(dim, dtype=torch.float64)
    assert formula("rope", "toHalf", x.tolist()) == layout.to_half(x, 1).tolist()
    assert formula("rope", "toInterleaved", x.tolist()) == layout.to_interleaved(x, 1).tolist()
    assert formula("rope", "toInterleaved", formula("rope", "toHalf", x.tolist())) == x.tolist()


@pytest.mark.parametrize(("dim", "position"), [(2, 1), (4, 3), (8, -5), (16, 1000), (6, 0.5)])
def test_rotate_half(formula, dim, position):
    """As rope.rotate, in the half layout."""
    x = torch.randn(dim, dtype=torch.float64, generator=torch.Generator().manual_seed(dim))
    theta = rope.frequencies(dim, base=BASE)
    found = formula("rope", "rotateHalf", x.tolist(), position, theta.tolist())
    assert found == pytest.approx(turn(x, position, "half").tolist(), abs=1e-11)
