"""The staircase of T5's buckets, driven in a real browser; its numbers against posemb_ref."""

import math

import pytest
import torch

from posemb_ref.relative import t5
from tests.site.figures import QUIET

FIGURE = "buckets"
END = 256
DISTANCES = list(range(-END, END + 1))
# What is drawn, read off in the units of the axes.
DRAWN = """figure => {
    const [across, up] = [...figure.querySelectorAll('.ticks')].map(
        (axis, i) => [...axis.querySelectorAll('g')].map(tick => tick.transform.baseVal[0].matrix[i ? 'f' : 'e']));
    const r = x => 512 * (x - across[0]) / (across.at(-1) - across[0]) - 256;
    const row = y => 32 * (y - up[0]) / (up.at(-1) - up[0]);
    const stairs = name => figure.querySelector('.curve.' + name).getAttribute('d').slice(1).split('L')
        .map(step => row(Number(step.split(/[,H]/)[1])));
    const band = figure.querySelector('.band').getBBox();
    const here = figure.querySelector('.here');
    return {
        t5: stairs('t5'), clip: stairs('clip'), band: [r(band.x), r(band.x + band.width)],
        here: [r(here.cx.baseVal.value), row(here.cy.baseVal.value)],
    };
}"""


def t5_rows(now):
    """The bucket of every distance that is shown, by the reference."""
    return t5.bucket(
        torch.tensor(DISTANCES),
        num_buckets=now["buckets"],
        max_distance=now["farthest"],
        bidirectional=now["direction"] == "encoder",
    ).tolist()


def clipped_rows(now):
    """Clip every distance that is shown, so that it fits into a table of as many rows."""
    if now["direction"] == "decoder":
        return torch.tensor(DISTANCES).clamp(0, now["buckets"] - 1).tolist()
    half = now["buckets"] // 2
    kept = torch.tensor(DISTANCES).clamp(1 - half, half - 1)
    return torch.where(kept < 0, half - kept, kept).tolist()


def ends(rows, r):
    """The first and the last distance that read the row of r; the ends of the figure stand for all beyond."""
    shared = [other for other, row in zip(DISTANCES, rows, strict=True) if row == rows[r + END]]
    return (-math.inf if shared[0] == -END else shared[0], math.inf if shared[-1] == END else shared[-1])


def assert_true(live):
    """Compare readouts, staircases, point and shaded band with the reference."""
    now = live.state()
    rows, clipped = t5_rows(now), clipped_rows(now)
    first, last = ends(rows, now["r"])
    assert now["bucket"] == rows[now["r"] + END]
    assert now["shared"] == f"{first} to {last}".replace("inf", "Infinity")
    assert now["clipped"] == "{} to {}".format(*ends(clipped, now["r"])).replace("inf", "Infinity")
    assert now["used"] == len(set(rows))
    drawn = live.evaluate(DRAWN)
    assert drawn["t5"] == pytest.approx(rows, abs=1e-3)
    assert drawn["clip"] == pytest.approx(clipped, abs=1e-3)
    assert drawn["here"] == pytest.approx([now["r"], rows[now["r"] + END]], abs=1e-3)
    assert drawn["band"] == pytest.approx([max(first - 0.5, -END), min(last + 0.5, END)], abs=0.02)
    return now


def test_the_first_picture(live):
    now = assert_true(live)
    assert (now["r"], now["buckets"], now["farthest"], now["direction"]) == (40, 32, 128, "decoder")


@pytest.mark.parametrize("direction", ["decoder", "encoder"])
@pytest.mark.parametrize("farthest", [64, 128, 256])
@pytest.mark.parametrize("buckets", [8, 16, 32])
def test_every_table(live, buckets, farthest, direction):
    """Among the distances are those of T5's encoder that lie on a cut: 16, 32 and 64."""
    live.choice("direction").select_option(direction)
    live.choice("buckets").select_option(str(buckets))
    live.choice("farthest").select_option(str(farthest))
    for r in (0, 1, 8, 16, 32, 64, 90, 113, END, -1, -40, -END):
        live.slider("r").fill(str(r))
        assert assert_true(live)["r"] == r


def test_what_lies_beyond_the_figure_shares_the_last_bucket():
    far = torch.tensor([END, 10**6])
    for farthest in (64, 128, 256):
        for num_buckets in (8, 16, 32):
            for both in (True, False):
                options = {"num_buckets": num_buckets, "max_distance": farthest, "bidirectional": both}
                assert len(t5.bucket(far, **options).unique()) == len(t5.bucket(-far, **options).unique()) == 1


def test_the_keyboard_moves_the_distance(live):
    live.slider("r").press("ArrowRight")
    assert assert_true(live)["r"] == 41


def test_the_question_of_the_caption(live):
    """In a decoder 14 distances read the number of the distance 100, and 17 if the maximum is 256."""
    live.slider("r").fill("100")
    assert assert_true(live)["shared"] == "99 to 112"
    live.choice("farthest").select_option("256")
    assert assert_true(live)["shared"] == "91 to 107"


def test_an_encoder_leaves_one_number_unused(live):
    assert live.shown("used") == "32 of 32"
    live.choice("direction").select_option("encoder")
    assert_true(live)
    assert live.shown("used") == "31 of 32"


def test_minus_signs_and_infinity_are_shown(live):
    live.slider("r").fill("-5")
    assert live.shown("shared") == "-∞ to 0"


@pytest.mark.parametrize(
    ("r", "shared"),
    [
        (120, "bucket 31, shared by all distances from 113 on"),
        (-3, "bucket 0, shared by all distances up to 0"),
        (7, "bucket 7, shared by no other distance"),
        (60, "bucket 26, shared by the distances from 59 to 66"),
    ],
)
def test_a_screen_reader_hears_who_shares(live, r, shared):
    heard = live.listen()
    live.slider("r").fill(str(r))
    live.page.wait_for_timeout(QUIET)
    assert heard()[-1] == f"Distance {r}: {shared}; 32 of 32 buckets are in use."
