"""The claims of "Attention is blind to order", on posemb_ref's attention, and the planted bugs of its exercises."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch

from posemb_ref import laws
from posemb_ref.attention import Encoding, attention
from posemb_ref.lesson.device import lesson_device

DEVICE, DIM = lesson_device(), 6
SEEDS = range(5)


def random(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(DEVICE)


def layers(x, depth, *, causal, seed):
    for i in range(depth):
        q, k, v = x @ (random(3, DIM, DIM, seed=100 * seed + i) / DIM**0.5)
        x = torch.tanh(x + attention(q, k, v, causal=causal))
    return x


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_mask_shuffled_tokens_give_shuffled_outputs_in_every_order(depth, seed):
    x = random(4, DIM, seed=seed)
    outputs = layers(x, depth, causal=False, seed=seed)
    for order in map(list, itertools.permutations(range(4))):
        found = layers(x[order], depth, causal=False, seed=seed)
        torch.testing.assert_close(found, outputs[order], rtol=0, atol=1e-12)


def test_an_encoding_with_closed_doors_is_blind_and_a_causal_mask_is_not():
    def layer(x, causal=False):
        x, at = x.to(DEVICE), torch.arange(len(x), device=DEVICE)
        return Encoding()(x, x, x, at, at, causal=causal)

    assert laws.permutation_equivariance(layer, dim=DIM) is None
    assert laws.permutation_equivariance(lambda x: layer(x, causal=True), dim=DIM) is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_the_last_row_of_one_causal_layer_ignores_the_order_before_it_and_that_of_two_does_not(seed):
    x = random(6, DIM, seed=seed)
    backwards = [4, 3, 2, 1, 0, 5]
    moved = [
        (layers(x[backwards], depth, causal=True, seed=seed) - layers(x, depth, causal=True, seed=seed))[-1].abs().max()
        for depth in (1, 2)
    ]
    assert moved[0] < 1e-12 < 1e-3 < moved[1]


@pytest.mark.parametrize("text", ["abbc", "bbac", "abbcabbc", "bbbbaacc"])
def test_the_last_row_of_one_causal_layer_knows_proportions_only(text):
    letters = dict(zip("abc", random(3, DIM, seed=1), strict=True))
    last = layers(torch.stack([letters[letter] for letter in text]), 1, causal=True, seed=0)[-1]
    least = layers(torch.stack([letters[letter] for letter in "babc"]), 1, causal=True, seed=0)[-1]
    torch.testing.assert_close(last, least, rtol=0, atol=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 8])
@pytest.mark.parametrize("length", [1, 2, 50])
def test_a_constant_sequence_stays_constant_and_forgets_its_length(depth, length):
    x = random(1, DIM, seed=0)
    found = layers(x.expand(length, DIM), depth, causal=True, seed=0)
    torch.testing.assert_close(found, layers(x, depth, causal=True, seed=0).expand(length, DIM), rtol=0, atol=1e-12)


@pytest.mark.parametrize("length", [1, 7, 300])
def test_a_causal_head_counts_from_a_start_token(length):
    is_start = torch.zeros(length, 1, dtype=torch.float64, device=DEVICE)
    is_start[0] = 1
    found = attention(torch.zeros_like(is_start), torch.zeros_like(is_start), is_start, causal=True)
    expected = [float(Fraction(1, m + 1)) for m in range(length)]
    np.testing.assert_allclose(found[:, 0].cpu(), expected, rtol=0, atol=1e-15)


# For tests/notebooks/test_lessons.py: exercise, what is wrong, the change to the solution, what the verdict must say.
PLANTED = [
    ("weighted_means", "root forgotten", (" / np.sqrt(queries.shape[-1])", ""), "agreement fails"),
    ("weighted_means", "number of queries for d", ("queries.shape[-1]", "queries.shape[0]"), "agreement fails"),
    ("weighted_means", "weights of each column", ("axis=-1", "axis=0"), "agreement fails"),
    ("weighted_means", "one sum for all", ("axis=-1, ", ""), "agreement fails"),
    ("weighted_means", "not normalised", (" / weights.sum(axis=-1, keepdims=True)", ""), "agreement fails"),
    ("weighted_means", "no exponential", ("np.exp(scores)", "np.abs(scores)"), "agreement fails"),
    ("weighted_means", "keys handed over", ("weights @ values", "weights @ keys"), "agreement fails"),
    ("visible", "the wrong corner", ("np.arange(keys - queries, keys)", "np.arange(queries)"), r"queries=1, keys=6\)"),
    ("visible", "the future instead", (">=", "<="), "agreement fails"),
    ("visible", "not its own token", (">=", ">"), "agreement fails"),
    ("visible", "one token too many", ("keys - queries, keys)", "keys - queries + 1, keys + 1)"), "agreement fails"),
    ("visible", "keys by queries", ("query_positions[:, None] >= np.arange(keys)", "query_positions >= np.arange(keys)[:, None]"), r"agreement \(shape\) fails|agreement fails"),
    ("same_answer", "order counts", ("return one[-1]", "return one == other and one[-1]"), "expected 1, found 0"),
    ("same_answer", "counts for proportions", (" * len(other) == others[w] * len(one)", " == others[w]"), "found 0"),
    ("same_answer", "lengths crosswise", ("len(other) == others[w] * len(one)", "len(one) == others[w] * len(other)"), "agreement fails"),
    ("same_answer", "any last letter", ("one[-1] == other[-1] and ", ""), "expected 0, found 1"),
    ("same_answer", "which letters only", ("same_proportions = all", "same_proportions = set(one) == set(other) or all"), "expected 0, found 1"),
    ("fading", "growing with distance", ("mu * np.stack([-one, m]", "mu * np.stack([one, -m]"), "agreement fails"),
    ("fading", "the count not inverted", ("m = 1 / outputs - 1", "m = outputs"), "agreement fails"),
    ("fading", "no slope", ("mu * np", "np"), "agreement fails"),
    ("fading", "slope on both sides", ("return np", "return mu * np"), "agreement fails"),
    ("fading", "one sign lost", ("[-one, m]", "[one, m]"), "agreement fails"),
]  # fmt: skip
