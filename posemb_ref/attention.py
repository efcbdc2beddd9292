"""Softmax attention, and the three doors through which a position can reach it.

A position enters at the input (`x + p`), on queries and keys (a transformation), or on the scores (added terms).
An encoding is an `Encoding` that overrides the doors it uses; everything else is this one attention.

Source: Vaswani et al. (2017), "Attention is all you need", eq. (1).
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from posemb_ref import expect


def attention(
    q: Float[Tensor, "*batch query dim"],
    k: Float[Tensor, "*batch key dim"],
    v: Float[Tensor, "*batch key value"],
    *,
    bias: Float[Tensor, "..."] | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Float[Tensor, "*batch query value"]:
    """Return softmax(scale · q k⊤ + bias) v.

    Parameters
    ----------
    q, k, v
        Queries `(..., query, dim)`, keys `(..., key, dim)` and values `(..., key, value)`, with equal leading axes.
    bias
        Added to the scaled scores; broadcasts to `(..., query, key)`.
    causal
        Let query row i see the keys up to position `key − query + i`, so that the last query sees every key.
    scale
        Factor on the inner products; 1/√dim when None.

    Raises
    ------
    TypeError, ValueError
        If a tensor is not floating point, shapes do not match, there are more queries than keys under a causal mask,
        or the bias is of a wider type than q, holds NaN or inf, or leaves a query with no key to look at.
    """
    expect.attention(q, k, v)
    weights = _weights(q, k, bias, causal, scale)
    if bias is not None and not (bias < math.inf).all():  # False for NaN as well
        raise ValueError("bias must hold numbers or -inf, got NaN or inf")
    return weights @ v


def _weights(q: Tensor, k: Tensor, bias: Tensor | None, causal: bool, scale: float | None) -> Tensor:
    expect.boolean("causal", causal)
    scores = _scores(q, k, bias, scale)
    if causal:
        scores = scores.masked_fill(_future(q.shape[-2], k.shape[-2], q.device), -math.inf)
    if bias is not None and scores.isneginf().all(-1).any():
        raise ValueError("bias must leave every query at least one key, got a row of -inf")
    return scores.softmax(-1)


def _scores(q: Tensor, k: Tensor, bias: Tensor | None, scale: float | None) -> Tensor:
    scores = scaled(q, scale) @ k.mT
    if bias is None:
        return scores
    expect.floating("bias", bias)
    if torch.promote_types(q.dtype, bias.dtype) != q.dtype:
        raise TypeError(f"bias must not be wider than q, {q.dtype}, got {bias.dtype}")
    expect.same_device(q=q, bias=bias)
    expect.broadcasts_to("bias", bias.shape, scores.shape)
    return scores + bias


def scaled(q: Float[Tensor, "*batch query dim"], scale: float | None) -> Float[Tensor, "*batch query dim"]:
    """Return scale · q, with 1/√dim for None: scaled only afterwards, inner products would overflow in float16."""
    if scale is None:
        scale = 1 / math.sqrt(q.shape[-1])
    expect.finite("scale", scale)
    return q * scale


def _future(queries: int, keys: int, device: torch.device) -> Tensor:
    if queries > keys:
        raise ValueError(
            f"causal attention needs at least as many keys as queries, got q with {queries} and k with {keys}"
        )
    return torch.ones(queries, keys, dtype=torch.bool, device=device).triu(keys - queries + 1)


class Encoding(nn.Module):
    """Attention without positions: three doors, all of them closed. Subclasses override the doors they use.

    Positions are `(seq,)`, or have all leading axes of the vectors, each of them in full or 1: `(batch, 1, seq)` for
    vectors `(batch, heads, seq, dim)`.

    Attributes
    ----------
    scale
        Factor on the inner products of queries and keys; 1/√dim when None.
    """

    scale: float | None = None

    def at_input(
        self, x: Float[Tensor, "*batch seq dim"], positions: Real[Tensor, "*#batch seq"]
    ) -> Float[Tensor, "*batch seq dim"]:
        """Open the first door: x + p, for token vectors x before they are projected."""
        return x

    def on_query(
        self, q: Float[Tensor, "*batch seq dim"], positions: Real[Tensor, "*#batch seq"]
    ) -> Float[Tensor, "*batch seq dim"]:
        """Open the second door for queries at positions m."""
        return q

    def on_key(
        self, k: Float[Tensor, "*batch seq dim"], positions: Real[Tensor, "*#batch seq"]
    ) -> Float[Tensor, "*batch seq dim"]:
        """Open the second door for keys at positions n."""
        return k

    def on_scores(
        self,
        q: Float[Tensor, "*batch query dim"],
        k: Float[Tensor, "*batch key dim"],
        query_positions: Real[Tensor, "*#batch query"],
        key_positions: Real[Tensor, "*#batch key"],
    ) -> Float[Tensor, "..."] | None:
        """Open the third door: terms to add to the scaled scores, broadcasting to `(..., query, key)`, or None.

        It receives q and k as they are before the second door.
        """
        return None

    def on_values(
        self,
        weights: Float[Tensor, "*batch query key"],
        query_positions: Real[Tensor, "*#batch query"],
        key_positions: Real[Tensor, "*#batch key"],
    ) -> Float[Tensor, "*batch query value"] | None:
        """Open the third door for the values: what the attention weights add to the output, or None."""
        return None

    def scores(
        self,
        q: Float[Tensor, "*batch query dim"],
        k: Float[Tensor, "*batch key dim"],
        query_positions: Real[Tensor, "*#batch query"],
        key_positions: Real[Tensor, "*#batch key"],
    ) -> Float[Tensor, "*batch query key"]:
        """Return the scores before the softmax: what the laws of relative position are about.

        As in `forward`, the first door lies behind: `at_input` is not called here.
        """
        expect.attention(q, k)
        _expect_positions(q, k, query_positions, key_positions)
        bias = self.on_scores(q, k, query_positions, key_positions)
        return _scores(self.on_query(q, query_positions), self.on_key(k, key_positions), bias, self.scale)

    def forward(
        self,
        q: Float[Tensor, "*batch query dim"],
        k: Float[Tensor, "*batch key dim"],
        v: Float[Tensor, "*batch key value"],
        query_positions: Real[Tensor, "*#batch query"],
        key_positions: Real[Tensor, "*#batch key"],
        *,
        causal: bool = False,
    ) -> Float[Tensor, "*batch query value"]:
        """Attend from queries at their positions to keys at theirs.

        Tokens go through the first door before they are projected to q, k and v: `at_input` is not called here. An
        encoding that opens only that door, an `Absolute`, makes nothing of the positions.
        """
        expect.attention(q, k, v)
        _expect_positions(q, k, query_positions, key_positions)
        bias = self.on_scores(q, k, query_positions, key_positions)
        q, k = self.on_query(q, query_positions), self.on_key(k, key_positions)
        weights = _weights(q, k, bias, causal, self.scale)
        added = self.on_values(weights, query_positions, key_positions)
        return weights @ v if added is None else weights @ v + added


def _expect_positions(q: Tensor, k: Tensor, query_positions: Tensor, key_positions: Tensor) -> None:
    expect.per_row("query_positions", query_positions, q.shape[:-1])
    expect.per_row("key_positions", key_positions, k.shape[:-1])


class Absolute(Encoding):
    """An absolute encoding: it opens the first door, and adds a vector that belongs to the position.

    Call `at_input` on the tokens, before they are projected: behind it, `scores` and the attention itself are those of
    an `Encoding` without positions, whatever positions they are given.

    Parameters
    ----------
    vectors
        Maps positions `(..., seq)` to vectors p `(..., seq, dim)`: a `LearnedEncoding`, or `sinusoidal` with its `dim`.
    """

    def __init__(self, vectors: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.vectors = vectors

    def at_input(
        self, x: Float[Tensor, "*batch seq dim"], positions: Real[Tensor, "*#batch seq"]
    ) -> Float[Tensor, "*batch seq dim"]:
        """Return x + p."""
        p = self.vectors(positions)
        expect.floating("x", x, min_rank=2)
        if p.shape[-2:] != x.shape[-2:]:
            raise ValueError(f"positions must have one vector per row of x {tuple(x.shape)}, got {tuple(p.shape)}")
        expect.per_row("positions", positions, x.shape[:-1])
        return x + p.to(x.dtype)
