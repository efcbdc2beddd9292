"""Attention against its formula in NumPy, and its three doors."""

import numpy as np
import pytest
import torch

from posemb_ref import Encoding, disentangled_scores, laws, linear_attention
from posemb_ref.attention import attention
from posemb_ref.encodings import encodings


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
    with pytest.raises(ValueError, match=r"^scores \+ bias must leave every query at least one key"):
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


@pytest.mark.parametrize("name", [name for name in encodings(64) if name != "T5"])  # which does not scale its scores
def test_float16_overflows_only_where_the_scaled_score_does(name):
    q, k, v = torch.full((3, 1, 4, 64), 40.0, dtype=torch.float16)
    m = torch.arange(4)
    encoding = encodings(64)[name]
    with torch.no_grad():
        found, exact = encoding(q, k, v, m, m), encoding.double()(q.double(), k.double(), v.double(), m, m)
        scores = encoding.scores(q, k, m, m)
    assert scores.isfinite().all()
    torch.testing.assert_close(found.double(), exact, rtol=2e-2, atol=1e-3)


def test_disentangled_scores_in_float16_are_scaled_before_they_overflow():
    q, k, position_q, position_k = torch.full((4, 4, 64), 40.0, dtype=torch.float16)
    index = torch.zeros(4, 4, dtype=torch.int64)
    expected = 3 * 40**2 * 64 / 192**0.5
    found = disentangled_scores(q, k, position_q, position_k, index)
    torch.testing.assert_close(found.double(), torch.full((4, 4), expected).double(), rtol=2e-3, atol=0)


@pytest.mark.parametrize("name", encodings(4))
def test_scores_refuse_what_forward_refuses(untyped, name):
    encoding, m = encodings(4)[name], torch.arange(3)
    q, k = torch.ones(2, 1, 3, 4), torch.ones(5, 1, 3, 4)
    with pytest.raises(ValueError, match=r"^q and k must have the same leading axes, got q \(2, 1, 3, 4\), k \(5,"):
        encoding.scores(q, k, m, m)
    with pytest.raises(ValueError, match="^q and k must have the same last axis"):
        encoding.scores(q, torch.ones(2, 1, 3, 6), m, m)
    with pytest.raises(TypeError, match="^q must have a floating-point dtype"):
        encoding.scores(q.long(), q.long(), m, m)
    with pytest.raises(TypeError, match="^q and k must have one dtype"):
        encoding.scores(q, q.double(), m, m)


def test_a_bias_that_would_widen_the_scores_is_refused(untyped):
    q = torch.ones(3, 4)
    for dtype, bias in [(torch.bfloat16, torch.float32), (torch.float32, torch.float64)]:
        x = q.to(dtype)
        with pytest.raises(TypeError, match=f"^bias must not be wider than q, {dtype}, got {bias}"):
            attention(x, x, x, bias=torch.ones(3, 3, dtype=bias))
    assert attention(q, q, q, bias=torch.ones(3, 3, dtype=torch.float16)).dtype == torch.float32


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_bias_is_a_number_or_minus_infinity(value):
    q = torch.ones(3, 4)
    with pytest.raises(ValueError, match="^bias must hold numbers or -inf"):
        attention(q, q, q, bias=torch.tensor([0.0, value, 0.0]))


@pytest.mark.parametrize("causal", ["False", 1, None, torch.ones(2)])
def test_causal_is_a_bool(untyped, causal):
    q, m = torch.ones(3, 4), torch.arange(3)
    for call in (attention, linear_attention):
        with pytest.raises(TypeError, match="^causal must be a bool, got"):
            call(q, q, q, causal=causal)
    with pytest.raises(TypeError, match="^causal must be a bool, got"):
        Encoding()(q, q, q, m, m, causal=causal)


POSITIONED = {name: encoding for name, encoding in encodings(4).items() if name not in ("learned", "sinusoidal")}


@pytest.mark.parametrize("name", POSITIONED)
def test_positions_of_each_batch_are_not_taken_for_positions_of_each_head(untyped, name):
    encoding, q = POSITIONED[name], torch.ones(5, 5 if name != "T5" else 1, 3, 4)
    rows, at = torch.zeros(q.shape[1], 3, dtype=torch.int64), torch.arange(3)
    if name == "T5":
        rows = rows.expand(5, 3)
    with pytest.raises(ValueError, match=r"^query_positions .*\(5, 3\)"):
        encoding.scores(q, q, rows, at)
    with pytest.raises(ValueError, match=r"^key_positions .*\(5, 3\)"):
        encoding(q, q, q, at, rows)
    assert encoding.scores(q, q, at[None], torch.zeros(5, 1, 3, dtype=torch.int64)).shape == (*q.shape[:2], 3, 3)


def test_attention_without_positions_counts_them_all_the_same(untyped):
    q = torch.ones(4, 8)
    with pytest.raises(ValueError, match="^query_positions must hold 4 positions"):
        Encoding().scores(q, q, torch.arange(99), torch.arange(4))


@pytest.mark.parametrize("name", encodings(4))
def test_nan_in_a_query_is_not_put_down_to_the_bias(name):
    q, m = torch.full((1, 3, 4), torch.nan), torch.arange(3)
    assert encodings(4)[name](q, q, q, m, m).isnan().all()
