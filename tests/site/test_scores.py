"""The score matrix under eight encodings, driven in a real browser, and its numbers against posemb_ref."""

import math

import pytest
import torch

from posemb_ref.absolute.learned import LearnedEncoding
from posemb_ref.absolute.sinusoidal import sinusoidal
from posemb_ref.attention import Absolute, Encoding
from posemb_ref.relative import deberta, t5
from posemb_ref.relative.deberta import DeBERTa
from posemb_ref.relative.shaw import Shaw
from posemb_ref.relative.t5 import T5
from posemb_ref.relative.transformer_xl import TransformerXL
from posemb_ref.rotary.rope import Rotary
from tests.site.figures import NARROW, QUIET, centre

FIGURE = "scores"
DIM, TOKENS, ROWS, REACH, BUCKETS, LIMIT = 16, 16, 64, 4, 32, 6
ABSOLUTE = ["learned", "sinusoidal"]
RELATIVE = ["none", "shaw", "transformer-xl", "t5", "deberta", "rope"]
CONTENTS = ["same", "different"]
OFFSETS = [0, 1, 17, ROWS - TOKENS]

# What is drawn, cell by cell: the score that a screen reader hears, the strength of the colour, and its sign.
DRAWN = """figure => [...figure.querySelectorAll('[role=gridcell]')].map(cell => [
    Number(cell.ariaLabel.match(/score (.*)$/)[1]), Number(cell.getAttribute('fill-opacity')),
    cell.classList.contains('below')])"""
FILLS = "figure => [...figure.querySelectorAll('.figure-grid .score')].map(cell => getComputedStyle(cell).fill)"
# Where something is drawn in the matrix: rows and columns of all corners of a path, or of a frame.
DIAGONAL = """figure => {
    const cell = figure.querySelector('[role=gridcell]').getBBox();
    const corners = figure.querySelector('.diagonal').getAttribute('d').matchAll(/M([\\d.]+),([\\d.]+)/g);
    return [...corners].map(([, x, y]) => [(y - cell.y) / cell.height, (x - cell.x) / cell.width]);
}"""
MINUSES = "figure => figure.querySelector('.above .minus').getAttribute('d')?.split('M').length - 1"
CHOSEN = """figure => {
    const cell = figure.querySelector('[role=gridcell]').getBBox();
    const frame = figure.querySelector('.chosen').getBBox();
    return [(frame.y - cell.y) / cell.height, (frame.x - cell.x) / cell.width];
}"""
# The curve of the chosen pair, read off the ticks: its score at every offset; and where the point stands on it.
CURVE = """figure => {
    const tick = label => [...figure.querySelectorAll('.figure-side .tick')]
        .find(tick => tick.textContent === label).transform.baseVal[0].matrix;
    const [low, high, start, end] = ['−6', '6', '0', '48'].map(tick);
    const read = ({cx, cy}) => [
        48 * (cx.baseVal.value - start.e) / (end.e - start.e),
        6 - 12 * (cy.baseVal.value - high.f) / (low.f - high.f)];
    return [[...figure.querySelectorAll('.beads circle')].map(read), read(figure.querySelector('.here'))];
}"""


def table(seed, rows, columns=DIM, size=1.0):
    """Build the parameters of a table once more, from their formula."""
    i, j = torch.meshgrid(torch.arange(rows).double(), torch.arange(columns).double(), indexing="ij")
    mixed = torch.sin(12.9898 * i + 78.233 * j + 37.719 * seed) * 43758.5453
    return size * math.sqrt(12) * (mixed - mixed.floor() - 0.5)


def projection(seed):
    """Give a matrix that keeps the variance."""
    return table(seed, DIM, size=DIM**-0.5)


def vectors(positions):
    """Give the sinusoids in double precision."""
    return sinusoidal(positions, DIM, dtype=torch.float64)


def with_parameters(encoding, **parameters):
    """Set the parameters of an encoding."""
    for name, value in parameters.items():
        parameter = encoding.get_parameter(name)
        assert parameter.shape == value.shape
        parameter.data = value
    return encoding


ENCODINGS = {
    "none": Encoding(),
    "learned": Absolute(with_parameters(LearnedEncoding(ROWS, DIM), table=table(7, ROWS, size=0.45))),
    "sinusoidal": Absolute(vectors),
    "shaw": with_parameters(Shaw(DIM, max_distance=REACH), key_table=table(8, 2 * REACH + 1, size=0.8)),
    "transformer-xl": with_parameters(
        TransformerXL(DIM, vectors),
        content_bias=table(9, 1, size=0.6)[0],
        position_bias=table(10, 1, size=0.6)[0],
        position_projection=projection(4),
    ),
    "t5": with_parameters(T5(1, num_buckets=BUCKETS), table=table(11, BUCKETS, 1)),
    "deberta": with_parameters(
        DeBERTa(DIM, span=REACH),
        position_q=table(12, 2 * REACH) @ projection(5).T,
        position_k=table(12, 2 * REACH) @ projection(6).T,
    ),
    "rope": Rotary(DIM),
}


def reference(name, content, offset):
    """Compute the matrix by the reference: the tokens with their first door, projected, and scored."""
    encoding = ENCODINGS[name]
    positions = torch.arange(TOKENS) + offset
    tokens = table(303, TOKENS)[None]
    x = encoding.at_input(tokens if content == "different" else tokens[:, :1].expand_as(tokens), positions)
    q, k = x @ projection(2).T, x @ projection(3).T
    if name == "t5":  # whose queries come with a smaller weight instead of the factor
        q = q / math.sqrt(DIM)
    return encoding.scores(q, k, positions, positions)[0].detach()


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", ABSOLUTE + RELATIVE)
def test_matrix(formula, name, content, offset):
    """Every score is that of posemb_ref, and inside the range of the colours."""
    found = torch.tensor(formula("encodings", "matrix", name, content, offset), dtype=torch.float64)
    torch.testing.assert_close(found, reference(name, content, offset), rtol=0, atol=1e-9)
    assert found.abs().max() < LIMIT


@pytest.mark.parametrize(("buckets", "farthest", "step"), [(32, 128, 1), (20, 160, 1), (108, 1000, 7)])
def test_bucket(formula, buckets, farthest, step):
    """As t5.bucket, bit for bit: also where doubles would fall on the other side of an edge (20, 160 and 108, 1000)."""
    distance = torch.arange(-farthest - 9, farthest + 10, step)
    for causal in (False, True):
        expected = t5.bucket(distance, num_buckets=buckets, max_distance=farthest, bidirectional=not causal).tolist()
        assert [formula("encodings", "bucket", r, buckets, farthest, causal) for r in distance.tolist()] == expected


def test_delta(formula):
    """As deberta.relative_index of m - n."""
    for m in range(20):
        expected = deberta.relative_index(m - torch.arange(20), span=7).tolist()
        assert [formula("encodings", "delta", m, n, 7) for n in range(20)] == expected


def assert_true_to_reference(live):
    """Compare all that is shown with posemb_ref; give the state."""
    now = live.state()
    row, column = now["cellUnder"] or now["cell"]
    expected = reference(now["encoding"], now["content"], now["offset"])
    assert (now["query"], now["key"]) == (row + now["offset"], column + now["offset"])
    assert now["distance"] == row - column
    assert now["score"] == pytest.approx(float(expected[row, column]), abs=1e-9)
    assert float(live.shown("score")) == pytest.approx(now["score"], abs=5.1e-4)
    change = (expected - reference(now["encoding"], now["content"], 0)).abs().max()
    assert now["change"] == pytest.approx(float(change), abs=1e-9)
    for (heard, strength, below), score in zip(live.evaluate(DRAWN), expected.flatten().tolist(), strict=True):
        assert heard == pytest.approx(score, abs=5.1e-3)
        assert strength == pytest.approx((abs(score) / LIMIT) ** 0.6, abs=1e-6)
        assert below == (score < 0)
    assert live.evaluate(MINUSES) == int((expected < 0).sum())
    assert live.evaluate(CHOSEN) == pytest.approx([row, column], abs=1e-6)
    alike = [(i, j) for i in range(TOKENS) for j in range(TOKENS) if i - j == row - column]
    for outlined, pair in zip(live.evaluate(DIAGONAL), alike, strict=True):
        assert outlined == pytest.approx(pair, abs=1e-4)
    return now


def choose(live, encoding, content="same", offset=0):
    """Set the lists and the slider."""
    live.choice("encoding").select_option(encoding)
    live.choice("content").select_option(content)
    live.slider("offset").fill(str(offset))


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", ABSOLUTE + RELATIVE)
def test_the_whole_picture(live, name, content):
    """Colours, signs, numbers and what is spoken, at an offset, against the reference."""
    choose(live, name, content, 13)
    now = assert_true_to_reference(live)
    assert (now["encoding"], now["content"], now["offset"]) == (name, content, 13)


def test_the_lists_offer_all_there_is(live):
    """Eight encodings, two kinds of content."""
    values = "select => [...select.options].map(option => option.value)"
    assert sorted(live.choice("encoding").evaluate(values)) == sorted(ABSOLUTE + RELATIVE)
    assert live.choice("content").evaluate(values) == CONTENTS


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", RELATIVE)
def test_relative_encodings_stand_still(live, name, content):
    """However far the window moves, nothing is drawn anew but the positions."""
    choose(live, name, content)
    before = live.evaluate(DRAWN)
    for press in ("ArrowRight", "Shift+ArrowRight", "End"):
        live.slider("offset").press(press)
        assert live.evaluate(DRAWN) == [pytest.approx(cell, abs=1e-9) for cell in before]
        assert live.state()["change"] < 1e-9
        assert live.shown("change") == "0.000"
    assert live.state()["offset"] == ROWS - TOKENS


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", ABSOLUTE)
def test_absolute_encodings_move(live, name, content):
    """One step changes the picture."""
    choose(live, name, content)
    before = live.evaluate(DRAWN)
    live.slider("offset").press("ArrowRight")
    assert live.evaluate(DRAWN) != before
    assert assert_true_to_reference(live)["change"] > 0.5


@pytest.mark.parametrize("name", RELATIVE)
def test_diagonals_are_constant_for_one_content_only(live, name):
    """A relative score may still depend on the tokens: that it stands still is another matter."""
    for content in CONTENTS:
        choose(live, name, content)
        shown = torch.tensor([cell[0] for cell in live.evaluate(DRAWN)]).reshape(TOKENS, TOKENS)
        constant = bool((shown[1:, 1:] == shown[:-1, :-1]).all())
        assert constant == (content == "same")


@pytest.mark.parametrize(("name", "content"), [("sinusoidal", "same"), ("learned", "different"), ("rope", "same")])
def test_the_curve(live, name, content):
    """The score of the chosen pair at every offset, and a point at the present one."""
    choose(live, name, content, 20)
    row, column = live.state()["cell"]
    beads, here = live.evaluate(CURVE)
    assert [x for x, _ in beads] == pytest.approx(list(range(ROWS - TOKENS + 1)), abs=1e-3)
    expected = [float(reference(name, content, offset)[row, column]) for offset in range(ROWS - TOKENS + 1)]
    assert [score for _, score in beads] == pytest.approx(expected, abs=1e-3)
    assert here == pytest.approx([20, expected[20]], abs=1e-3)


@pytest.mark.parametrize(
    ("presses", "change"),
    [
        (["ArrowRight"], (0, 1)),
        (["ArrowLeft"], (0, -1)),
        (["ArrowUp"], (-1, 0)),
        (["ArrowDown"], (1, 0)),
        (["Shift+ArrowUp", "ArrowDown"], (-4, 0)),
        (["Shift+ArrowRight", "ArrowRight"], (0, 6)),
    ],
)
def test_the_matrix_obeys_the_keyboard(live, presses, change):
    """Arrow keys walk by a cell, with Shift by five; a screen reader is led to the cell."""
    before = live.state()["cell"]
    for press in presses:
        live.find(".figure-grid").press(press)
    now = assert_true_to_reference(live)
    assert now["cell"] == [before[0] + change[0], before[1] + change[1]]
    active = live.find(f"#{live.find('.figure-grid').get_attribute('aria-activedescendant')}")
    assert active.get_attribute("aria-selected") == "true"
    assert live.find("[aria-selected=true]").count() == 1
    heard = f"m {now['query']:.0f}, n {now['key']:.0f}, score {now['score']:.2f}"
    assert active.get_attribute("aria-label") == heard


@pytest.mark.parametrize(("press", "corner"), [("ArrowUp", 0), ("ArrowLeft", 0), ("ArrowDown", 15), ("ArrowRight", 15)])
def test_the_matrix_ends_at_its_edges(live, press, corner):
    """The cell stops there."""
    for _ in range(5):
        live.find(".figure-grid").press(f"Shift+{press}")
    row, column = assert_true_to_reference(live)["cell"]
    assert (row if press in ("ArrowUp", "ArrowDown") else column) == corner


def cell(live, row, column):
    """Find a cell of the matrix."""
    return live.find("[role=row]").nth(row).locator("[role=gridcell]").nth(column)


def test_the_mouse_looks_and_a_click_chooses(live):
    """A cell under the mouse is shown, and the chosen one is back when the mouse is gone."""
    chosen = live.state()["cell"]
    live.page.mouse.move(*centre(cell(live, 2, 9)))
    now = assert_true_to_reference(live)
    assert (now["cell"], now["cellUnder"]) == (chosen, [2, 9])
    live.page.mouse.move(*centre(live.slider("offset")))
    now = assert_true_to_reference(live)
    assert (now["cell"], now["cellUnder"]) == (chosen, None)
    live.page.mouse.click(*centre(cell(live, 14, 3)))
    live.page.mouse.move(*centre(live.slider("offset")))
    now = assert_true_to_reference(live)
    assert (now["cell"], now["cellUnder"]) == ([14, 3], None)


def test_a_finger_chooses(open_figure):
    """A tap on a phone; and a finger that moves scrolls the page."""
    live = open_figure(viewport=NARROW, has_touch=True, is_mobile=True)
    live.page.touchscreen.tap(*centre(cell(live, 6, 12)))
    now = assert_true_to_reference(live)
    assert (now["cell"], now["cellUnder"]) == ([6, 12], None)
    x, y = centre(cell(live, 12, 8))
    scroll = live.page.evaluate("scrollY")
    live.evaluate(
        "figure => { window.seen = []; new MutationObserver(() => seen.push(figure.dataset.state))"
        ".observe(figure, {attributeFilter: ['data-state']}); }"
    )
    live.swipe([(x, y - 25 * step) for step in range(8)])
    live.page.wait_for_function(f"scrollY > {scroll} + 50")
    assert live.state()["cell"] == [6, 12]
    assert live.page.evaluate("seen") == []


def test_the_positions_are_written_at_the_edges(live):
    """Those of the chosen cell in bold, and every fifth, less those that would touch it."""
    choose(live, "rope", offset=20)
    assert live.find(".position").all_text_contents() == ["31", "25"]
    seen = live.find(".figure-main .ticks text").evaluate_all(
        "all => all.filter(at => at.getAttribute('display') !== 'none').map(at => at.textContent)"
    )
    assert seen == ["20", "25", "35", "20", "30", "35"]
    corner = live.find("[role=gridcell]").first.bounding_box()
    for label in live.find(".figure-main .ticks text, .position").all():
        if label.is_visible():
            x, y = centre(label)
            row, column = (y - corner["y"]) / corner["height"] - 0.5, (x - corner["x"]) / corner["width"] - 0.5
            assert column < -0.5 or row > TOKENS - 0.5  # left of the matrix, or below it
            place = row if column < -0.5 else column
            assert place == pytest.approx(int(label.text_content()) - 20, abs=0.15)


def test_signs_differ_in_more_than_colour(live):
    """Colours for the two signs differ, in the dark as well, and negative cells bear a minus."""
    choose(live, "rope")
    fills = set(live.evaluate(FILLS))
    assert len(fills) == 2
    assert live.evaluate(MINUSES) > 0
    choose(live, "none")
    assert live.evaluate(MINUSES) == 0


def test_a_screen_reader_hears_the_cell(live):
    """Many steps, one sentence, with the numbers of the last."""
    heard = live.listen()
    for _ in range(3):
        live.find(".figure-grid").press("ArrowDown")
    live.page.wait_for_timeout(QUIET)
    now = live.state()
    (sentence,) = heard()
    start = f"m {now['query']:.0f}, n {now['key']:.0f}, distance {now['distance']:.0f}, score {now['score']:.2f};"
    assert sentence.startswith(start)
