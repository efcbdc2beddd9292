"""The ways to write down a position, driven in a real browser; numbers, bars and verdicts against NumPy and posemb_ref."""

import functools
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
import torch

from posemb_ref.absolute.sinusoidal import sinusoidal
from tests.site.figures import NARROW, QUIET, opened

FIGURE = "counting"
SCHEMES = ("integer", "fraction", "binary", "waves")
LAWS = ("bounded", "same", "even", "distinct", "near", "matrix")
FAILING = {
    "integer": {"bounded", "matrix"},
    "fraction": {"same", "matrix"},
    "binary": {"even", "near", "matrix"},
    "waves": set(),
}
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
        "binary": m // 2 ** np.arange(9, -1, -1) % 2,
    }[scheme].astype(float)


@functools.cache
def text(scheme, length, positions):
    """The vectors of the first positions in a text of some length."""
    return np.array([vector(scheme, m, length) for m in range(positions)])


@functools.cache
def distances(scheme, length):
    """From each position of a text to each other, and infinity to itself."""
    P = text(scheme, length, length)
    return np.array([np.linalg.norm(P - p, axis=1) for p in P]) + np.diag(np.full(length, np.inf))


def short(number):
    """At most three decimals, halves away from zero as in a browser, and no zeros behind the last one that counts."""
    return f"{Decimal(number).quantize(Decimal('0.001'), ROUND_HALF_UP)}".rstrip("0").rstrip(".")


def one_at(fails, m):
    """The position itself if the law fails there, else the first where it does."""
    return m if fails[m] else int(np.argmax(fails))


def judged(scheme, m, length):
    """Of each law: its number, whether it holds, and the words."""
    P, apart = text(scheme, length, length), distances(scheme, length)
    doubled = text(scheme, 2 * length, 2 * length)
    here, twice = np.abs(P).max(), np.abs(doubled).max()
    steps = np.linalg.norm(np.diff(P, axis=0), axis=1)
    words = f"up to {short(here)} in this text, {short(twice)} in one twice as long"
    found = {
        "bounded": (twice, twice <= 1.1 * here, words),
        "distinct": (apart.min(), apart.min() > 1e-9, f"the closest two are {short(apart.min())} apart"),
    }

    moved = np.linalg.norm(P - doubled[:length], axis=1)
    if moved.max() == 0:
        found["same"] = 0, True, f"position {m} is the same in a text twice as long"
    else:
        at = one_at(moved > 0, m)
        words = f"position {at} is {short(P[at, 0])} here, {short(doubled[at, 0])} in a text twice as long"
        found["same"] = moved[at], False, words

    if np.ptp(steps) < 1e-9:
        found["even"] = steps[m], True, f"each is {short(steps[m])} long"
    else:
        other = int(np.argmax(steps) if steps[m] < steps.max() - 1e-9 else np.argmin(steps))
        named = [f"{at} to {at + 1} is {short(steps[at])} long" for at in (m, other)]
        found["even"] = steps[m], False, ", ".join(named)

    beyond = apart.copy()  # the neighbour before is no place further off
    beyond[range(1, length), range(length - 1)] = np.inf
    misplaced = beyond[:-1].min(axis=1) < steps - 1e-9
    if not misplaced.any():
        found["near"] = steps[m], True, f"none is nearer to {m} than {m + 1}, at {short(steps[m])}"
    else:
        at = one_at(misplaced, m)
        nearest = int(np.flatnonzero(beyond[at] < beyond[at].min() + 1e-9)[0])
        words = f"{nearest} is nearer to {at} ({short(beyond[at].min())}) than {at + 1} is ({short(steps[at])})"
        found["near"] = beyond[at].min(), False, words

    if scheme == "waves":
        found["matrix"] = 0, True, f"it takes {m} to {m + 1}, and misses by 0"
    else:
        assert not P[0].any()
        size = np.linalg.norm(P[1])
        words = f"position 0 is zero, which no matrix moves; position 1 is {short(size)} long"
        found["matrix"] = size, False, words
    return found


def assert_true(live):
    """Compare numbers, bars and verdicts with the formulas."""
    now = live.state()
    scheme, m, length = (now[key] for key in ("scheme", "m", "length"))
    here, after = (vector(scheme, m + k, length) for k in (0, 1))
    assert now["changed"] == (np.abs(after - here) > 1e-9).sum()
    for name, (number, holds, words) in judged(scheme, m, length).items():
        assert now[name] == pytest.approx(number, abs=1e-9), name
        assert live.shown(name) == f"{'✓ holds' if holds else '✗ fails'}: {words}"
        assert holds == (name not in FAILING[scheme])
    unit = live.evaluate(UNIT) / (length if scheme == "integer" else 1)
    assert live.evaluate(BARS, "here") == pytest.approx(here * unit, abs=1e-4)
    assert live.evaluate(BARS, "next") == pytest.approx(after * unit, abs=1e-4)
    return now


def test_the_first_picture(live):
    now = assert_true(live)
    assert (now["scheme"], now["m"], now["length"]) == ("integer", 5, 16)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("m", "length"), [(0, 16), (7, 16), (14, 16), (63, 256), (511, 1024), (1022, 1024)])
def test_every_scheme(live, scheme, m, length):
    live.choice("scheme").select_option(scheme)
    live.choice("length").select_option(str(length))
    live.stop("m", m)
    assert_true(live)


def test_the_failing_laws_are_marked_by_more_than_colour(live):
    live.choice("scheme").select_option("binary")
    marked = live.evaluate("figure => [...figure.querySelectorAll('.laws .fails output')].map(o => o.textContent[0])")
    assert marked == ["✗"] * 3
    assert live.find(".laws .figure-number").count() == len(LAWS)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_vectors_are_written_out(live, scheme):
    live.choice("scheme").select_option(scheme)
    live.stop("m", 7)
    written = [line.replace("\u2212", "-") for line in live.find(".figure-key").all_inner_texts()]
    for m, how, line in zip((7, 8), ("Filled", "Outlined"), written, strict=True):
        numbers = vector(scheme, m, 16)
        if scheme == "binary":
            words = f"{m:010b}".replace("", " ").strip()
        else:
            words = ", ".join(f"{number:.0f}" if scheme == "integer" else f"{number:.2f}" for number in numbers[:4])
        assert line == f"{how}, position {m}: {words}" + (", …" if len(numbers) == 16 else "")


def test_a_shorter_text_keeps_the_position_inside(live):
    live.choice("length").select_option("1024")
    live.stop("m", 700)
    live.choice("length").select_option("64")
    assert assert_true(live)["m"] == 62


def test_the_keyboard_moves_on(live):
    live.slider("m").press("ArrowRight")
    assert assert_true(live)["m"] == 6


def test_the_question_of_the_caption(live):
    """In binary 15 is 1 away from 31, and 32 the root of 6. Of the sines none is nearer than 32."""
    live.choice("length").select_option("64")
    live.choice("scheme").select_option("binary")
    live.stop("m", 31)
    assert live.shown("near") == "✗ fails: 15 is nearer to 31 (1) than 32 is (2.449)"
    live.choice("scheme").select_option("waves")
    assert live.shown("near").startswith("✓ holds: none is nearer to 31 than 32")


def test_on_a_phone_nothing_is_wider_than_the_page(browser):
    with opened(browser, FIGURE, viewport=NARROW) as page:
        page.wait_for_selector(".live-counting")
        for scheme in SCHEMES:
            page.locator(".live-counting select[name=scheme]").select_option(scheme)
            wide = "figure => [figure.scrollWidth, figure.clientWidth]"
            needs, has = page.locator(".live-counting").evaluate(wide)
            assert needs <= has


def test_a_screen_reader_hears_what_a_step_changes_and_which_laws_fail(live):
    heard = live.listen()
    live.choice("scheme").select_option("binary")
    live.stop("m", 7)
    live.page.wait_for_timeout(QUIET)
    said = heard()[-1]
    assert said.startswith("Position 7 of 16, 10 binary digits: 4 numbers change from 7 to 8. Laws that fail: even")
    live.choice("scheme").select_option("waves")
    live.page.wait_for_timeout(QUIET)
    assert heard()[-1].endswith("All six laws hold.")
