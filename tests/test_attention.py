"""Attention against its formula in NumPy, and its three doors."""

import numpy as np
import pytest
import torch

from posemb_ref import Encoding, attention, laws


def numpy_attention(q, k, v, bias=0.0, causal=False, scale=None):
    scores = np.einsum("...md,...nd->...mn", q, k) * (q.shape[-1] ** -0.5 if scale is None else scale) + bias
    if causal:
        m, n = np.arange(q.shape[-2])[:, None], np.arange(k.shape[-2])
        scores = np.where(n <= m + k.shape[-2] - q.shape[-2], scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def qkv(queries=4, keys=6, value=3):
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, queries, 8), (2, keys, 8), (2, keys, value)]
    return [torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in shapes]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [None, 1.0, 0.1])
@pytest.mark.parametrize("shape", [None, (6,), (4, 1), (4, 6), (2, 4, 6)])
def test_attention_is_the_softmax_of_scaled_scores_plus_bias(causal, scale, shape):
    q, k, v = qkv()
    bias = (
        None if shape is None else torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    )
    found = attention(q, k, v, bias=bias, causal=causal, scale=scale)
    expected = numpy_attention(*(t.numpy() for t in (q, k, v)), 0.0 if bias is None else bias.numpy(), causal, scale)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_last_query_sees_every_key_and_the_first_of_equals_only_itself():
    q, k, v = qkv(6, 6)
    found = attention(q, k, v, causal=True)
    torch.testing.assert_close(found[:, 0], v[:, 0])
    torch.testing.assert_close(found[:, -1], attention(q, k, v)[:, -1])


def test_attention_without_positions_is_blind_to_order():
    assert laws.permutation_equivariance(lambda x: attention(x, x, x), dim=8) is None
    assert laws.permutation_equivariance(lambda x: attention(x, x, x, causal=True), dim=8) is not None


class Doors(Encoding):
    def on_query(self, q, positions):
        return q * positions[:, None]

    def on_key(self, k, positions):
        return k + positions[:, None]

    def on_scores(self, q, k, query_positions, key_positions):
        return (query_positions[:, None] - key_positions).double()


def test_an_encoding_uses_the_doors_it_overrides():
    q, k, v = qkv()
    m, n = torch.arange(4) + 2, torch.arange(6)
    turned, moved = q.numpy() * m.numpy()[:, None], k.numpy() + n.numpy()[:, None]
    bias = m.numpy()[:, None] - n.numpy()
    found = Doors()(q, k, v, m, n, causal=True)
    np.testing.assert_allclose(found, numpy_attention(turned, moved, v.numpy(), bias, True), atol=1e-12)
    expected = np.einsum("bmd,bnd->bmn", turned, moved) * 8**-0.5 + bias
    np.testing.assert_allclose(Doors().scores(q, k, m, n), expected, atol=1e-12)


def test_without_an_overridden_door_it_is_plain_attention():
    q, k, v = qkv()
    assert torch.equal(Encoding()(q, k, v, torch.arange(4), torch.arange(6)), attention(q, k, v))
    assert Encoding().at_input(q, torch.arange(4)) is q


def test_every_query_must_have_a_key():
    q, k, v = qkv()
    with pytest.raises(ValueError, match="bias"):
        attention(q, k, v, bias=torch.full((4, 6), -torch.inf, dtype=torch.float64))
    with pytest.raises(ValueError, match="q with 7 and k with 6"):
        attention(*qkv(queries=7), causal=True)


def test_one_query_without_a_key_is_too_many_but_a_key_may_be_hidden_from_all_queries():
    q, k, v = qkv()
    row, column = torch.zeros(2, 4, 6, dtype=torch.float64)
    row[2], column[:, 2] = -torch.inf, -torch.inf
    with pytest.raises(ValueError, match="^bias must leave every query at least one key"):
        attention(q, k, v, bias=row)
    found = attention(q, k, v, bias=column)
    others = [0, 1, 3, 4, 5]
    torch.testing.assert_close(found, attention(q, k[:, others], v[:, others]), rtol=0, atol=1e-12)


def test_a_batch_may_be_empty():
    assert attention(*torch.ones(3, 0, 4, 8)).shape == (0, 4, 8)


@pytest.mark.parametrize("other", ["q", "k", "v"])
def test_all_three_have_one_dtype(untyped, other):
    three = dict(zip("qkv", qkv(), strict=True))
    with pytest.raises(TypeError, match="^q, k and v must have one dtype"):
        attention(**{**three, other: three[other].float()})
