"""The staircase of T5's buckets, driven in a real browser; its numbers against posemb_ref."""

import re

import pytest
import torch

from posemb_ref.relative import t5
from tests.site.figures import QUIET

FIGURE = "buckets"
END = 160
DISTANCES = list(range(-END, END + 1))
PATH = "figure => figure.querySelector('.curve').getAttribute('d')"
BAND = """figure => {
    const band = figure.querySelector('.band').getBBox();
    const [left, right] = [...figure.querySelectorAll('.ticks')][0].querySelectorAll('g');
    const at = tick => tick.transform.baseVal[0].matrix.e;
    const ticks = [...[...figure.querySelectorAll('.ticks')][0].querySelectorAll('g')].map(at);
    const scale = (ticks.at(-1) - ticks[0]) / 320;
    return [(band.x - ticks[0]) / scale - 160, (band.x + band.width - ticks[0]) / scale - 160];
}"""


def rows(now):
    """The bucket of every distance that is shown, by the reference."""
    return t5.bucket(
        torch.tensor(DISTANCES),
        num_buckets=now["buckets"],
        max_distance=now["farthest"],
        bidirectional=now["direction"] == "encoder",
    ).tolist()


def assert_true(live):
    """Compare readouts, staircase and shaded band with the reference."""
    now = live.state()
    expected = rows(now)
    row = expected[now["r"] + END]
    shared = [r for r, other in zip(DISTANCES, expected, strict=True) if other == row]
    assert (now["bucket"], now["first"], now["last"]) == (row, shared[0], shared[-1])
    assert now["used"] == len(set(expected))
    heights = [float(y) for y in re.findall(r",(-?[\d.]+)H", live.evaluate(PATH))]
    assert len(heights) == len(expected)
    unit = heights[0] - heights[-1] if expected[0] != expected[-1] else None
    if unit:
        scale = unit / (expected[-1] - expected[0])
        assert heights == pytest.approx([heights[0] - scale * (row - expected[0]) for row in expected], abs=1e-3)
    assert live.evaluate(BAND) == pytest.approx([shared[0] - 0.5, shared[-1] + 0.5], abs=0.02)
    return now


def test_the_first_picture(live):
    now = assert_true(live)
    assert (now["r"], now["buckets"], now["farthest"], now["direction"]) == (40, 32, 128, "decoder")


@pytest.mark.parametrize("direction", ["decoder", "encoder"])
@pytest.mark.parametrize(("buckets", "farthest"), [(16, 64), (32, 128), (64, 256), (32, 64)])
@pytest.mark.parametrize("r", [0, 8, 16, 32, 90, 113, 160, -1, -40, -160])
def test_every_table(live, direction, buckets, farthest, r):
    live.choice("direction").select_option(direction)
    live.choice("buckets").select_option(str(buckets))
    live.choice("farthest").select_option(str(farthest))
    live.slider("r").fill(str(r))
    assert_true(live)


def test_the_keyboard_moves_the_distance(live):
    live.slider("r").press("ArrowRight")
    assert assert_true(live)["r"] == 41


def test_the_question_of_the_caption(live):
    """An encoder's table of 32 numbers leaves one unused, and a decoder's none."""
    assert live.state()["used"] == 32
    live.choice("direction").select_option("encoder")
    assert assert_true(live)["used"] == 31


def test_a_screen_reader_hears_who_shares(live):
    heard = live.listen()
    live.slider("r").fill("120")
    live.page.wait_for_timeout(QUIET)
    assert heard() == [
        "Distance 120: bucket 31, shared by the distances from 113 to 160 and beyond; 32 of 32 buckets are in use."
    ]
