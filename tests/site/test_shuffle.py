"""The sentence whose words change places, driven in a real browser, and its numbers against posemb_ref."""

import math

import pytest
import torch

from posemb_ref.absolute.sinusoidal import sinusoidal
from posemb_ref.attention import attention
from tests.site.figures import NARROW, QUIET, centre

FIGURE = "shuffle"
DIM, MOST = 8, 8
HOSTILE = "<script>window.hurt=1</script> <img/src=x/onerror=window.hurt=1> &lt;b&gt; ]]> \"'`"
SENTENCES = ["dog bites man", "the dog bites the man", "no no yes", "one", "", "Ein Bär beißt dich 🐕 天", HOSTILE]

# What is drawn, a row for each word from top to bottom.
ROWS = """figure => [...figure.querySelectorAll('.word')].map(row => ({
    top: new DOMMatrix(getComputedStyle(row).transform).f,
    place: row.querySelector('.place').textContent,
    name: row.querySelector('.name').textContent,
    moved: Number(row.querySelector('.moved').textContent),
    still: row.querySelector('.moved').classList.contains('still'),
    label: row.getAttribute('aria-label'),
    selected: row.getAttribute('aria-selected'),
    weights: [...row.querySelectorAll('.weight')].map(cell => Number(cell.getAttribute('fill-opacity'))),
    output: [...row.querySelectorAll('.number')].map(cell => [
        Number(cell.getAttribute('fill-opacity')), cell.classList.contains('below')]),
    minuses: (row.querySelector('.minus').getAttribute('d') || '').split('M').length - 1,
})).sort((one, two) => one.top - two.top)"""


def noise(i, j, seed):
    """Compute numbers of variance 1 once more, from their formula."""
    mixed = torch.sin(12.9898 * i + 78.233 * j + 37.719 * seed) * 43758.5453
    return math.sqrt(12) * (mixed - mixed.floor() - 0.5)


def vector(word):
    """Compute the vector of a word from its letters."""
    code = 0
    for byte in word.encode():
        code = (code * 31 + byte) % 65521
    return noise(torch.tensor(code).double(), torch.arange(DIM).double(), 19)


def projection(seed):
    """Compute a matrix that keeps the variance."""
    i, j = torch.meshgrid(torch.arange(DIM).double(), torch.arange(DIM).double(), indexing="ij")
    return noise(i, j, seed) / math.sqrt(DIM)


def reference(words, positions):
    """Compute weights and outputs by posemb_ref."""
    x = torch.stack([vector(word) for word in words])
    if positions == "sinusoidal":
        x = x + sinusoidal(torch.arange(len(words)), DIM, dtype=torch.float64)
    q, k, v = (x @ projection(seed).T for seed in (39, 60, 81))
    return attention(q, k, torch.eye(len(words), dtype=torch.float64)), attention(q, k, v)


def assert_true_to_reference(live):
    """Compare all that is shown with posemb_ref; give the state."""
    now, rows = live.state(), live.evaluate(ROWS)
    typed = now["sentence"].split()[:MOST]
    assert sorted(now["order"]) == list(range(len(typed)))
    words = [typed[word] for word in now["order"]]
    assert len(rows) == len(words)
    assert live.find("input").input_value() == now["sentence"]
    if not words:
        assert now["most"] == 0
        return now
    weights, outputs = reference(words, now["positions"])
    first = reference(typed, now["positions"])[1]
    moved = (outputs - first[now["order"]]).norm(dim=-1)
    assert now["most"] == pytest.approx(moved.max().item(), abs=1e-9)
    assert live.shown("most") == f"{moved.max():.3f}"
    for m, row in enumerate(rows):
        assert row["place"] == str(m)
        assert row["name"] == words[m] or (len(words[m]) > 11 and row["name"] == words[m][:10] + "…")
        assert row["moved"] == pytest.approx(moved[m].item(), abs=0.0051)
        assert row["still"] == (row["moved"] < 0.005)
        assert row["label"].startswith(f"position {m}: {words[m]}, weights {weights[m, 0]:.2f}")
        assert row["selected"] == str(now["order"][m] == now["word"]).lower()
        assert row["weights"] == pytest.approx((0.75 * weights[m]).tolist(), abs=1e-9)
        strength = [min(1, abs(value) / 3) ** 0.6 for value in outputs[m].tolist()]
        assert [cell[0] for cell in row["output"]] == pytest.approx(strength, abs=1e-9)
        assert [cell[1] for cell in row["output"]] == (outputs[m] < 0).tolist()
        assert row["minuses"] == (outputs[m] < 0).sum()
    return now


@pytest.mark.parametrize("positions", ["none", "sinusoidal"])
@pytest.mark.parametrize("sentence", [sentence for sentence in SENTENCES if sentence])
def test_attend(formula, sentence, positions):
    """Weights and outputs are those of posemb_ref."""
    words = formula("shuffle", "split", sentence)
    assert words == sentence.split()[:MOST]
    found = formula("shuffle", "attend", words, positions)
    for name, expected in zip(("weights", "outputs"), reference(words, positions), strict=True):
        torch.testing.assert_close(torch.tensor(found[name], dtype=torch.float64), expected, rtol=0, atol=1e-9)


def test_the_vector_of_a_word_depends_on_the_order_of_its_letters(formula):
    """A word is no bag of letters."""
    assert formula("shuffle", "code", "dog") != formula("shuffle", "code", "god")
    assert formula("shuffle", "vector", "dog") == pytest.approx(vector("dog").tolist(), abs=1e-9)


def test_the_first_picture(live):
    """True before anything is touched."""
    now = assert_true_to_reference(live)
    assert (now["sentence"], now["order"], now["positions"], now["most"]) == ("dog bites man", [0, 1, 2], "none", 0)


@pytest.mark.parametrize("positions", ["none", "sinusoidal"])
@pytest.mark.parametrize("sentence", SENTENCES)
def test_any_sentence_in_any_order(live, sentence, positions):
    """Without positions no output ever moves; with them, outputs do when different words change places."""
    live.choice("positions").select_option(positions)
    live.find("input").fill(sentence)
    assert assert_true_to_reference(live)["most"] < 1e-12
    words = sentence.split()[:MOST]
    for button in ("Move down", "Move down", "Move up", "Shuffle", "Shuffle"):
        before = live.state()["order"]
        live.root.get_by_role("button", name=button).click()
        now = assert_true_to_reference(live)
        if len(words) > 1:
            assert now["order"] != before or button.startswith("Move")
        elsewhere = now["order"] != sorted(now["order"])
        assert (now["most"] > 1e-3) == (positions == "sinusoidal" and elsewhere)


def test_what_is_typed_is_never_read_as_html(live):
    """It shows as it is typed, and does nothing."""
    live.find("input").fill(HOSTILE)
    live.page.wait_for_timeout(QUIET)
    assert live.evaluate("() => window.hurt") is None
    assert live.find("script, img, b").count() == 0
    shown = live.find(".word .name").all_text_contents()
    assert shown[0] == "<script>wi…" and "]]>" in shown and "&lt;b&gt;" in shown
    assert "<script>window.hurt=1</script>" in live.find(".figure-voice").text_content()


def test_no_more_than_eight_words(live):
    """The rest is not looked at."""
    live.find("input").fill("a b c d e f g h i j")
    assert assert_true_to_reference(live)["order"] == list(range(MOST))


def test_arrow_keys_in_the_field_bring_other_sentences(live):
    """Round and round; a sentence of the reader's own gives way to them."""
    field, seen = live.find("input"), []
    for _ in range(4):
        field.press("ArrowDown")
        seen.append(assert_true_to_reference(live)["sentence"])
    assert len(set(seen)) == 4 and seen[-1] == "dog bites man"
    field.press("ArrowUp")
    assert live.state()["sentence"] == seen[-2]
    field.fill("mine")
    field.press("ArrowDown")
    assert live.state()["sentence"] == seen[0]


def test_the_keyboard_chooses_and_moves_words(live):
    """Arrow keys choose; with Alt they carry the chosen word along."""
    words = live.find(".words")
    words.press("ArrowDown")
    assert (now := assert_true_to_reference(live))["word"] == 1 and now["order"] == [0, 1, 2]
    words.press("Alt+ArrowDown")
    assert (now := assert_true_to_reference(live))["word"] == 1 and now["order"] == [0, 2, 1]
    words.press("Alt+ArrowDown")  # it is the last already
    assert live.state()["order"] == [0, 2, 1]
    words.press("ArrowDown")
    assert live.state()["word"] == 1
    words.press("ArrowUp")
    words.press("Control+ArrowUp")
    assert (now := assert_true_to_reference(live))["word"] == 2 and now["order"] == [2, 0, 1]
    chosen = words.get_attribute("aria-activedescendant")
    assert live.find(f"#{chosen}").get_attribute("aria-selected") == "true"


def test_the_mouse_drags_a_word(live):
    """By its name, to where it is let go."""
    live.find("input").fill("to be or not to be")
    grips = live.find(".grip")
    start, end = centre(grips.nth(0)), centre(grips.nth(4))
    live.page.mouse.move(*start)
    live.page.mouse.down()
    live.page.mouse.move(*end, steps=8)
    live.page.mouse.up()
    assert (now := assert_true_to_reference(live))["order"] == [1, 2, 3, 4, 0, 5] and now["word"] == 0
    live.find(".word").nth(3).click()
    assert live.state()["word"] == 3


def test_a_finger_drags_a_word(open_figure):
    """By its name; elsewhere the page scrolls."""
    live = open_figure(viewport=NARROW, has_touch=True, is_mobile=True)
    live.find(".words").scroll_into_view_if_needed()
    (x, y), (_, end) = centre(live.find(".grip").nth(2)), centre(live.find(".grip").nth(0))
    live.swipe([(x, y), (x, (y + end) / 2), (x, end)])
    assert (now := assert_true_to_reference(live))["order"] == [2, 0, 1] and now["word"] == 2
    assert live.evaluate("figure => getComputedStyle(figure.querySelector('.grip')).touchAction") == "none"
    assert live.evaluate("figure => getComputedStyle(figure.querySelector('.looks')).touchAction") == "auto"


def test_the_question_of_the_caption_has_an_answer(live):
    """With positions, exchanging the outer words moves the output of the middle one most; without, none."""
    for positions, outcome in (("none", [0, 0, 0]), ("sinusoidal", None)):
        live.reset()
        live.choice("positions").select_option(positions)
        for _ in range(2):
            live.find(".words").press("Alt+ArrowDown")
        live.find(".words").press("ArrowUp")
        live.find(".words").press("Alt+ArrowUp")
        assert_true_to_reference(live)
        rows = live.evaluate(ROWS)
        assert [row["name"] for row in rows] == ["man", "bites", "dog"]
        moved = [row["moved"] for row in rows]
        assert moved == outcome if outcome else moved[1] > max(moved[0], moved[2])


def test_two_equal_words_differ_only_where_positions_do(live):
    """The first two words of *no no yes* receive the same without positions, and not with them."""
    live.find("input").fill("no no yes")
    for positions, alike in (("none", True), ("sinusoidal", False)):
        live.choice("positions").select_option(positions)
        one, two, _ = (row["output"] for row in live.evaluate(ROWS))
        assert (one == two) == alike


def test_rows_slide_only_where_motion_is_welcome(open_figure):
    """At once for those who asked for less motion."""
    for motion, slides in (("reduce", 0), ("no-preference", 3)):
        live = open_figure(reduced_motion=motion)
        live.find("input").fill("one two three")
        live.page.wait_for_timeout(400)
        live.find(".words").press("Alt+ArrowDown")
        live.find(".words").press("Alt+ArrowDown")
        running = live.evaluate("figure => figure.getAnimations({subtree: true}).length")
        assert (running > 0) == (slides > 0)
        live.page.wait_for_timeout(400)
        assert_true_to_reference(live)


def test_a_screen_reader_hears_the_order_and_the_largest_move(live):
    """Many steps, one sentence."""
    heard = live.listen()
    for _ in range(2):
        live.find(".words").press("Alt+ArrowDown")
    live.page.wait_for_timeout(QUIET)
    assert heard() == ["The order is bites man dog. Positions: none. The largest move of an output is 0.000."]
